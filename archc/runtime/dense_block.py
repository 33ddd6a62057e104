"""A dense block whose features lie in one buffer, normalised by statistics that are taken once.

Each layer of a dense block (Huang et al., 1608.06993) reads all features before it through a
batch norm, a ReLU and a convolution, once (basic) or twice (bottleneck), and adds some. All layers
see the same batch statistics of a feature; only scale and shift of their norms are their own. So

- a layer writes its features to their place in the block's buffer, and nothing is concatenated;
- mean and variance of a feature are taken once;
- the norm and the ReLU of a layer are computed again in backward, part by part;
- the readers of a feature add to one gradient, which is corrected for the statistics once.

Kept for backward are the buffer and, with `memory="keep"`, the bottlenecks: linear in depth.
Outputs, gradients and running statistics are those of the plain modules up to rounding. So:

    def forward(self, x: Tensor) -> Tensor:
        if shares_storage(self, x):
            return dense_block(self, x)
        for layer in self.children():
            x = layer(x)
        return x

What the function computes is read off the lines below it (`reading.py`): no other text says it.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from archc.runtime.block_function import (
    DENSE_BLOCK,
    DenseBlockFunction,
    LayerPlan,
    ReaderPlan,
    written,
)
from archc.runtime.dense_layers import GrowingLayer, named_layers, reading_of, resolved
from archc.runtime.feature_rows import CHANNELS_LAST, from_rows, set_features
from archc.runtime.gaps import filled
from archc.runtime.memory import memory_of
from archc.runtime.plain_modules import (
    compute_dtype,
    differentiates,
    normalises_by_batch,
    update_running,
)
from archc.runtime.untouched import say_once


def shares_storage(block: nn.Module, x: Tensor) -> bool:
    """Whether `dense_block` is the way: in training, unless the block's mode is "off", if its
    forward says that it is a dense block of untouched layers. (If not, that is said once.)"""
    if not isinstance(x, Tensor) or not block.training or memory_of(block) == "off":
        return False
    if not differentiates(x, block):
        return False
    if torch.compiler.is_compiling():
        return bool(named_layers(block))
    refusal = reading_of(block).refusal
    if refusal:
        say_once(f"{type(block).__name__} is not the dense block that was compiled: {refusal}")
    return not refusal


def dense_block(block: nn.Module, x: Tensor) -> Tensor:
    """What a block that `shares_storage` makes of x, [N, C, *S] -> [N, C + sum of growths, *S]."""
    if torch.compiler.is_compiling():
        named = named_layers(block)
        layers = [[resolved(block, stage) for stage in layer] for layer in named]
        return grown(x, layers, memory_of(block))
    return grown(x, reading_of(block).layers, memory_of(block))


def grown(
    x: Tensor, layers: Sequence[GrowingLayer], memory: str | Sequence[str] = "keep"
) -> Tensor:
    """[N, C, *S] -> [N, C + sum of growths, *S], in channels_last order.

    The layers are of batch norms and of convolutions with stride 1. "keep" keeps the bottlenecks
    for backward; "recompute" computes them again, to the same bits; a sequence says it layer by
    layer. Running statistics move as with the norms. Raises ValueError where nn.BatchNorm does.
    """
    modes = [memory] * len(layers) if isinstance(memory, str) else memory
    channels_last = _draws_in_channels_last(x, layers)
    tensors: list[Tensor | None] = []
    plans = []
    for layer, mode in zip(layers, modes, strict=True):
        readers = []
        for norm, conv, dropout, select in layer:
            batch = normalises_by_batch(norm)
            running = (None, None) if batch else (norm.running_mean, norm.running_var)
            tensors += [norm.weight, norm.bias, *running, select, conv.weight, conv.bias]
            readers.append(ReaderPlan(conv.groups, conv.padding, conv.dilation, norm.eps, dropout))
        plans.append(LayerPlan(mode == "keep", channels_last, readers))
    there, dtype = filled(tensors, x), compute_dtype(x)
    if torch.compiler.is_compiling():
        rows, *moments = DENSE_BLOCK(x, there, dtype, written(plans))
    else:
        apply: Callable[..., tuple[Tensor, ...]] = DenseBlockFunction.apply
        rows, *moments = apply(x, dtype, plans, *there)
    _update_running(layers, moments, x.numel() // x.shape[1])
    y = from_rows(rows)
    if not torch.compiler.is_compiling():
        set_features(y, moments[0] if moments[0].numel() else None)
    return y


def _draws_in_channels_last(x: Tensor, layers: Iterable[GrowingLayer]) -> bool:
    """Whether the results of the plain convolutions, and so the noise of dropouts, have this order.

    The order of x alone does not tell: a dense block gives channels_last in any case.
    """
    stages = [stage for layer in layers for stage in layer]
    if not any(stage.dropout for stage in stages) or x.dim() not in CHANNELS_LAST:
        return False
    order = CHANNELS_LAST[x.dim()]
    weights = [stage.conv.weight for stage in stages]
    told = [w for w in weights if not (w.is_contiguous() and w.is_contiguous(memory_format=order))]
    return any(w.is_contiguous(memory_format=order) for w in told or [x])


def _update_running(layers: Sequence[GrowingLayer], moments: Sequence[Tensor], count: int) -> None:
    """`moments` are those of the block and of each layer's bottleneck, over `count` pixels."""
    shared, *inner = moments
    pairs = []
    for (first, *rest), bottleneck in zip(layers, inner, strict=False):
        columns = slice(0, first.conv.in_channels) if first.select is None else first.select
        if normalises_by_batch(first.norm):
            pairs.append((first.norm, shared[:, columns]))
        pairs += [(last.norm, bottleneck) for last in rest if normalises_by_batch(last.norm)]
    update_running(pairs, count)
