"""How a picture looks: colours, fonts, and the room that a text needs.

The colours are tints of the palette of Okabe and Ito, which stays apart for colour-blind readers;
each has a border of its own darkness, and no meaning rests on colour alone.
"""

from dataclasses import dataclass

from archc.viz.picture import Box, BoxKind

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


LOOKS: dict[BoxKind, Look] = {
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
    "318 401 460 838 637 951 780 275 391 391 500 838 318 361 318 337 637 637 637 637 637 637 "
    "637 637 637 637 337 337 838 838 838 531 1000 685 687 699 771 632 576 775 752 295 295 656 "
    "558 863 749 788 604 788 695 635 611 732 685 989 686 611 686 391 337 391 838 500 500 613 "
    "635 550 635 616 353 635 634 278 278 580 278 975 634 612 635 635 412 521 393 634 592 818 "
    "592 592 525 637 337 637 838"
)
_BOLD_WIDTHS = (
    "349 457 521 838 696 1002 873 307 458 458 523 838 380 416 380 366 696 696 696 696 696 696 "
    "696 696 696 696 400 400 838 838 838 581 1000 774 763 734 831 684 684 821 837 373 373 775 "
    "638 996 837 851 733 851 771 721 683 813 774 1104 771 725 726 458 366 458 838 500 500 675 "
    "716 593 716 679 436 716 712 343 343 666 343 1042 712 688 716 716 494 596 479 712 652 924 "
    "646 652 583 712 366 712 838"
)


def _advances(widths: str) -> dict[str, int]:
    return dict(zip(map(chr, range(32, 127)), map(int, widths.split()), strict=True))


_ADVANCE = {False: _advances(_WIDTHS), True: _advances(_BOLD_WIDTHS)}
"""Widths of bold characters and others in thousandths of the font size: those of DejaVu Sans, which
is as wide as Verdana, and wider than what else stands in for Helvetica."""


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The room for a text, in points; rather too much than too little."""
    advance = _ADVANCE[bold]
    return sum(advance.get(char, 1000) for char in text) / 1000 * size


def box_size(box: Box) -> tuple[float, float]:
    """Width and height of a box, in points, rounded up to whole ones."""
    title, *rest = box.lines
    widths = [text_width(title, TITLE_SIZE, bold=True)]
    widths += [text_width(line, TEXT_SIZE) for line in rest]
    across, down = PADDING
    width = max(72.0, max(widths) + 2 * across)
    return float(int(width) + 1), LINE_HEIGHT * len(box.lines) + 2 * down
