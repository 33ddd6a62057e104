"""The survival of branches that have none of their own: what `@stochastic_depth` says of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from archc.ir.annotations import Annotation, StochasticDepth
from archc.ir.branches import drop_paths
from archc.ir.graph import Graph, Node, Path, Region
from archc.ops.regularization import DropPath


def schedule(graph: Graph) -> None:
    """Give each `drop_path` without a survival that of the annotations around it.

    Branch l of L survives with `1 - l / L * (1 - final_survival)` where the schedule is linear
    (Huang et al., 1603.09382). l counts all drop_paths of the net in the order of the text, those
    of a module that is applied again only once. Of each parameter the annotation next to it counts:
    that of the assignment, then of the block, then of what is around it, at last of the net.
    """
    places = _places(graph)
    for node in list(drop_paths(graph)):
        op = node.op
        assert isinstance(op, DropPath)
        said = [each for each in _around(graph, node) if isinstance(each, StochasticDepth)]
        if op.survival is not None or not said:
            continue
        final = next((each.final_survival for each in said if each.final_survival), 0.5)
        mode = next((each.mode for each in said if each.mode), op.mode)
        linear = next((each.schedule for each in said if each.schedule), "linear") == "linear"
        op = replace(op, survival=final, mode=mode)
        if linear and op.of == 1:
            op = replace(op, branch=places[node.id], of=max(places.values()))
        layer = replace(node.layer, op=op)
        graph.add_node(replace(node, layer=layer), graph.operands(node.id))


def _places(graph: Graph) -> dict[int, int]:
    """Which of the net's branches each drop_path ends, from 1."""
    seen: Counter[int] = Counter()
    numbers: dict[tuple[Path, int], int] = {}
    places: dict[int, int] = {}
    for node in drop_paths(graph):
        key = graph.regions[node.region].path, seen[node.region]
        seen[node.region] += 1
        places[node.id] = numbers.setdefault(key, len(numbers) + 1)
    return places


def _around(graph: Graph, node: Node) -> Iterator[Annotation]:
    """The annotations of a node, the nearest first."""
    yield from node.annotations
    region: Region | None = graph.regions[node.region]
    while region is not None:
        yield from region.annotations
        region = None if region.parent is None else graph.regions[region.parent]
    yield from graph.info.annotations
