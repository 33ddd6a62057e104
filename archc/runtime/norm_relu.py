"""Batch norm, ReLU and perhaps a pool, which keep nothing for backward but their input.

So is the norm that closes a dense block, whose input is the block's buffer itself; and the stem of
a network for images, where what comes before the pool is the largest of all.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from archc.runtime.custom_operators import (
    given,
    no_gradient,
    refuse_twice,
    register_operator,
    with_gaps,
)
from archc.runtime.feature_rows import (
    FeatureGradient,
    FeatureRows,
    from_rows,
    row_moments,
    statistics_dtype,
)
from archc.runtime.plain_modules import (
    differentiates,
    has_hooks,
    is_batch_norm,
    normalises_by_batch,
    update_running,
)
from archc.runtime.row_pool import RowPool, describe_pool
from archc.runtime.row_reader import Reading, RowReader


def norm_relu(x: Tensor, norm: Any, pool: nn.Module | None = None, memory: str = "keep") -> Tensor:
    """pool(relu(norm(x))), [N, C, *S] -> [N, C, *S']; in training in channels_last order.

    `pool` is a max or average pool over 2 or 3 axes. The plain modules are called for inference and
    export, with `memory="off"`, and where one of them is of another kind or has a hook.
    """
    described = describe_pool(pool, x.dim() - 2)
    modules = [norm] if pool is None else [norm, pool]
    shares = memory != "off" and differentiates(x, *modules)
    if not shares or described is None or not is_batch_norm(norm) or any(map(has_hooks, modules)):
        y: Tensor = torch.relu(norm(x))
        return y if pool is None else pool(y)
    batch = normalises_by_batch(norm)
    running = (None, None) if batch else (norm.running_mean, norm.running_var)
    vectors, places = given((norm.weight, norm.bias, *running))
    rows, _, *moments = NORM_RELU(x, vectors, places, norm.eps, *described)
    update_running([(norm, moment) for moment in moments], x.numel() // x.shape[1])
    return from_rows(rows)


def _norm_reader(x: Tensor, vectors: Sequence[Tensor], *described: Any) -> RowReader:
    places, eps, *pool = described
    gamma, beta, mean, variance = with_gaps(vectors, places)
    running = None if mean is None or variance is None else (mean, variance)
    return RowReader(gamma, beta, running, None, eps, x.shape[1], RowPool(*pool))


def _norm_relu(x: Tensor, vectors: Sequence[Tensor], *described: Any) -> list[Tensor]:
    """The result as rows; the reader's affine; the moments of x, if it is normalised by them."""
    reader = _norm_reader(x, vectors, *described)
    source = FeatureRows(x.movedim(1, -1), None)
    if reader.running is None:
        source.moments = row_moments(source.values)
    y = x.new_empty(reader.operator.out_shape(source.values.shape))
    reading = reader.start(source, x.dtype, False)
    reader.forward(source, reading, x.dtype, y)
    return [y, reading.affine, *([] if source.moments is None else [source.moments])]


def _fake_norm_relu(x: Tensor, vectors: Sequence[Tensor], *described: Any) -> list[Tensor]:
    reader = _norm_reader(x, vectors, *described)
    y = x.new_empty(reader.operator.out_shape(x.movedim(1, -1).shape))
    vector = x.new_empty(x.shape[1], dtype=statistics_dtype(x.dtype))
    affine, moments = vector.new_empty((4, len(vector))), vector.new_empty((2, len(vector)))
    return [y, affine, moments] if reader.running is None else [y, affine]


def _norm_relu_backward(
    grad: Tensor,
    x: Tensor,
    affine: Tensor,
    moments: Tensor | None,
    vectors: Sequence[Tensor],
    *described: Any,
) -> list[Tensor]:
    """The gradients of x and, if there are such, of gamma and beta."""
    reader = _norm_reader(x, vectors, *described)
    source = FeatureGradient(FeatureRows(x.movedim(1, -1), moments))
    by_vectors = reader.backward(source, Reading(affine, None), x.dtype, grad)
    return [from_rows(source.finish(slice(None))), *(g for g in by_vectors if g is not None)]


def _fake_norm_relu_backward(
    _grad: Tensor,
    x: Tensor,
    _affine: Tensor,
    _moments: Tensor | None,
    vectors: Sequence[Tensor],
    *described: Any,
) -> list[Tensor]:
    trained = vectors[: sum(described[0][:2])]
    rows = x.new_empty(x.movedim(1, -1).shape)
    return [from_rows(rows), *(torch.empty_like(vector) for vector in trained)]


_NORM_RELU = "bool[] places, float eps, str kind, int axes, int[] sizes, bool[] flags"
_NORM_RELU_BACKWARD = register_operator(
    "norm_relu_backward",
    "(Tensor grad, Tensor x, Tensor affine, Tensor? moments, Tensor[] vectors, "
    f"{_NORM_RELU}) -> Tensor[]",
    _norm_relu_backward,
    _fake_norm_relu_backward,
    backward=refuse_twice,
)


def _save_norm_relu(ctx: Any, inputs: tuple[Any, ...], output: Sequence[Tensor]) -> None:
    x, vectors, *ctx.described = inputs
    ctx.save_for_backward(x, output[1], output[2] if output[2:] else None, *vectors)
    ctx.mark_non_differentiable(*output[1:])


def _differentiate_norm_relu(ctx: Any, grads: Sequence[Tensor]) -> tuple[Any, ...]:
    x, affine, moments, *vectors = ctx.saved_tensors
    by_x, *by_vectors = _NORM_RELU_BACKWARD(grads[0], x, affine, moments, vectors, *ctx.described)
    frozen = [None] * (len(vectors) - len(by_vectors))
    return by_x, [*by_vectors, *frozen], *map(no_gradient, ctx.described)


NORM_RELU = register_operator(
    "norm_relu",
    f"(Tensor x, Tensor[] vectors, {_NORM_RELU}) -> Tensor[]",
    _norm_relu,
    _fake_norm_relu,
    setup=_save_norm_relu,
    backward=_differentiate_norm_relu,
)
