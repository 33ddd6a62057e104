"""What a plan is made of: tensors, and the steps that read and write them, in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Literal

Kind = Literal["input", "output", "activation", "saved", "grad", "workspace"]
Decision = Literal["kept", "recomputed", "shared", "freed"]
Phase = Literal["forward", "backward", "recompute"]

SIZES = {"float32": 4, "bfloat16": 2, "int64": 8, "bool": 1}
"""Bytes of an element."""


@dataclass(slots=True)
class Tensor:
    """A tensor of a run. `region` is the path of the module that it belongs to.

    An alias lies in the bytes of `alias_of`, which is no alias itself, from `alias_offset` on (the
    place of its first element). `inplace_of` is the tensor that it was written over.
    """

    id: str
    shape: tuple[int, ...]
    dtype: str
    kind: Kind
    region: str
    alias_of: str | None = None
    alias_offset: int = 0
    inplace_of: str | None = None
    decision: Decision = "freed"
    why: str = ""
    room: int = 0
    """The bytes of its storage, if these are more than it needs."""

    @property
    def bytes(self) -> int:
        return max(self.room, prod(self.shape) * SIZES[self.dtype])


@dataclass(frozen=True, slots=True)
class Step:
    """One function that runs: what it reads and what it writes, by the tensors' ids."""

    op: str
    phase: Phase
    reads: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """The first and the last step that uses something, both included."""

    first: int
    last: int


@dataclass
class Schedule:
    """The steps of one run of a net, and its tensors by id.

    `held` lives to the end, and what is in `holds` at least through a step; what is in
    `recomputed` was computed again.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    holds: dict[str, int] = field(default_factory=dict)
    recomputed: set[str] = field(default_factory=set)

    def add(self, tensor: Tensor) -> str:
        """Add a tensor under its id, or one with a number where that is taken; the id it gets."""
        name, number = tensor.id, 1
        while tensor.id in self.tensors:
            number += 1
            tensor.id = f"{name}#{number}"
        self.tensors[tensor.id] = tensor
        return tensor.id

    def again(self, id: str) -> str:
        """A tensor like another, which is computed again in its place."""
        like = self.tensors[id]
        self.recomputed.add(id)
        return self.add(replace(like, id=f"again:{id}", kind="workspace", alias_of=None))

    def step(self, op: str, phase: Phase, reads: Iterable[str], writes: Iterable[str]) -> None:
        """Append a step; what it reads twice stands once."""
        self.steps.append(Step(op, phase, tuple(dict.fromkeys(reads)), tuple(writes)))

    def hold(self, tensor: str, step: int) -> None:
        """Let a tensor live at least through a step."""
        self.holds[tensor] = max(step, self.holds.get(tensor, 0))

    def storage(self, id: str) -> str:
        """The tensor in whose bytes another lies: itself, unless it is an alias or in place."""
        tensor = self.tensors[id]
        while (below := tensor.alias_of or tensor.inplace_of) is not None:
            tensor = self.tensors[below]
        return tensor.id

    @property
    def backward_start(self) -> int:
        """The first step that is not of the forward pass."""
        phases = (i for i, step in enumerate(self.steps) if step.phase != "forward")
        return next(phases, len(self.steps))


@dataclass(frozen=True)
class Liveness:
    """When the tensors of a schedule are used, and when the storages that they lie in are live."""

    tensors: dict[str, Span]
    storages: dict[str, Span]
    bytes: dict[str, int]
    """Of each storage."""
    steps: int

    @cached_property
    def live(self) -> list[int]:
        """The bytes that are live in each step, inputs included."""
        return self.live_of(self.storages)

    def live_of(self, storages: Iterable[str]) -> list[int]:
        """The bytes of some storages that are live in each step."""
        change = [0] * (self.steps + 1)
        for storage in storages:
            span = self.storages[storage]
            change[span.first] += self.bytes[storage]
            change[span.last + 1] -= self.bytes[storage]
        totals, total = [], 0
        for each in change[:-1]:
            total += each
            totals.append(total)
        return totals


def liveness(schedule: Schedule) -> Liveness:
    """The spans of all tensors: from the step that writes one to the last that uses it."""
    last_step = max(len(schedule.steps) - 1, 0)
    spans: dict[str, Span] = {id: Span(0, last_step) for id in schedule.inputs}
    for number, step in enumerate(schedule.steps):
        for id in (*step.reads, *step.writes):
            first = spans[id].first if id in spans else number
            last = max(number, spans[id].last) if id in spans else number
            spans[id] = Span(first, last)
    for id, until in schedule.holds.items():
        spans[id] = Span(spans[id].first, max(until, spans[id].last))
    for id in schedule.held:
        spans[id] = Span(spans[id].first, last_step)
    storages: dict[str, list[Span]] = {}
    for id, span in spans.items():
        storages.setdefault(schedule.storage(id), []).append(span)
    whole = {id: _around(members) for id, members in storages.items()}
    sizes = {id: schedule.tensors[id].bytes for id in whole}
    return Liveness(spans, whole, sizes, len(schedule.steps))


def _around(spans: Sequence[Span]) -> Span:
    return Span(min(span.first for span in spans), max(span.last for span in spans))
