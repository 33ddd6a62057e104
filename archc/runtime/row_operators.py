"""What a reader of rows applies behind its ReLU: [N, *S, C] to [N, *S', out], forward and back.

Each gives the gradients of its operand and of its parameters. What is `pointwise` treats each row
alone, and is given [rows, C].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from archc.runtime.feature_rows import from_rows, to_rows

Gradients = list[Tensor | None]


@dataclass(frozen=True)
class RowLinear:
    """A convolution of one position, with `weight` [out, C, 1, ...]."""

    weight: Tensor
    bias: Tensor | None
    pointwise: ClassVar[bool] = True

    @property
    def parameters(self) -> Gradients:
        return [self.weight, self.bias]

    def cast(self, dtype: torch.dtype) -> "RowLinear":
        """It, computing in `dtype`."""
        bias = None if self.bias is None else self.bias.to(dtype)
        return RowLinear(self.weight.flatten(1).to(dtype), bias)

    def out_shape(self, shape: Sequence[int]) -> list[int]:
        return [*shape[:-1], len(self.weight)]

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def backward(self, grad: Tensor, x: Tensor) -> tuple[Tensor, Gradients]:
        by_bias = None if self.bias is None else grad.sum(0)
        return grad @ self.weight, [grad.t() @ x, by_bias]


@dataclass(frozen=True)
class RowConv:
    """A convolution over any number of axes that leaves their sizes as they are."""

    weight: Tensor
    bias: Tensor | None
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int
    pointwise: ClassVar[bool] = False

    @property
    def parameters(self) -> Gradients:
        return [self.weight, self.bias]

    def cast(self, dtype: torch.dtype) -> "RowConv":
        bias = None if self.bias is None else self.bias.to(dtype)
        return replace(self, weight=self.weight.to(dtype), bias=bias)

    def out_shape(self, shape: Sequence[int]) -> list[int]:
        return [*shape[:-1], len(self.weight)]

    def forward(self, x: Tensor) -> Tensor:
        y = torch.convolution(from_rows(x), self.weight, self.bias, *self._geometry())
        return to_rows(y)

    def backward(self, grad: Tensor, x: Tensor) -> tuple[Tensor, Gradients]:
        sizes = None if self.bias is None else self.bias.shape
        wanted = [True, True, self.bias is not None]
        by_image, *by_parameters = torch.ops.aten.convolution_backward(
            from_rows(grad), from_rows(x), self.weight, sizes, *self._geometry(), wanted
        )
        return to_rows(by_image), by_parameters

    def _geometry(self) -> tuple[list[int], Sequence[int], Sequence[int], bool, list[int], int]:
        """From stride to groups; `False` and the zeros are for transposed convolutions."""
        axes = len(self.padding)
        return [1] * axes, self.padding, self.dilation, False, [0] * axes, self.groups


@dataclass(frozen=True)
class RowPool:
    """A pool, or none."""

    pool: Callable[[Tensor], Tensor] | None
    pointwise: ClassVar[bool] = False

    @property
    def parameters(self) -> Gradients:
        return []

    def cast(self, _dtype: torch.dtype) -> "RowPool":
        return self

    def out_shape(self, shape: Sequence[int]) -> list[int]:
        return list(self.forward(torch.empty(shape, device="meta")).shape)

    def forward(self, x: Tensor) -> Tensor:
        return x if self.pool is None else to_rows(self.pool(from_rows(x)))

    def backward(self, grad: Tensor, x: Tensor) -> tuple[Tensor, Gradients]:
        """Runs it once more, as it is differentiated: a max pool looks for its maxima again."""
        if self.pool is None:
            return grad.clone(), []
        with torch.enable_grad():
            leaf = from_rows(x).detach().requires_grad_()
            y = self.pool(leaf)
        (by_x,) = torch.autograd.grad(y, leaf, from_rows(grad))
        return to_rows(by_x), []


RowOperator = RowLinear | RowConv | RowPool
