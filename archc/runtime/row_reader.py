"""Readers of feature rows: batch norm, ReLU, a convolution or pool, and a dropout."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from archc.runtime.feature_rows import (
    CHANNELS_LAST,
    FeatureRows,
    add_gradient,
    affine_relu,
    from_rows,
    row_parts,
    statistics_dtype,
    to_rows,
)

Gradients = list[Tensor | None]


class RowOperator(Protocol):
    """What follows a ReLU: [N, *S, C] to [N, *S', out]."""

    @property
    def pointwise(self) -> bool:
        """Whether it treats each row alone, so that any [..., C] will do."""

    def out_shape(self, shape: Sequence[int]) -> list[int]: ...

    def forward(self, x: Tensor) -> Tensor: ...

    def backward(self, grad: Tensor, x: Tensor) -> tuple[Tensor, Gradients]:
        """The gradient of x, and those of the operator's parameters."""


class RowConv(NamedTuple):
    """A convolution with stride 1, over any number of axes."""

    weight: Tensor
    bias: Tensor | None
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int

    @property
    def pointwise(self) -> bool:
        return self.groups == 1 and self.weight[0, 0].numel() == 1 and not any(self.padding)

    def out_shape(self, shape: Sequence[int]) -> list[int]:
        axes = zip(shape[1:-1], self.padding, self.dilation, self.weight.shape[2:], strict=True)
        sizes = [size + 2 * pad - step * (kernel - 1) for size, pad, step, kernel in axes]
        return [shape[0], *sizes, len(self.weight)]

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        if self.pointwise:
            return F.linear(x, weight.flatten(1), bias)
        return to_rows(torch.convolution(from_rows(x), weight, bias, *self._geometry()))

    def backward(self, grad: Tensor, x: Tensor) -> tuple[Tensor, Gradients]:
        weight = self.weight.to(x.dtype)
        rows = grad.flatten(0, -2)
        if self.pointwise:
            by_x = grad @ weight.flatten(1)
            by_weight = (rows.t() @ x.flatten(0, -2)).view_as(weight)
        else:
            by_image, by_weight, _ = torch.ops.aten.convolution_backward(
                from_rows(grad), from_rows(x), weight, None, *self._geometry(), [True, True, False]
            )
            by_x = to_rows(by_image)
        by_bias = None if self.bias is None else rows.sum(0, dtype=self.bias.dtype)
        return by_x, [torch.empty_like(self.weight).copy_(by_weight), by_bias]

    def _geometry(self) -> tuple[list[int], Sequence[int], Sequence[int], bool, list[int], int]:
        """From stride to groups; `False` and the zeros are for transposed convolutions."""
        axes = len(self.padding)
        return [1] * axes, self.padding, self.dilation, False, [0] * axes, self.groups


class RowAffine(NamedTuple):
    """A norm as `scale * x + shift`, in the statistics' dtype, and what its gradients need."""

    scale: Tensor
    shift: Tensor
    rstd: Tensor
    mean: Tensor


@dataclass(frozen=True)
class RowReader:
    """relu(norm(x)), an operator, a dropout; of the first `width` columns or those in `index`."""

    gamma: Tensor | None
    beta: Tensor | None
    running: tuple[Tensor, Tensor] | None
    """Mean and variance to normalise by; None for the batch's own."""
    index: Tensor | None
    """int64, no column twice."""
    eps: float
    width: int
    """How many columns it reads."""
    operator: RowOperator
    dropout: float = 0.0

    def forward(
        self, source: FeatureRows, dtype: torch.dtype, kept: Tensor | None, out: Tensor
    ) -> None:
        """Write to `out`, [N, *S', out]; `kept`, of its shape, says what the dropout keeps.

        The operator computes in `dtype`.
        """
        affine = self._affine(source)
        values, out = self._units(source.values), self._units(out)
        for part in row_parts(values, self.width):
            y = self.operator.forward(self._active(self._read(values[part]), affine, dtype))
            out[part] = y if kept is None else y * self._noise(kept, part, dtype)

    def backward(
        self, source: FeatureRows, dtype: torch.dtype, kept: Tensor | None, grad: Tensor
    ) -> Gradients:
        """Add to the source's gradient; those of gamma, beta and the operator's parameters."""
        assert source.grad is not None
        affine = self._affine(source)
        values, total, grad = map(self._units, (source.values, source.grad, grad))
        sums: Gradients = []
        for part in row_parts(values, self.width):
            x, part_total = self._read(values[part]), self._read(total[part])
            by_y = grad[part].to(dtype)
            if kept is not None:
                by_y = by_y * self._noise(kept, part, dtype)
            active = self._active(x, affine, dtype)
            by_active, by_parameters = self.operator.backward(by_y, active)
            norm_sums = add_gradient(
                part_total.view(-1, self.width),
                by_active.reshape(-1, self.width),
                active.view(-1, self.width),
                x.reshape(-1, self.width),
                affine.scale,
                affine.mean,
            )
            if self.index is not None:
                total[part].index_copy_(-1, self.index, part_total)
            sums = _sum(sums, [*norm_sums, *by_parameters])
        return self._finish(source, affine, sums)

    def draw(self, source: FeatureRows, dtype: torch.dtype, channels_last: bool) -> Tensor | None:
        """What the dropout keeps, bool, [N, *S', out], drawn as for images in this order."""
        if not self.dropout:
            return None
        samples, *sizes, channels = self.operator.out_shape(source.values.shape)
        shape = (samples, channels, *sizes)
        order = CHANNELS_LAST[len(shape)] if channels_last else torch.contiguous_format
        ones = torch.empty(shape, dtype=dtype, device=source.values.device, memory_format=order)
        return to_rows(F.dropout(ones.fill_(1), self.dropout) != 0)

    def _noise(self, kept: Tensor, part: slice, dtype: torch.dtype) -> Tensor:
        return self._units(kept)[part].to(dtype).div_((1 - self.dropout) or 1)

    def _finish(self, source: FeatureRows, affine: RowAffine, sums: Gradients) -> Gradients:
        by_beta, centred, *by_parameters = sums
        assert by_beta is not None
        assert centred is not None
        by_gamma = centred * affine.rstd
        if self.running is None and source.sums is not None:
            terms = torch.stack((by_beta, by_gamma * affine.rstd)) * affine.scale
            columns = slice(0, self.width) if self.index is None else self.index
            source.sums[:, columns] += terms
        gamma = None if self.gamma is None else by_gamma.to(self.gamma.dtype)
        beta = None if self.beta is None else by_beta.to(self.beta.dtype)
        return [gamma, beta, *by_parameters]

    def _affine(self, source: FeatureRows) -> RowAffine:
        dtype = statistics_dtype(source.values.dtype)
        mean, variance = (t.to(dtype) for t in self.running or self._batch(source))
        rstd = (variance + self.eps).rsqrt()
        scale = rstd if self.gamma is None else self.gamma.to(dtype) * rstd
        shift = -mean * scale if self.beta is None else self.beta.to(dtype) - mean * scale
        return RowAffine(scale, shift, rstd, mean)

    def _batch(self, source: FeatureRows) -> tuple[Tensor, Tensor]:
        assert source.moments is not None
        if source.count == 1:  # in torch's words
            size = from_rows(source.values[..., : self.width]).shape
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {size}"
            )
        moments = self._read(source.moments)
        return moments[0], moments[1]

    def _read(self, columns: Tensor) -> Tensor:
        """Of [..., C] the columns that the norm reads: a view, or by an index a copy."""
        if self.index is None:
            return columns[..., : self.width]
        return columns.index_select(-1, self.index)

    def _active(self, x: Tensor, affine: RowAffine, dtype: torch.dtype) -> Tensor:
        rows = affine_relu(x.reshape(-1, self.width), affine.scale, affine.shift, dtype)
        return rows.view(x.shape)

    def _units(self, rows: Tensor) -> Tensor:
        """What the operator treats apart, on the first axis: rows or samples."""
        return rows.flatten(0, -2) if self.operator.pointwise else rows


def _sum(totals: Gradients, terms: Gradients) -> Gradients:
    """What the parts have so far, and one more."""
    if not totals:
        return terms
    pairs = zip(totals, terms, strict=True)
    return [a if a is None or b is None else a.add_(b) for a, b in pairs]
