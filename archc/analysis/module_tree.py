"""The modules and layers of a net as a tree by path, each with what it gives and what it costs.

A layer counts where it is registered, at its path, also when it is applied elsewhere: the figures
of a region are those of the module that it becomes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from archc.analysis.cost import Cost, Costs, total
from archc.ir.graph import Graph, Node, Path, Region
from archc.ir.regions import boundaries, natural
from archc.ops.tensor_type import TensorType


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """A layer that is an attribute of a module, or a function that multiplies.

    One without `applications` is made for its weights alone.

    `op` is its text in the language; `type` is that of its first application's result.
    """

    path: Path
    op: str
    type: TensorType
    cost: Cost
    applications: int

    @property
    def types(self) -> tuple[TensorType, ...]:
        return (self.type,)


@dataclass(frozen=True, slots=True)
class RegionSummary:
    """A module: an applied block, a scope (`block` is None), or a list of layers (no `types`).

    `types` are those of the values that leave it, in its first application.
    """

    path: Path
    block: str | None
    types: tuple[TensorType, ...]
    cost: Cost
    children: tuple["ModuleSummary", ...]

    def layers(self) -> Iterator[LayerSummary]:
        """The layers in it, in the order in which they are registered."""
        for child in self.children:
            if isinstance(child, LayerSummary):
                yield child
            else:
                yield from child.layers()


ModuleSummary = RegionSummary | LayerSummary


def module_tree(graph: Graph, costs: Costs) -> RegionSummary:
    """The net's own module, with all that is in it."""
    found = _Contents()
    for path, nodes in _applications(graph, costs.macs).items():
        weights = costs.weights.get(path, Cost())
        macs = total(Cost(macs=costs.macs[node.id]) for node in nodes)
        first = nodes[0]
        layer = LayerSummary(path, str(first.op), first.type, weights + macs, len(nodes))
        found.add(layer, first.layer.order)
    for node in (each.node for each in graph.unused.values()):
        path = node.layer.path or ()
        cost = costs.weights.get(path, Cost())
        found.add(LayerSummary(path, str(node.op), node.type, cost, 0), node.layer.order)
    given = boundaries(graph)
    for region in graph.regions.values():
        types = tuple(graph.node(id).type for id in given[region.id].gives)
        found.describe(region, types)
    _, tree = found.module(())
    return replace(tree, block=graph.name)


def _applications(graph: Graph, macs: dict[int, int | None]) -> dict[Path, list[Node]]:
    """The applications of each layer to list, by its path.

    A function has no path; one that multiplies is listed in its region, by operator and number.
    """
    found: dict[Path, list[Node]] = {}
    for node in sorted(graph.nodes(), key=lambda node: (node.layer.order, node.id)):
        path = node.layer.path
        if path is None and macs[node.id] != 0:
            path = (*graph.regions[node.region].path, f"{node.op.name}:{node.id}")
        if path is not None:
            found.setdefault(path, []).append(node)
    return found


class _Contents:
    """What was found at each path; of several applications of a module the first says what it is.

    The order of a module is that of the first thing known to be in it.
    """

    def __init__(self) -> None:
        self.layers: dict[Path, tuple[int, LayerSummary]] = {}
        self.regions: dict[Path, tuple[Region, tuple[TensorType, ...]]] = {}
        self.inside: dict[Path, dict[Path, None]] = {(): {}}

    def add(self, layer: LayerSummary, order: int) -> None:
        self.layers.setdefault(layer.path, (order, layer))
        self._register(layer.path)

    def describe(self, region: Region, types: tuple[TensorType, ...]) -> None:
        self.regions.setdefault(region.path, (region, types))
        self._register(region.path)

    def _register(self, path: Path) -> None:
        """Let a path be known in the modules around it."""
        for end in range(len(path), 0, -1):
            self.inside.setdefault(path[: end - 1], {})[path[:end]] = None

    def module(self, path: Path) -> tuple[int, RegionSummary]:
        """A module and its order, with its children in the order of registration."""
        children: list[tuple[int, ModuleSummary]] = [
            self.layers[inner] if inner in self.layers else self.module(inner)
            for inner in self.inside.get(path, ())
        ]
        children.sort(key=lambda pair: pair[0])
        region, types = self.regions.get(path, (None, ()))
        order = min((order for order, _ in children), default=0)
        if region is not None:
            order = region.order
        else:  # a list, whose elements are registered by their numbers
            children.sort(key=lambda pair: natural(pair[1].path[-1]))
        found = tuple(child for _, child in children)
        block = None if region is None else region.block
        return order, RegionSummary(path, block, types, total(c.cost for c in found), found)
