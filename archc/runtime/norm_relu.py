"""The norm that reads a dense block from outside, its ReLU and perhaps a pool, as one function.

So a block is closed (Huang et al., 1608.06993): by the norm of a transition, or by the last one of
the net. The features lie in the block's buffer, which is all that is kept, and their statistics are
those that the block has taken. Both passes work part by part: the normalised features, the largest
tensor of the net, never lie in memory as a whole.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.runtime.custom_operators import check_gradients
from archc.runtime.feature_rows import (
    FeatureGradient,
    FeatureRows,
    are_features,
    from_rows,
    moments_of,
)
from archc.runtime.plain_modules import differentiates, normalises_by_batch, update_running
from archc.runtime.recipes import Recipe, rebuilds, set_recipe
from archc.runtime.row_operators import RowPool
from archc.runtime.row_reader import Reading, RowReader
from archc.runtime.shadows import frozen
from archc.runtime.untouched import BATCH_NORMS, named, say_once, why_not

POOLS = (nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool2d, nn.AvgPool3d)


def norm_relu(
    x: Tensor,
    norm: Any,
    relu: Callable[[Tensor], Tensor] = torch.relu,
    pool: nn.Module | None = None,
) -> Tensor:
    """pool(relu(norm(x))), [N, C, *S] -> [N, C, *S']; in training in channels_last order.

    `pool` is a max or average pool over 2 or 3 axes. The plain modules are called for inference and
    export, while compiling, outside of `Rebuilding`, for another x than what a dense block that
    shares its storage gave, and where something was done to one of them.
    """
    operator = _operator(x, norm, relu, pool)
    if operator is None:
        z = relu(norm(x))
        return z if pool is None else pool(z)
    batch = normalises_by_batch(norm)
    moments = moments_of(x) if batch else None
    running = None if batch else (norm.running_mean, norm.running_var)
    reader = RowReader(norm.weight, norm.bias, running, None, norm.eps, x.shape[1], operator)
    function: Any = NormRelu
    rows, affine = function.apply(x, moments, reader, norm.weight, norm.bias)
    if moments is not None:
        update_running([(norm, moments)], x.numel() // x.shape[1])
    y = from_rows(rows)
    again = Recipe(lambda x, affine: from_rows(_read_rows(reader, x, affine)), [x, affine])
    set_recipe(y, again)
    return y


def _operator(x: Tensor, norm: nn.Module, relu: Any, pool: nn.Module | None) -> RowPool | None:
    """The pool, if it and the modules before it may run as one function."""
    if not rebuilds(x) or not are_features(x) or not differentiates(x, norm):
        return None
    reasons = [(norm, why_not(norm, BATCH_NORMS))]
    if isinstance(relu, nn.Module):
        reasons.append((relu, why_not(relu, (nn.ReLU,))))
    if pool is not None:
        reasons.append((pool, why_not(pool, POOLS)))
    for module, reason in reasons:
        if reason is not None:
            say_once(f"{named(type(module))} {reason}")
            return None
    plain = isinstance(relu, nn.ReLU) or relu in (torch.relu, F.relu)
    special = getattr(pool, "return_indices", False) or getattr(pool, "divisor_override", None)
    return RowPool(pool and frozen(pool)) if plain and not special else None


def _read_rows(reader: RowReader, x: Tensor, affine: Tensor) -> Tensor:
    source = FeatureRows(x.movedim(1, -1))
    y = x.new_empty(reader.operator.out_shape(source.values.shape))
    with torch.autocast(x.device.type, enabled=False):
        reader.forward(source, Reading(affine, None), x.dtype, y)
    return y


class NormRelu(torch.autograd.Function):
    """The result as rows, and the affine map that the norm is."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, moments: Tensor | None, reader: RowReader, *_norm: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        affine, _ = reader.start(FeatureRows(x.movedim(1, -1), moments), x.dtype, False)
        ctx.save_for_backward(x, affine, moments)
        ctx.mark_non_differentiable(affine)
        ctx.reader = reader
        return _read_rows(reader, x, affine), affine

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        check_gradients(grads[0])
        x, affine, moments = ctx.saved_tensors
        gradient = FeatureGradient(FeatureRows(x.movedim(1, -1), moments))
        with torch.autocast(x.device.type, enabled=False):
            by_norm = ctx.reader.backward(gradient, Reading(affine, None), x.dtype, grads[0])
        return from_rows(gradient.finish(slice(None))), None, None, *by_norm
