"""How many bytes of one sample a backward pass finds kept, in float32: as torch keeps them, or as a
`Sharing` has it. An estimate from `Op.saves`, for which nothing has to run."""

from collections.abc import Iterator, Mapping
from math import prod

from archc.ir.graph import Graph, Node
from archc.ir.regions import Boundary
from archc.ir.sharing import Sharing
from archc.ops.size import Dim

_BYTES = {"float": 4, "float32": 4, "mask": 4, "int64": 8, "bool": 1}
_SYMBOL = 64
"""A number for sizes that the spec leaves open. Shares of the whole hardly depend on it."""


def kept_bytes(
    graph: Graph,
    sharing: Sharing,
    members: Mapping[int, frozenset[int]],
    boundaries: Mapping[int, Boundary],
) -> int:
    """The bytes that live until the backward pass; `members` are the nodes in each region."""
    kept = _Kept(graph, sharing)
    for block in sharing.blocks:
        narrow = [conv for layer in block.layers for conv in layer.convs[:-1]]
        kept.keep(block.concats[-1], *narrow, of=block.nodes)
    for row in sharing.rows:
        kept.keep(*boundaries[row].reads, of=members[row])
    return kept.total()


class _Kept:
    """The values and new tensors that the nodes of a graph keep."""

    def __init__(self, graph: Graph, sharing: Sharing) -> None:
        self.graph = graph
        self.swaps = dict(sharing.swaps)
        self.done: set[int] = set()
        """The nodes of which it is already known what they keep."""
        self.kept: set[int] = set()
        self.bytes = {node.id: self._size(node) for node in graph.nodes()}
        self.home: dict[int, int] = {}
        """The node in whose storage a value lies."""
        for node in graph.nodes():
            view = node.op.view(*graph.operand_types(node.id))
            self.home[node.id] = self.home[graph.operands(node.id)[0]] if view else node.id
        self.recipes = {concat: graph.operands(concat) for concat in sharing.concats}
        """What values are made again of."""
        for each in sharing.activations:
            self.recipes[each.norm] = graph.operands(each.norm)
            if not each.kept:
                self.recipes[each.activation] = (each.norm,)
        for closing in sharing.closings:
            inner = (closing.norm, closing.activation, closing.pool)
            source = graph.operands(closing.norm)
            self.recipes |= {node: source for node in inner if node is not None}
        for conv, pool in sharing.swaps:
            self._swap(conv, pool)

    def _swap(self, conv: int, pool: int) -> None:
        """The pool reads what the convolution does; it, what the pool gives then."""
        (x,) = self.graph.operands(conv)
        self.keep(x, of=frozenset((conv, pool)))
        if x in self.recipes:
            return
        self.kept.add(conv)
        self.bytes[conv] = self.bytes[x] * self.bytes[pool] // (self.bytes[conv] or 1)

    def keep(self, *values: int, of: frozenset[int]) -> None:
        """Some nodes keep these values together, and nothing else."""
        self.done |= of
        for value in values:
            self.kept.update(self._leaves(value))

    def total(self) -> int:
        new = sum(self._new(node) for node in self.graph.nodes() if node.id not in self.done)
        return new + sum(self.bytes[id] for id in self.kept)

    def _new(self, node: Node) -> int:
        """The bytes of what a node computes only to keep it; notes the values that it keeps."""
        operands, new = self.graph.operands(node.id), 0
        for saved in node.op.saves(self.graph.operand_types(node.id), node.type):
            if saved.what == "new":
                new += prod(map(_at, saved.shape)) * _BYTES[saved.dtype]
            else:
                value = operands[saved.operand] if saved.what == "input" else node.id
                self.kept.update(self._leaves(value))
        return new

    def _leaves(self, value: int) -> Iterator[int]:
        """The values that are kept for one that the backward pass needs."""
        if value not in self.recipes:
            yield self.home[value]
        for operand in self.recipes.get(value, ()):
            yield from self._leaves(operand)

    def _size(self, node: Node) -> int:
        """Inputs and learned tensors live in any case."""
        made = node.type.batched and self.graph.operands(node.id)
        return prod(map(_at, node.type.shape)) * _BYTES["float"] if made else 0


def _at(dim: Dim) -> int:
    return dim if isinstance(dim, int) else dim.at(_SYMBOL)
