"""Which regions of a graph are open in a picture: what was asked for, and scopes while it is small.

For a grid, regions that work on several spatial sizes are open, too: they have no place in one row.
All other regions are collapsed into one box each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from archc.ir.graph import Graph, Node, Region
from archc.ir.regions import find_region
from archc.viz.spatial import Spatial, size_of

_WIDE = 300
"""Regions of several sizes are opened as long as a grid has no more boxes than this."""

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
    weighted: frozenset[int]
    """The regions with weights that are in no region within."""

    def place(self, node: Node) -> tuple[Region, Region | None]:
        """The open region in which a node is drawn, and the collapsed one in it that hides it."""
        parent = self.around[node.region][0]
        for region in self.around[node.region]:
            if region.id not in self.open:
                return parent, region
            parent = region
        return parent, None

    def repeated(self, region: Region) -> tuple[int, str | None]:
        """How many applications of one block, one after the other, a region consists of, and the
        block's name; weights of the region's own would make it something else, and so does
        recursion, in which a block is no row of itself."""
        children = self.inside[region.id]
        blocks = {child.block for child in children}
        if len(children) < 2 or len(blocks) != 1 or region.id in self.weighted:
            return 1, None
        if region.block in blocks:
            return 1, None
        if not all(_follows(child, before) for before, child in pairwise(children)):
            return 1, None
        return len(children), children[0].block


def _follows(region: Region, before: Region) -> bool:
    """Whether a region reads something that was not there before another one gave its results."""
    newest = max((node for _, node in region.inputs), default=-1)
    return newest >= min(before.results, default=0)


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


def choose_view(graph: Graph, asked: Sequence[str], *, by_size: bool = False) -> View:
    """Open the named regions with all around them, then scopes; `by_size`, also what works on
    several spatial sizes. Raises ArchError for a name that is no region's path."""
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
    _open(content, opened, _SMALL, _is_plain_scope)
    if by_size:
        spread = _spread(graph, around)
        _open(content, opened, _WIDE, lambda region, _: region.id in spread)
    inside = {id: found.regions for id, found in content.items()}
    weighted = frozenset(node.region for node, _ in graph.weights())
    return View(graph, frozenset(opened), frozenset(named), around, inside, weighted)


def _open(
    content: dict[int, _Content],
    opened: set[int],
    most: int,
    wanted: Callable[[Region, _Content], bool],
) -> None:
    """Add what is wanted to the open regions, outer ones first, up to so many boxes."""
    size = sum(content[id].size for id in opened) - len(opened) + 1
    queue = sorted(opened)
    for id in queue:  # the queue grows while it is walked
        for region in content[id].regions:
            inner = content[region.id]
            if region.id in opened or not wanted(region, inner):
                continue
            if size + inner.size - 1 <= most:
                size += inner.size - 1
                opened.add(region.id)
                queue.append(region.id)


def _is_plain_scope(region: Region, content: _Content) -> bool:
    return region.block is None and not content.repeated


def _spread(graph: Graph, around: dict[int, tuple[Region, ...]]) -> set[int]:
    """The regions that give values of several spatial sizes, or join those of more than two, and
    have parts of several sizes."""
    chains = {id: [region.id for region in chain] for id, chain in around.items()}
    taken: dict[int, set[Spatial]] = {id: set() for id in graph.regions}
    given: dict[int, set[Spatial]] = {id: set() for id in graph.regions}
    parts: dict[int, set[Spatial]] = {id: set() for id in graph.regions}
    outputs = {output.node for output in graph.outputs}
    for node in graph.nodes():
        size = size_of(node.type)
        if not size:
            continue
        here = chains[node.region]
        parts[node.region].add(size)
        if node.id in outputs:
            _add(given, here, size)
        for user, _ in graph.users(node.id):
            there = chains[graph.node(user).region]
            shared = sum(1 for a, b in zip(here, there, strict=False) if a == b)
            _add(given, here[shared:], size)
            _add(taken, there[shared:], size)
    for region in graph.regions.values():
        if region.parent is not None:
            parts[region.parent] |= given[region.id]
    return {
        id
        for id in graph.regions
        if len(parts[id]) > 1 and (len(given[id]) > 1 or len(taken[id]) > 2)
    }


def _add(found: dict[int, set[Spatial]], regions: Sequence[int], size: Spatial) -> None:
    for id in regions:
        found[id].add(size)
