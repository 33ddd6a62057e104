"""Feature maps as rows: a row for each pixel, a column for each channel.

Rows are what batch norms and 1x1 convolutions see: images [N, C, *S] in channels_last order are
[N, *S, C] in memory. Statistics are taken in float32, those of float64 rows in float64.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

PART_BYTES = 1 << 20
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


def row_parts(units: Tensor, width: int) -> list[slice]:
    """The first axis of `units` in parts whose first `width` columns have the size above."""
    budget = CUDA_PART_BYTES if units.is_cuda else PART_BYTES * torch.get_num_threads()
    bytes = units.numel() // units.shape[-1] * width * units.element_size()
    count = len(units)
    number = max(1, min(count, -(-bytes // budget)))
    return [slice(count * i // number, count * (i + 1) // number) for i in range(number)]


def statistics_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def row_moments(rows: Tensor) -> Tensor:
    """[3, C]: each column's mean, biased variance and unbiased variance."""
    wide = rows.to(statistics_dtype(rows.dtype))
    count = rows.shape[:-1].numel()
    variance, mean = torch.var_mean(wide, list(range(rows.dim() - 1)), correction=0)
    return torch.stack((mean, variance, variance * (count / max(count - 1, 1))))


def affine_relu(x: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype) -> Tensor:
    """relu(scale * x + shift), by column.

    Forward and backward both compute it by this expression, so that they agree on where it is zero.
    """
    return torch.addcmul(shift, x, scale).relu_().to(dtype)


def add_gradient(
    total: Tensor, grad: Tensor, active: Tensor, x: Tensor, scale: Tensor, mean: Tensor
) -> tuple[Tensor, Tensor]:
    """Add `scale * dz` to `total`; the sums by column of `dz` and of `dz * (x - mean)`.

    `dz` is the gradient before the ReLU: `grad` where `active`, the ReLU's result, is above zero.
    """
    dz = torch.ops.aten.threshold_backward(grad, active, 0)
    total.addcmul_(dz, scale)
    return dz.sum(0, dtype=mean.dtype), torch.sub(x, mean).mul_(dz).sum(0)


@dataclass
class FeatureRows:
    """Features with the statistics that all their readers share, and the one gradient they add to.

    With M rows, the gradient of column c of `values` is

        grad_c - A_c / M - (x_c - mean_c) * B_c / M
        A = sum(scale * dbeta), B = sum(scale * rstd * dgamma)

    where `grad` has the gradient from outside and every reader's `scale * dz`, and the sums are
    over the readers that normalise by the batch. It is whole when all readers of c are done.
    """

    values: Tensor
    """[N, *S, C], in any memory format."""
    moments: Tensor | None
    """As of `row_moments`; None if no reader normalises by the batch."""
    grad: Tensor | None = None
    """[N, *S, C], added to in place."""
    sums: Tensor | None = None
    """[2, C]: A and B."""

    @property
    def count(self) -> int:
        """M, the number of rows."""
        return self.values.shape[:-1].numel()

    def measure(self, columns: slice) -> None:
        """Take the moments of columns that were written."""
        if self.moments is not None:
            self.moments[:, columns] = row_moments(self.values[..., columns])

    def start_backward(self, grad: Tensor) -> None:
        """Begin with this gradient, [N, *S, C] and contiguous."""
        self.grad = grad
        self.sums = None if self.moments is None else torch.zeros_like(self.moments[:2])

    def finish(self, columns: slice) -> Tensor:
        """The gradient of columns whose readers are done, [N, *S, columns]: a view of `grad`."""
        assert self.grad is not None
        grad, values = self.grad[..., columns], self.values[..., columns]
        if self.moments is None or self.sums is None:
            return grad
        a, b = self.sums[:, columns] / self.count
        for part in row_parts(values, values.shape[-1]):
            shared = torch.sub(values[part], self.moments[0, columns]).mul_(b).add_(a)
            grad[part] -= shared
        return grad
