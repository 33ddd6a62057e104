"""What `share-memory` has decided for a net, and why, in words."""

from dataclasses import dataclass

from archc.ir.branches import drop_paths, skippable
from archc.ir.graph import Graph
from archc.ir.sharing import DenseBlock
from archc.ops.regularization import SkippedPath


@dataclass(frozen=True, slots=True)
class Shared:
    """A part of a net for which less is kept: the path of its region or layer, and why."""

    path: str
    why: str


def shared_parts(graph: Graph, memory: str = "keep") -> tuple[Shared, ...]:
    """The parts, in the order of the net, in one of its modes of memory."""
    sharing = graph.sharing
    found = {
        conv: "its average pool runs before it: the result is smaller" for conv, _ in sharing.swaps
    }
    regions: dict[int, str] = {}
    if memory != "off":
        regions |= {block.region: _block(block, memory) for block in sharing.blocks}
        regions |= dict.fromkeys(sharing.rows, "only its input is kept: the block runs again")
        found |= dict.fromkeys(sharing.concats, "a concatenation, kept as its parts")
        for each in sharing.activations:
            what = "the norm" if each.kept else "the norm and its activation"
            found[each.norm] = f"{what}, made again from the norm's input"
        for closing in sharing.closings:
            found[closing.norm] = "norm and ReLU, made again part by part from a block's features"
    paths = [(id, path_of(graph, id), why) for id, why in found.items()]
    paths += [(id, ".".join(graph.regions[id].path), why) for id, why in regions.items()]
    return tuple(Shared(path, why) for _, path, why in sorted(paths))


def computed_branches(graph: Graph) -> tuple[Shared, ...]:
    """The branches that stochastic depth may drop and that are computed in any case, and why."""
    reasons = skippable(graph)
    ends = (end for end in drop_paths(graph) if not isinstance(end.op, SkippedPath))
    unread = "the pass stochastic-depth does not run"
    return tuple(Shared(path_of(graph, end.id), reasons[end.id] or unread) for end in ends)


def branches_text(graph: Graph) -> str:
    """What stochastic depth skips, in words."""
    computed = computed_branches(graph)
    skipped = sum(1 for _ in drop_paths(graph)) - len(computed)
    lines = [f"skipped where training drops them, and planned as if never: {skipped} branches"]
    for why in dict.fromkeys(each.why for each in computed):
        paths = [each.path for each in computed if each.why == why]
        more = ", ..." if len(paths) > _PATHS else ""
        lines.append(f"never skipped, because {why}: {', '.join(paths[:_PATHS])}{more}")
    return "\n".join(lines[not skipped :])


_PATHS = 3
"""So many branches are named."""


def _block(block: DenseBlock, memory: str) -> str:
    count = len(block.layers)
    layers = "1 layer" if count == 1 else f"{count} layers"
    narrow = any(len(layer.convs) > 1 for layer in block.layers)
    also = "the bottlenecks" if narrow and memory == "keep" else "nothing else"
    return f"the features of {layers} are kept once, in one buffer, and {also}"


def path_of(graph: Graph, id: int) -> str:
    """How a plan calls a node: by its layer's path, or by its region's and its operator."""
    node = graph.node(id)
    own = (*graph.regions[node.region].path, node.op.name)
    return ".".join(node.layer.path or own)
