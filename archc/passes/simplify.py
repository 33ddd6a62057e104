"""simplify: remove what computes nothing."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from archc.ir.graph import Graph, Node, Path, Region
from archc.ir.rebuild import Visit, rebuild
from archc.ir.regions import receivers
from archc.ops.activation import Identity, Relu
from archc.ops.arithmetic import Affine, Max, Min, Sum
from archc.ops.border import Crop, Pad
from archc.ops.op import Op, TensorType
from archc.ops.pooling import AvgPool, MaxPool, Pool
from archc.ops.rearrangement import ChannelShuffle, Reshape
from archc.ops.regularization import DropBlock, Dropout, DropPath, MaxDropout, SpatialDropout
from archc.ops.resize import Upsample
from archc.ops.tensor import Concat, Flatten, Take
from archc.passes.base import Pass


@dataclass(frozen=True)
class Simplify(Pass):
    """Remove operators whose result is their operand, and nodes that no output depends on.

    Removed are `identity`, `dropout(0)` and its like, `drop_path` at survival 1; `concat`,
    `sum`, `min` and `max` of one tensor; `x * 1` and `x + 0`; pools of windows of one position,
    `pad` and `crop` by nothing, `upsample(scale=1)`, `take` of all channels, `flatten` of a vector,
    `reshape` to the same shape, `channel_shuffle` that moves nothing, and `relu` of a `relu` in the
    same region. The function and the state_dict keys stay; strides and the order in which gradients
    are summed may change, and with them the last bits.

    Labelled layers stay, for attributes of the emitted module are API. Applications of one module
    stay alike: of a module that is applied more than once, only what computes nothing whatever its
    operands is removed, and what makes two inputs of one tensor, `(x, x) -> Block`, stays. Applied
    twice it does what it does applied once.
    """

    name: ClassVar[str] = "simplify"

    def run(self, graph: Graph) -> Graph:
        applications = Counter(region.path for region in graph.regions.values())
        given = receivers(graph)

        def rule(visit: Visit) -> Node:
            if visit.node.layer.path is not None or not _computes_nothing(visit, applications):
                return visit.keep()
            return visit.keep() if parts_inputs(visit, given) else visit.operands[0]

        return rebuild(graph, rule)


def parts_inputs(visit: Visit, given: Mapping[int, Sequence[Region]]) -> bool:
    """Whether a node and its operand are two inputs of one region."""
    regions = given.get(visit.node.id, ())
    others = (visit.values.get(other) for region in regions for _, other in region.inputs)
    return visit.operands[0] in others


def _computes_nothing(visit: Visit, applications: Counter[Path]) -> bool:
    node, op = visit.node, visit.node.op
    types = tuple(operand.type for operand in visit.operands)
    always = _ALWAYS.get(type(op))
    if always is not None and always(op, types):
        return True
    if isinstance(op, Relu):
        (before,) = visit.operands
        return isinstance(before.op, Relu) and before.region == node.region
    here = _HERE.get(type(op))
    path = visit.graph.regions[node.region].path
    return here is not None and applications[path] == 1 and here(op, types)


_Rule = Callable[[Any, tuple[TensorType, ...]], bool]


def _sizes(sizes: int | tuple[int, ...]) -> tuple[int, ...]:
    return sizes if isinstance(sizes, tuple) else (sizes,)


def _pools_nothing(op: Pool, _: tuple[TensorType, ...]) -> bool:
    strides = op.kernel if op.stride is None else op.stride
    return {*_sizes(op.kernel), *_sizes(strides)} == {1}


_ALWAYS: dict[type[Op], _Rule] = {
    Identity: lambda op, types: True,
    Dropout: lambda op, types: op.rate == 0,
    SpatialDropout: lambda op, types: op.rate == 0,
    DropBlock: lambda op, types: op.rate == 0,
    MaxDropout: lambda op, types: op.rate == 0,
    DropPath: lambda op, types: op.survival == 1,
    Concat: lambda op, types: len(types) == 1,
    Sum: lambda op, types: len(types) == 1,
    Min: lambda op, types: len(types) == 1,
    Max: lambda op, types: len(types) == 1,
    Affine: lambda op, types: op.factor == 1 and op.shift == 0,
    AvgPool: _pools_nothing,
    MaxPool: _pools_nothing,
    Pad: lambda op, types: op.does_nothing,
    Crop: lambda op, types: op.does_nothing,
    Upsample: lambda op, types: op.scale is not None and set(_sizes(op.scale)) == {1},
}
"""Decided by hyperparameters, so alike in all applications of a module."""

_HERE: dict[type[Op], _Rule] = {
    Take: lambda op, types: op.count == types[0].channels,
    Flatten: lambda op, types: types[0].rank == 0,
    Reshape: lambda op, types: op.shape == types[0].shape,
    ChannelShuffle: lambda op, types: op.groups in (1, types[0].channels),
}
"""Decided by the operand's type."""
