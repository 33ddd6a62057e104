"""A summary as a table for notebooks: a row for each module, which opens to what is in it.

There is no script in it, and all text is escaped.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from archc.analysis.cost import macs_text, params_text
from archc.analysis.summary import RegionSummary, Summary
from archc.analysis.table import HEADINGS, Child, Run, exit_ways, row, runs, signature
from archc.diagnostics import printable

MAX_ROWS = 5_000
"""The table goes as deep as it can with no more rows than this."""

_WIDTHS = (34, 24, 18, 12, 12)
"""The shares of the columns, in hundredths; tables in tables have the same."""

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


def to_html(summary: Summary) -> str:
    """The summary as one element: the tree, what each exit costs, the totals."""
    doc = summary.doc.splitlines()[:1]
    lines = [
        '<div class="archc-summary">',
        _STYLE,
        f"<p><b>{_text(signature(summary))}</b>{''.join(f'<br>{_text(line)}' for line in doc)}</p>",
        f'<table class="net">{_columns()}<thead>{_cells(HEADINGS, "th")}</thead><tbody>',
        *_rows(runs(summary.root.children), _depth(summary)),
        "</tbody></table>",
    ]
    if len(summary.exits) > 1:
        lines += _exits(summary)
    return "\n".join([*lines, *_totals(summary), "</div>"])


def _text(text: str) -> str:
    return escape(printable(text))


def _columns() -> str:
    widths = "".join(f'<col style="width: {width}%">' for width in _WIDTHS)
    return f"<colgroup>{widths}</colgroup>"


def _cells(cells: Sequence[str], tag: str = "td", indent: int = 0) -> str:
    """A row of the tree: words to the left, numbers to the right."""
    padding = f' style="padding-left: {0.4 + 1.2 * indent:.1f}em"'
    left = [f"<{tag}{'' if i else padding}>{_text(cell)}</{tag}>" for i, cell in enumerate(cells)]
    for i in (-2, -1):
        left[i] = f'<{tag} class="number">{_text(cells[i])}</{tag}>'
    return f"<tr>{''.join(left)}</tr>"


def _depth(summary: Summary) -> int:
    """The levels for which there is room, the first one in any case."""
    depth, count = 0, 0
    level: list[Child] = list(summary.root.children)
    while level and (not depth or count + len(level) <= MAX_ROWS):
        depth, count = depth + 1, count + len(level)
        regions = (child for child in level if isinstance(child, RegionSummary))
        level = [child for region in regions for child in region.children]
    return depth


def _rows(found: Iterable[Run], depth: int, indent: int = 0) -> Iterator[str]:
    """The rows of siblings and of what they open to, so many levels."""
    for run in found:
        cells = _cells(row(run), indent=indent)
        (first, *others) = run.members
        inner = tuple(Run((child,)) for child in run.members) if others else ()
        below = depth
        if isinstance(first, RegionSummary) and not others:
            inner, below = tuple(runs(first.children)), depth - 1
        if not inner or below == 0:
            yield cells
            continue
        yield f'<tr><td class="inside" colspan="{len(_WIDTHS)}"><details>'
        yield f"<summary><table>{_columns()}<tbody>{cells}</tbody></table></summary>"
        yield f"<table>{_columns()}<tbody>"
        yield from _rows(inner, below, indent + 1)
        yield "</tbody></table></details></td></tr>"


def _exits(summary: Summary) -> Iterator[str]:
    """Each exit with its costs, three ways."""
    ways = exit_ways(summary)
    headings = "".join(f'<th colspan="2" class="number">{_text(way)}</th>' for way in ways)
    yield f"<p></p><table><thead><tr><th>exit</th>{headings}</tr></thead><tbody>"
    for i, item in enumerate(summary.exits):
        costs = [ways[way][i] for way in ways]
        words = [word for cost in costs for word in (params_text(cost), macs_text(cost))]
        numbers = "".join(f'<td class="number">{_text(word)}</td>' for word in words)
        yield f"<tr><td>{_text(item.name)}</td>{numbers}</tr>"
    yield "</tbody></table>"


def _totals(summary: Summary) -> Iterator[str]:
    totals = {
        "parameters": params_text(summary.cost),
        "buffers": f"{summary.buffers:,}{' + ?' if summary.externs else ''}",
        "MACs": macs_text(summary.cost),
    }
    yield "<p></p><table><tbody>"
    for name, number in totals.items():
        yield f'<tr><td>{name}</td><td class="number">{_text(number)}</td></tr>'
    yield "</tbody></table>"
