"""Numbers for the sizes that a net leaves open."""

from collections.abc import Mapping
from dataclasses import replace

from archc.diagnostics import error
from archc.ir.graph import Graph, Input, Node
from archc.ir.rebuild import Visit, rebuild
from archc.ops.op import OpError
from archc.ops.size import Size


def symbols_of(graph: Graph) -> dict[str, Size]:
    """The symbols among the sizes of a net's inputs, each with the first size that it is in."""
    dims = (dim for node in graph.inputs() for dim in node.type.shape)
    sizes: dict[str, Size] = {}
    for dim in dims:
        if isinstance(dim, Size):
            sizes.setdefault(dim.symbol, dim)
    return sizes


def at_sizes(graph: Graph, symbols: Mapping[str, int]) -> Graph:
    """The graph with numbers for all its symbols. Raises ArchError where a layer does not fit."""

    def rule(visit: Visit) -> Node:
        op = visit.node.op
        if isinstance(op, Input):
            shape = (d.at(symbols[d.symbol]) if isinstance(d, Size) else d for d in op.shape.shape)
            return visit.keep(op=Input(replace(op.shape, shape=tuple(shape))))
        try:
            return visit.keep()
        except OpError as refusal:
            given = ", ".join(f"{name}={number}" for name, number in symbols.items())
            raise error("E0204", f"with {given}, {refusal.message}", visit.node.span) from None

    return rebuild(graph, rule)
