"""Regions that the backward pass runs again from their inputs, as `archc.runtime.rerun` does."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from archc.analysis.plan.schedule import Kind, Phase, Tensor
from archc.analysis.plan.tape import Tape
from archc.analysis.plan.values import Kept, Value


class _Enough(Exception):
    """All that a region's backward needs is there again."""


GENERATOR_BYTES = 5056
"""The state of torch's random numbers on a CPU, kept so that dropouts draw the same again."""


@dataclass(eq=False)
class Rerun:
    """One application of a region: what runs it on an input, and the input that stays."""

    run: Callable[[Tape, Value], Value]
    input: Value
    tape: Tape
    region: str
    kept: list[str] = field(default_factory=list)
    """What its functions would keep, in order."""
    again: list[str] | None = None

    def forward(self) -> Value:
        """The region's result; its functions keep places instead of tensors."""
        self.generator = self._generator("forward")
        first = _Places(**vars(self.tape), rerun=self)
        value = self.run(first, replace(self.input, recipe=None))
        self.tape.schedule.hold(self.generator, len(self.tape.schedule.steps) - 1)
        return value

    def leaves(self) -> Sequence[str]:
        """What stays until all functions in the region have run."""
        return [self.generator, *([] if self.input.tensor is None else [self.input.tensor])]

    def tensor(self, index: int) -> str:
        """What was kept at a place, after the region has been run again."""
        if self.again is None:
            replay = _Replay(**{**vars(self.tape), "phase": "recompute"}, wanted=len(self.kept))
            generator = self._generator("recompute")  # the one now, to be restored
            with suppress(_Enough):
                self.run(replay, replace(self.input, recipe=None))
            self.tape.schedule.hold(generator, len(self.tape.schedule.steps) - 1)
            self.again = replay.found
        return self.again[index]

    def _generator(self, phase: Phase) -> str:
        """A state of the random numbers."""
        schedule = self.tape.schedule
        kind: Kind = "saved" if phase == "forward" else "workspace"
        state = Tensor(f"{self.region}:generator", (GENERATOR_BYTES,), "bool", kind, self.region)
        id = schedule.add(state)
        schedule.step("generator", phase, [], [id])
        return id


@dataclass
class _Places(Tape):
    rerun: Rerun = field(kw_only=True)

    def keep(self, value: Value) -> Kept | None:
        if value.tensor is None:
            return None
        self.rerun.kept.append(value.tensor)
        return _Place(self.rerun, len(self.rerun.kept) - 1)


@dataclass(frozen=True)
class _Place:
    rerun: Rerun
    index: int

    def leaves(self) -> Sequence[str]:
        return self.rerun.leaves()

    def take(self) -> str:
        return self.rerun.tensor(self.index)


@dataclass
class _Replay(Tape):
    """Runs until as much is kept as the first time."""

    wanted: int = field(kw_only=True)
    found: list[str] = field(default_factory=list)

    def keep(self, value: Value) -> Kept | None:
        if value.tensor is not None:
            self.found.append(value.tensor)
            if len(self.found) == self.wanted:
                raise _Enough
        return None
