"""Where storages lie in one arena: best fit, in the order in which they are made.

Each storage gets the smallest gap that holds it, the lowest of equal ones, and is free again after
its last step (Knuth, The Art of Computer Programming, volume 1, section 2.5). The same schedule
gives the same offsets. Finding the smallest arena is NP-hard.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping

from archc.analysis.plan.schedule import Liveness

ALIGNMENT = 64
"""Storages begin at multiples of so many bytes: a cache line, and a vector of AVX-512."""


def assign_offsets(live: Liveness) -> tuple[dict[str, int], int]:
    """The offset of each storage, and the bytes of the arena."""
    made: dict[int, list[str]] = {}
    freed: dict[int, list[str]] = {}
    for id, span in live.storages.items():
        made.setdefault(span.first, []).append(id)
        freed.setdefault(span.last + 1, []).append(id)
    arena, offsets = _Arena(), dict[str, int]()
    for step in range(live.steps):
        for id in freed.get(step, ()):
            arena.free(offsets[id], _aligned(live.bytes[id]))
        for id in _largest_first(made.get(step, []), live.bytes):
            offsets[id] = arena.take(_aligned(live.bytes[id]))
    return offsets, arena.size


def _largest_first(ids: list[str], bytes: Mapping[str, int]) -> list[str]:
    return sorted(ids, key=lambda storage: -bytes[storage])


def _aligned(bytes: int) -> int:
    return -(-bytes // ALIGNMENT) * ALIGNMENT


class _Arena:
    """Bytes that grow at their end, with the gaps between what is taken."""

    def __init__(self) -> None:
        self.size = 0
        self.starts: dict[int, int] = {}
        self.ends: dict[int, int] = {}
        self.by_size: list[tuple[int, int]] = []

    def take(self, size: int) -> int:
        """The offset of the smallest gap that holds so many bytes; else of new ones at the end."""
        place = bisect_left(self.by_size, (size, 0))
        if place < len(self.by_size):
            whole, offset = self.by_size[place]
            self._remove(offset, whole)
            self._add(offset + size, whole - size)
            return offset
        offset = self.size
        if self.size in self.ends:  # the last gap becomes larger
            offset = self.ends[self.size]
            self._remove(offset, self.size - offset)
        self.size = offset + size
        return offset

    def free(self, offset: int, size: int) -> None:
        """Make a gap, together with those beside it."""
        end = offset + size
        if end in self.starts:
            following = self.starts[end]
            self._remove(end, following)
            end += following
        if offset in self.ends:
            before = self.ends[offset]
            self._remove(before, offset - before)
            offset = before
        self._add(offset, end - offset)

    def _add(self, offset: int, size: int) -> None:
        if size:
            self.starts[offset] = size
            self.ends[offset + size] = offset
            insort(self.by_size, (size, offset))

    def _remove(self, offset: int, size: int) -> None:
        del self.starts[offset]
        del self.ends[offset + size]
        del self.by_size[bisect_left(self.by_size, (size, offset))]
