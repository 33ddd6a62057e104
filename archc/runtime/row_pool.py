"""Pools as the operator of a reader of rows."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archc.runtime.feature_rows import from_rows, to_rows
from archc.runtime.row_reader import Gradients


class RowPool(NamedTuple):
    """A max or average pool over 2 or 3 axes, or none: `kind` is "max", "avg" or "".

    `sizes` are kernel, stride, padding and, of a max pool, dilation, each for every axis; `flags`
    are `ceil_mode` and, of an average pool, `count_include_pad`.
    """

    kind: str
    axes: int
    sizes: Sequence[int]
    flags: Sequence[bool]

    @property
    def pointwise(self) -> bool:
        return False

    @property
    def parameters(self) -> tuple[Tensor | None, ...]:
        return ()

    def cast(self, _dtype: torch.dtype) -> "RowPool":
        return self

    def out_shape(self, shape: Sequence[int]) -> list[int]:
        return list(self.forward(torch.empty(shape, device="meta")).shape)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "max":
            return to_rows(self._max(x)[0])
        return to_rows(self._call("", from_rows(x))) if self.kind else x

    def backward(self, grad: Tensor, x: Tensor) -> tuple[Tensor, Gradients]:
        """Looks for the maxima of x again."""
        if not self.kind:
            return grad.clone(), []
        last = self._max(x)[1] if self.kind == "max" else None
        suffix = "_with_indices_backward" if self.kind == "max" else "_backward"
        by_x: Tensor = self._call(suffix, from_rows(grad), from_rows(x), last=(last,))
        return to_rows(by_x), []

    def _max(self, x: Tensor) -> tuple[Tensor, Tensor]:
        result: tuple[Tensor, Tensor] = self._call("_with_indices", from_rows(x))
        return result

    def _call(self, suffix: str, *tensors: Tensor, last: Sequence[Tensor | None] = ()) -> Any:
        """An aten operator of the pool; its arguments between the tensors are the fields."""
        starts = range(0, len(self.sizes), self.axes)
        windows = (self.sizes[i : i + self.axes] for i in starts)
        operator = getattr(torch.ops.aten, f"{self.kind}_pool{self.axes}d{suffix}")
        return operator(*tensors, *windows, *self.flags, *last)


POOLS = (nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool2d, nn.AvgPool3d)


def describe_pool(pool: nn.Module | None, axes: int) -> RowPool | None:
    """A reader's operator for a pool; None if there is none for it."""
    if pool is None:
        return RowPool("", axes, [], [])
    if isinstance(pool, nn.MaxPool2d | nn.MaxPool3d) and not pool.return_indices:
        sizes = (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
        return RowPool("max", axes, _each_axis(sizes, axes), [pool.ceil_mode])
    if isinstance(pool, nn.AvgPool2d | nn.AvgPool3d) and pool.divisor_override is None:
        windows = (pool.kernel_size, pool.stride, pool.padding)
        flags = [pool.ceil_mode, pool.count_include_pad]
        return RowPool("avg", axes, _each_axis(windows, axes), flags)
    return None


def _each_axis(sizes: Iterable[int | tuple[int, ...]], axes: int) -> list[int]:
    return [n for size in sizes for n in ([size] * axes if isinstance(size, int) else size)]
