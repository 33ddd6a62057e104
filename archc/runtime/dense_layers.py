"""The layers of a dense block, as its forward applies them."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.runtime.plain_modules import is_same_size_conv
from archc.runtime.reading import Unchanged, UnreadError, Value, read
from archc.runtime.surroundings import constant
from archc.runtime.untouched import BATCH_NORMS, CONVOLUTIONS, why_not


class DenseStage(NamedTuple):
    """Batch norm, ReLU, convolution and dropout, in a row.

    `dropout` is the probability that applies now, 0 in evaluation. `select` has the features that
    `norm` reads (int64, none twice); None is for all that there are.
    """

    norm: Any
    conv: Any
    dropout: float = 0.0
    select: Tensor | None = None


GrowingLayer = Sequence[DenseStage]
"""A layer of a dense block: one stage, or two."""


class DenseReading(NamedTuple):
    """The layers of a block, or why it is not read as one, as long as it is `unchanged`."""

    unchanged: Unchanged
    layers: Sequence[GrowingLayer]
    refusal: str


_READINGS: WeakKeyDictionary[nn.Module, DenseReading] = WeakKeyDictionary()


def reading_of(block: nn.Module) -> DenseReading:
    """What the forward of a block says; it is read again where something has changed."""
    known = _READINGS.get(block)
    if known is None or not known.unchanged.holds(block):
        known = _READINGS[block] = _read_block(block)
    return known


def _read_block(block: nn.Module) -> DenseReading:
    layers: Sequence[GrowingLayer] = ()
    refusal = ""
    try:
        layers = _growing_layers(read(block))
    except UnreadError as problem:
        refusal = str(problem)
    return DenseReading(Unchanged(block), layers, refusal)


@constant
def named_layers(block: nn.Module) -> list[list[tuple[Any, ...]]]:
    """The layers of a block by the names of modules and buffers, as torch.compile can know them;
    none where it is not read."""
    named = (*block.named_modules(), *block.named_buffers())
    names = {id(each): name for name, each in named}
    layers = reading_of(block).layers
    return [[tuple(names.get(id(x), x) for x in stage) for stage in layer] for layer in layers]


def resolved(block: nn.Module, stage: Sequence[Any]) -> DenseStage:
    """A stage of `named_layers` with the modules themselves."""
    norm, conv, dropout, select = stage
    selected = select and block.get_buffer(select)
    return DenseStage(block.get_submodule(norm), block.get_submodule(conv), dropout, selected)


def _growing_layers(result: Value) -> list[GrowingLayer]:
    """Reads from the end: a concatenation of what is given and of what each layer adds."""
    source, *features = _parts(result)
    if source.maker is not None or not features:
        raise UnreadError("its forward does not append what its layers give")
    layers = [_layer(each, (source, *features[:i])) for i, each in enumerate(features)]
    norms = [id(stage.norm) for layer in layers for stage in layer]
    if len(set(norms)) < len(norms):
        raise UnreadError("a batch norm serves twice")
    return layers


def _parts(value: Value) -> list[Value]:
    """What a value is a concatenation of."""
    parts, waiting = [], [value]
    while waiting:
        each = waiting.pop()
        if each.maker is torch.cat:
            tensors, *axis = each.operands
            if each.options.get("dim", *axis) != 1:
                raise UnreadError("its forward concatenates something else than channels")
            waiting.extend(reversed(tensors))
        else:
            parts.append(each)
    return parts


def _layer(feature: Value, before: Sequence[Value]) -> GrowingLayer:
    """The layer that makes a feature from all those before it, or from a selection of them."""
    source, last = _stage(feature)
    stages = [last]
    if not _reads(source, before):
        source, first = _stage(source)
        stages.insert(0, first)
    if not _reads(source, before):
        raise UnreadError("a layer in it does not read all features before it")
    if source.maker is torch.index_select:
        stages[0] = stages[0]._replace(select=source.operands[2])
    return stages


def _reads(value: Value, before: Sequence[Value]) -> bool:
    if value.maker is torch.index_select and value.operands[1] == 1:
        value = value.operands[0]
    parts = _parts(value)
    return len(parts) == len(before) and all(a is b for a, b in zip(parts, before, strict=True))


def _stage(value: Value) -> tuple[Value, DenseStage]:
    """The stage that gives a value, and what it reads."""
    dropout = _dropout(value)
    if dropout is not None:
        value = _operand(value)
    conv = _untouched(value, CONVOLUTIONS)
    if not is_same_size_conv(conv):
        raise UnreadError(f"{conv} in it does not keep all sizes, or pads with other than zeros")
    value = _operand(value)
    if value.maker not in (torch.relu, F.relu) and type(value.maker) is not nn.ReLU:
        raise UnreadError(f"a {_name(value)} in it takes the place of a ReLU")
    value = _operand(value)
    return _operand(value), DenseStage(_untouched(value, BATCH_NORMS), conv, dropout or 0.0)


def _dropout(value: Value) -> float | None:
    """The probability of a dropout that makes the value; None if none does."""
    if type(value.maker) is nn.Dropout:
        return value.maker.p if value.maker.training else 0.0
    if value.maker is not F.dropout:
        return None
    return float(value.options["p"]) if value.options["training"] else 0.0


def _untouched(value: Value, kinds: Sequence[type[nn.Module]]) -> nn.Module:
    reason = why_not(value.maker, kinds)
    if reason is not None:
        raise UnreadError(f"a {_name(value)} in it {reason}")
    module: nn.Module = value.maker
    return module


def _operand(value: Value) -> Value:
    """What a layer or function was applied to."""
    first = value.operands[0] if value.operands else None
    if not isinstance(first, Value):
        raise UnreadError("its forward begins otherwise than with what it is given")
    return first


def _name(value: Value) -> str:
    maker = value.maker
    return (
        maker.__name__ if callable(maker) and hasattr(maker, "__name__") else type(maker).__name__
    )
