"""A summary as a table for notebooks: a row for each module, which opens to what is in it.

There is no script in it, and all text is escaped.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from archc.analysis.module_rows import HEADINGS, Run, runs
from archc.analysis.module_tree import ModuleSummary, RegionSummary
from archc.analysis.text_table import TableRow
from archc.diagnostics import printable

MAX_ROWS = 5_000
"""The table goes as deep as it can with no more rows than this."""

_WIDTHS = (34, 24, 18, 12, 12)
"""The shares of the columns, in hundredths; tables in tables have the same."""

_COLUMNS = "".join(f'<col style="width: {width}%">' for width in _WIDTHS)

_STYLE = """\
<style>
.archc-summary table {border-collapse: collapse; border: 0; margin: 0}
.archc-summary .net, .archc-summary .net table {table-layout: fixed; width: 100%; min-width: 46em}
.archc-summary td, .archc-summary th {text-align: left; padding: 1px 6px; border: 0}
.archc-summary td.inside {padding: 0}
.archc-summary .number {text-align: right}
.archc-summary summary {display: block; cursor: pointer}
.archc-summary summary td:first-child::before {content: "\\25B8\\00A0"}
.archc-summary details[open] > summary td:first-child::before {content: "\\25BE\\00A0"}
</style>"""


@dataclass(frozen=True, slots=True)
class Section:
    """Rows below the tree: a word and numbers, the first ones headings."""

    rows: tuple[TableRow, ...]
    headings: int = 0


def to_html(
    title: str, doc: Sequence[str], modules: Sequence[ModuleSummary], sections: Iterable[Section]
) -> str:
    """The summary as one element: the tree, and what stands below it."""
    lines = [
        '<div class="archc-summary">',
        _STYLE,
        f"<p><b>{_text(title)}</b>{''.join(f'<br>{_text(line)}' for line in doc)}</p>",
        f'<table class="net"><colgroup>{_COLUMNS}</colgroup>',
        f"<thead>{_row(HEADINGS, words=3, tag='th')}</thead><tbody>",
        *_tree(runs(modules), _depth(modules)),
        "</tbody></table>",
    ]
    for section in sections:
        rows = [
            _row(row, words=1, tag="th" if i < section.headings else "td")
            for i, row in enumerate(section.rows)
        ]
        lines += ["<p></p><table><tbody>", *rows, "</tbody></table>"]
    return "\n".join([*lines, "</div>"])


def _text(text: str) -> str:
    return escape(printable(text))


def _row(cells: Sequence[str], *, words: int, tag: str = "td", indent: int = 0) -> str:
    """A row of a table: words to the left, numbers to the right."""
    padding = f' style="padding-left: {0.4 + 1.2 * indent:.1f}em"'
    looks = [padding, *[""] * (words - 1), *[' class="number"'] * (len(cells) - words)]
    inside = (
        f"<{tag}{look}>{_text(cell)}</{tag}>" for look, cell in zip(looks, cells, strict=True)
    )
    return f"<tr>{''.join(inside)}</tr>"


def _depth(modules: Sequence[ModuleSummary]) -> int:
    """The levels for which there is room, the first one in any case."""
    depth, count = 0, 0
    level = list(modules)
    while level and (not depth or count + len(level) <= MAX_ROWS):
        depth, count = depth + 1, count + len(level)
        regions = (child for child in level if isinstance(child, RegionSummary))
        level = [child for region in regions for child in region.children]
    return depth


def _tree(found: Iterable[Run], depth: int, indent: int = 0) -> Iterator[str]:
    """The rows of siblings and of what they open to, so many levels."""
    for run in found:
        row = _row(run.row(indent=0), words=3, indent=indent)
        (first, *others) = run.members
        inner = tuple(Run((child,)) for child in run.members) if others else ()
        below = depth
        if isinstance(first, RegionSummary) and not others:
            inner, below = tuple(runs(first.children)), depth - 1
        if not inner or below == 0:
            yield row
            continue
        columns = f"<colgroup>{_COLUMNS}</colgroup>"
        yield f'<tr><td class="inside" colspan="{len(_WIDTHS)}"><details>'
        yield f"<summary><table>{columns}<tbody>{row}</tbody></table></summary>"
        yield f"<table>{columns}<tbody>"
        yield from _tree(inner, below, indent + 1)
        yield "</tbody></table></details></td></tr>"
