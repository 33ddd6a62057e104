"""A dense block that shares its storage, run on shapes alone as `archc.runtime.dense_block` runs.

Its features lie in one buffer, and their gradients in one. What a layer needs for a moment is made
part by part, so that it never lies in memory as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from archc.analysis.plan.readers import Reader
from archc.analysis.plan.schedule import SIZES, Kind, Phase, Tensor
from archc.analysis.plan.tape import Tape, name_of
from archc.analysis.plan.values import Function, Grad, Sink, Stored, Value
from archc.ir.graph import Graph, Node
from archc.ir.sharing import DenseBlock, DenseLayer
from archc.ops.autograd import DType, Gradient, Record
from archc.ops.op import TensorType, Weight
from archc.ops.regularization import Dropout


@dataclass
class Block:
    """One dense block of a graph on a tape; `keep` says whether bottlenecks are kept."""

    tape: Tape
    graph: Graph
    block: DenseBlock
    source: Value
    keep: bool
    kept: list[str] = field(default_factory=list)
    bottlenecks: dict[int, str] = field(default_factory=dict)
    moments: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        region = self.graph.regions[self.block.region]
        self.path = ".".join(region.path)
        self.type = self.graph.node(self.block.concats[-1]).type
        self.channels = self.source.type.channels
        self.layers = [self._readers(layer) for layer in self.block.layers]

    def forward(self) -> Value:
        """The features, as a value whose function is the whole block."""
        rows = self._rows(self.type.channels)
        self.buffer = self._new(self.path, rows, "activation")
        moments = self._new(f"{self.path}:moments", self._moments(self.type.channels), "saved")
        self.kept += [self.buffer, moments]
        reads = [] if self.source.tensor is None else [self.source.tensor]
        self._step("gather features", "forward", reads, list(self.kept))
        start = self.channels
        for number, readers in enumerate(self.layers):
            start = self._layer(number, readers, start)
        return Value(self.buffer, self.type, "last", self._function())

    def _function(self) -> Function:
        record = Record((0,), self.type, gradients=(Gradient(),))
        nodes = [node for readers in self.layers for r in readers for node in (r.norm, r.conv)]
        sinks = tuple(sink for node in nodes for sink in self._sinks(node))
        function = self.tape.record(self.path, self.path, record, (self.source,), sinks)
        function.kept = [Stored(id) for id in self.kept]
        function.backward, function.result = self.backward, self.buffer
        return function

    # ------------------------------------------------------------- forward

    def _layer(self, number: int, readers: Sequence[Reader], start: int) -> int:
        """Run one layer, which writes behind the first `start` channels; where it ends."""
        label = self._name(readers[0].conv)
        source = self.buffer
        for reader in readers[:-1]:
            self._start(reader)
            source = self._bottleneck(number, reader, "forward")
            moments = self._new(f"{label}:moments", self._moments(reader.out), "saved")
            self._step("measure", "forward", [source], [moments])
            self.moments[number] = moments
            self.kept.append(moments)
            if self.keep:
                self.bottlenecks[number] = source
                self.kept.append(source)
        last = readers[-1]
        self._start(last)
        part = self._new(self._name(last.conv), self._rows(last.out), "activation")
        tensor = self.tape.schedule.tensors[part]
        tensor.alias_of, tensor.alias_offset = self.buffer, start * self._size
        made = [part, self._scratch(last, last.forward())]
        self._step("grow", "forward", [source], made)
        copy = self._new(f"{self._name(last.conv)}:columns", self._rows(last.out), "workspace")
        self._step("measure", "forward", [part], [copy])
        return start + last.out

    def _bottleneck(self, number: int, reader: Reader, phase: Phase) -> str:
        name = self._name(reader.conv)
        kind: Kind = "activation" if phase == "forward" else "workspace"
        if phase == "recompute":
            self.tape.schedule.recomputed.add(name)
            name = f"again:{name}"
        id = self._new(name, self._rows(reader.out), kind)
        made = [id, self._scratch(reader, reader.forward())]
        self._step("bottleneck", phase, [self.buffer], made)
        return id

    def _start(self, reader: Reader) -> None:
        """What a reader keeps: its norm's four vectors, and what its dropout lets through."""
        affine = self._new(f"{self._name(reader.norm)}:affine", (4, reader.width), "saved")
        self._step("start", "forward", [], [affine, self._scratch(reader, reader.start())])
        self.kept.append(affine)
        if reader.dropout is not None:
            mask = self._new(self._name(reader.dropout), self._rows(reader.out), "saved", "bool")
            self._step("dropout", "forward", [], [mask])
            self.kept.append(mask)

    # ------------------------------------------------------------ backward

    def backward(self, grad: Grad) -> list[tuple[Function, Grad]]:
        """The gradients of the input and of all weights, which are given together."""
        self.results: list[tuple[Function, Grad]] = []
        self.total = self._new(f"grad:{self.path}", self._rows(self.type.channels), "grad")
        self.sums = self._sums(self.path, self.type.channels)
        self._step("start", "backward", [grad.tensor, *self.kept], [self.total, self.sums])
        start = self.type.channels
        for number in reversed(range(len(self.layers))):
            readers = self.layers[number]
            start -= readers[-1].out
            self._backward(number, readers)
        passed = []
        if self.source.source is not None:
            id = self._new(f"grad:{self.path}:input", self._rows(self.channels), "grad")
            passed = [(self.source.source, Grad(id))]
            self._step("finish", "backward", [self.total, *self._held], [id])
        return [*passed, *self.results]

    @property
    def _held(self) -> list[str]:
        """What lives until the function returns."""
        return [*self.kept, self.sums, *(grad.tensor for _, grad in self.results)]

    def _backward(self, number: int, readers: Sequence[Reader]) -> None:
        first, *rest = readers
        reads = [self.total]
        self._finish(first if not rest else rest[-1])
        for reader in rest:
            source = self.bottlenecks.get(number) or self._bottleneck(number, first, "recompute")
            total = self._new(f"grad:{self._name(first.conv)}", self._rows(first.out), "grad")
            sums = self._sums(self._name(first.conv), first.out)
            self._step("start", "backward", [source], [total, sums])
            reads = [self.total, source, total, sums]  # to the end of the layer
            self._read_backward(reader, reads)
        self._read_backward(first, [self.buffer, *reads])

    def _finish(self, reader: Reader) -> None:
        """Correct the gradient of a layer's features for the statistics, in place."""
        made = self._scratch(reader, reader.finish())
        self._step("finish", "backward", [self.total, self.buffer, *self._held], [made])

    def _read_backward(self, reader: Reader, reads: list[str]) -> None:
        """The gradients of one reader's weights; adds to that of what it reads."""
        sinks = [sink for node in (reader.norm, reader.conv) for sink in self._sinks(node)]
        grads = [(sink, self._new(f"grad:{sink.label}", shape, "grad")) for sink, shape in sinks]
        made = [*(id for _, id in grads), self._scratch(reader, reader.backward())]
        self._step("layer backward", "backward", [*reads, *self._held], made)
        self.results += [(sink, Grad(id)) for sink, id in grads]

    # ------------------------------------------------------------- tensors

    def _readers(self, layer: DenseLayer) -> list[Reader]:
        found = []
        for norm, conv, dropout in zip(layer.norms, layer.convs, layer.dropouts, strict=True):
            node = None if dropout is None else self.graph.node(dropout)
            drops = node if node and isinstance(node.op, Dropout) and node.op.rate else None
            width = self.graph.node(norm).type.channels
            out = self.graph.node(conv).type.channels
            batch, _, *spatial = self._rows(1)
            sizes = (width, out, batch, prod(spatial), self._size)
            found.append(Reader(self.graph.node(norm), self.graph.node(conv), drops, *sizes))
        return found

    def _rows(self, channels: int) -> tuple[int, ...]:
        batch, *spatial = self.tape.sizes.of(TensorType((1, *self.type.spatial)))
        return (batch, channels, *spatial[1:])

    def _moments(self, channels: int) -> tuple[int, ...]:
        return (2, channels)

    def _sums(self, name: str, channels: int) -> str:
        """What the gradients of the statistics add up to, until the features' gradient is whole."""
        return self._new(f"{name}:sums", self._moments(channels), "workspace")

    def _scratch(self, reader: Reader, bytes: int) -> str:
        """What a reader needs while a step runs, as one tensor."""
        id = f"scratch:{self._name(reader.conv)}"
        tensor = Tensor(id, (bytes,), "bool", "workspace", self.path)
        return self.tape.schedule.add(tensor)

    def _weights(self, node: Node) -> list[Weight]:
        operands = self.graph.operand_types(node.id)
        return [weight for weight in node.op.weights(*operands) if weight.trained]

    def _sinks(self, node: Node) -> list[Sink]:
        path = ".".join(node.layer.path or ())
        return [(self.tape.sink(path, w.name), w.shape) for w in self._weights(node)]

    @property
    def _size(self) -> int:
        return SIZES[self.tape.sizes.dtype]

    def _name(self, node: Node) -> str:
        return name_of(node, self.path)

    def _new(self, id: str, shape: tuple[int, ...], kind: Kind, dtype: DType | None = None) -> str:
        wanted: DType = "float32" if id.endswith((":moments", ":affine", ":sums")) else "float"
        return self.tape.tensor(id, shape, dtype or wanted, kind, self.path)

    def _step(self, op: str, phase: Phase, reads: Sequence[str], writes: Sequence[str]) -> None:
        self.tape.schedule.step(f"{self.path} {op}", phase, reads, writes)
