"""The spatial sizes that boxes stand for, and whether a net needs a row for each of them."""

from collections.abc import Iterable, Sequence

from archc.ir.graph import Graph, Node
from archc.ops.op import TensorType
from archc.ops.size import Dim

Spatial = tuple[Dim, ...]

_LARGE = 2**20
"""What a symbol is taken for where sizes are compared."""


def size_of(type_: TensorType) -> Spatial | None:
    """The spatial size of an image; () for a vector or a single position; None for a learned
    tensor, which is of no image."""
    if not type_.batched:
        return None
    return () if all(size == 1 for size in type_.spatial) else type_.spatial


def in_order(sizes: Iterable[Spatial]) -> list[Spatial]:
    """Sizes without repeats, the largest first; () is the last."""
    return sorted(set(sizes), key=lambda size: (_elements(size), str(size)), reverse=True)


def size_text(size: Spatial) -> str:
    """As people write it: `32 x 32`."""
    return " x ".join(map(str, size)) if size else "1 x 1"


def _elements(size: Spatial) -> int:
    total = 1 if size else 0
    for dim in size:
        total *= dim if isinstance(dim, int) else dim.at(_LARGE)
    return total


def leaving(graph: Graph, nodes: Sequence[int]) -> list[int]:
    """Those of the nodes whose values are read by others, or given by the net."""
    inside = set(nodes)
    given = {output.node for output in graph.outputs}
    return [
        id for id in nodes if id in given or any(user not in inside for user, _ in graph.users(id))
    ]


def given_value(graph: Graph, nodes: Sequence[int]) -> Node:
    """What a box of these nodes gives: of several values the last, but an image before a vector."""
    values = [graph.node(id) for id in leaving(graph, nodes) or nodes]
    images = [value for value in values if size_of(value.type)]
    return (images or values)[-1]


def sizes_of(graph: Graph, boxes: Sequence[Sequence[int]]) -> list[Spatial | None]:
    """For each box, given as its nodes, the size of what it gives; a learned tensor has the size
    that its first reader has."""
    sizes: list[Spatial | None] = []
    at: dict[int, int] = {}
    for i, nodes in enumerate(boxes):
        at.update(dict.fromkeys(nodes, i))
        sizes.append(size_of(given_value(graph, nodes).type))
    for i in reversed(range(len(boxes))):
        readers = (at[user] for node in boxes[i] for user, _ in graph.users(node))
        if sizes[i] is None:
            sizes[i] = next((sizes[j] for j in readers if j != i), ())
    return sizes


def needs_rows(
    graph: Graph, sizes: Sequence[Spatial | None], edges: Sequence[tuple[int, int]]
) -> bool:
    """Whether a net has exits, or several spatial sizes alive at once.

    A net whose sizes come one after the other leads from each to the next smaller one, gives values
    of one size, and finishes one size before the next goes on. Vectors and single positions, as of
    a gate, do not count.
    """
    if any(output.name is not None for output in graph.outputs):
        return True
    returned = {size_of(graph.node(output.node).type) for output in graph.outputs}
    if len(returned - {(), None}) > 1:
        return True
    rank = {size: i for i, size in enumerate(in_order(size for size in sizes if size))}
    crossing: list[tuple[int, int]] = []
    for source, target in edges:
        above, below = sizes[source], sizes[target]
        if not above or not below or above == below:
            continue
        if rank[below] != rank[above] + 1:
            return True
        crossing.append((source, target))
    return _side_by_side(sizes, edges, crossing)


def _side_by_side(
    sizes: Sequence[Spatial | None],
    edges: Sequence[tuple[int, int]],
    crossing: Sequence[tuple[int, int]],
) -> bool:
    """Whether two sizes go on side by side: one joins a value of the other, and what comes of that
    joins a later one.

    A block that reduces joins once: the values that its branches have brought down.
    """
    if len(crossing) < 2:
        return False
    brought = [0] * len(sizes)  # for each box, the values from the size above in it, as bits
    joins = [0] * len(sizes)
    readers: dict[int, list[int]] = {}
    for source, target in edges:
        readers.setdefault(target, []).append(source)
    for box in range(len(sizes)):
        same = [source for source in readers.get(box, ()) if sizes[source] == sizes[box]]
        parts = [brought[source] for source in same]
        parts += [1 << source for source, target in crossing if target == box]
        for part in parts:
            brought[box] |= part
        joins[box] = max((joins[source] for source in same), default=0)
        joins[box] += all(part != brought[box] for part in parts)
    return max(joins) > 1
