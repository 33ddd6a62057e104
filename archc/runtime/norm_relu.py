"""The norm that reads a dense block from outside, its ReLU and perhaps a pool, as one function.

So a block is closed (Huang et al., 1608.06993): by the norm of a transition, or by the last one of
the net. The features lie in the block's buffer, which is all that is kept, and their statistics are
those that the block has taken. Both passes work part by part: the normalised features, the largest
tensor of the net, never lie in memory as a whole.
"""

from typing import Any

import torch
from torch import Tensor, nn

from archc.runtime.custom_operators import refuse_twice
from archc.runtime.feature_rows import (
    FeatureGradient,
    FeatureRows,
    from_rows,
    moments_of,
)
from archc.runtime.plain_modules import (
    differentiates,
    has_hooks,
    is_batch_norm,
    normalises_by_batch,
    update_running,
)
from archc.runtime.recipes import Recipe, rebuilds, set_recipe
from archc.runtime.row_pool import describe_pool
from archc.runtime.row_reader import Reading, RowReader


def norm_relu(x: Tensor, norm: Any, pool: nn.Module | None = None) -> Tensor:
    """pool(relu(norm(x))), [N, C, *S] -> [N, C, *S']; in training in channels_last order.

    `pool` is a max or average pool over 2 or 3 axes. The plain modules are called for inference and
    export, while compiling, outside of `Rebuilding`, and where one of them is of another kind or
    has a hook.
    """
    operator = describe_pool(pool, x.dim() - 2) if _stands_for(x, norm, pool) else None
    if operator is None:
        z: Tensor = torch.relu(norm(x))
        return z if pool is None else pool(z)
    batch = normalises_by_batch(norm)
    moments = moments_of(x) if batch else None
    running = None if batch else (norm.running_mean, norm.running_var)
    reader = RowReader(norm.weight, norm.bias, running, None, norm.eps, x.shape[1], operator)
    function: Any = NormRelu
    y, affine = function.apply(x, moments, reader, norm.weight, norm.bias)
    if moments is not None:
        update_running([(norm, moments)], x.numel() // x.shape[1])
    set_recipe(y, Recipe(lambda x, affine: _read(reader, x, affine), [x, affine]))
    result: Tensor = y
    return result


def _stands_for(x: Tensor, norm: Any, pool: nn.Module | None) -> bool:
    if not rebuilds(x) or not is_batch_norm(norm):
        return False
    modules = [norm] if pool is None else [norm, pool]
    return differentiates(x, *modules) and not any(map(has_hooks, modules))


def _read(reader: RowReader, x: Tensor, affine: Tensor) -> Tensor:
    source = FeatureRows(x.movedim(1, -1))
    y = x.new_empty(reader.operator.out_shape(source.values.shape))
    with torch.autocast(x.device.type, enabled=False):
        reader.forward(source, Reading(affine, None), x.dtype, y)
    return from_rows(y)


class NormRelu(torch.autograd.Function):
    """The result, and the affine map that the norm is."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, moments: Tensor | None, reader: RowReader, *_norm: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        affine, _ = reader.start(FeatureRows(x.movedim(1, -1), moments), x.dtype, False)
        ctx.save_for_backward(x, affine, moments)
        ctx.mark_non_differentiable(affine)
        ctx.reader = reader
        return _read(reader, x, affine), affine

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        if torch.is_grad_enabled():
            refuse_twice()
        x, affine, moments = ctx.saved_tensors
        gradient = FeatureGradient(FeatureRows(x.movedim(1, -1), moments))
        with torch.autocast(x.device.type, enabled=False):
            by_norm = ctx.reader.backward(
                gradient, Reading(affine, None), x.dtype, grads[0].movedim(1, -1)
            )
        return from_rows(gradient.finish(slice(None))), None, None, *by_norm
