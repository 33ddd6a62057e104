"""Memory over the steps of a training step, as a figure: panels on one scale, side by side.

Each panel is a run of the net: as torch runs it, and as archc does. What lives in a step is
stacked by what it is.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from archc.analysis.plan.timeline import Role, Timeline
from archc.viz import style
from archc.viz.marks import Mark, Stairs, Stroke, Text, extent, to_svg

BANDS = (
    ("kept for the backward pass", "#7fb0d6", "#20639b"),
    ("computed again", "#f2c27a", "#b5650d"),
    ("gradients", "#8fd0b8", "#00795a"),
    ("needed for a moment", "#d4d4d4", "#6e6e6e"),
)
"""What is stacked, from the bottom, each with its colour and that of its edge."""
ROLES: tuple[Role, ...] = ("kept", "recomputed", "gradient", "momentary")
"""The storages of each."""

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
        return [
            self.timeline.bytes_of(each for each in self.timeline.storages if each.role == role)
            for role in ROLES
        ]

    @cached_property
    def columns(self) -> list[int]:
        """The steps that are drawn: of each column the one with most bytes."""
        totals, steps = self.timeline.bytes, len(self.timeline.bytes)
        count = min(steps, _COLUMNS)
        ends = [steps * i // count for i in range(count + 1)]
        parts = zip(ends[:-1], ends[1:], strict=True)
        return [max(range(start, stop), key=lambda i: totals[i]) for start, stop in parts]


@dataclass(frozen=True, slots=True)
class Figure:
    """Shapes on paper, the ones behind others first."""

    title: str
    width: float
    height: float
    shapes: tuple[Mark, ...]

    def svg(self) -> str:
        """The figure as one SVG element."""
        return to_svg(self.title, (0.0, 0.0, self.width, self.height), self.shapes)


def timeline(title: str, panels: Sequence[Panel]) -> Figure:
    """Bytes above parameters, their gradients and inputs, of runs side by side."""
    scale = _Scale(max(panel.timeline.peak for panel in panels))
    height = _TOP + _HEIGHT + _BOTTOM
    shapes: list[Mark] = [Text(title, _LEFT, 24.0, style.TITLE_SIZE + 2, "start", bold=True)]
    shapes += _axis(scale)
    for number, panel in enumerate(panels):
        shapes += _panel(panel, scale, _LEFT + number * (_PANEL + _GAP))
    shapes += _legend(height - 18)
    *_, right, _ = extent(shapes)
    width = max(right, _LEFT + len(panels) * (_PANEL + _GAP) - _GAP) + _RIGHT
    return Figure(title, width, height, tuple(shapes))


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


def _axis(scale: _Scale) -> Iterator[Mark]:
    for mark in scale.marks:
        y = scale.y(mark * scale.unit)
        yield Text(f"{mark:,g}", _LEFT - 8, y + 3.5, style.LABEL_SIZE, "end")
    middle, words = _TOP + _HEIGHT / 2, f"memory ({scale.word})"
    yield Text(words, 18.0, middle, style.TEXT_SIZE, upright=True)


def _panel(panel: Panel, scale: _Scale, left: float) -> Iterator[Mark]:
    timeline = panel.timeline
    steps, peak = len(timeline.bytes), timeline.peak
    for mark in scale.marks:
        y = scale.y(mark * scale.unit)
        yield Stroke((left, y), (left + _PANEL, y), style.FRAME, 0.5)
    yield from _areas(panel, scale, left)
    start, base = left + _PANEL * timeline.backward_start / steps, _TOP + _HEIGHT
    yield Stroke((start, _TOP), (start, base), style.FAINT, dashed=True)
    yield Stroke((left, base), (left + _PANEL, base), style.INK)
    yield Text(panel.title, left, _TOP - 22, style.TITLE_SIZE, "start", bold=True)
    words = f"peak {_bytes_text(peak)}, kept {_bytes_text(timeline.saved)}"
    yield Text(words, left, _TOP - 8, style.LABEL_SIZE, "start", fill=style.FAINT)
    y = base + 15
    yield Text("forward", (left + start) / 2, y, style.LABEL_SIZE)
    yield Text("backward", (start + left + _PANEL) / 2, y, style.LABEL_SIZE)
    middle = left + _PANEL / 2
    yield Text(f"{steps:,} steps", middle, y + 16, style.LABEL_SIZE, fill=style.FAINT)


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


def _legend(y: float) -> Iterator[Mark]:
    x = _LEFT
    for name, fill, edge in BANDS:
        yield Stairs(x, 11.0, (y - 9,), (y + 2,), fill, edge, 0.8)
        yield Text(name, x + 16, y, style.LABEL_SIZE, "start")
        x += 16 + style.text_width(name, style.LABEL_SIZE) + 18


def _bytes_text(bytes: int) -> str:
    unit, word = next((each for each in _UNITS[1:] if bytes >= each[0]), _UNITS[-1])
    return f"{bytes / unit:,.0f} {word}"
