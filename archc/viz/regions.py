"""Which regions of a graph are open in a picture: what was asked for, and scopes while it is small.

All other regions are collapsed into one box each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from archc.ir.graph import Graph, Node, Region
from archc.ir.regions import find_region

_SMALL = 60
"""Scopes are opened by default as long as the picture has no more boxes than this."""


@dataclass(frozen=True, slots=True)
class View:
    """The open regions by id; those in `asked` were named, and show each of their children."""

    graph: Graph
    open: frozenset[int]
    asked: frozenset[int]
    around: dict[int, tuple[Region, ...]]
    """For each region, the chain from the net down to it."""
    inside: dict[int, list[Region]]
    """For each region, those directly in it."""

    def place(self, node: Node) -> tuple[Region, Region | None]:
        """The open region in which a node is drawn, and the collapsed one in it that hides it."""
        parent = self.around[node.region][0]
        for region in self.around[node.region]:
            if region.id not in self.open:
                return parent, region
            parent = region
        return parent, None

    def repeated(self, region: Region) -> tuple[int, str | None]:
        """How many applications of one block a region consists of, and the block's name."""
        children = self.inside[region.id]
        blocks = {child.block for child in children}
        if len(children) < 2 or len(blocks) != 1:
            return 1, None
        return len(children), children[0].block


@dataclass(slots=True)
class _Content:
    """What stands directly in a region."""

    operators: int = 0
    regions: list[Region] = field(default_factory=list)

    @property
    def size(self) -> int:
        return self.operators + len(self.regions)

    @property
    def repeated(self) -> bool:
        """Whether it is one block, over and over: collapsed, it says as much."""
        blocks = {region.block for region in self.regions}
        return not self.operators and len(self.regions) > 1 and len(blocks) == 1


def choose_view(graph: Graph, asked: Sequence[str]) -> View:
    """Open the named regions with all around them, then scopes. Raises ArchError for a name that
    is no region's path."""
    around: dict[int, tuple[Region, ...]] = {}
    content = {id: _Content() for id in graph.regions}
    for region in graph.regions.values():  # a region stands behind the one around it
        above = () if region.parent is None else around[region.parent]
        around[region.id] = (*above, region)
        if region.parent is not None:
            content[region.parent].regions.append(region)
    for node in graph.nodes():
        content[node.region].operators += 1
    named = {id for name in asked for id in find_region(graph, name)}
    opened = {region.id for id in named for region in around[id]}
    opened |= {region.id for region in graph.regions.values() if region.parent is None}
    _open_scopes(content, opened)
    inside = {id: found.regions for id, found in content.items()}
    return View(graph, frozenset(opened), frozenset(named), around, inside)


def _open_scopes(content: dict[int, _Content], opened: set[int]) -> None:
    """Add scopes to the open regions, outer ones first."""
    size = sum(content[id].size for id in opened) - len(opened) + 1
    queue = sorted(opened)
    for id in queue:  # the queue grows while it is walked
        for region in content[id].regions:
            inner = content[region.id]
            if region.block is not None or region.id in opened or inner.repeated:
                continue
            if size + inner.size - 1 <= _SMALL:
                size += inner.size - 1
                opened.add(region.id)
                queue.append(region.id)
