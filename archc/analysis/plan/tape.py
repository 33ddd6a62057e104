"""The forward pass, run on shapes alone: its steps, and the functions that autograd records."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from archc.analysis.plan.schedule import Kind, Phase, Schedule, Tensor
from archc.analysis.plan.values import Function, Kept, Layout, Sink, Stored, Value
from archc.ir.graph import Node
from archc.ops.autograd import DType, Record, Saved, Scratch
from archc.ops.op import TensorType
from archc.ops.regularization import Dropout
from archc.ops.size import Dim, Size


@dataclass(frozen=True)
class Sizes:
    """What turns types into tensors: the batch, the net's dtype, and sizes for symbols."""

    batch: int
    dtype: str = "float32"
    symbols: tuple[tuple[str, int], ...] = ()

    def shape(self, shape: tuple[Dim, ...], batched: bool = True) -> tuple[int, ...]:
        numbers = tuple(self._number(dim) for dim in shape)
        return (self.batch, *numbers) if batched else numbers

    def _number(self, dim: Dim) -> int:
        return dim.at(dict(self.symbols)[dim.symbol]) if isinstance(dim, Size) else dim

    def of(self, type_: TensorType) -> tuple[int, ...]:
        return self.shape(type_.shape, type_.batched)

    def name(self, dtype: DType) -> str:
        """A dtype of operators by its name in torch, on a CPU."""
        return self.dtype if dtype in ("float", "mask") else dtype


@dataclass
class Tape:
    """Runs operators on values: writes steps, and records functions where gradients are wanted."""

    schedule: Schedule
    sizes: Sizes
    training: bool
    sinks: dict[tuple[str, str], Function] = field(default_factory=dict)
    functions: list[Function] = field(default_factory=list)
    """What autograd has recorded, in order."""
    phase: Phase = "forward"

    def apply(self, node: Node, operands: Sequence[Value], region: str) -> Value:
        """Run one operator: each function of it is a step."""
        if isinstance(node.op, Dropout) and not self.training:
            return operands[0]
        results: list[Value] = []
        sinks = self._sinks(node, operands)
        for record in node.op.records([value.type for value in operands], node.type):
            reads = tuple(operands[i] if i >= 0 else results[~i] for i in record.reads)
            used, sinks = sinks[: len(record.weights)], sinks[len(record.weights) :]
            results.append(self._run(node, record, reads, used, region))
        if node.op.runtime:  # a function, whose names hold what it computes
            for result in results:
                if result.tensor is not None:
                    self.schedule.hold(result.tensor, len(self.schedule.steps) - 1)
        return results[-1] if results else operands[0]

    def keep(self, value: Value) -> Kept | None:
        """What autograd keeps for a value; None for a parameter, which is there in any case."""
        if value.recipe is not None:
            return value.recipe.use()
        return None if value.tensor is None else Stored(value.tensor)

    def _run(
        self, node: Node, record: Record, reads: tuple[Value, ...], sinks: tuple[Sink, ...],
        region: str,
    ) -> Value:  # fmt: skip
        function = self._function(node, record, reads, sinks, region)
        if record.view and not any(value.tensor for value in reads):
            return Value(None, record.type, source=function)
        saves = [
            saved for saved in record.saves
            if saved.gradient is None or reads[saved.gradient].source is not None
        ]  # fmt: skip
        inputs = [s for s in saves if s.what == "input"] if function else []
        copies = [s for s in inputs if s.plain and reads[s.operand].layout != "plain"]
        copied = {s: self._copy(node, reads[s.operand], region) for s in copies}
        kept = [
            Stored(copied[saved]) if saved in copied
            else self.keep(_as_kept(reads[saved.operand], saved))
            for saved in inputs
        ]  # fmt: skip
        value = self._result(node, record, reads, region, function)
        new = [saved for saved in saves if saved.what in ("new", "number")]
        new = new if function else [saved for saved in new if saved.always]
        made = [self._made(node, saved, region) for saved in new]
        used = [each.tensor for each in reads if each.tensor is not None]
        assert value.tensor is not None
        self.schedule.step(
            name_of(node, region), self.phase, used, [value.tensor, *copied.values(), *made]
        )
        if function is not None:
            function.result = value.tensor
            kept += [self.keep(value) for saved in saves if saved.what == "output"]
            kept += [
                Stored(id) if saved.what == "number" else self.keep(Value(id, record.type))
                for saved, id in zip(new, made, strict=True)
            ]
            function.kept = [each for each in kept if each is not None]
        return value

    def _function(
        self, node: Node, record: Record, reads: tuple[Value, ...], sinks: tuple[Sink, ...],
        region: str,
    ) -> Function | None:  # fmt: skip
        """The function that autograd records, if a gradient is wanted of anything."""
        gradients = zip(reads, record.gradients, strict=True)
        wanted = bool(sinks) or any(v.source and g.how != "none" for v, g in gradients)
        if not (wanted and self.training):
            return None
        return self.record(name_of(node, region), region, record, reads, sinks)

    def record(
        self,
        label: str,
        region: str,
        record: Record,
        reads: tuple[Value, ...],
        sinks: tuple[Sink, ...],
    ) -> Function:
        """A function of autograd, the next in order."""
        number = len(self.functions) + 1
        self.functions.append(Function(number, label, region, record, reads, weights=sinks))
        return self.functions[-1]

    def _result(
        self, node: Node, record: Record, reads: tuple[Value, ...], region: str,
        function: Function | None,
    ) -> Value:  # fmt: skip
        id = self.tensor(
            name_of(node, region), self.sizes.of(record.type), "float", "activation", region
        )
        if record.view and reads[0].tensor is not None:
            moves = record.gradients[0].how == "view" and reads[0].layout == "last"
            if not moves:
                self.schedule.tensors[id].alias_of = self.schedule.storage(reads[0].tensor)
        if record.roomy and reads[0].tensor is not None and self.sizes.batch < 16:
            self.schedule.tensors[id].room = self.schedule.tensors[reads[0].tensor].bytes
        return Value(id, record.type, _layout(node, record, reads), function)

    def _copy(self, node: Node, value: Value, region: str) -> str:
        shape = self.sizes.of(value.type)
        return self.tensor(f"{name_of(node, region)}:copy", shape, "float", "saved", region)

    def _made(self, node: Node, saved: Saved, region: str) -> str:
        shape = self.sizes.shape(saved.shape, saved.per_sample)
        return self.tensor(f"{name_of(node, region)}:saved", shape, saved.dtype, "saved", region)

    def _sinks(self, node: Node, operands: Sequence[Value]) -> tuple[Sink, ...]:
        if node.layer.path is None:
            return ()
        path = ".".join(node.layer.path)
        weights = node.op.weights(*(value.type for value in operands))
        return tuple((self.sink(path, w.name), w.shape) for w in weights if w.trained)

    def sink(self, path: str, weight: str) -> Function:
        """Where the gradients of a parameter are added up; it runs as soon as it can."""
        label = f"{path}.{weight}" if weight else path
        new = Function(float("inf"), label, path.rpartition(".")[0], None)
        return self.sinks.setdefault((path, weight), new)

    def tensor(self, id: str, shape: tuple[int, ...], dtype: DType, kind: Kind, region: str) -> str:
        return self.schedule.add(Tensor(id, shape, self.sizes.name(dtype), kind, region))

    def scratch_bytes(self, scratch: Sequence[Scratch]) -> int:
        shapes = [(self.sizes.shape(s.shape, s.per_sample), s.dtype) for s in scratch]
        return sum(
            Tensor("", shape, self.sizes.name(dtype), "workspace", "").bytes
            for shape, dtype in shapes
        )


def _as_kept(value: Value, saved: Saved) -> Value:
    """A value as an operator keeps it: nobody knows how to make a view of it again."""
    return replace(value, recipe=None) if saved.viewed else value


def name_of(node: Node, region: str) -> str:
    """The name of an operator's result: its layer's path, or its own name in its region."""
    if node.layer.path is not None:
        return ".".join(node.layer.path)
    return f"{region}.{node.op.name}" if region else node.op.name


def _layout(node: Node, record: Record, reads: Sequence[Value]) -> Layout:
    type_ = record.type
    if record.view:
        reshapes = record.gradients[0].how == "view"
        return "plain" if reshapes else "part"
    spread = type_.channels > 1 and any(size != 1 for size in type_.spatial)
    if not spread or not type_.batched or any(saved.plain for saved in record.saves):
        return "plain"
    if node.op.name == "layer_norm":
        return "last"
    kept = type_.rank >= 2 or node.op.takes_learned
    return "last" if kept and any(value.layout == "last" for value in reads) else "plain"
