"""share-memory: find what need not be kept for the backward pass, by structure and not by name."""

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from archc.ir.graph import Graph, Node, Region
from archc.ir.regions import Boundary, boundaries, by_text, chains
from archc.ir.sharing import Rebuilt, Sharing
from archc.ops.activation import Activation
from archc.ops.convolution import Conv
from archc.ops.normalization import BatchNorm
from archc.ops.op import per_axis
from archc.ops.pooling import AvgPool
from archc.ops.tensor import Concat
from archc.passes.base import Pass
from archc.passes.closings import closings
from archc.passes.dense_blocks import dense_blocks
from archc.passes.kept_bytes import kept_bytes

WORTH = 4 / 5
"""A runtime pays where no more than this of what torch keeps stays."""

_DECLINED = "share-memory leaves the net as it is: it would still keep {:.0%} of what torch does"


@dataclass(frozen=True)
class ShareMemory(Pass):
    """Store features once: attach to the graph which values the backward pass finds elsewhere.

    Found are dense blocks (regions in which each layer is batch norm, ReLU and convolution, once or
    twice, of all features before it, and its result is appended to them), whose features lie in one
    buffer, and the norm that reads them from outside; other concatenations, whose parts are kept
    anyway; and activations of batch norms, which are cheap to compute again. An average pool that
    alone reads a 1x1 convolution, as in the transition of a DenseNet, runs before it: they commute,
    and fewer positions are convolved. With `recompute`, blocks in a row are run again, each from
    its own input. No node changes, and neither do the function, the state_dict or the running
    statistics; sums inside dense blocks and transitions are taken in another order, and with that
    the last bits change. A net that would keep more than four fifths of its bytes is left alone.
    """

    name: ClassVar[str] = "share-memory"
    last: ClassVar[bool] = True

    recompute: bool = False

    def run(self, graph: Graph) -> Graph:
        result = graph.copy()
        edges, members = boundaries(graph), _members(graph)
        blocks = tuple(dense_blocks(graph, members, edges))
        dense = frozenset(block.region for block in blocks)
        rows = tuple(_rows(graph, dense, members, edges)) if self.recompute else ()
        inside = frozenset[int]().union(*(members[region] for region in (*dense, *rows)))
        concats = tuple(sorted(_concats(graph, inside)))
        if blocks or concats or rows:
            swaps = tuple(_swaps(graph))
            activations = tuple(_activations(graph, inside))
            closed = tuple(closings(graph, blocks, activations, dict(swaps)))
            norms = {each.norm for each in closed}
            activations = tuple(each for each in activations if each.norm not in norms)
            sharing = Sharing(blocks, closed, concats, activations, swaps, rows)
            both = (sharing, Sharing())
            kept, whole = (kept_bytes(graph, each, members, edges) for each in both)
            worth = kept <= WORTH * whole
            result.sharing = sharing if worth else Sharing(declined=_DECLINED.format(kept / whole))
        return result


def _members(graph: Graph) -> dict[int, frozenset[int]]:
    """The nodes in each region, those in the regions inside included."""
    around = chains(graph)
    members: dict[int, set[int]] = {region: set() for region in graph.regions}
    for node in graph.nodes():
        for region in around[node.region]:
            members[region].add(node.id)
    return {region: frozenset(nodes) for region, nodes in members.items()}


def _concats(graph: Graph, inside: Set[int]) -> Iterator[int]:
    """Concatenations that a reader would keep, and those of the same text."""
    joined = (
        node
        for node in graph.nodes()
        if isinstance(node.op, Concat)
        and node.id not in inside
        and len(graph.operands(node.id)) > 1
    )
    for group in by_text(joined):
        ids = [node.id for node in group]
        if any(_keeps(graph, *use) for id in ids for use in _readers(graph, id)):
            yield from ids


def _readers(graph: Graph, id: int) -> Iterator[tuple[int, int]]:
    """The uses of a value, and of the concatenations it is a part of."""
    for user, position in graph.users(id):
        if isinstance(graph.node(user).op, Concat):
            yield from _readers(graph, user)
        else:
            yield user, position


def _keeps(graph: Graph, user: int, position: int) -> bool:
    """Whether a node keeps an operand for its backward pass."""
    node = graph.node(user)
    saved = node.op.saves(graph.operand_types(user), node.type)
    return any(each.what == "input" and each.operand == position for each in saved)


def _activations(graph: Graph, inside: Set[int]) -> Iterator[Rebuilt]:
    """Batch norms with the activation after them, where what lies between is needed nowhere else.

    An activation that many read is kept, and only what comes before it is computed again.
    """
    norms = (each for each in graph.nodes() if isinstance(each.op, BatchNorm))
    for group in by_text(norm for norm in norms if norm.id not in inside):
        found = [each for norm in group if (each := _activation(graph, norm)) is not None]
        if len(found) == len(group):
            kept = all(each.kept for each in found)
            yield from (replace(each, kept=kept) for each in found if not kept or each.between)


def _activation(graph: Graph, norm: Node) -> Rebuilt | None:
    users = graph.users(norm.id)
    if len(users) != 1 or norm.id in {output.node for output in graph.outputs}:
        return None
    after = graph.node(users[0][0])
    plain = after.region == norm.region and _stands_free(graph, after)
    if not plain or not isinstance(after.op, Activation) or fields(after.op):
        return None
    if any(graph.node(id).layer.path == norm.layer.path for id in _between(graph, norm, after)):
        return None  # its running statistics move in the order of its applications
    readers = sum(_keeps(graph, *use) for use in _readers(graph, after.id))
    return Rebuilt(norm.id, after.id, kept=readers > _FEW, between=after.op.keeps == "input")


def _stands_free(graph: Graph, activation: Node) -> bool:
    """Whether it is a function, or a layer of the module that applies it, but no step of an
    `nn.Sequential`, which calls its children itself."""
    own, path = graph.regions[activation.region].path, activation.layer.path
    return path is None or (path[: len(own)] == own and not path[-1].isdigit())


def _between(graph: Graph, first: Node, last: Node) -> Iterator[int]:
    return (id for id in range(first.id + 1, last.id) if id in graph)


_FEW = 2
"""So many readers are worth computing a value again for each of them."""


def _rows(
    graph: Graph,
    dense: Set[int],
    members: Mapping[int, Set[int]],
    boundaries: Mapping[int, Boundary],
) -> Iterator[int]:
    """Regions of one block in a row, each of which reads its predecessor's result alone.

    Not those inside of others, which run again with them, nor what is in dense blocks, nor what
    applies a layer of another place, or an extern one: nobody knows what a second call of it does.
    """
    applications = Counter(region.path for region in graph.regions.values())
    around = chains(graph)
    by_input: dict[tuple[int, int | None], Region] = {}
    for region in graph.regions.values():
        edge = boundaries[region.id]
        single = region.block is not None and len(edge.reads) == len(edge.gives) == 1
        single = single and all(_belongs(graph.node(node), region) for node in members[region.id])
        if single and dense.isdisjoint(around[region.id]) and applications[region.path] == 1:
            (source,) = edge.reads
            by_input[source, region.parent] = region
    found: set[int] = set()
    for region in by_input.values():
        (result,) = boundaries[region.id].gives
        following = by_input.get((result, region.parent))
        if following is not None and following.block == region.block:
            found |= {region.id, following.id}
    yield from (id for id in sorted(found) if found.isdisjoint(around[id][:-1]))


def _belongs(node: Node, region: Region) -> bool:
    """Whether what a node applies is a part of the region's module, and an operator of archc."""
    path = node.layer.path
    return not node.op.opaque and (path is None or path[: len(region.path)] == region.path)


# ------------------------------------------------------------------------- pools


def _swaps(graph: Graph) -> Iterator[tuple[int, int]]:
    """Pointwise convolutions with the average pool that alone reads each, where it shrinks."""
    final = {output.node for output in graph.outputs}
    for conv in graph.nodes():
        users = graph.users(conv.id)
        if conv.id in final or len(users) != 1 or not _is_pointwise(conv):
            continue
        pool = graph.node(users[0][0])
        if pool.region == conv.region and _shrinks(pool, conv):
            yield conv.id, pool.id


def _is_pointwise(node: Node) -> bool:
    op, rank = node.op, node.type.rank
    if not isinstance(op, Conv) or any(op.pads(rank)):
        return False
    kernel, stride = per_axis(op.kernel, rank, "kernel"), per_axis(op.stride, rank, "stride")
    return {*kernel, *stride} == {1}


def _shrinks(pool: Node, conv: Node) -> bool:
    """Whether a node is an average that leaves fewer positions, with no border of its own."""
    op = pool.op
    padded = isinstance(op, AvgPool) and any(per_axis(op.padding, pool.type.rank, "padding"))
    return isinstance(op, AvgPool) and not padded and pool.type.spatial != conv.type.spatial
