"""What is left of each weight of a net whose layers read and give fewer channels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from archc.channels.analysis import Channels
from archc.channels.masks import members
from archc.ir.graph import Node
from archc.ops.op import Op, TensorType, Weight

Axis = Literal["in", "out"] | None
"""What an axis of a weight has: the channels that its layer reads, those it gives, or others."""


@dataclass(frozen=True, slots=True)
class WeightSlice:
    """The part of a weight that stays: indices along its first axis, and, for each of them, along
    the second, if that has channels, too. `rows` are None where all of it stays."""

    key: str
    rows: Sequence[int] | None
    columns: Sequence[Sequence[int]] | None = None


def weight_slices(channels: Channels) -> Iterator[WeightSlice]:
    """The parts of all entries of the state_dict that stay, with their keys."""
    graph = channels.graph
    applied = {node.layer.path: node for node in graph.nodes() if channels.kept[node.id]}
    for made, weights in graph.weights():
        unused = made.id in graph.unused
        node = made if unused else applied.get(made.layer.path)
        if node is None:
            continue
        types = graph.operand_types(node.id)
        axes = {} if unused else weight_axes(node.op, types)
        for weight in weights:
            key = ".".join(filter(None, (*(node.layer.path or ()), weight.name)))
            yield _slice(key, axes.get(weight.name, ()), node, types, channels)


def _slice(
    key: str, axes: Sequence[Axis], node: Node, types: Sequence[TensorType], channels: Channels
) -> WeightSlice:
    sets: dict[Axis, list[int]] = {"out": members(channels.kept[node.id])} if axes else {}
    if types and axes:
        sets["in"] = members(channels.reads[node.id, 0])
    rows = sets.get(axes[0]) if axes else None
    if rows is None or len(axes) < 2 or axes[1] is None:
        return WeightSlice(key, rows)
    width = {"in": types[0].channels, "out": node.type.channels}
    grouped = node.op.channel_rule == "grouped"
    groups = node.op.channel_groups(*types) if grouped else 1
    each, beside = width[axes[0] or "out"] // groups, width[axes[1]] // groups
    of_group = [
        [c - group * beside for c in sets[axes[1]] if c // beside == group]
        for group in range(groups)
    ]
    return WeightSlice(key, rows, [of_group[row // each] for row in rows])


def weight_axes(op: Op, types: Sequence[TensorType]) -> dict[str, tuple[Axis, ...]]:
    """What the axes of an operator's weights have: found by what changes with which channels."""
    if not types:
        only: Op = op.thinned((), (0,)) or op
        return _changed(op.weights(), only.weights(), "out")
    first, *others = types
    wide = (replace(first, shape=(2 * first.channels, *first.spatial)), *others)
    if not op.sums:
        return _changed(op.weights(*types), op.weights(*wide), "out")
    plain = op.thinned(range(first.channels), range(op.infer(*types).channels), *types) or op
    weights = plain.weights(*types)
    twice: dict[str, int] = {"out": 2 * op.infer(*types).channels}
    more: Op = replace(plain, **twice)
    gives = _changed(weights, more.weights(*types), "out")
    reads = _changed(weights, plain.weights(*wide), "in")
    return {
        name: tuple(a or b for a, b in zip(axes, reads[name], strict=True))
        for name, axes in gives.items()
    }


def _changed(
    before: Sequence[Weight], after: Sequence[Weight], word: Axis
) -> dict[str, tuple[Axis, ...]]:
    return {
        one.name: tuple(word if a != b else None for a, b in zip(one.shape, two.shape, strict=True))
        for one, two in zip(before, after, strict=True)
    }
