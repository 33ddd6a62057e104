"""What reads what inside of each module, in words that another net with the same modules shares.

A value is named by where it comes from: a layer by its path, a function by its operands, another
module by its path and the number of its result, an operand of the block by its name. Names stop at
the border of a module, so that a change in one leaves the descriptions of all others as they are.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from archc.analysis.cost import output_names
from archc.ir.graph import Graph, Node, Path, Region
from archc.ir.regions import boundaries, chains


@dataclass(frozen=True, slots=True)
class Connections:
    """The inside of a module, over all its applications.

    `functions` counts the operators that are no attribute of a module, by their text; `links` are
    equal where all layers, functions and inner modules read the same.
    """

    functions: Counter[str]
    links: tuple[frozenset[str], ...]


def connections_of(graph: Graph) -> dict[Path, Connections]:
    """The connections of every module of a net, by its path."""
    return _Names(graph).connections()


class _Names:
    """The names of a graph's values, each from the region that reads it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.chains = chains(graph)
        self.boundaries = boundaries(graph)
        self.gives = {
            id: {node: i for i, node in enumerate(boundary.gives)}
            for id, boundary in self.boundaries.items()
        }
        self.inputs = {node.id: i for i, node in enumerate(graph.inputs())}
        self.modules = _numbered((r.id, r.parent, r.path) for r in graph.regions.values())
        self.layers = _numbered((n.id, n.region, n.layer.path) for n in graph.nodes())
        self.names: dict[int, str] = {}
        for node in graph.nodes():  # operands first
            self.names[node.id] = self._own_name(node)

    def connections(self) -> dict[Path, Connections]:
        functions: dict[Path, Counter[str]] = {}
        links: dict[Path, list[frozenset[str]]] = {}
        inside = self._links()
        for region in self.graph.regions.values():
            functions.setdefault(region.path, Counter())
            links.setdefault(region.path, []).append(frozenset(inside[region.id]))
        for node in self.graph.nodes():
            if node.layer.path is None and node.id not in self.inputs:
                functions[self.graph.regions[node.region].path][str(node.op)] += 1
        return {path: Connections(functions[path], tuple(links[path])) for path in links}

    def _links(self) -> dict[int, set[str]]:
        """For each region, who in it reads what, and what it gives."""
        links: dict[int, set[str]] = {id: set() for id in self.graph.regions}
        for node in self.graph.nodes():
            if node.layer.path is not None:
                links[node.region].add(f"{self.names[node.id]} <- {self._operands(node)}")
        for region in self.graph.regions.values():
            here = links[region.id]
            here |= {
                f"{i} = {self._name(node, region)}" for node, i in self.gives[region.id].items()
            }
            if region.parent is None:
                outputs = zip(output_names(self.graph.outputs), self.graph.outputs, strict=True)
                here |= {f"{name} = {self._name(out.node, region)}" for name, out in outputs}
                continue
            around = self.graph.regions[region.parent]
            for name, operand in region.inputs:
                if operand not in self.boundaries[region.id].reads:
                    continue  # an operand that nothing reads may be gone, with all that made it
                value = self._name(operand, around)
                links[around.id].add(f"{self.modules[region.id]}.{name} <- {value}")
        return links

    def _own_name(self, node: Node) -> str:
        """The name of a value in its own region."""
        if node.id in self.inputs:
            return f"input {self.inputs[node.id]}"
        if node.layer.path is not None:
            return self.layers[node.id]
        text = f"{node.op}({self._operands(node)})"
        return f"{node.op.name} {hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def _operands(self, node: Node) -> str:
        region = self.graph.regions[node.region]
        return ", ".join(self._name(operand, region) for operand in self.graph.operands(node.id))

    def _name(self, node: int, reader: Region) -> str:
        """What a region calls a value, which stands in it, inside of it, or around it."""
        here, there = self.chains[reader.id], self.chains[self.graph.node(node).region]
        if here == there:
            return self.names[node]
        if there[: len(here)] == here:
            inner = there[len(here)]
            return f"{self.modules[inner]}[{self.gives[inner][node]}]"
        for name, operand in reader.inputs:
            if operand == node:
                return f"operand {name}"
        assert reader.parent is not None
        return f"outside {self._name(node, self.graph.regions[reader.parent])}"


def _numbered(items: Iterable[tuple[int, int | None, Path | None]]) -> dict[int, str]:
    """The path of each item, with its number among those of one path in one region."""
    seen: Counter[tuple[int | None, Path]] = Counter()
    found = {}
    for id, region, path in items:
        if path is not None:
            found[id] = f"{'.'.join(path)}({seen[region, path]})"
            seen[region, path] += 1
    return found
