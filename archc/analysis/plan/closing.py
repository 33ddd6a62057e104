"""The norm, ReLU and pool that read a dense block, run on shapes as `archc.runtime.norm_relu` runs.

What is as large as the block's features is made part by part, a sample or some at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from archc.analysis.plan.readers import WIDE, Part, correction, parts_of, widened
from archc.analysis.plan.schedule import SIZES, Kind, Tensor
from archc.analysis.plan.tape import Tape, name_of
from archc.analysis.plan.values import Again, Function, Grad, Recipe, Stored, Value
from archc.ir.graph import Graph
from archc.ir.sharing import Closing
from archc.ops.autograd import DType, Gradient, Record
from archc.ops.op import TensorType
from archc.ops.pooling import AvgPool, MaxPool


@dataclass
class ClosingRun:
    """One closing of a graph on a tape; `source` is what the dense block gives."""

    tape: Tape
    graph: Graph
    closing: Closing
    source: Value

    def __post_init__(self) -> None:
        self.norm = self.graph.node(self.closing.norm)
        self.region = ".".join(self.graph.regions[self.norm.region].path)
        self.name = name_of(self.norm, self.region)
        node = self.norm if self.closing.pool is None else self.graph.node(self.closing.pool)
        self.indices = isinstance(node.op, MaxPool)
        self.moves = isinstance(node.op, AvgPool) and node.type.rank == 3
        """Whether torch pools in the order of the shape, so that rows are a copy."""
        self.type = TensorType((self.norm.type.channels, *node.type.spatial))

    def forward(self) -> Value:
        """The result, which what reads it does not keep."""
        x, function = self.source, self.source.source
        assert x.tensor is not None
        assert function is not None
        features, moments, *_ = function.kept
        affine = self._new(f"{self.name}:affine", (4, self.norm.type.channels), "saved")
        y = self._new(self.name, self.tape.sizes.of(self.type), "activation")
        scratch = self._scratch(max(3 * self._width * WIDE, self._forward()))
        self.tape.schedule.step(self.name, "forward", [x.tensor], [affine, y, scratch])
        record = Record((0,), self.type, gradients=(Gradient(),))
        weights = [w for w in self.norm.op.weights(x.type) if w.trained]
        path = ".".join(self.norm.layer.path or ())
        sinks = tuple((self.tape.sink(path, w.name), w.shape) for w in weights)
        closed = self.tape.record(self.name, self.region, record, (x,), sinks)
        closed.kept = [features, moments, Stored(affine)]
        closed.backward, closed.result = self.backward, y
        self.function = closed
        again = Again(self.name, y, (scratch,))
        recipe = Recipe(self.tape.schedule, (x.tensor, affine), (again,))
        return Value(y, self.type, "last", closed, recipe)

    def backward(self, grad: Grad) -> list[tuple[Function, Grad]]:
        """The gradients of the features and of the norm's weights."""
        total = self._new(f"grad:{self.name}", self.tape.sizes.of(self.norm.type), "grad")
        sinks = [
            (sink, Grad(self._new(f"grad:{sink.label}", shape, "grad")))
            for sink, shape in self.function.weights
        ]
        made = [total, *(each.tensor for _, each in sinks), self._scratch(self._backward())]
        kept = [leaf for each in self.function.kept for leaf in each.leaves()]
        self.tape.schedule.step(f"{self.name} backward", "backward", [grad.tensor, *kept], made)
        assert self.source.source is not None
        return [(self.source.source, Grad(total)), *sinks]

    def _forward(self) -> int:
        """The bytes that a part needs: what is normalised, and what the pool makes of it; and the
        result of the part before."""
        sample, result = self._sample, self._result
        made = sample + sample // self._size * widened(self._size)
        if self.closing.pool is None:
            return max(part.before * sample + part.rows * made for part in self._parts)
        each = max(made, sample + (1 + self.moves) * result + self._positions)
        return max(part.before * result + part.rows * each for part in self._parts)

    def _backward(self) -> int:
        """The bytes that a part needs: what is normalised, its gradient, that of the part before,
        and where the maxima were; the sums by channel, and zeros for what has no gradient.
        """
        sample, sums, parts = self._sample, self._width * WIDE, self._parts
        pooled = max(self._result, sample) if self.indices else (1 + self.moves) * sample
        each = sample + pooled + self._positions
        most = max(part.before * sample + part.rows * each for part in parts)
        if widened(self._size):
            elements = sample // self._size
            made = sample + WIDE * elements
            most = max(most, *(2 * p.before * sample + p.rows * made for p in parts))
            most = max(most, *(p.rows * (sample + made) for p in parts))
            most = max(most, elements * correction(parts, self._size))
        return 6 * sums + max(most, parts[-1].rows * 2 * sample + 4 * sums)

    @property
    def _parts(self) -> list[Part]:
        """Of samples."""
        samples, channels, *positions = self.tape.sizes.of(self.norm.type)
        return parts_of(samples, 1, channels * prod(positions) * self._size)

    @property
    def _sample(self) -> int:
        """The bytes of one normalised sample."""
        return prod(self.tape.sizes.of(self.norm.type)[1:]) * self._size

    @property
    def _result(self) -> int:
        """The bytes of what the pool makes of it."""
        return prod(self.tape.sizes.of(self.type)[1:]) * self._size

    @property
    def _positions(self) -> int:
        """The bytes of the positions of its maxima, int64."""
        return self._result // self._size * SIZES["int64"] * self.indices

    @property
    def _width(self) -> int:
        return self.norm.type.channels

    @property
    def _size(self) -> int:
        return SIZES[self.tape.sizes.dtype]

    def _scratch(self, bytes: int) -> str:
        """What is needed while a step runs, as one tensor."""
        tensor = Tensor(f"scratch:{self.name}", (bytes,), "bool", "workspace", self.region)
        return self.tape.schedule.add(tensor)

    def _new(self, id: str, shape: Sequence[int], kind: Kind) -> str:
        dtype: DType = "float32" if id.endswith(":affine") else "float"
        return self.tape.tensor(id, tuple(shape), dtype, kind, self.region)
