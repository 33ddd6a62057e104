"""Forward and backward of a whole dense block, on tensors alone; `dense_block.py` says what for."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archc.runtime.feature_rows import FeatureRows, from_rows, row_moments, statistics_dtype
from archc.runtime.row_reader import Gradients, RowReader


@dataclass(frozen=True)
class BlockLayer:
    """Reads the features before it and adds `growth`; with two readers there is a bottleneck."""

    readers: Sequence[RowReader]
    growth: int
    keep: bool
    """Whether the bottleneck is kept for backward, else computed again."""
    channels_last: bool
    """Whether plain modules would draw a dropout's noise in this order."""

    @property
    def measures_bottleneck(self) -> bool:
        return len(self.readers) == 2 and self.readers[1].running is None


@dataclass
class LayerState:
    """What a layer hands to its backward."""

    kept: list[Tensor | None]
    """For each reader, what its dropout kept."""
    moments: Tensor | None = None
    """Those of the bottleneck, if its reader normalises by the batch."""
    bottleneck: Tensor | None = None


def block_forward(x: Tensor, layers: Sequence[BlockLayer], dtype: torch.dtype) -> list[Tensor]:
    """What `block_backward` needs, and first the block's features, [N, *S, C + sum of growths].

    x is [N, C, *S]; convolutions compute in `dtype`.
    """
    channels = x.shape[1]
    total = channels + sum(layer.growth for layer in layers)
    shape = (x.shape[0], *x.shape[2:], total)
    values = x.new_empty(shape, dtype=torch.promote_types(x.dtype, dtype))
    features = FeatureRows(values, None)
    if measures_features(layers):
        features.moments = values.new_empty((3, total), dtype=statistics_dtype(values.dtype))
    values[..., :channels] = x.movedim(1, -1)
    features.measure(slice(0, channels))
    states = []
    for layer in layers:
        place = slice(channels, channels + layer.growth)
        states.append(_layer_forward(layer, features, values[..., place], dtype))
        features.measure(place)
        channels = place.stop
    moments = [features.moments, *(state.moments for state in states)]
    rest = (t for state in states for t in (*state.kept, state.bottleneck))
    return [values, *(t for t in (*moments, *rest) if t is not None)]


def measures_features(layers: Sequence[BlockLayer]) -> bool:
    return any(layer.readers[0].running is None for layer in layers)


def _layer_forward(
    layer: BlockLayer, features: FeatureRows, out: Tensor, dtype: torch.dtype
) -> LayerState:
    """Write the layer's features to `out`."""
    state = LayerState([])
    source = features
    for reader in layer.readers[:-1]:
        state.kept.append(reader.draw(features, dtype, layer.channels_last))
        source = _bottleneck(layer, features, dtype, state.kept[0])
        if layer.measures_bottleneck:
            source.moments = state.moments = row_moments(source.values)
        state.bottleneck = source.values if layer.keep else None
    last = layer.readers[-1]
    state.kept.append(last.draw(source, dtype, layer.channels_last))
    last.forward(source, dtype, state.kept[-1], out)
    return state


def _bottleneck(
    layer: BlockLayer, features: FeatureRows, dtype: torch.dtype, kept: Tensor | None
) -> FeatureRows:
    reader = layer.readers[0]
    shape = reader.operator.out_shape(features.values.shape)
    values = features.values.new_empty(shape, dtype=dtype)
    reader.forward(features, dtype, kept, values)
    return FeatureRows(values, None)


def block_backward(
    grads: list[Tensor], saved: Sequence[Tensor], layers: Sequence[BlockLayer], dtype: torch.dtype
) -> Gradients:
    """The gradients of x, and of each reader's gamma, beta, weight and bias.

    `grads` begins with the features' gradient, [N, *S, C], and is emptied to free its memory.
    """
    features, states = _restore(saved, layers)
    features.start_backward(grads[0].clone(memory_format=torch.contiguous_format))
    grads.clear()
    stop = features.values.shape[-1]
    result: Gradients = []
    for layer, state in zip(reversed(layers), reversed(states), strict=True):
        start = stop - layer.growth
        grad = features.finish(slice(start, stop))
        result = _layer_backward(layer, state, features, grad, dtype) + result
        stop = start
    return [from_rows(features.finish(slice(0, stop)).contiguous()), *result]


def _restore(
    saved: Sequence[Tensor], layers: Sequence[BlockLayer]
) -> tuple[FeatureRows, list[LayerState]]:
    tensors = iter(saved)
    features = FeatureRows(next(tensors), next(tensors) if measures_features(layers) else None)
    moments = [next(tensors) if layer.measures_bottleneck else None for layer in layers]
    states = []
    for layer, measured in zip(layers, moments, strict=True):
        kept = [next(tensors) if reader.dropout else None for reader in layer.readers]
        stored = layer.keep and len(layer.readers) == 2
        states.append(LayerState(kept, measured, next(tensors) if stored else None))
    return features, states


def _layer_backward(
    layer: BlockLayer, state: LayerState, features: FeatureRows, grad: Tensor, dtype: torch.dtype
) -> Gradients:
    """From the gradient of the layer's features; adds to that of the features before it."""
    first, *rest = layer.readers
    result: Gradients = []
    for reader in rest:
        if state.bottleneck is None:
            source = _bottleneck(layer, features, dtype, state.kept[0])
        else:
            source = FeatureRows(state.bottleneck, None)
        source.moments = state.moments
        source.start_backward(torch.zeros_like(source.values))
        result = reader.backward(source, dtype, state.kept[1], grad)
        grad = source.finish(slice(None))
    return first.backward(features, dtype, state.kept[0], grad) + result
