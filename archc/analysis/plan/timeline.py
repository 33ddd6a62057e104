"""What a plan is made of: the storages of one run of a net, and the steps in which they live."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Role = Literal["kept", "recomputed", "gradient", "momentary"]
"""Why bytes live: kept from the forward to the backward pass, computed again in the latter, a
gradient on its way, or needed for a moment."""

Decision = Literal["kept", "recomputed", "freed"]


@dataclass(frozen=True, slots=True)
class Storage:
    """The bytes of one or more tensors, which are allocated and freed together.

    `region` is the path of the module that made it, the layer's own where there is one; the `id`
    adds what made it there. It lives from step `first` to step `last`, both included.
    """

    id: str
    region: str
    shape: tuple[int, ...]
    """Of the tensor that it was made for."""
    dtype: str
    bytes: int
    first: int
    last: int
    role: Role
    decision: Decision
    why: str
    needed_by: tuple[str, ...] = ()
    """The modules whose backward pass reads it."""


@dataclass(frozen=True)
class Timeline:
    """One run of a net. Bytes are above inputs, parameters, their gradients and buffers."""

    steps: int
    backward_start: int
    """The first step that is not of the forward pass."""
    storages: Sequence[Storage]

    @cached_property
    def bytes(self) -> list[int]:
        """The bytes that live in each step."""
        return self.bytes_of(self.storages)

    def bytes_of(self, storages: Iterable[Storage]) -> list[int]:
        """The bytes of some of the storages that live in each step."""
        change = [0] * (self.steps + 1)
        for storage in storages:
            change[storage.first] += storage.bytes
            change[storage.last + 1] -= storage.bytes
        totals, total = [], 0
        for each in change[:-1]:
            total += each
            totals.append(total)
        return totals

    @property
    def peak(self) -> int:
        return max(self.bytes, default=0)

    @cached_property
    def kept(self) -> list[Storage]:
        """The storages that live when the forward pass has ended."""
        start = self.backward_start
        return [each for each in self.storages if each.first < start <= each.last]

    @property
    def saved(self) -> int:
        """The bytes that live when the forward pass has ended, the outputs included."""
        return sum(each.bytes for each in self.kept)


def listed(names: Iterable[str]) -> str:
    """The first of several names, and how many more there are."""
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - 2} more" if len(found) > 2 else ""
    return ", ".join(found[:2]) + more


def numbered(names: Iterable[str]) -> list[str]:
    """The names, each but the first of equal ones with its number."""
    found, counts = [], Counter[str]()
    for name in names:
        counts[name] += 1
        found.append(f"{name}#{counts[name]}" if counts[name] > 1 else name)
    return found
