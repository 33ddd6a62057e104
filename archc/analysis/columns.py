"""Columns of text: whole where there is room, cut with an ellipsis where a terminal has none."""

from collections.abc import Sequence

_LEAST = 8
"""The width below which no column is cut."""

_GAP = 2
"""The spaces between two columns."""


def fitted(
    rows: Sequence[Sequence[str]], cuttable: Sequence[int], width: int | None
) -> list[tuple[str, ...]]:
    """The rows of a table, whose cells in the columns `cuttable` are cut so that lines have at most
    `width` characters; None is room for all."""
    found = [tuple(row) for row in rows]
    if width is None or not found:
        return found
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    shown = [each for each in widths if each]  # a column without a word takes no gap
    too_wide = sum(shown) + _GAP * (len(shown) - 1) - width
    needs = [widths[i] for i in cuttable]
    limits = dict(zip(cuttable, _shares(needs, sum(needs) - too_wide), strict=True))
    return [
        tuple(cut(cell, limits[i]) if i in limits else cell for i, cell in enumerate(row))
        for row in found
    ]


def cut(text: str, width: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= width else f"{text[: max(1, width - 3)]}..."


def _shares(needs: Sequence[int], room: int) -> list[int]:
    """The widths of columns that need so much: those that need least get it, others share."""
    shares = [0] * len(needs)
    for left, i in enumerate(sorted(range(len(needs)), key=needs.__getitem__)):
        share = min(needs[i], max(_LEAST, room // (len(needs) - left)))
        shares[i] = share
        room -= share
    return shares
