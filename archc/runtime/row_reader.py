"""Readers of feature rows: batch norm, ReLU, a convolution or pool, and a dropout."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from archc.runtime.feature_rows import (
    CHANNELS_LAST,
    FeatureGradient,
    FeatureRows,
    add_gradient,
    affine_relu,
    from_rows,
    row_parts,
    statistics_dtype,
    to_rows,
)
from archc.runtime.row_operators import Gradients, RowOperator


class Reading(NamedTuple):
    """What a reader found in its source, in forward, and needs to read it again."""

    affine: Tensor
    """[4, width]: the norm's scale and shift of x, its reciprocal deviation, and its mean."""
    kept: Tensor | None
    """What the dropout keeps: bool, [N, *S', out]."""


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

    def start(self, source: FeatureRows, dtype: torch.dtype, channels_last: bool) -> Reading:
        """Draws a dropout's noise as for images of `dtype` in this order."""
        return Reading(self._affine(source), self._draw(source, dtype, channels_last))

    def _affine(self, source: FeatureRows) -> Tensor:
        dtype = statistics_dtype(source.values.dtype)
        mean, variance = self.running or self._batch(source)
        mean, rstd = mean.to(dtype), (variance.to(dtype) + self.eps).rsqrt_()
        scale = rstd if self.gamma is None else self.gamma.to(dtype) * rstd
        beta = torch.zeros_like(mean) if self.beta is None else self.beta.to(dtype)
        return torch.stack((scale, torch.addcmul(beta, mean, scale, value=-1), rstd, mean))

    def forward(
        self, source: FeatureRows, reading: Reading, dtype: torch.dtype, out: Tensor
    ) -> None:
        """Write to `out`, [N, *S', out]; the operator computes in `dtype`."""
        scale, shift, _, _ = reading.affine
        operator = self.operator.cast(dtype)
        values, out = self._units(self._columns(source.values)), self._units(out)
        for part in row_parts(values, self.width):
            x = self._selected(values[part])
            y = operator.forward(affine_relu(x, scale, shift, dtype))
            out[part] = y if reading.kept is None else y * self._noise(reading.kept, part, dtype)

    def backward(
        self, source: FeatureGradient, reading: Reading, dtype: torch.dtype, grad: Tensor
    ) -> Gradients:
        """Add to the source's gradient; those of gamma, beta and the operator's parameters."""
        (affine, kept), operator = reading, self.operator.cast(dtype)
        grad = self._units(grad)
        values = self._units(self._columns(source.features.values))
        total = self._units(self._columns(source.total))
        scale, shift, _, _ = affine
        sums: Gradients = []
        for part in row_parts(values, self.width):
            x, part_total = self._selected(values[part]), self._selected(total[part])
            by_y = grad[part].to(dtype)
            if kept is not None:
                by_y = by_y * self._noise(kept, part, dtype)
            active = affine_relu(x, scale, shift, dtype)
            by_active, by_parameters = operator.backward(by_y, active)
            by_norm = add_gradient(part_total, by_active, active, x, affine, source.empty)
            if self.index is not None:
                total[part].index_copy_(-1, self.index, part_total)
            sums = _add(sums, [*by_norm, *by_parameters])
        source.empty = False
        return self._finish(source, affine, sums)

    def _draw(self, source: FeatureRows, dtype: torch.dtype, channels_last: bool) -> Tensor | None:
        if not self.dropout:
            return None
        samples, *sizes, channels = self.operator.out_shape(source.values.shape)
        shape = (samples, channels, *sizes)
        order = CHANNELS_LAST[len(shape)] if channels_last else torch.contiguous_format
        ones = torch.empty(shape, dtype=dtype, device=source.values.device, memory_format=order)
        return to_rows(F.dropout(ones.fill_(1), self.dropout) != 0)

    def _noise(self, kept: Tensor, part: slice, dtype: torch.dtype) -> Tensor:
        return self._units(kept)[part].to(dtype).div_((1 - self.dropout) or 1)

    def _finish(self, source: FeatureGradient, affine: Tensor, sums: Gradients) -> Gradients:
        by_beta, centred, *by_parameters = sums
        assert by_beta is not None
        assert centred is not None
        scale, _, rstd, _ = affine
        by_gamma = centred * rstd
        if self.running is None and source.sums is not None:
            terms = torch.stack((by_beta, by_gamma * rstd))
            if self.index is None:
                source.sums[:, : self.width].addcmul_(terms, scale)
            else:
                source.sums.index_add_(1, self.index, terms * scale)
        parameters = (self.gamma, self.beta, *self.operator.parameters)
        gradients = (by_gamma, by_beta, *by_parameters)
        return [_like(p, g) for p, g in zip(parameters, gradients, strict=True)]

    def _batch(self, source: FeatureRows) -> tuple[Tensor, Tensor]:
        assert source.moments is not None
        if source.count == 1:  # in torch's words
            size = from_rows(source.values[..., : self.width]).shape
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {size}"
            )
        mean, variance = self._selected(self._columns(source.moments))
        return mean, variance

    def _units(self, rows: Tensor) -> Tensor:
        """What the operator treats apart, on the first axis: rows or samples."""
        return rows.flatten(0, -2) if self.operator.pointwise else rows

    def _columns(self, rows: Tensor) -> Tensor:
        """Of [..., C] the first columns, unless an index tells which."""
        return rows if self.index is not None else rows[..., : self.width]

    def _selected(self, columns: Tensor) -> Tensor:
        """Of the result of `_columns` those of the index, as a copy."""
        return columns if self.index is None else columns.index_select(-1, self.index)


def _like(parameter: Tensor | None, gradient: Tensor | None) -> Tensor | None:
    """The gradient in the parameter's shape, dtype and memory format."""
    if parameter is None or gradient is None:
        return None
    gradient = gradient.view_as(parameter)
    if gradient.dtype == parameter.dtype and gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def _add(sums: Gradients, terms: Gradients) -> Gradients:
    """The sums of the parts until now, and of one more."""
    if not sums:
        return [None if term is None else term.to(statistics_dtype(term.dtype)) for term in terms]
    pairs = zip(sums, terms, strict=True)
    return [None if a is None or b is None else a.add_(b) for a, b in pairs]
