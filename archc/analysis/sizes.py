"""Numbers for the sizes that a net leaves open."""

from collections.abc import Mapping
from dataclasses import replace

from archc.ir.graph import Graph
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
    """A copy of the graph with numbers for all its symbols."""
    result = graph.copy()
    for node in graph.nodes():
        shape = (d.at(symbols[d.symbol]) if isinstance(d, Size) else d for d in node.type.shape)
        result.replace_layer(node.id, node.layer, replace(node.type, shape=tuple(shape)))
    return result
