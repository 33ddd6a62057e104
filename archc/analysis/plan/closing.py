"""The norm, ReLU and pool that read a dense block, run on shapes as `archc.runtime.norm_relu` runs.

What is as large as the block's features is made part by part, a sample or some at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from archc.analysis.plan.dense import PART_BYTES
from archc.analysis.plan.schedule import SIZES, Kind, Tensor
from archc.analysis.plan.tape import Tape, name_of
from archc.analysis.plan.values import Again, Function, Grad, Recipe, Stored, Value
from archc.ir.graph import Graph
from archc.ir.sharing import Closing
from archc.ops.autograd import DType, Gradient, Record
from archc.ops.op import TensorType
from archc.ops.pooling import MaxPool


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
        self.type = TensorType((self.norm.type.channels, *node.type.spatial))

    def forward(self) -> Value:
        """The result, which what reads it does not keep."""
        x, function = self.source, self.source.source
        assert x.tensor is not None
        assert function is not None
        features, moments, *_ = function.kept
        affine = self._new(f"{self.name}:affine", (4, self.norm.type.channels), "saved")
        y = self._new(self.name, self.tape.sizes.of(self.type), "activation")
        scratch = self._scratch(whole=1)
        self.tape.schedule.step(self.name, "forward", [x.tensor], [affine, y, scratch])
        self.tape.recorded += 1
        record = Record((0,), self.type, gradients=(Gradient(),))
        closed = Function(self.tape.recorded, self.name, self.region, record, (x,))
        closed.kept = [features, moments, Stored(affine)]
        weights = [w for w in self.norm.op.weights(x.type) if w.trained]
        path = ".".join(self.norm.layer.path or ())
        closed.weights = tuple((self.tape.sink(path, w.name), w.shape) for w in weights)
        closed.backward = self.backward
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
        made = [total, *(each.tensor for _, each in sinks), self._scratch(whole=2)]
        kept = [leaf for each in self.function.kept for leaf in each.leaves()]
        self.tape.schedule.step(f"{self.name} backward", "backward", [grad.tensor, *kept], made)
        assert self.source.source is not None
        return [(self.source.source, Grad(total)), *sinks]

    def _scratch(self, whole: int) -> str:
        """What one part needs: tensors of its own size, and the results of a pool with them.

        Python's names hold the results of the part before until there are new ones.
        """
        samples, *shape = self.tape.sizes.of(self.norm.type)
        sample, size = prod(shape), SIZES[self.tape.sizes.dtype]
        number = max(1, min(samples, -(-samples * sample * size // PART_BYTES)))
        part = -(-samples // number)
        results = part * prod(self.tape.sizes.of(self.type)[1:])
        held = results if number > 1 else 0
        bytes = (whole * part * sample + results + held) * size + self.indices * results * 8
        id = f"scratch:{self.name}"
        return self.tape.schedule.add(Tensor(id, (bytes,), "bool", "workspace", self.region))

    def _new(self, id: str, shape: Sequence[int], kind: Kind) -> str:
        dtype: DType = "float32" if id.endswith(":affine") else "float"
        return self.tape.tensor(id, tuple(shape), dtype, kind, self.region)
