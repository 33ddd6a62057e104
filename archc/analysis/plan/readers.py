"""The readers of a dense block's features: what they need for a moment, by `archc.runtime`.

They work on parts of the rows, so that what they compute never lies in memory as a whole. Python's
names hold what the part before has made until it is made anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod

from archc.ir.graph import Node
from archc.ops.convolution import Conv
from archc.ops.op import TensorType, per_axis

WIDE = 4
"""The bytes of an element of float32, in which statistics are, and what is computed with them."""

PART_BYTES = 2 << 20
"""The size of the parts, on a CPU with one thread: that of `archc.runtime.feature_rows`."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows that are worked on, and how many the part before them had: 0 for the first."""

    before: int
    rows: int


def parts_of(units: int, rows: int, row_bytes: int, multiple: int = 1) -> list[Part]:
    """So many units of `rows` rows each, cut as `archc.runtime.feature_rows.row_parts` does."""
    steps = units // multiple
    number = max(1, min(steps, -(-units * rows * row_bytes // PART_BYTES)))
    ends = [steps * i // number * multiple for i in range(number)] + [units]
    sizes = [(stop - start) * rows for start, stop in pairwise(ends)]
    return [Part(before, size) for before, size in pairwise([0, *sizes])]


def widened(size: int) -> int:
    """The bytes of what a narrow element becomes beside statistics; 0 where it stays as it is."""
    return WIDE if size < WIDE else 0


def correction(parts: Sequence[Part], size: int) -> int:
    """What the correction of a gradient for the statistics needs for each feature."""
    return max(part.before + part.rows for part in parts) * (widened(size) or size)


@dataclass(frozen=True)
class Reader:
    """Norm, ReLU, convolution, dropout: `width` channels to `out`, both at so many positions of
    each sample. What its methods say is in bytes."""

    norm: Node
    conv: Node
    dropout: Node | None
    width: int
    out: int
    batch: int
    positions: int
    size: int
    """The bytes of an element."""

    def start(self) -> int:
        """What the norm's four vectors need, besides themselves."""
        return (5 if widened(self.size) else 3) * WIDE * self.width

    def forward(self) -> int:
        """What a part needs: the activation and the result, or the result and its dropout; and the
        result of the part before."""
        result = self.out * (2 if self._moves(self.out) else 1)
        most = self.size * max(self.width + result, 3 * self.out * bool(self.dropout))
        most = max(most, (widened(self.size) + self.size) * self.width)
        return max(part.before * self.size * self.out + part.rows * most for part in self._parts)

    def backward(self) -> int:
        """What a part needs: the activation and its gradient, those of the part before, and the
        sums over the parts until now; or, at the end, the sums and what is made of them."""
        parts, size = self._parts, self.size
        width, weight, wide = size * self.width, size * self._weight, widened(size)
        dropped = size * self.out if self.dropout else 0
        stages = [(1, 2 * width + (width if self._moves(self.width) else 0))]
        if wide:  # the activation is cast to be narrow; what is read is centred
            stages += [(2, width + wide * self.width), (0, 2 * width + wide * self.width)]
        working = max(
            part.before * before * width + part.rows * (most + dropped)
            for part in parts
            for before, most in stages
        )
        sums = WIDE * max(4 * self.width, 3 * self.width + (0 if wide else self._copied))
        if wide:  # the sums of the weight's gradients are another tensor
            again = weight + wide * self._weight
            added = again if len(parts) > 1 else 0
        else:
            again = weight if len(parts) > 1 else 0
            added = min(len(parts) - 1, 2) * weight
        last = parts[-1].rows * (2 * width + dropped) + sums + again
        return max(working + added, last)

    def finish(self) -> int:
        """What a part of the gradient of `out` features needs, and their sums."""
        parts = parts_of(self.batch, self.positions, self.out * self.size)
        return self.out * (correction(parts, self.size) + 2 * WIDE)

    @cached_property
    def _parts(self) -> list[Part]:
        """Of rows, if it treats each alone; else of samples."""
        if not self.pointwise:
            return parts_of(self.batch, self.positions, self.width * self.size)
        rows = self.batch * self.positions
        return parts_of(rows, 1, self.width * self.size, self._images)

    @cached_property
    def pointwise(self) -> bool:
        kernel, _ = self._geometry
        return self._groups == 1 and set(kernel) == {1} and not any(self._op.pads(len(kernel)))

    @property
    def _op(self) -> Conv:
        assert isinstance(self.conv.op, Conv)
        return self.conv.op

    @property
    def _groups(self) -> int:
        return self._op.channel_groups(TensorType((self.width,)))

    @property
    def _geometry(self) -> tuple[tuple[int, ...], int]:
        """The kernel, and the input channels of a group."""
        rank = self.conv.type.rank
        return per_axis(self._op.kernel, rank, "kernel"), self.width // self._groups

    @property
    def _weight(self) -> int:
        kernel, channels = self._geometry
        return self.out * channels * prod(kernel)

    def _moves(self, channels: int) -> bool:
        """Whether torch gives so many channels before positions, so that rows are a copy: it
        convolves sequences as images of one row, and these in the order of their shape."""
        return (
            len(self._geometry[0]) == 1 and not self.pointwise and min(channels, self.positions) > 1
        )

    @property
    def _images(self) -> int:
        """As how many images a pointwise convolution takes rows (`row_reader.images_of`)."""
        rows = self.batch * self.positions
        return next((count for count in range(16, 65) if rows % count == 0), 1)

    @property
    def _copied(self) -> int:
        """The gradient of the weight, if torch gives it in channels_last order."""
        kernel, channels = self._geometry
        if self.pointwise:
            return self._weight if self._images > 1 and channels > 1 else 0
        return self._weight if len(kernel) > 1 and channels > 1 else 0
