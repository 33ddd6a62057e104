"""A summary as text for people: the tree of modules, repeats folded, for 100 columns.

The tree is cut at the depth at which it still fits on a screen; the JSON form has every layer.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from archc.analysis.cost import macs_text, params_text, total
from archc.analysis.summary import LayerSummary, RegionSummary, Summary
from archc.diagnostics import printable
from archc.ir.initialisation import Reach
from archc.ops.op import TensorType

MAX_ROWS = 48
"""The tree goes as deep as it can with no more rows than this; one level is always shown."""

_LINES = 60
"""Nor is the tree deeper than these lines in all have room for."""

_WIDEST = (30, 24)
"""The widths at which the first columns, module and operator, are cut; numbers never are."""

_OUTPUTS = 4
"""Outputs whose shapes stand in the first line; more of them are counted."""

_HEADINGS = ("module", "block or operator", "output", "parameters", "MACs")

Child = RegionSummary | LayerSummary
Row = tuple[str, str, str, str, str]


def to_text(summary: Summary) -> str:
    """The summary as lines of text: the tree, what each exit costs, the totals."""
    inputs = ", ".join(f"{name}: {type_}" for name, type_ in summary.inputs)
    outputs = ", ".join(str(item.type) for item in summary.exits)
    if len(summary.exits) > _OUTPUTS:
        outputs = f"{len(summary.exits)} outputs"
    lines = [printable(f"{summary.name}({inputs}) -> {outputs}")]
    lines += [printable(line) for line in summary.doc.splitlines()[:1]]
    lines += _parameter_lines(summary)
    below = ["", *_exit_lines(summary)] if len(summary.exits) > 1 else []
    below += ["", f"parameters {params_text(summary.cost):>20}"]
    below.append(f"buffers    {summary.buffers:>20,}{' + ?' if summary.externs else ''}")
    below.append(f"MACs       {macs_text(summary.cost):>20}")
    if summary.init is not None:
        below += ["", *_init_lines(summary.init)]
    if summary.externs:
        names = ", ".join(summary.externs)
        below += ["", printable(f"?: the extern layers ({names}), of which archc knows no weights")]
    rows = _rows(summary, _LINES - len(lines) - len(below) - 3)
    return "\n".join([*lines, "", *_aligned(_HEADINGS, rows), *below])


def _parameter_lines(summary: Summary) -> list[str]:
    """The hyperparameters with their values, and the first line of the spec's words for each."""
    texts = [f"{name}={value}" for name, value, _ in summary.parameters]
    width = min(max(map(len, texts), default=0), 40)
    docs = ((doc.splitlines() or [""])[0] for _, _, doc in summary.parameters)
    rows = (f"  {text:<{width}}  {doc}".rstrip() for text, doc in zip(texts, docs, strict=True))
    return ["", *(printable(row) for row in rows)] if texts else []


def _init_lines(reach: Reach) -> list[str]:
    """How many layers `@init` reaches, and how many keep what PyTorch gives them."""
    reached, default = (
        ", ".join(f"{count:,} {name}" for name, count in counts)
        for counts in (reach.reached, reach.default)
    )
    lines = [f"@init reaches {reached or 'no layer'}"]
    return [*lines, f"PyTorch's initial values stay in {default}"] if default else lines


def _exit_lines(summary: Summary) -> list[str]:
    """Each exit with its costs, three ways: see `archc.analysis.cost.ExitCost`."""
    names = ["exit", "", *(_cut(printable(item.name), _WIDEST[0]) for item in summary.exits)]
    ways = {
        "cumulative": [item.cost.cumulative for item in summary.exits],
        "own classifier": [item.cost.own for item in summary.exits],
        "lazy": [item.cost.lazy for item in summary.exits],
    }
    columns = [_left(names)]
    for heading, costs in ways.items():
        pairs = (["parameters", *map(params_text, costs)], ["MACs", *map(macs_text, costs)])
        figures = zip(*map(_right, pairs), strict=True)
        columns.append(_left([heading, *("  ".join(pair) for pair in figures)]))
    rows = [" | ".join(row).rstrip() for row in zip(*columns, strict=True)]
    return [*rows[:2], "-" * max(map(len, rows)), *rows[2:]]


def _left(cells: Sequence[str]) -> list[str]:
    return [cell.ljust(max(map(len, cells))) for cell in cells]


def _right(cells: Sequence[str]) -> list[str]:
    return [cell.rjust(max(map(len, cells))) for cell in cells]


# ---------------------------------------------------------------------- rows


def _rows(summary: Summary, room: int) -> list[Row]:
    """The rows of the deepest tree for which there is room."""
    rows = list(_tree(summary.root.children, 1))
    for depth in range(2, 65):
        deeper = list(_tree(summary.root.children, depth))
        if len(deeper) > min(room, MAX_ROWS) or len(deeper) == len(rows):
            break
        rows = deeper
    return rows


def _tree(children: Sequence[Child], depth: int, indent: int = 0) -> Iterator[Row]:
    for run in runs(children):
        yield _row(run, indent)
        (*_, last) = run.members
        if len(run.members) == 1 and isinstance(last, RegionSummary) and depth > 1:
            yield from _tree(last.children, depth - 1, indent + 1)


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive siblings that are applications of one block, or one child alone."""

    members: tuple[Child, ...]

    @property
    def label(self) -> str:
        """`denselayer1..24`, `0..5`, or the child's own name."""
        return range_label(self.members[0].path[-1], self.members[-1].path[-1])


def runs(children: Sequence[Child]) -> Iterator[Run]:
    """The children in order, consecutive applications of one block together."""
    numbered = enumerate(children)
    for _, group in groupby(numbered, key=lambda pair: _block(pair[1]) or pair[0]):
        yield Run(tuple(child for _, child in group))


def _block(child: Child) -> str | None:
    return child.block if isinstance(child, RegionSummary) else None


def range_label(first: str, last: str) -> str:
    """The names from `first` to `last`: what they share is written once."""
    if first == last:
        return first
    stem = re.sub(r"\d+$", "", first)
    number = last[len(stem) :]
    shared = last.startswith(stem) and number.isascii() and number.isdigit()
    return f"{first}..{number if shared else last}"


def _row(run: Run, indent: int) -> Row:
    last = run.members[-1]
    types: tuple[TensorType, ...]
    if isinstance(last, LayerSummary):
        what, types = last.op, (last.type,)
        if last.applications > 1:
            what += f", {last.applications} times"
    else:
        what, types = last.block or "", last.types
        if len(run.members) > 1:
            what = f"{len(run.members)} x {what}"
    cost = total(member.cost for member in run.members)
    label = "  " * indent + run.label
    params = params_text(cost) if cost.params or cost.opaque else "-"
    macs = macs_text(cost) if cost.macs != 0 else "-"
    return printable(label), printable(what), _types(types), params, macs


def _types(types: tuple[TensorType, ...]) -> str:
    """The type of a module's last value; those before it are counted."""
    if not types:
        return ""
    return str(types[-1]) + (f" +{len(types) - 1}" if len(types) > 1 else "")


def _aligned(headings: Row, rows: Sequence[Row]) -> list[str]:
    """The rows under their headings: text to the left, numbers to the right."""
    cut = [(*map(_cut, row[:2], _WIDEST), *row[2:]) for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cut, strict=True)]
    lines = [_line(headings, widths)]
    lines.append("-" * len(lines[0]))
    return lines + [_line(row, widths) for row in cut]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    left = [f"{cell:<{width}}" for cell, width in zip(row[:3], widths, strict=False)]
    right = [f"{cell:>{width}}" for cell, width in zip(row[3:], widths[3:], strict=True)]
    return "  ".join([*(cell for cell in left if cell), *right]).rstrip()
