"""The norms that read dense blocks from outside: of transitions, and the last one of a DenseNet."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace

from archc.ir.graph import Graph, Node
from archc.ir.regions import by_text
from archc.ir.sharing import Closing, DenseBlock, Rebuilt
from archc.ops.activation import Relu
from archc.ops.pooling import AvgPool, MaxPool


def closings(
    graph: Graph,
    blocks: Sequence[DenseBlock],
    activations: Sequence[Rebuilt],
    swaps: Mapping[int, int],
) -> Iterator[Closing]:
    """Those of the activations whose norms read a dense block's features, and pools after them.

    `swaps` has for pointwise convolutions the pool that runs before each.
    """
    features = {block.concats[-1] for block in blocks}
    found = {each.norm: _closing(graph, features, each, swaps) for each in activations}
    for group in by_text(map(graph.node, found)):
        closed = [each for norm in group if (each := found[norm.id]) is not None]
        if len(closed) == len(group):
            pooled = all(each.pool is not None for each in closed)
            yield from (each if pooled else _without_pool(each) for each in closed)


def _without_pool(closing: Closing) -> Closing:
    return replace(closing, pool=None, last=closing.activation)


def _closing(
    graph: Graph, features: Set[int], rebuilt: Rebuilt, swaps: Mapping[int, int]
) -> Closing | None:
    norm, activation = graph.node(rebuilt.norm), graph.node(rebuilt.activation)
    (x,) = graph.operands(norm.id)
    if x not in features or rebuilt.kept or not isinstance(activation.op, Relu):
        return None
    whole = Closing(norm.id, activation.id, None, activation.id)
    users = graph.users(activation.id)
    if len(users) != 1 or activation.id in {output.node for output in graph.outputs}:
        return whole
    after = graph.node(users[0][0])
    pool = graph.node(swaps.get(after.id, after.id))
    if after.region != norm.region or not _is_own_pool(graph, pool):
        return whole
    return replace(whole, pool=pool.id, last=after.id)


def _is_own_pool(graph: Graph, pool: Node) -> bool:
    """Whether it is a pool over 2 or 3 axes, a layer of the module that applies it."""
    own, path = graph.regions[pool.region].path, pool.layer.path
    pools = isinstance(pool.op, AvgPool | MaxPool) and pool.type.rank > 1
    return pools and path is not None and path[: len(own)] == own
