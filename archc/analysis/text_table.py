"""Rows of words as the lines of a table: words to the left, numbers to the right.

Where a terminal is too narrow, words are cut with an ellipsis; numbers never are.
"""

from collections.abc import Callable, Iterable, Sequence

TableRow = tuple[str, ...]

_LEAST = 8
"""The width below which no column is cut."""

_GAP = "  "


def table(
    rows: Iterable[Sequence[str]],
    *,
    words: int,
    headings: int = 1,
    cuttable: Sequence[int] = (0,),
    width: int | None = None,
) -> list[str]:
    """The lines of a table, whose first `words` columns are words and the others numbers.

    The first rows are `headings`, with a rule below; a column in which nothing else stands is left
    out. The columns `cuttable` are cut so that lines have at most `width` characters, None for any.
    """
    found = [tuple(row) for row in rows]
    columns = [i for i, cells in enumerate(zip(*found, strict=True)) if any(cells[headings:])]
    widths = {i: max(len(row[i]) for row in found) for i in columns}
    if width is not None:
        narrowed = [i for i in columns if i in cuttable]
        fixed = sum(widths[i] for i in columns if i not in narrowed) + len(_GAP) * (
            len(columns) - 1
        )
        widths |= zip(narrowed, _shares([widths[i] for i in narrowed], width - fixed), strict=True)
    lines = [
        _GAP.join(
            f"{cut(row[i], widths[i]):{'<' if i < words else '>'}{widths[i]}}" for i in columns
        ).rstrip()
        for row in found
    ]
    rule = ["-" * max(map(len, lines[:headings]))] if headings else []
    return [*lines[:headings], *rule, *lines[headings:]]


def cut(text: str, width: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= width else f"{text[: max(1, width - 3)]}..."


def deepest(rows: Callable[[int], Iterable[TableRow]], most: int) -> list[TableRow]:
    """The rows of the deepest tree that has at most so many, or of one level in any case."""
    found = list(rows(1))
    for depth in range(2, 65):
        deeper = list(rows(depth))
        if len(deeper) > most or len(deeper) == len(found):
            break
        found = deeper
    return found


def _shares(needs: Sequence[int], room: int) -> list[int]:
    """The widths of columns that need so much: those that need least get it, others share."""
    shares = [0] * len(needs)
    for left, i in enumerate(sorted(range(len(needs)), key=needs.__getitem__)):
        shares[i] = min(needs[i], max(_LEAST, room // (len(needs) - left)))
        room -= shares[i]
    return shares
