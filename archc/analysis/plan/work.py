"""One function of autograd at work: the gradients that it gives, and what it needs meanwhile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from archc.analysis.plan.schedule import SIZES, Kind, Tensor
from archc.analysis.plan.tape import Tape
from archc.analysis.plan.values import Function, Grad
from archc.ops.autograd import Gradient, Record


@dataclass(frozen=True)
class _Target:
    """Something that gets a gradient: an operand by its position, or a weight (None)."""

    function: Function
    shape: tuple[int, ...]
    gives: Gradient
    operand: int | None = None

    @property
    def label(self) -> str:
        return f"grad:{self.function.label}"


@dataclass
class Work:
    """A function that is given the gradient of its result, and the steps of its running."""

    tape: Tape
    function: Function
    grad: Grad
    writes: list[str] = field(default_factory=list)
    made: int = 0
    """Bytes of what is made so far."""
    most: int = 0
    """The most bytes at a time, what is needed meanwhile included."""

    def run(self) -> list[tuple[Function, Grad]]:
        """The gradients with the functions that they go to, in the order of the operands."""
        kept = [each.take() for each in self.function.kept]
        if self._record.copies and not self.grad.whole:
            self._new("copy", self._out, "workspace")
        targets = list(self._targets())
        whole = [self._whole(target) for target in targets]
        self._scratch()
        schedule = self.tape.schedule
        label = f"{self.function.label} backward"
        schedule.step(label, "backward", [self.grad.tensor, *kept], self.writes)
        given = self._summed(targets, whole)
        for leaf in (leaf for each in self.function.kept for leaf in each.leaves()):
            schedule.hold(leaf, len(schedule.steps) - 1)
        pairs = zip(targets, given, strict=True)
        ordered = sorted(pairs, key=lambda pair: _order(pair[0]))
        return [(target.function, grad) for target, grad in ordered]

    def _targets(self) -> Iterator[_Target]:
        """What gets a gradient, in the order in which they are computed."""
        operands = sorted(enumerate(self._record.gradients), key=lambda pair: not pair[1].first)
        for i, gives in operands:
            value = self.function.reads[i]
            if value.source is not None and gives.how != "none":
                yield _Target(value.source, self.tape.sizes.of(value.type), gives, i)
        for (sink, shape), gives in zip(self.function.weights, self._record.weights, strict=True):
            yield _Target(sink, shape, gives)

    def _whole(self, target: _Target) -> Grad:
        """A gradient as the function computes it, not summed yet."""
        gives = target.gives
        if gives.how == "same":
            return self.grad
        if gives.how in ("view", "part"):
            return self._alias(target)
        shape = self._out if gives.summed else target.shape
        kind: Kind = "workspace" if gives.summed else "grad"
        grad = self._new(target.label, shape, kind, self.tape.scratch_bytes(gives.scratch))
        return replace(grad, own=not gives.viewed)

    def _alias(self, target: _Target) -> Grad:
        """A view of the result's gradient: all of it, or the channels of one operand."""
        schedule = self.tape.schedule
        id = self._tensor(target.label, target.shape, "grad")
        self.writes.append(id)
        tensor, given = schedule.tensors[id], schedule.tensors[self.grad.tensor]
        tensor.alias_of = schedule.storage(self.grad.tensor)
        tensor.alias_offset = given.alias_offset
        if target.gives.how == "view":
            return Grad(id, self.grad.whole, own=False)
        before = sum(read.type.channels for read in self.function.reads[: target.operand])
        size = SIZES[self.tape.sizes.dtype]
        tensor.alias_offset += before * prod(tensor.shape[2:]) * size
        alone = tensor.shape[0] == 1 or tensor.bytes == given.bytes
        return Grad(id, self.grad.whole and alone, own=False)

    def _summed(self, targets: Sequence[_Target], whole: Sequence[Grad]) -> list[Grad]:
        """The gradients, those of what was broadcast summed: a step after the function's own."""
        given, summed = list(whole), [i for i, t in enumerate(targets) if t.gives.summed]
        for i in summed:
            id = self._tensor(targets[i].label, targets[i].shape, "grad")
            given[i] = Grad(id, own=not targets[i].gives.viewed)
        if summed:
            reads = [self.grad.tensor, *(grad.tensor for grad in whole)]
            made = [given[i].tensor for i in summed]
            self.tape.schedule.step(f"{self.function.label} sum", "backward", reads, made)
        return given

    def _new(self, label: str, shape: tuple[int, ...], kind: Kind, scratch: int = 0) -> Grad:
        """A tensor, while some bytes more are needed."""
        id = self._tensor(label, shape, kind)
        self.writes.append(id)
        self.made += self.tape.schedule.tensors[id].bytes
        self.most = max(self.most, self.made + scratch)
        return Grad(id)

    def _scratch(self) -> None:
        """One tensor stands for all that is needed beside the results."""
        extra = self.most - self.made
        if extra > 0:
            id = f"scratch:{self.function.label}"
            tensor = Tensor(id, (extra,), "bool", "workspace", self.function.region)
            self.writes.append(self.tape.schedule.add(tensor))

    def _tensor(self, label: str, shape: tuple[int, ...], kind: Kind) -> str:
        return self.tape.tensor(label, shape, "float", kind, self.function.region)

    @property
    def _record(self) -> Record:
        assert self.function.record is not None
        return self.function.record

    @property
    def _out(self) -> tuple[int, ...]:
        return self.tape.sizes.of(self._record.type)


def _order(target: _Target) -> tuple[bool, int]:
    """Operands by position, then weights."""
    return target.operand is None, target.operand or 0
