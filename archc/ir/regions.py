"""The tree of regions: what is around a region, what it reads and gives, where a path leads; and
which nodes are of one text."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from archc.diagnostics import Span, did_you_mean, error
from archc.ir.graph import Graph, Node, Region


def chains(graph: Graph) -> dict[int, tuple[int, ...]]:
    """For each region, the ids from the net's own region down to it."""
    found: dict[int, tuple[int, ...]] = {}
    for region in graph.regions.values():  # a region stands behind the one around it
        above = () if region.parent is None else found[region.parent]
        found[region.id] = (*above, region.id)
    return found


@dataclass(frozen=True, slots=True)
class Boundary:
    """The nodes whose values enter a region and leave it, each once, oldest first.

    What an output of the net gives leaves all regions around it.
    """

    reads: dict[int, None] = field(default_factory=dict)
    gives: dict[int, None] = field(default_factory=dict)


def boundaries(graph: Graph) -> dict[int, Boundary]:
    """The boundary of every region."""
    around = {id: frozenset(chain) for id, chain in chains(graph).items()}
    found = {id: Boundary() for id in graph.regions}
    given = {output.node for output in graph.outputs}
    for node in graph.nodes():
        here = around[node.region]
        readers = [around[graph.node(user).region] for user, _ in graph.users(node.id)]
        inside = frozenset() if node.id in given else here
        for there in readers:
            inside &= there
            for region in there - here:
                found[region].reads[node.id] = None
        for region in here - inside:
            found[region].gives[node.id] = None
    return found


def receivers(graph: Graph) -> dict[int, list[Region]]:
    """For each value that regions are given as an input, these regions."""
    found: dict[int, list[Region]] = {}
    for region in graph.regions.values():
        for node in dict.fromkeys(node for _, node in region.inputs):
            found.setdefault(node, []).append(region)
    return found


def by_text(nodes: Iterable[Node]) -> Iterable[list[Node]]:
    """The nodes in groups of the same text: what one line of the spec has applied.

    They are one line of one class of the emitted file, too, so what a pass does to one of them it
    does to all.
    """
    groups: dict[Span, list[Node]] = {}
    for node in nodes:
        groups.setdefault(node.span, []).append(node)
    return groups.values()


_MOST_NAMED = 8


def find_region(graph: Graph, name: str) -> list[int]:
    """The applications of the module at a path, as `features.denseblock1`. Raises ArchError."""
    found = [region.id for region in graph.regions.values() if ".".join(region.path) == name]
    if found and name:
        return found
    paths = {".".join(region.path) for region in graph.regions.values() if region.path}
    layers = {".".join(node.layer.path) for node in graph.nodes() if node.layer.path}
    if name in layers:
        raise error("E0811", f"`{name}` is one operator: there is nothing in it to open")
    of_block = [
        ".".join(region.path)
        for region in graph.regions.values()
        if region.path and region.block == name
    ]
    if of_block:
        listed = ", ".join(f"`{path}`" for path in dict.fromkeys(of_block[:_MOST_NAMED]))
        more = " ..." if len(of_block) > _MOST_NAMED else ""
        raise error(
            "E0811",
            f"`{name}` is a block, and regions are named by their labels",
            help=f"its regions in `{graph.name}` are {listed}{more}",
        )
    raise error(
        "E0811",
        f"`{graph.name}` has no region `{name}`",
        help=did_you_mean(name, paths) or _examples(paths),
    )


def natural(path: str) -> list[tuple[int, str]]:
    """A key that sorts paths as people do: `two.2` stands before `two.10`."""
    parts = re.split(r"([0-9]+)", path)
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]


def _examples(paths: set[str]) -> str:
    if not paths:
        return "it has no blocks and no scopes: every operator is shown"
    first = sorted(paths, key=lambda path: (path.count("."), natural(path)))[:5]
    return f"its regions are {', '.join(f'`{path}`' for path in first)}" + (
        ", and those in them" if len(paths) > len(first) else ""
    )
