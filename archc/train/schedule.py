"""How the learning rate goes over a training: a factor of the recipe's rate for each step.

Steps are counted from 0; every schedule is per step, never per epoch.
"""

import math
from typing import Annotated

from msgspec import Meta, Struct

Share = Annotated[float, Meta(gt=0, lt=1)]


class Schedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name"):
    """A constant rate, after `warmup` epochs in which it grows linearly from 0."""

    warmup: Annotated[float, Meta(ge=0)] = 0

    def factor(self, step: int, epochs: int, batches: int) -> float:
        """The factor, from 0 to 1, of a step of `epochs` epochs with `batches` steps each."""
        warm = min(round(self.warmup * batches), epochs * batches)
        if step < warm:
            return (step + 1) / warm
        return self.after(step - warm, epochs * batches - warm)

    def after(self, step: int, steps: int) -> float:
        """The factor of a step of those after the warm-up."""
        return 1.0

    def cycle_ends(self, epochs: int, batches: int) -> tuple[int, ...]:
        """The numbers of steps after which a cycle is over, where there are cycles."""
        return ()


class Constant(Schedule, frozen=True, tag="constant"):
    """The same rate all along."""


def half_cosine(step: int, steps: int) -> float:
    """From 1 down to 0, which would be reached a step after the last one."""
    return (1 + math.cos(math.pi * step / steps)) / 2


class Cosine(Schedule, frozen=True, tag="cosine"):
    """Half a cosine from 1 down to 0 (Loshchilov and Hutter, 2017)."""

    def after(self, step: int, steps: int) -> float:
        return half_cosine(step, steps)


class StepDecay(Schedule, frozen=True, tag="step"):
    """The rate is multiplied by `gamma` at each of some shares of the epochs.

    They are rounded to whole epochs, and the warm-up counts among these.
    """

    at: tuple[Share, ...]
    gamma: Share = 0.1

    def factor(self, step: int, epochs: int, batches: int) -> float:
        warm = round(self.warmup * batches)
        if step < warm:
            return (step + 1) / warm
        drops = (round(share * epochs) for share in self.at)
        return self.gamma ** sum(step >= drop * batches for drop in drops)


class CyclicCosine(Schedule, frozen=True, tag="cyclic"):
    """`cycles` half cosines, each of which starts at 1 again (Huang et al., 2017, equation 2).

    Where the steps are no multiple of the cycles, these differ by one step at most; by the paper's
    formula the last one would be shorter by up to `cycles` - 1 steps.
    """

    cycles: Annotated[int, Meta(ge=1)]

    def after(self, step: int, steps: int) -> float:
        starts = self._starts(steps)
        cycle = max(k for k, start in enumerate(starts[:-1]) if start <= step)
        return half_cosine(step - starts[cycle], starts[cycle + 1] - starts[cycle])

    def cycle_ends(self, epochs: int, batches: int) -> tuple[int, ...]:
        warm = round(self.warmup * batches)
        return tuple(warm + start for start in self._starts(epochs * batches - warm)[1:])

    def _starts(self, steps: int) -> list[int]:
        """Where each cycle starts, and where the last one ends."""
        return [k * steps // self.cycles for k in range(self.cycles + 1)]


AnySchedule = Constant | Cosine | StepDecay | CyclicCosine
