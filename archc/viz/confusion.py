"""A confusion matrix as SVG: a row for each class, and what its images were taken for."""

from collections.abc import Iterator, Sequence

from archc.viz import style
from archc.viz.marks import Area, Mark, Text, Titled, extent, to_svg

_MARGIN, _GAP = 16.0, 8.0
_LARGE, _SMALL = 34.0, 8.0
"""The side of a cell, with its number and without."""

_NUMBERED = 30
"""So many classes at most have names and numbers; of more, only the colours are drawn."""

_SHARES = (0.01, 0.05, 0.1, 0.25, 0.5)
"""From which share of a row on a cell has the next tone."""


def confusion_svg(title: str, names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """`counts[i][j]` images of the class `names[i]` were taken for `names[j]`."""
    numbered = len(names) <= _NUMBERED
    side = _LARGE if numbered else _SMALL
    shapes: list[Mark] = list(_cells(names, counts, side, numbered=numbered))
    if numbered:
        shapes += _names(names, side)
    left, _, right, _ = extent(shapes)
    bottom = side * len(names)
    if numbered:
        bottom += _GAP + max(style.text_width(name, style.LABEL_SIZE) for name in names)
    steps = ", ".join(f"{share:.0%}" for share in _SHARES)
    below = (
        "A row has the images of a class, a column those that were taken for it.",
        f"What is wrong has a darker tone from {steps} of a row on.",
    )
    for i, words in enumerate(below):
        shapes.append(Text(words, left, bottom + 22 + 14 * i, style.LABEL_SIZE, "start"))
    shapes.append(Text(title, left, -14, style.TITLE_SIZE + 2, "start", bold=True))
    left, top, right, bottom = extent(shapes)
    paper = left - _MARGIN, top - 14 - _MARGIN, right + _MARGIN, bottom + _MARGIN
    return to_svg(title, paper, shapes)


def _cells(
    names: Sequence[str], counts: Sequence[Sequence[int]], side: float, *, numbered: bool
) -> Iterator[Mark]:
    for i, row in enumerate(counts):
        total = sum(row)
        for j, count in enumerate(row):
            if not count and not numbered:
                continue
            x, y = j * side, i * side
            tone = sum(count >= share * total for share in _SHARES)
            right = style.LOOKS["block"].fill
            fill = style.PAPER if not count else right if i == j else style.TONES[tone]
            cell: list[Mark] = [Area((x, y, x + side, y + side), fill, style.FRAME, 0.5)]
            if numbered and count:
                bold = i == j
                middle = x + side / 2, y + side / 2 + 3.5
                cell.append(Text(f"{count}", *middle, style.LABEL_SIZE, bold=bold))
            share = f"{count / total:.1%}" if total else ""
            yield Titled(tuple(cell), f"{names[i]} as {names[j]}: {count} of {total} {share}")


def _names(names: Sequence[str], side: float) -> Iterator[Mark]:
    """Rows are named at their left, columns below, read from below."""
    bottom = side * len(names)
    for i, name in enumerate(names):
        middle = side * i + side / 2
        yield Text(name, -_GAP, middle + 3.5, style.LABEL_SIZE, "end")
        half = style.text_width(name, style.LABEL_SIZE) / 2
        yield Text(name, middle + 3.5, bottom + _GAP + half, style.LABEL_SIZE, upright=True)
