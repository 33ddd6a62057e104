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
            layers = [(l.norm1, l.conv1, l.norm2, l.conv2) for l in self.children()]
            return dense_block(x, layers, memory_of(self))
        for layer in self.children():
            x = torch.cat([x, layer(x)], 1)
        return x
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archc.runtime.block_function import DENSE_BLOCK, BlockPlan, DenseBlockFunction
from archc.runtime.custom_operators import given
from archc.runtime.feature_rows import CHANNELS_LAST, from_rows, set_moments
from archc.runtime.memory import memory_of
from archc.runtime.plain_modules import (
    compute_dtype,
    differentiates,
    has_hooks,
    is_batch_norm,
    is_same_size_conv,
    normalises_by_batch,
    update_running,
)


class GrowingLayer(NamedTuple):
    """A layer of a dense block: norm, ReLU, convolution and dropout, once or twice.

    `dropout1` and `dropout2` are the probabilities that apply now, 0 in evaluation. `select` has
    the features that `norm1` reads (int64, none twice); None is for all those before the layer.
    """

    norm1: Any
    conv1: Any
    norm2: Any = None
    conv2: Any = None
    dropout1: float = 0.0
    dropout2: float = 0.0
    select: Tensor | None = None

    def readers(self) -> list[tuple[Any, Any, float, Tensor | None]]:
        """Norm, convolution, dropout and selected features, for each convolution."""
        first = (self.norm1, self.conv1, self.dropout1, self.select)
        if self.conv2 is None:
            return [first]
        return [first, (self.norm2, self.conv2, self.dropout2, None)]


def shares_storage(block: nn.Module, x: Tensor) -> bool:
    """Whether `dense_block` is the way: in training, not in inference and export, unless
    `block.memory` is "off", processes share the statistics of a norm (`SyncBatchNorm`), or a module
    in the block was replaced by one of a class from elsewhere.

    Raises RuntimeError if a module in the block has a hook, which would not run.
    """
    if memory_of(block) == "off" or not differentiates(x, block):
        return False
    if any(isinstance(module, nn.SyncBatchNorm) for module in block.modules()):
        return False
    for name, module in block.named_modules():
        if name and has_hooks(module):
            raise RuntimeError(
                f"`{name}` has a hook, but a dense block that shares its storage does not call the "
                'modules in it: build it with memory="off", or hook the whole block'
            )
    return not any(_is_foreign(module, block) for module in block.modules())


def _is_foreign(module: nn.Module, block: nn.Module) -> bool:
    """Whether the module may do something that a dense block does not know of: its class is neither
    torch's nor from where the block's class, or one that it derives from, is."""
    home = type(module).__module__
    homes = [kind.__module__ for kind in type(block).__mro__]
    return home not in homes and not home.startswith("torch.nn.")


def dense_block(
    x: Tensor, layers: Iterable[tuple[Any, ...]], memory: str | Sequence[str] = "keep"
) -> Tensor:
    """[N, C, *S] -> [N, C + sum of growths, *S], in channels_last order.

    Each layer is a GrowingLayer, or a tuple that begins like one, of batch norms and convolutions
    with stride 1. "keep" keeps the bottlenecks for backward; "recompute" computes them again, to
    the same bits; a sequence says it layer by layer. Running statistics move as with the norms.

    Raises ValueError for modules that it cannot stand for, and where nn.BatchNorm does.
    """
    grown = [GrowingLayer(*layer) for layer in layers]
    if not grown:
        return x
    for norm, conv, _, _ in (reader for layer in grown for reader in layer.readers()):
        _check_modules(norm, conv)
    modes = [memory] * len(grown) if isinstance(memory, str) else memory
    channels_last = _draws_in_channels_last(x, grown)
    tensors: list[Tensor | None] = []
    ints: list[int] = []
    floats: list[float] = []
    for layer, mode in zip(grown, modes, strict=True):
        readers = layer.readers()
        ints += [len(readers), readers[-1][1].out_channels, mode == "keep", channels_last]
        for norm, conv, dropout, select in readers:
            batch = normalises_by_batch(norm)
            running = (None, None) if batch else (norm.running_mean, norm.running_var)
            tensors += [norm.weight, norm.bias, *running, select, conv.weight, conv.bias]
            ints += [conv.groups, *conv.padding, *conv.dilation]
            floats += [norm.eps, dropout]
    there, places = given(tensors)
    plan = BlockPlan(compute_dtype(x), ints, floats, places)
    if torch.compiler.is_compiling():
        rows, *moments = DENSE_BLOCK(x, there, *plan)
    else:
        apply: Callable[..., tuple[Tensor, ...]] = DenseBlockFunction.apply
        rows, *moments = apply(x, plan, _count_moments(grown), *there)
    _update_running(grown, moments, x.numel() // x.shape[1])
    y = from_rows(rows)
    if _measures_features(grown) and not torch.compiler.is_compiling():
        set_moments(y, moments[0])
    return y


def _check_modules(norm: Any, conv: Any) -> None:
    if not is_batch_norm(norm):
        raise ValueError(
            f"a dense block shares statistics of nn.BatchNorm only, not of {norm}: "
            'build the net with memory="off"'
        )
    if not is_same_size_conv(conv):
        raise ValueError(
            "a dense block has convolutions that pad with zeros and keep all sizes, not "
            f'{conv}: build the net with memory="off"'
        )


def _draws_in_channels_last(x: Tensor, layers: Iterable[GrowingLayer]) -> bool:
    """Whether the results of the plain convolutions, and so the noise of dropouts, have this order.

    The order of x alone does not tell: a dense block gives channels_last in any case.
    """
    readers = [reader for layer in layers for reader in layer.readers()]
    if not any(dropout for _, _, dropout, _ in readers) or x.dim() not in CHANNELS_LAST:
        return False
    order = CHANNELS_LAST[x.dim()]
    weights = [conv.weight for _, conv, _, _ in readers]
    told = [w for w in weights if not (w.is_contiguous() and w.is_contiguous(memory_format=order))]
    return any(w.is_contiguous(memory_format=order) for w in told or [x])


def _count_moments(layers: Sequence[GrowingLayer]) -> int:
    """The block's, if a layer normalises by the batch, and those of each bottleneck that is."""
    return _measures_features(layers) + sum(_measures_bottleneck(layer) for layer in layers)


def _measures_features(layers: Iterable[GrowingLayer]) -> bool:
    return any(normalises_by_batch(layer.norm1) for layer in layers)


def _measures_bottleneck(layer: GrowingLayer) -> bool:
    return layer.norm2 is not None and normalises_by_batch(layer.norm2)


def _update_running(layers: Sequence[GrowingLayer], moments: Iterable[Tensor], count: int) -> None:
    """`moments` begins with those that `_count_moments` counts, over `count` pixels."""
    taken = iter(moments)
    pairs = []
    first = [layer for layer in layers if normalises_by_batch(layer.norm1)]
    if first:
        shared = next(taken)
        for layer in first:
            columns = slice(0, layer.conv1.in_channels) if layer.select is None else layer.select
            pairs.append((layer.norm1, shared[:, columns]))
    pairs += [(layer.norm2, next(taken)) for layer in layers if _measures_bottleneck(layer)]
    update_running(pairs, count)
