"""The optimizers of a recipe: any of `torch.optim` that needs gradients alone."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

UNFIT = {"LBFGS", "Optimizer", "SparseAdam"}
"""Those that want a closure, or sparse gradients."""

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    name: each
    for name, each in vars(torch.optim).items()
    if isinstance(each, type) and issubclass(each, torch.optim.Optimizer) and name not in UNFIT
}


def arguments_of(name: str) -> set[str]:
    """What an optimizer's constructor takes beside the parameters."""
    return set(inspect.signature(OPTIMIZERS[name]).parameters) - {"params"}


def make_optimizer(
    recipe: Mapping[str, Any], parameters: Iterable[Tensor]
) -> torch.optim.Optimizer:
    """The optimizer `name` with all else as its arguments. Raises TypeError and ValueError."""
    arguments = {key: _hashable(value) for key, value in recipe.items() if key != "name"}
    made: Any = OPTIMIZERS[recipe["name"]]
    optimizer: torch.optim.Optimizer = made(parameters, **arguments)
    for group in optimizer.param_groups:
        group["initial_lr"] = recipe["lr"]
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Set each group's learning rate to a factor of its first one; give the first group's."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
    rate: float = optimizer.param_groups[0]["lr"]
    return rate


def _hashable(value: Any) -> Any:
    """Lists of YAML are tuples for torch, as the betas of Adam."""
    return tuple(value) if isinstance(value, list) else value
