"""Operators whose results the backward pass builds again: they are kept as their recipes.

A concatenation is kept as its parts, a batch norm and its activation as the norm's input. The same
operators run again on the same numbers, so gradients are those of the plain net, bit for bit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.runtime.recipes import Kept, Recipe, kept, rebuilds, recipe_of, set_recipe, unpack
from archc.runtime.shadows import frozen
from archc.runtime.surroundings import shielded
from archc.runtime.untouched import BATCH_NORMS, named, say_once, why_not


def concat(xs: Sequence[Tensor]) -> Tensor:
    """`torch.cat(xs, 1)`, which the backward pass finds in its parts."""
    y = torch.cat(tuple(xs), 1)
    if rebuilds(y):
        parts = [x if recipe_of(x) else shielded(x.detach()) for x in xs]
        set_recipe(y, Recipe(lambda *parts: torch.cat(parts, 1), parts))
    return y


class _Saved:
    """What the backward pass of an activation keeps: a value, or its recipe."""

    def __init__(self, x: Tensor) -> None:
        self.held: Kept | Recipe = kept(x)

    def is_same(self, x: Tensor) -> bool:
        """Whether it is x. (A batch norm and an activation give whole tensors.)"""
        if isinstance(self.held, Recipe):
            return False
        value = self.held.value
        same = value.untyped_storage() is x.untyped_storage()
        return same and (value.dtype, value.shape) == (x.dtype, x.shape)


def norm_act(
    x: Tensor, norm: nn.Module, act: Callable[[Tensor], Tensor] = torch.relu, keep: bool = False
) -> Tensor:
    """`act(norm(x))` of a batch norm, which the backward pass finds in `x`.

    With `keep` the result is kept, for many read it, but not what lies between. A norm or an
    activation of another kind, or to which something was done, is kept as torch keeps it.
    """
    z: Tensor = norm(x)
    between = (
        _normalised(x, norm) if rebuilds(z) and z.requires_grad and _known(norm, act) else None
    )
    if between is None:
        return act(z)
    saved: list[_Saved] = []

    def pack(x: Tensor) -> _Saved:
        saved.append(_Saved(x))
        return saved[-1]

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda each: unpack(each.held)):
        y = act(z)
    normalise, activate = between.build, frozen(act)
    whole = Recipe(lambda *operands: activate(normalise(*operands)), ())
    whole.operands = between.operands
    for each in saved:
        if each.is_same(z):
            each.held = between.keep()
        elif not keep and each.is_same(y):
            each.held = whole.keep()
    if not keep:
        set_recipe(y, whole)
    return y


def pooled(x: Tensor, pool: nn.Module) -> Tensor:
    """`pool(x)`, which the backward pass finds in what `x` is made of, if it is an average pool."""
    y: Tensor = pool(x)
    if not rebuilds(y) or recipe_of(x) is None:
        return y
    reason = why_not(pool, AVERAGES)
    if reason is not None:
        say_once(f"{named(type(pool))} {reason}")
    elif y.dtype == x.dtype:  # not what autocast has computed otherwise
        set_recipe(y, Recipe(frozen(pool), [x]))
    return y


AVERAGES = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)

_ACTIVATIONS = (
    *(torch.relu, torch.sigmoid, torch.tanh, F.relu, F.relu6, F.silu, F.gelu, F.leaky_relu),
    *(F.sigmoid, F.tanh, F.hardsigmoid, F.hardswish),
)
_ACTIVATION_LAYERS = (
    *(nn.ReLU, nn.ReLU6, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.LeakyReLU),
    *(nn.Hardsigmoid, nn.Hardswish),
)


def _known(norm: nn.Module, act: Any) -> bool:
    """Whether both may run again in their places; if not, that is said once."""
    reason = why_not(norm, BATCH_NORMS)
    if reason is not None:
        say_once(f"{named(type(norm))} {reason}")
        return False
    if not isinstance(act, nn.Module):
        if act not in _ACTIVATIONS:
            say_once(f"{getattr(act, '__name__', act)} is no activation that can run again")
            return False
        return True
    reason = why_not(act, _ACTIVATION_LAYERS)
    if reason is None and getattr(act, "inplace", False):
        reason = "works in place"
    if reason is not None:
        say_once(f"{named(type(act))} {reason}")
    return reason is None


def _normalised(x: Tensor, norm: Any) -> Recipe | None:
    """What a batch norm makes of its input, by the batch's statistics or by its running ones."""
    if (norm.weight is None) != (norm.bias is None):
        return None
    eps, mean, var = norm.eps, norm.running_mean, norm.running_var
    affine = [norm.weight, norm.bias] if norm.weight is not None else []
    running = [mean, var] if not norm.training and mean is not None and var is not None else []

    def build(x: Tensor, *rest: Tensor) -> Tensor:
        weight, bias = rest[:2] if affine else (None, None)
        mean, var = rest[-2:] if running else (None, None)
        return F.batch_norm(x, mean, var, weight, bias, not running, 0.0, eps)

    return Recipe(build, [x, *affine, *running])
