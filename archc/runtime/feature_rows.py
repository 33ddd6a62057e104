"""Feature maps as rows: a row for each pixel, a column for each channel.

Rows are what batch norms and 1x1 convolutions see: images [N, C, *S] in channels_last order are
[N, *S, C] in memory. Statistics are taken in float32, those of float64 rows in float64.

The elementwise pieces are plain calls of torch: on parts that stay in the cache, torch.compile made
them slower (benchmarks/step_time.py).
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

PART_BYTES = 2 << 20
"""Rows are worked on in parts of about this size for each thread: they stay in its cache, and what
is recomputed never lies in memory as a whole."""

CUDA_PART_BYTES = 1 << 26
"""On a GPU parts are larger, so that starting a kernel costs little beside it."""

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""The memory format of this name for images of so many axes."""


def to_rows(x: Tensor) -> Tensor:
    """[N, C, *S] as [N, *S, C], contiguous: a view where x is in channels_last order."""
    return x.movedim(1, -1).contiguous()


def from_rows(rows: Tensor) -> Tensor:
    """[N, *S, C] as [N, C, *S], a view in channels_last order."""
    return rows.movedim(-1, 1)


_SHAPES_ALONE: ContextVar[bool] = ContextVar("shapes alone", default=False)


def on_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function for tensors without numbers, of which torch.compile asks the shapes alone."""

    def run(*args: Any) -> Any:
        token = _SHAPES_ALONE.set(True)
        try:
            return function(*args)
        finally:
            _SHAPES_ALONE.reset(token)

    return run


def row_parts(units: Tensor, width: int) -> list[slice]:
    """The first axis of `units` in parts whose first `width` columns have the size above."""
    if _SHAPES_ALONE.get():
        return [slice(None)]
    budget = CUDA_PART_BYTES if units.is_cuda else PART_BYTES * torch.get_num_threads()
    bytes = units.numel() // units.shape[-1] * width * units.element_size()
    number = max(1, min(len(units), -(-bytes // budget)))
    ends = [len(units) * i // number for i in range(number + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def statistics_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def row_moments(rows: Tensor) -> Tensor:
    """[2, C]: each column's mean and biased variance, as nn.BatchNorm takes them."""
    dtype, running = statistics_dtype(rows.dtype), None
    if _SHAPES_ALONE.get():
        return rows.new_empty((2, rows.shape[-1]), dtype=dtype)
    if rows.dtype != dtype:  # torch gives the moments in the dtype of running ones
        running = rows.new_zeros(rows.shape[-1:], dtype=dtype)
    return torch.stack(torch.batch_norm_update_stats(from_rows(rows), running, running, 0.0))


_FEATURES = WeakTensorKeyDictionary()
"""What dense blocks gave: its version then, and the moments that were taken of it."""


def set_features(x: Tensor, moments: Tensor | None) -> None:
    """Say that x, [N, C, *S], is what a dense block gave, with these moments if it took them."""
    _FEATURES[x] = (x._version, moments)


def are_features(x: Tensor) -> bool:
    """Whether x is what a dense block gave, and was not changed since."""
    return x in _FEATURES and _FEATURES[x][0] == x._version


def moments_of(x: Tensor) -> Tensor:
    """The `row_moments` of a dense block's features, [N, C, *S], as it has taken them."""
    moments: Tensor | None = _FEATURES[x][1]
    return row_moments(x.detach().movedim(1, -1)) if moments is None else moments


def affine_relu(x: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype) -> Tensor:
    """relu(scale * x + shift), by column.

    Forward and backward both compute it by this expression, so that they agree on where it is zero.
    """
    return torch.addcmul(shift, x, scale).relu_().to(dtype)


def add_gradient(
    total: Tensor, grad: Tensor, active: Tensor, x: Tensor, affine: Tensor, empty: bool
) -> tuple[Tensor, Tensor]:
    """Add `scale * dz` to `total`; the sums by column of `dz` and of `dz * (x - mean)`.

    `dz` is the gradient before the ReLU: `grad` where `active`, the ReLU's result, is above zero.
    `empty` says that nothing is in `total` yet. Writes over `grad` and `active`.
    """
    scale, _, _, mean = affine
    dz = torch.ops.aten.threshold_backward.grad_input(grad, active, 0, grad_input=grad)
    if empty:
        torch.mul(dz, scale, out=total)
    else:
        total.addcmul_(dz, scale)
    rows = list(range(dz.dim() - 1))
    centred = torch.sub(x, mean, out=active) if active.dtype == mean.dtype else x - mean
    return dz.sum(rows, dtype=mean.dtype), centred.mul_(dz).sum(rows)


@dataclass
class FeatureRows:
    """Features, and the statistics that all their readers share."""

    values: Tensor
    """[N, *S, C], in any memory format."""
    moments: Tensor | None = None
    """As of `row_moments`; None if no reader normalises by the batch."""

    @property
    def count(self) -> int:
        """M, the number of rows."""
        return self.values.shape[:-1].numel()

    def measure(self, columns: slice, rows: Tensor | None = None) -> None:
        """Take the moments of columns that were written, and that are `rows`, too.

        torch takes several times as long over columns that have gaps between them.
        """
        if self.moments is not None:
            rows = self.values[..., columns].contiguous() if rows is None else rows
            self.moments[:, columns] = row_moments(rows)


class FeatureGradient:
    """The one gradient of features that all their readers add to.

    With M rows, the gradient of column c is

        total_c - A_c / M - (x_c - mean_c) * B_c / M
        A = sum(scale * dbeta), B = sum(scale * rstd * dgamma)

    where `total` has the gradient from outside and every reader's `scale * dz`, and the sums are
    over the readers that normalise by the batch. It is whole when all readers of c are done.
    """

    def __init__(self, features: FeatureRows, outside: Tensor | None = None) -> None:
        """`outside`, [N, *S, C], is what the gradient begins with; it is copied."""
        self.features = features
        self.empty = outside is None
        self.total = torch.empty_like(features.values, memory_format=torch.contiguous_format)
        if outside is not None:
            self.total.copy_(outside)
        moments = features.moments
        self.sums = None if moments is None else torch.zeros_like(moments)  # A and B

    def finish(self, columns: slice) -> Tensor:
        """The gradient of columns whose readers are done, [N, *S, columns]: a view of `total`."""
        total, values = self.total[..., columns], self.features.values[..., columns]
        if self.features.moments is None or self.sums is None:
            return total
        mean = self.features.moments[0, columns]
        a, b = self.sums[:, columns] / self.features.count
        for part in row_parts(values, values.shape[-1]):
            centred = torch.sub(values[part], mean)
            total[part].addcmul_(centred, b, value=-1).sub_(a)
        return total
