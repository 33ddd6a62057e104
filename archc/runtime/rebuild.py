"""Operators whose results the backward pass builds again: they are kept as their recipes.

A concatenation is kept as its parts, a batch norm and its activation as the norm's input. The same
operators run again on the same numbers, so gradients are those of the plain net, bit for bit.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.runtime.plain_modules import has_hooks, is_batch_norm
from archc.runtime.recipes import Kept, Recipe, kept, rebuilds, recipe_of, set_recipe, unpack


def concat(xs: Sequence[Tensor]) -> Tensor:
    """`torch.cat(xs, 1)`, which the backward pass finds in its parts."""
    y = torch.cat(tuple(xs), 1)
    if rebuilds(y):
        set_recipe(y, Recipe(lambda *parts: torch.cat(parts, 1), xs))
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
        return value.data_ptr() == x.data_ptr() and value.dtype == x.dtype


def norm_act(
    x: Tensor, norm: nn.Module, act: Callable[[Tensor], Tensor] = torch.relu, keep: bool = False
) -> Tensor:
    """`act(norm(x))` of a batch norm, which the backward pass finds in `x`.

    With `keep` the result is kept, for many read it, but not what lies between.
    """
    z: Tensor = norm(x)
    between = _normalised(x, norm) if rebuilds(z) and z.requires_grad else None
    if between is None:
        return act(z)
    saved: list[_Saved] = []

    def pack(x: Tensor) -> _Saved:
        saved.append(_Saved(x))
        return saved[-1]

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda each: unpack(each.held)):
        y = act(z)
    normalise = between.build
    whole = Recipe(lambda *operands: act(normalise(*operands)), ())
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
    """`pool(x)`, which the backward pass finds in what `x` is made of."""
    y: Tensor = pool(x)
    if rebuilds(y) and recipe_of(x) is not None and not has_hooks(pool):
        set_recipe(y, Recipe(pool, [x]))
    return y


_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _normalised(x: Tensor, norm: nn.Module) -> Recipe | None:
    """What a batch norm makes of its input, by the batch's statistics or by its running ones.

    None for norms that do more: of other classes (`SyncBatchNorm`), or with hooks.
    """
    if not isinstance(norm, _NORMS) or not is_batch_norm(norm) or has_hooks(norm):
        return None
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
