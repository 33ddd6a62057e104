"""Forward and backward of a whole dense block, on tensors alone; `dense_block.py` says what for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import torch
from torch import Tensor

from archc.runtime.feature_rows import (
    FeatureGradient,
    FeatureRows,
    from_rows,
    row_moments,
    statistics_dtype,
)
from archc.runtime.gaps import filled, with_gaps
from archc.runtime.row_operators import Gradients
from archc.runtime.row_reader import Reading, RowReader


@dataclass(frozen=True)
class BlockLayer:
    """Reads the features before it and adds `growth`; with two readers there is a bottleneck."""

    readers: Sequence[RowReader]
    keep: bool
    """Whether the bottleneck is kept for backward, else computed again."""
    channels_last: bool
    """Whether plain modules would draw a dropout's noise in this order."""

    @property
    def growth(self) -> int:
        return self.readers[-1].operator.out_shape([0])[-1]


@dataclass
class LayerState:
    """What a layer hands to its backward."""

    moments: Tensor | None = None
    """Those of the bottleneck, if its reader normalises by the batch."""
    bottleneck: Tensor | None = None
    readings: list[Reading] = field(default_factory=list)


def block_forward(x: Tensor, layers: Sequence[BlockLayer], dtype: torch.dtype) -> list[Tensor]:
    """What `block_backward` needs: first the block's features, [N, *S, C + sum of growths], their
    moments, and those of each layer's bottleneck. What there is not is a tensor of no elements.

    x is [N, C, *S]; convolutions compute in `dtype`.
    """
    channels = x.shape[1]
    total = channels + sum(layer.growth for layer in layers)
    shape = (x.shape[0], *x.shape[2:], total)
    values = x.new_empty(shape, dtype=torch.promote_types(x.dtype, dtype))
    features = FeatureRows(values, None)
    if any(layer.readers[0].running is None for layer in layers):
        features.moments = values.new_empty((2, total), dtype=statistics_dtype(values.dtype))
    values[..., :channels] = x.movedim(1, -1)
    features.measure(slice(0, channels), x.movedim(1, -1))
    states = []
    for layer in layers:
        place = slice(channels, channels + layer.growth)
        states.append(_layer_forward(layer, features, values[..., place], dtype))
        features.measure(place)
        channels = place.stop
    moments = [features.moments, *(state.moments for state in states)]
    bottlenecks = (state.bottleneck for state in states)
    readings = chain.from_iterable(reading for state in states for reading in state.readings)
    return filled([values, *moments, *bottlenecks, *readings], values)


def _layer_forward(
    layer: BlockLayer, features: FeatureRows, out: Tensor, dtype: torch.dtype
) -> LayerState:
    """Write the layer's features to `out`."""
    state = LayerState()
    source = features
    for reader in layer.readers[:-1]:
        state.readings.append(reader.start(features, dtype, layer.channels_last))
        values = _bottleneck(layer, features, state.readings[0], dtype)
        state.moments = row_moments(values) if layer.readers[1].running is None else None
        state.bottleneck = values if layer.keep else None
        source = FeatureRows(values, state.moments)
    last = layer.readers[-1]
    state.readings.append(last.start(source, dtype, layer.channels_last))
    last.forward(source, state.readings[-1], dtype, out)
    return state


def _bottleneck(
    layer: BlockLayer, features: FeatureRows, reading: Reading, dtype: torch.dtype
) -> Tensor:
    reader = layer.readers[0]
    shape = reader.operator.out_shape(features.values.shape)
    values = features.values.new_empty(shape, dtype=dtype)
    reader.forward(features, reading, dtype, values)
    return values


def block_backward(
    grads: list[Tensor], saved: Sequence[Tensor], layers: Sequence[BlockLayer], dtype: torch.dtype
) -> Gradients:
    """The gradients of x, and of each reader's gamma, beta, weight and bias; None for none.

    `grads` begins with the features' gradient, [N, *S, C], and is emptied to free its memory.
    """
    features, states = _restore(saved, layers)
    gradient = FeatureGradient(features, grads[0])
    grads.clear()
    stop = features.values.shape[-1]
    result: Gradients = []
    for layer, state in zip(reversed(layers), reversed(states), strict=True):
        start = stop - layer.growth
        grad = gradient.finish(slice(start, stop))
        result = _layer_backward(layer, state, gradient, grad, dtype) + result
        stop = start
    return [from_rows(gradient.finish(slice(0, stop)).contiguous()), *result]


def _restore(
    saved: Sequence[Tensor], layers: Sequence[BlockLayer]
) -> tuple[FeatureRows, list[LayerState]]:
    moments, *rest = with_gaps(saved[1:])
    states = [LayerState(*pair) for pair in zip(rest, rest[len(layers) :], strict=False)]
    states = states[: len(layers)]
    readings = iter(rest[2 * len(layers) :])
    for layer, state in zip(layers, states, strict=True):
        for _ in layer.readers:
            affine, kept = islice(readings, 2)
            assert affine is not None
            state.readings.append(Reading(affine, kept))
    return FeatureRows(saved[0], moments), states


def _layer_backward(
    layer: BlockLayer,
    state: LayerState,
    features: FeatureGradient,
    grad: Tensor,
    dtype: torch.dtype,
) -> Gradients:
    """From the gradient of the layer's features; adds to that of the features before it."""
    first, *rest = layer.readers
    result: Gradients = []
    for reader in rest:
        values = state.bottleneck
        if values is None:
            values = _bottleneck(layer, features.features, state.readings[0], dtype)
        source = FeatureGradient(FeatureRows(values, state.moments))
        result = reader.backward(source, state.readings[1], dtype, grad)
        grad = source.finish(slice(None))
    return first.backward(features, state.readings[0], dtype, grad) + result
