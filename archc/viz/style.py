"""How a picture looks: colours, fonts, and the room that a text needs.

The colours are tints of the palette of Okabe and Ito, which stays apart for colour-blind readers;
each has a border of its own darkness, and no meaning rests on colour alone.
"""

from dataclasses import dataclass

from archc.viz.picture import Box, Kind

FONTS = "Helvetica, Arial, 'Liberation Sans', sans-serif"
DOT_FONT = "Arial"
TITLE_SIZE = 12.0
TEXT_SIZE = 11.0
LABEL_SIZE = 10.0
LINE_HEIGHT = 15.0
PADDING = (14.0, 8.0)
"""Room to the left and right of a box's text, and above and below it."""

INK = "#222222"
FAINT = "#5f6368"
EDGE = "#7a7f87"
FRAME = "#b8bec7"
FRAME_FILL = "#fafbfc"
PAPER = "#ffffff"


@dataclass(frozen=True, slots=True)
class Look:
    """The colours of a box, and the width of its border; a `pill` has round ends."""

    fill: str
    border: str
    width: float = 1.0
    pill: bool = False


LOOKS: dict[Kind, Look] = {
    "input": Look("#ffffff", "#4a4a4a", pill=True),
    "block": Look("#d9e8f5", "#20639b"),
    "weights": Look("#fbe3c2", "#b5650d"),
    "elementwise": Look("#f1f1f1", "#8a8a8a"),
    "resample": Look("#d5efe5", "#00795a"),
    "join": Look("#f5dfec", "#a3457b"),
    "output": Look("#ffffff", "#4a4a4a", pill=True),
    "exit": Look("#fdf3b4", "#7d6b00", 2.0, pill=True),
}

TONES = ("#fcf9f2", "#f5e0bd", "#f2c490", "#f1a56a", "#f0834e", "#ee5b3d")
"""A scale from little to much: CIELAB lightness falls in equal steps, from 98 to 58, so that it is
read as a scale in grey and by colour-blind readers too, and INK stays readable on each."""

BANDS = ("#f3f6f9", "#fafbfc")
"""The rows of a grid, in turn."""


def look(box: Box, *, by_cost: bool = False) -> Look:
    """How a box looks: by its kind, or by its step of the scale."""
    kind = LOOKS[box.kind]
    if not by_cost:
        return kind
    fill = PAPER if box.tone is None else TONES[box.tone]
    return Look(fill, INK, kind.width, kind.pill)


_WIDTHS = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 "
    "556 556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 "
    "722 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 "
    "556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 "
    "260 334 584"
)
_ADVANCE = dict(zip(map(chr, range(32, 127)), map(int, _WIDTHS.split()), strict=True))
"""Widths of Helvetica's characters in thousandths of the font size."""

_BOLD = 1.07
_SLACK = 1.05
"""Bold letters are wider, and so are the fonts that stand in for Helvetica."""


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The room for a text, in points; rather too much than too little."""
    thousandths = sum(_ADVANCE.get(char, 1000) for char in text)
    return thousandths / 1000 * size * _SLACK * (_BOLD if bold else 1)


def box_size(box: Box) -> tuple[float, float]:
    """Width and height of a box, in points, rounded up to whole ones."""
    title, *rest = box.lines
    widths = [text_width(title, TITLE_SIZE, bold=True)]
    widths += [text_width(line, TEXT_SIZE) for line in rest]
    across, down = PADDING
    width = max(72.0, max(widths) + 2 * across)
    return float(int(width) + 1), LINE_HEIGHT * len(box.lines) + 2 * down
