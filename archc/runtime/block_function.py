"""A whole dense block as one function of autograd, and as one operator for torch.compile."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archc.runtime.block_steps import (
    BlockLayer,
    block_backward,
    block_forward,
    measures_features,
)
from archc.runtime.custom_operators import (
    check_gradients,
    no_gradient,
    refuse_twice,
    register_operator,
    with_gaps,
)
from archc.runtime.feature_rows import from_rows, statistics_dtype
from archc.runtime.row_reader import RowConv, RowReader
from archc.runtime.surroundings import shielded

READER_TENSORS = 7
"""Of each reader: gamma, beta, running mean and variance, index, weight and bias."""

TRAINED = (0, 1, 5, 6)
"""Those of them that get gradients."""


class BlockPlan(NamedTuple):
    """What a block is beside its tensors, in flat lists, which are what an operator can take.

    For each layer `ints` has the number of readers, the growth, whether to keep the bottleneck, and
    whether noise is drawn in channels_last order; and then for each reader groups, padding and
    dilation. `floats` has for each reader eps and the probability of its dropout, `places` which of
    its tensors there are.
    """

    dtype: torch.dtype
    """What the convolutions compute in."""
    ints: Sequence[int]
    floats: Sequence[float]
    places: Sequence[bool]

    def layers(self, tensors: Sequence[Tensor]) -> list[BlockLayer]:
        sources = with_gaps(tensors, self.places), iter(self.ints), iter(self.floats)
        layers = []
        for readers in sources[1]:
            growth, keep, channels_last = islice(sources[1], 3)
            read = [_unpack_reader(*sources) for _ in range(readers)]
            layers.append(BlockLayer(read, growth, bool(keep), bool(channels_last)))
        return layers

    def trained(self) -> list[bool]:
        """Which of the tensors that there are get gradients."""
        return [i % READER_TENSORS in TRAINED for i, there in enumerate(self.places) if there]


def _unpack_reader(
    tensors: Iterator[Tensor | None], ints: Iterator[int], floats: Iterator[float]
) -> RowReader:
    gamma, beta, mean, variance, index, weight, bias = islice(tensors, READER_TENSORS)
    assert weight is not None
    axes = weight.dim() - 2
    groups, *geometry = islice(ints, 1 + 2 * axes)
    eps, dropout = islice(floats, 2)
    running = None if mean is None or variance is None else (mean, variance)
    conv = RowConv(weight, bias, geometry[:axes], geometry[axes:], groups)
    return RowReader(gamma, beta, running, index, eps, weight.shape[1] * groups, conv, dropout)


def _run_block(x: Tensor, tensors: Sequence[Tensor], *plan: Any) -> list[Tensor]:
    described = BlockPlan(*plan)
    with torch.autocast(x.device.type, enabled=False):
        return block_forward(x, described.layers(tensors), described.dtype)


def _fake_block(x: Tensor, tensors: Sequence[Tensor], *plan: Any) -> list[Tensor]:
    described = BlockPlan(*plan)
    layers = described.layers(tensors)
    shape = [x.shape[0], *x.shape[2:], x.shape[1] + sum(layer.growth for layer in layers)]
    values = x.new_empty(shape, dtype=torch.promote_types(x.dtype, described.dtype))
    widths = [shape[-1]] if measures_features(layers) else []
    wide = statistics_dtype(values.dtype)
    rest = []
    for layer in layers:
        for reader in layer.readers:
            rest.append(values.new_empty((4, reader.width), dtype=wide))
            if reader.dropout:
                kept = reader.operator.out_shape(shape)
                rest.append(values.new_empty(kept, dtype=torch.bool))
        if layer.measures_bottleneck:
            widths.append(layer.readers[1].width)
        if len(layer.readers) == 2 and layer.keep:
            bottleneck = layer.readers[0].operator.out_shape(shape)
            rest.append(values.new_empty(bottleneck, dtype=described.dtype))
    return [values, *(values.new_empty((2, width), dtype=wide) for width in widths), *rest]


def _run_block_backward(
    grads: list[Tensor], saved: Sequence[Tensor], tensors: Sequence[Tensor], *plan: Any
) -> list[Tensor]:
    """The gradients of x and of the trained tensors."""
    described = BlockPlan(*plan)
    with torch.autocast(saved[0].device.type, enabled=False):
        results = block_backward(grads, saved, described.layers(tensors), described.dtype)
    return [gradient for gradient in results if gradient is not None]


def _fake_block_backward(
    _grad: Tensor, saved: Sequence[Tensor], tensors: Sequence[Tensor], *plan: Any
) -> list[Tensor]:
    described = BlockPlan(*plan)
    growth = sum(layer.growth for layer in described.layers(tensors))
    rows = saved[0].new_empty((*saved[0].shape[:-1], saved[0].shape[-1] - growth))
    trained = zip(tensors, described.trained(), strict=True)
    return [from_rows(rows), *(torch.empty_like(t) for t, is_trained in trained if is_trained)]


_BLOCK_PLAN = "ScalarType dtype, int[] ints, float[] floats, bool[] places"
_BLOCK_BACKWARD = register_operator(
    "dense_block_backward",
    f"(Tensor grad, Tensor[] saved, Tensor[] tensors, {_BLOCK_PLAN}) -> Tensor[]",
    lambda grad, *state: _run_block_backward([grad], *state),
    _fake_block_backward,
    backward=refuse_twice,
)


def _save_block(ctx: Any, inputs: tuple[Any, ...], output: Sequence[Tensor]) -> None:
    _, tensors, *ctx.plan = inputs
    ctx.saved = len(output)
    ctx.save_for_backward(*output, *tensors)
    ctx.mark_non_differentiable(*output[1:])


def _saved(ctx: Any) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """What the block gave and what it was given. (Checkpoints let it be asked for once only.)"""
    both: Sequence[Tensor] = ctx.saved_tensors
    return both[: ctx.saved], both[ctx.saved :]


def _differentiate_block(ctx: Any, grads: Sequence[Tensor]) -> tuple[Any, ...]:
    saved, tensors = _saved(ctx)
    by_x, *by_trained = _BLOCK_BACKWARD(grads[0], saved, tensors, *ctx.plan)
    by_tensors = with_gaps(by_trained, BlockPlan(*ctx.plan).trained())
    return by_x, list(by_tensors), *map(no_gradient, ctx.plan)


DENSE_BLOCK = register_operator(
    "dense_block",
    f"(Tensor x, Tensor[] tensors, {_BLOCK_PLAN}) -> Tensor[]",
    _run_block,
    _fake_block,
    setup=_save_block,
    backward=_differentiate_block,
)
"""The features of a block as rows, all moments that were taken, and what else is saved."""


class DenseBlockFunction(torch.autograd.Function):
    """The operator, for eager mode: the features, and as many moments as were taken."""

    boxed_grads_call = True
    """Where torch knows it, backward is given a list, out of which memory can be freed."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, plan: BlockPlan, moments: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        saved = _run_block(x, tensors, *plan)
        _save_block(ctx, (x, tensors, *plan), saved)
        rows, *rest = saved[: 1 + moments]
        return shielded(rows), *rest

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        boxed = grads[0] if isinstance(grads[0], list) else list(grads)
        check_gradients(boxed[0])
        saved, tensors = _saved(ctx)
        by_x, *by_trained = _run_block_backward(boxed, saved, tensors, *ctx.plan)
        by_tensors = with_gaps(by_trained, BlockPlan(*ctx.plan).trained())
        return by_x, None, None, *by_tensors
