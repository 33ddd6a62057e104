"""The words of boxes: wide lines for a flow, narrow ones for a grid, and the details of both."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from archc.analysis.module_rows import range_label
from archc.ir.graph import Graph, Input, Node, Path
from archc.ops.extern import Result
from archc.viz import labels
from archc.viz.grouping import Group
from archc.viz.spatial import given_value, leaving
from archc.viz.view import View

_TITLE = 18
"""Characters of a narrow title; of a longer path the end is shown."""


def wide(view: View, group: Group, weights: Sequence[str]) -> list[str]:
    """A box as wide as it takes: an operator a line, or what is hidden in a region."""
    parent = group.parent.path
    if not group.regions:
        return [*(_operator(node, parent) for node in _operators(group)), *weights]
    hidden = _hidden(view, group, parent)
    channels = f", {hidden.channels}" if hidden.channels else ""
    if hidden.inside and hidden.block:
        title = f"{hidden.name} x{hidden.repeat}{channels}"
        return [title, ", ".join([hidden.block, *weights])]
    what = f": {hidden.what}" if hidden.what else ""
    return [f"{hidden.name}{what}{channels}", *weights]


def narrow(view: View, group: Group, weights: Sequence[str]) -> list[str]:
    """A box for a picture of many columns: short lines, one thing each; no shapes but channels."""
    if group.regions:
        hidden = _hidden(view, group, ())
        lines = [_short(hidden.name), hidden.what, hidden.channels, *weights]
        return [line for line in lines if line]
    first, *rest = _operators(group)
    joined = ", ".join(str(node.op) for node in rest)
    lines = [*_heading(first), joined, _channels_of(view.graph, first), *weights]
    return [line for line in lines if line]


def details(graph: Graph, group: Group, figures: Sequence[str]) -> str:
    """All that there is to say of a box: its parts with their paths, its shapes, its costs."""
    inside = {node.id for node in group.nodes}
    parts = [
        f"{'.'.join(region.path)}: {region.block}" if region.block else ".".join(region.path)
        for region in group.regions
    ] or [_operator(node, ()) for node in _operators(group)]
    read = dict.fromkeys(
        operand
        for node in group.nodes
        for operand in graph.operands(node.id)
        if operand not in inside
    )
    left = leaving(graph, [node.id for node in group.nodes])
    shapes = f"{_types(graph, list(read))} -> {_types(graph, left)}".removeprefix(" -> ")
    return "\n".join([*labels.shortened(parts), shapes, *figures])


def _types(graph: Graph, nodes: Sequence[int]) -> str:
    return labels.types(graph.node(id).type for id in nodes)


# ------------------------------------------------------------------- operators


def _operators(group: Group) -> list[Node]:
    """What a group computes, without the nodes of several results."""
    return [node for node in group.nodes if not isinstance(node.op, Result)]


def _operator(node: Node, prefix: Path) -> str:
    """An operator with its label, if it has one."""
    if isinstance(node.op, Input):
        return node.name
    label = labels.relative(node.layer.path, prefix) if node.layer.path else ""
    return f"{label}: {node.op}" if label else str(node.op)


def _heading(node: Node) -> list[str]:
    if isinstance(node.op, Input):
        return [node.name]
    if node.layer.path is None:
        return [str(node.op)]
    return [_short(".".join(node.layer.path)), str(node.op)]


def _channels_of(graph: Graph, node: Node) -> str:
    """The channels of a value, where neither its operand nor its operator's words say them."""
    types = graph.operand_types(node.id)
    if types and (types[0].channels == node.type.channels or node.op.weights(*types)):
        return ""
    return f"{node.type.channels} channel{'' if node.type.channels == 1 else 's'}"


def _short(path: str) -> str:
    """The end of a path, as much as is good for a title."""
    words = re.split(r"(?<!\.)\.(?!\.)", path)  # the two dots of a range do not separate
    while len(words) > 1 and len(".".join(words)) > _TITLE:
        words.pop(0)
    return ".".join(words)


# --------------------------------------------------------------------- regions


@dataclass(frozen=True, slots=True)
class _Hidden:
    """What a collapsed box stands for; `inside`: its parts repeat, and not the region itself."""

    name: str
    block: str | None
    repeat: int
    inside: bool
    channels: str

    @property
    def what(self) -> str:
        if not self.block or self.repeat == 1:
            return self.block or ""
        return f"{self.block} x{self.repeat}" if self.inside else f"{self.repeat} x {self.block}"


def _hidden(view: View, group: Group, prefix: Path) -> _Hidden:
    first, last = group.regions[0], group.regions[-1]
    name = range_label(labels.relative(first.path, prefix), labels.relative(last.path, prefix))
    channels = _channels(view.graph, group)
    if len(group.regions) > 1:
        return _Hidden(name, first.block, len(group.regions), False, channels)
    repeat, inner = view.repeated(first)
    if repeat > 1 and first.block is not None:
        return _Hidden(name, first.block, repeat, True, channels)
    return _Hidden(name, inner or first.block, repeat, False, channels)


def _channels(graph: Graph, group: Group) -> str:
    """`256 -> 1024`: the channels of the first value that is read, and of the last one given."""
    nodes = [node.id for node in group.nodes]
    inside = set(nodes)
    read = [id for node in nodes for id in graph.operands(node) if id not in inside]
    if not read:
        return ""
    return f"{graph.node(read[0]).type.channels} -> {given_value(graph, nodes).type.channels}"
