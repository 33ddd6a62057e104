"""A whole dense block as one function of autograd, and as one operator for torch.compile."""

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archc.runtime.block_steps import BlockLayer, block_backward, block_forward
from archc.runtime.custom_operators import check_gradients, refuse_twice, register_operator
from archc.runtime.feature_rows import on_shapes
from archc.runtime.gaps import filled, with_gaps
from archc.runtime.row_operators import Gradients, RowConv, RowLinear
from archc.runtime.row_reader import RowReader
from archc.runtime.surroundings import constant, shielded

READER_TENSORS = 7
"""Of each reader: gamma, beta, running mean and variance, index, weight and bias, or none."""


class ReaderPlan(NamedTuple):
    """What a reader is beside its tensors."""

    groups: int
    padding: Sequence[int]
    dilation: Sequence[int]
    eps: float
    dropout: float

    def reader(self, tensors: Iterable[Tensor]) -> RowReader:
        gamma, beta, mean, variance, index, weight, bias = with_gaps(tensors)
        assert weight is not None
        running = None if mean is None or variance is None else (mean, variance)
        conv: RowLinear | RowConv = RowLinear(weight, bias)
        if self.groups > 1 or any(self.padding) or weight[0, 0].numel() > 1:
            conv = RowConv(weight, bias, self.padding, self.dilation, self.groups)
        width = weight.shape[1] * self.groups
        return RowReader(gamma, beta, running, index, self.eps, width, conv, self.dropout)


class LayerPlan(NamedTuple):
    """What a layer is beside its tensors; numbers, as data of JSON."""

    keep: bool
    channels_last: bool
    readers: Sequence[ReaderPlan]


def _layers(plans: Iterable[LayerPlan], tensors: Sequence[Tensor]) -> list[BlockLayer]:
    rest = iter(tensors)
    layers = []
    for keep, channels_last, readers in plans:
        read = [ReaderPlan(*plan).reader(islice(rest, READER_TENSORS)) for plan in readers]
        layers.append(BlockLayer(read, keep, channels_last))
    return layers


def _forward(
    x: Tensor, tensors: Sequence[Tensor], dtype: torch.dtype, plans: Iterable[LayerPlan]
) -> list[Tensor]:
    with torch.autocast(x.device.type, enabled=False):
        return block_forward(x, _layers(plans, tensors), dtype)


def _backward(
    grads: list[Tensor],
    saved: Sequence[Tensor],
    tensors: Sequence[Tensor],
    dtype: torch.dtype,
    plans: Iterable[LayerPlan],
) -> Gradients:
    """The gradients of x and of all tensors."""
    with torch.autocast(saved[0].device.type, enabled=False):
        by_x, *rest = block_backward(grads, saved, _layers(plans, tensors), dtype)
    by_tensors: Gradients = []
    for start in range(0, len(rest), 4):
        gamma, beta, weight, bias = rest[start : start + 4]
        by_tensors += [gamma, beta, None, None, None, weight, bias]
    return [by_x, *by_tensors]


def _save(ctx: Any, inputs: tuple[Any, ...], output: Sequence[Tensor]) -> None:
    _, tensors, *ctx.plan = inputs
    ctx.saved = len(output)
    ctx.save_for_backward(*output, *tensors)
    ctx.mark_non_differentiable(*output[1:])


def _saved(ctx: Any) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """What the block gave and what it was given. (Checkpoints let it be asked for once only.)"""
    both: Sequence[Tensor] = ctx.saved_tensors
    return both[: ctx.saved], both[ctx.saved :]


class DenseBlockFunction(torch.autograd.Function):
    """The features as rows, their moments, and those of each layer's bottleneck."""

    boxed_grads_call = True
    """Where torch knows it, backward is given a list, out of which memory can be freed."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dtype: torch.dtype, plans: Sequence[LayerPlan], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        saved = _forward(x, tensors, dtype, plans)
        _save(ctx, (x, tensors, dtype, plans), saved)
        rows, *moments = saved[: 2 + len(plans)]
        return shielded(rows), *moments

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        boxed = grads[0] if isinstance(grads[0], list) else list(grads)
        check_gradients(boxed[0])
        saved, tensors = _saved(ctx)
        by_x, *by_tensors = _backward(boxed, saved, tensors, *ctx.plan)
        return by_x, None, None, *by_tensors


# The same as an operator. Its plans are text, so that what was compiled depends on all of them.


@constant
def written(plans: Sequence[LayerPlan]) -> str:
    return json.dumps(plans)


def _run(x: Tensor, tensors: Sequence[Tensor], dtype: torch.dtype, plans: str) -> list[Tensor]:
    return _forward(x, tensors, dtype, json.loads(plans))


def _run_back(
    grad: Tensor, saved: Sequence[Tensor], tensors: Sequence[Tensor], dtype: Any, plans: str
) -> list[Tensor]:
    return filled(_backward([grad], saved, tensors, dtype, json.loads(plans)), grad)


def _differentiate(ctx: Any, grads: Sequence[Tensor]) -> tuple[Any, ...]:
    by_x, *by_tensors = with_gaps(_BLOCK_BACKWARD(grads[0], *_saved(ctx), *ctx.plan))
    return by_x, by_tensors, None, None


_BLOCK_BACKWARD = register_operator(
    "dense_block_backward",
    "(Tensor grad, Tensor[] saved, Tensor[] tensors, ScalarType dtype, str plans) -> Tensor[]",
    _run_back,
    on_shapes(_run_back),
    backward=refuse_twice,
)
DENSE_BLOCK = register_operator(
    "dense_block",
    "(Tensor x, Tensor[] tensors, ScalarType dtype, str plans) -> Tensor[]",
    _run,
    on_shapes(_run),
    setup=_save,
    backward=_differentiate,
)
