"""Memory over the steps of a training step, as SVG text: panels on one scale, side by side.

Each panel is a run of the net: as torch runs it, and as archc does. What lives in a step is
stacked by what it is. Numbers are rounded to tenths, so that equal plans give equal bytes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

from archc.analysis.plan.plan import Timeline
from archc.analysis.plan.schedule import Tensor
from archc.diagnostics import printable
from archc.viz import style

BANDS = (
    ("kept for the backward pass", "#7fb0d6", "#20639b"),
    ("computed again", "#f2c27a", "#b5650d"),
    ("gradients", "#8fd0b8", "#00795a"),
    ("needed for a moment", "#d4d4d4", "#6e6e6e"),
)
"""What is stacked, from the bottom, each with its colour and that of its edge."""

_PANEL, _GAP, _HEIGHT = 250.0, 26.0, 240.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 76.0, 76.0, 18.0, 88.0
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


def timeline_svg(title: str, panels: Sequence[Panel]) -> str:
    """The figure as one SVG element: bytes above parameters, their gradients and inputs."""
    most = max(panel.timeline.peak for panel in panels)
    scale = _Scale(most)
    width = _LEFT + len(panels) * _PANEL + (len(panels) - 1) * _GAP + _RIGHT
    height = _TOP + _HEIGHT + _BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_n(width)}" '
        f'height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}" '
        f'font-family="{style.FONTS}">',
        f"<title>{escape(printable(title))}</title>",
        f'<rect width="{_n(width)}" height="{_n(height)}" fill="{style.PAPER}"/>',
        _text(title, _LEFT, 24.0, style.TITLE_SIZE + 2, weight="bold"),
        *_axis(scale),
    ]
    for number, panel in enumerate(panels):
        lines += _panel(panel, scale, _LEFT + number * (_PANEL + _GAP))
    return "\n".join([*lines, *_legend(height - 18), "</svg>"]) + "\n"


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


def _axis(scale: _Scale) -> Iterator[str]:
    for mark in scale.marks:
        y = scale.y(mark * scale.unit)
        yield _text(f"{mark:,g}", _LEFT - 8, y + 3.5, style.LABEL_SIZE, anchor="end")
    middle = _TOP + _HEIGHT / 2
    yield (
        f'<g transform="translate(18 {_n(middle)}) rotate(-90)">'
        f"{_text(f'memory ({scale.word})', 0.0, 0.0, style.TEXT_SIZE, anchor='middle')}</g>"
    )


def _panel(panel: Panel, scale: _Scale, left: float) -> Iterator[str]:
    timeline = panel.timeline
    steps, peak = len(timeline.bytes), timeline.peak
    for mark in scale.marks:
        yield _line(left, scale.y(mark * scale.unit), left + _PANEL, style.FRAME, 0.5)
    yield from _areas(panel, scale, left)
    start = left + _PANEL * timeline.schedule.backward_start / steps
    yield (
        f'<path d="M{_n(start)} {_n(_TOP)}V{_n(_TOP + _HEIGHT)}" stroke="{style.FAINT}" '
        'stroke-dasharray="3 3"/>'
    )
    yield _line(left, _TOP + _HEIGHT, left + _PANEL, style.INK, 1.0)
    yield _text(panel.title, left, _TOP - 22, style.TITLE_SIZE, weight="bold")
    words = f"peak {_bytes_text(peak)}, kept {_bytes_text(timeline.saved)}"
    yield _text(words, left, _TOP - 8, style.LABEL_SIZE, fill=style.FAINT)
    y = _TOP + _HEIGHT + 15
    yield _text("forward", (left + start) / 2, y, style.LABEL_SIZE, anchor="middle")
    yield _text("backward", (start + left + _PANEL) / 2, y, style.LABEL_SIZE, anchor="middle")
    middle = left + _PANEL / 2
    yield _text(f"{steps:,} steps", middle, y + 16, style.LABEL_SIZE, "middle", fill=style.FAINT)


def _areas(panel: Panel, scale: _Scale, left: float) -> Iterator[str]:
    """The stacked bands as outlines with steps."""
    columns = panel.columns
    wide = _PANEL / len(columns)
    below = [0] * len(columns)
    for (_, fill, edge), band in zip(BANDS, panel.bands, strict=True):
        above = [low + band[i] for low, i in zip(below, columns, strict=True)]
        if above != below:
            up = _stairs(above, scale, left, wide)
            down = _stairs(below[::-1], scale, left + _PANEL, -wide)
            yield (
                f'<path d="M{up}L{down}Z" fill="{fill}" stroke="{edge}" stroke-width="0.4" '
                'stroke-linejoin="round"/>'
            )
        below = above


def _stairs(values: Sequence[int], scale: _Scale, x: float, wide: float) -> str:
    """The corners of a line that is level over each column."""
    corners = []
    for i, value in enumerate(values):
        if i and value == values[i - 1] and i + 1 < len(values):
            continue
        before = values[i - 1] if i else value
        corners.append(f"{_n(x + wide * i)} {_n(scale.y(before))}")
        corners.append(f"{_n(x + wide * i)} {_n(scale.y(value))}")
    corners.append(f"{_n(x + wide * len(values))} {_n(scale.y(values[-1]))}")
    return "L".join(dict.fromkeys(corners))


def _legend(y: float) -> Iterator[str]:
    x = _LEFT
    for name, fill, edge in BANDS:
        yield (
            f'<rect x="{_n(x)}" y="{_n(y - 9)}" width="11" height="11" fill="{fill}" '
            f'stroke="{edge}" stroke-width="0.8"/>'
        )
        yield _text(name, x + 16, y, style.LABEL_SIZE)
        x += 16 + style.text_width(name, style.LABEL_SIZE) + 18


def _bytes_text(bytes: int) -> str:
    unit, word = next((each for each in _UNITS[1:] if bytes >= each[0]), _UNITS[-1])
    return f"{bytes / unit:,.0f} {word}"


def _line(x: float, y: float, end: float, stroke: str, width: float) -> str:
    return f'<path d="M{_n(x)} {_n(y)}H{_n(end)}" stroke="{stroke}" stroke-width="{_n(width)}"/>'


def _text(
    words: str,
    x: float,
    y: float,
    size: float,
    anchor: str = "start",
    *,
    weight: str = "normal",
    fill: str = style.INK,
) -> str:
    bold = f' font-weight="{weight}"' if weight != "normal" else ""
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" text-anchor="{anchor}" '
        f'fill="{fill}"{bold}>{escape(printable(words))}</text>'
    )


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
