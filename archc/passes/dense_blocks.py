"""Dense blocks, found by what they compute: each layer reads all features before it."""

from collections.abc import Iterator, Mapping
from itertools import chain

from archc.ir.graph import Graph, Node
from archc.ir.regions import Boundary
from archc.ir.sharing import DenseBlock, DenseLayer
from archc.ops.activation import Relu
from archc.ops.convolution import Conv
from archc.ops.normalization import BatchNorm
from archc.ops.op import per_axis
from archc.ops.regularization import Dropout
from archc.ops.tensor import Concat


def dense_blocks(
    graph: Graph, members: Mapping[int, frozenset[int]], boundaries: Mapping[int, Boundary]
) -> Iterator[DenseBlock]:
    """The regions that are dense blocks as a whole; `members` are the nodes in each region.

    A module that is applied more than once is one in each place or in none. One layer makes a dense
    block only where a block of the same name has more of them, as with `blocks=[1, 6]`: by itself
    it has nothing to share.
    """
    found: dict[int, DenseBlock] = {}
    for id, boundary in boundaries.items():
        if len(boundary.reads) == len(boundary.gives) == 1:
            (last,) = boundary.gives
            block = _Finder(graph, id, members[id]).find(last)
            if block is not None:
                found[id] = block
    growing = {graph.regions[id].block for id, block in found.items() if len(block.layers) > 1}
    plain = {region.path for id, region in graph.regions.items() if id not in found}
    for id, block in found.items():
        region = graph.regions[id]
        if region.path not in plain and (len(block.layers) > 1 or region.block in growing - {None}):
            yield block


class _Finder:
    """Reads one region backwards, from its result, as a dense block."""

    def __init__(self, graph: Graph, region: int, members: frozenset[int]) -> None:
        self.graph = graph
        self.region = region
        self.members = members
        self.joined: dict[int, tuple[int, ...]] = {}
        for id in sorted(members):
            if isinstance(graph.node(id).op, Concat):
                parts = (self._parts(operand) for operand in graph.operands(id))
                self.joined[id] = tuple(chain.from_iterable(parts))

    def find(self, last: int) -> DenseBlock | None:
        """The region, whose only result is `last`, as a dense block; None where it is none."""
        source, *added = self._parts(last)
        if source in self.members or not added:
            return None
        layers = []
        for i, feature in enumerate(added):
            layer = self._layer(feature, (source, *added[:i]))
            if layer is None:
                return None
            layers.append(layer)
        concats = tuple(
            node for node in sorted(self.members) if isinstance(self.graph.node(node).op, Concat)
        )
        block = DenseBlock(self.region, source, tuple(layers), concats)
        whole = block.nodes == self.members and self._owns(block)
        return block if whole and self._prefixes(block, (source, *added)) else None

    def _owns(self, block: DenseBlock) -> bool:
        """Whether no norm serves twice, and all that is applied belongs to the region's module."""
        own, nodes = self.graph.regions[self.region].path, map(self.graph.node, block.nodes)
        paths = [(self.graph.regions[node.region].path, node.layer.path or own) for node in nodes]
        norms = [self.graph.node(norm).layer.path for each in block.layers for norm in each.norms]
        inside = all(path[: len(own)] == own for pair in paths for path in pair)
        return inside and len(set(norms)) == len(norms)

    def _parts(self, node: int) -> tuple[int, ...]:
        """What a value is a concatenation of, by concatenations of this region."""
        return self.joined.get(node, (node,))

    def _prefixes(self, block: DenseBlock, parts: tuple[int, ...]) -> bool:
        """Whether each concatenation holds the first features: a view of the buffer."""
        return all(
            self._parts(concat) == parts[: len(self._parts(concat))] for concat in block.concats
        )

    def _layer(self, feature: int, before: tuple[int, ...]) -> DenseLayer | None:
        """The layer that makes a feature from all those before it."""
        stages: list[tuple[int, int, int, int | None]] = []
        value = feature
        while len(stages) < 2:
            stage = self._stage(value)
            if stage is None:
                return None
            stages.insert(0, stage)
            (value,) = self.graph.operands(stage[0])
            if self._parts(value) == before:
                norms, activations, convs, dropouts = zip(*stages, strict=True)
                return DenseLayer(norms, activations, convs, dropouts)
        return None

    def _stage(self, value: int) -> tuple[int, int, int, int | None] | None:
        """Batch norm, ReLU, convolution and perhaps dropout, which end in a value."""
        dropout = None
        node = self._inside(value)
        if node is not None and isinstance(node.op, Dropout) and node.layer.path is None:
            dropout = node.id
            node = self._before(node)
        if node is None or not self._keeps_size(node):
            return None
        relu = self._before(node)
        if relu is None or not isinstance(relu.op, Relu):
            return None
        norm = self._before(relu)
        if norm is None or not isinstance(norm.op, BatchNorm):
            return None
        return norm.id, relu.id, node.id, dropout

    def _keeps_size(self, node: Node) -> bool:
        """Whether a node is a convolution with stride 1 whose result is as large as its input."""
        if not isinstance(node.op, Conv):
            return False
        (x,) = self.graph.operand_types(node.id)
        stride = per_axis(node.op.stride, x.rank, "stride")
        return x.spatial == node.type.spatial and {*stride} == {1}

    def _before(self, node: Node) -> Node | None:
        (operand,) = self.graph.operands(node.id)
        return self._inside(operand)

    def _inside(self, id: int) -> Node | None:
        """A node, if it is one of this region."""
        return self.graph.node(id) if id in self.members else None
