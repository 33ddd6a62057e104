"""Memory over the steps of a training step, as a figure: panels on one scale, side by side.

Each panel is a run of the net: as torch runs it, and as archc does. What lives in a step is
stacked by what it is.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from archc.analysis.plan.plan import Timeline
from archc.analysis.plan.schedule import Tensor
from archc.viz import style
from archc.viz.placement import Point

BANDS = (
    ("kept for the backward pass", "#7fb0d6", "#20639b"),
    ("computed again", "#f2c27a", "#b5650d"),
    ("gradients", "#8fd0b8", "#00795a"),
    ("needed for a moment", "#d4d4d4", "#6e6e6e"),
)
"""What is stacked, from the bottom, each with its colour and that of its edge."""

_PANEL, _GAP, _HEIGHT = 250.0, 26.0, 240.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 76.0, 76.0, 18.0, 88.0
HEADLINE = 40.0
"""A line between the title of the figure and those of its panels, on which nothing stands."""

_COLUMNS = 250
"""Steps are drawn in at most so many columns, each of which shows its largest step."""
_TICKS = 5


@dataclass(frozen=True)
class Panel:
    """One run, under a title."""

    title: str
    timeline: Timeline

    @cached_property
    def bands(self) -> list[list[int]]:
        """The bytes of each band in each step."""
        groups: list[list[str]] = [[] for _ in BANDS]
        kept = set(self.timeline.kept)
        for id in self.timeline.own:
            tensor = self.timeline.schedule.tensors[id]
            groups[_band(tensor, kept=id in kept)].append(id)
        return [self.timeline.live.live_of(group) for group in groups]

    @cached_property
    def columns(self) -> list[int]:
        """The steps that are drawn: of each column the one with most bytes."""
        totals, steps = self.timeline.bytes, len(self.timeline.bytes)
        count = min(steps, _COLUMNS)
        ends = [steps * i // count for i in range(count + 1)]
        parts = zip(ends[:-1], ends[1:], strict=True)
        return [max(range(start, stop), key=lambda i: totals[i]) for start, stop in parts]


def _band(tensor: Tensor, *, kept: bool) -> int:
    if tensor.kind == "grad":
        return 2
    if tensor.id.startswith("again:"):
        return 1
    return 0 if kept else 3


@dataclass(frozen=True, slots=True)
class Words:
    """A text that begins, has its middle or ends at a place; `upright` is read from below."""

    text: str
    x: float
    y: float
    size: float
    anchor: Literal["start", "middle", "end"] = "start"
    bold: bool = False
    fill: str = style.INK
    upright: bool = False


@dataclass(frozen=True, slots=True)
class Stroke:
    """A straight line."""

    start: Point
    end: Point
    color: str
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Stairs:
    """What lies between two lines that are level over columns of one width, from `left` on."""

    left: float
    wide: float
    above: tuple[float, ...]
    below: tuple[float, ...]
    fill: str
    edge: str
    edge_width: float


Shape = Words | Stroke | Stairs


@dataclass(frozen=True, slots=True)
class Figure:
    """Shapes on paper, the ones behind others first."""

    title: str
    width: float
    height: float
    shapes: tuple[Shape, ...]


def timeline(title: str, panels: Sequence[Panel]) -> Figure:
    """Bytes above parameters, their gradients and inputs, of runs side by side."""
    scale = _Scale(max(panel.timeline.peak for panel in panels))
    height = _TOP + _HEIGHT + _BOTTOM
    shapes: list[Shape] = [Words(title, _LEFT, 24.0, style.TITLE_SIZE + 2, bold=True)]
    shapes += _axis(scale)
    for number, panel in enumerate(panels):
        shapes += _panel(panel, scale, _LEFT + number * (_PANEL + _GAP))
    shapes += _legend(height - 18)
    width = _LEFT + len(panels) * (_PANEL + _GAP) - _GAP
    width = max([width, *(_right_of(shape) for shape in shapes)]) + _RIGHT
    return Figure(title, width, height, tuple(shapes))


def _right_of(shape: Shape) -> float:
    """Where a text ends on the right, as wide as a font may be; 0 for other shapes."""
    if not isinstance(shape, Words) or shape.upright:
        return 0.0
    width = style.text_width(shape.text, shape.size, bold=shape.bold)
    return shape.x + width * {"start": 1.0, "middle": 0.5, "end": 0.0}[shape.anchor]


class _Scale:
    """From bytes to heights, with round numbers at its marks."""

    def __init__(self, most: int) -> None:
        self.unit, self.word = next(
            ((unit, word) for unit, word in _UNITS if most >= 2 * unit), _UNITS[-1]
        )
        step = _round_step(most / self.unit / _TICKS)
        count = max(1, math.ceil(most / self.unit / step))
        self.marks = [step * i for i in range(count + 1)]
        self.top = self.marks[-1] * self.unit

    def y(self, bytes: float) -> float:
        return _TOP + _HEIGHT * (1 - bytes / self.top)


_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "bytes"))


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, and no less than `least`."""
    power = 10.0 ** math.floor(math.log10(max(least, 1e-9)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _axis(scale: _Scale) -> Iterator[Shape]:
    for mark in scale.marks:
        y = scale.y(mark * scale.unit)
        yield Words(f"{mark:,g}", _LEFT - 8, y + 3.5, style.LABEL_SIZE, "end")
    middle, words = _TOP + _HEIGHT / 2, f"memory ({scale.word})"
    yield Words(words, 18.0, middle, style.TEXT_SIZE, "middle", upright=True)


def _panel(panel: Panel, scale: _Scale, left: float) -> Iterator[Shape]:
    timeline = panel.timeline
    steps, peak = len(timeline.bytes), timeline.peak
    for mark in scale.marks:
        y = scale.y(mark * scale.unit)
        yield Stroke((left, y), (left + _PANEL, y), style.FRAME, 0.5)
    yield from _areas(panel, scale, left)
    start, base = left + _PANEL * timeline.schedule.backward_start / steps, _TOP + _HEIGHT
    yield Stroke((start, _TOP), (start, base), style.FAINT, dashed=True)
    yield Stroke((left, base), (left + _PANEL, base), style.INK)
    yield Words(panel.title, left, _TOP - 22, style.TITLE_SIZE, bold=True)
    words = f"peak {_bytes_text(peak)}, kept {_bytes_text(timeline.saved)}"
    yield Words(words, left, _TOP - 8, style.LABEL_SIZE, fill=style.FAINT)
    y = base + 15
    yield Words("forward", (left + start) / 2, y, style.LABEL_SIZE, "middle")
    yield Words("backward", (start + left + _PANEL) / 2, y, style.LABEL_SIZE, "middle")
    middle = left + _PANEL / 2
    yield Words(f"{steps:,} steps", middle, y + 16, style.LABEL_SIZE, "middle", fill=style.FAINT)


def _areas(panel: Panel, scale: _Scale, left: float) -> Iterator[Stairs]:
    """The stacked bands."""
    columns = panel.columns
    wide = _PANEL / len(columns)
    below = [0] * len(columns)
    for (_, fill, edge), band in zip(BANDS, panel.bands, strict=True):
        above = [low + band[i] for low, i in zip(below, columns, strict=True)]
        if above != below:
            high, low = tuple(map(scale.y, above)), tuple(map(scale.y, below))
            yield Stairs(left, wide, high, low, fill, edge, 0.4)
        below = above


def _legend(y: float) -> Iterator[Shape]:
    x = _LEFT
    for name, fill, edge in BANDS:
        yield Stairs(x, 11.0, (y - 9,), (y + 2,), fill, edge, 0.8)
        yield Words(name, x + 16, y, style.LABEL_SIZE)
        x += 16 + style.text_width(name, style.LABEL_SIZE) + 18


def _bytes_text(bytes: int) -> str:
    unit, word = next((each for each in _UNITS[1:] if bytes >= each[0]), _UNITS[-1])
    return f"{bytes / unit:,.0f} {word}"
