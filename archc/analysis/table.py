"""A summary as text for people: the tree of modules, repeats folded.

Unless a depth is asked for, the tree goes as deep as fits on a screen; JSON has every layer. Names
are cut only where a terminal is too narrow for them, numbers never are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from archc.analysis.columns import fitted
from archc.analysis.cost import Cost, macs_text, params_text, total
from archc.analysis.summary import LayerSummary, RegionSummary, Summary
from archc.diagnostics import printable
from archc.ir.initialisation import Reach
from archc.ops.op import TensorType

MAX_ROWS = 48
"""The tree goes as deep as it can with no more rows than this; one level is always shown."""

_LINES = 60
"""Nor is the tree deeper than these lines in all have room for."""

_OUTPUTS = 4
"""Outputs whose shapes stand in the first line; more of them are counted."""

HEADINGS = ("module", "block or operator", "output", "parameters", "MACs")

_BETWEEN = " | "

Child = RegionSummary | LayerSummary
Row = tuple[str, str, str, str, str]


def to_text(summary: Summary, depth: int | None = None, width: int | None = None) -> str:
    """The summary as lines of text: the tree, what each exit costs, the totals.

    `depth` is how many levels of modules the tree has; `width` the characters of a line in which
    the tables are to fit, None for any.
    """
    lines = [signature(summary)]
    lines += [printable(line) for line in summary.doc.splitlines()[:1]]
    lines += _parameter_lines(summary)
    below = ["", *_exit_lines(summary, width)] if len(summary.exits) > 1 else []
    below += ["", f"parameters {params_text(summary.cost):>20}"]
    below.append(f"buffers    {summary.buffers:>20,}{' + ?' if summary.externs else ''}")
    below.append(f"MACs       {macs_text(summary.cost):>20}")
    if summary.init is not None:
        below += ["", *_init_lines(summary.init)]
    if summary.externs:
        names = ", ".join(summary.externs)
        below += ["", printable(f"?: the extern layers ({names}), of which archc knows no weights")]
    if depth is None:
        rows = _rows(summary, _LINES - len(lines) - len(below) - 3)
    else:
        rows = list(_tree(summary.root.children, depth, unfold=True))
    return "\n".join([*lines, "", *_aligned(rows, width), *below])


def signature(summary: Summary) -> str:
    """The net's name, what it takes and what it gives."""
    inputs = ", ".join(f"{name}: {type_}" for name, type_ in summary.inputs)
    outputs = ", ".join(str(item.type) for item in summary.exits)
    if len(summary.exits) > _OUTPUTS:
        outputs = f"{len(summary.exits)} outputs"
    return printable(f"{summary.name}({inputs}) -> {outputs}")


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


def _exit_lines(summary: Summary, width: int | None) -> list[str]:
    """Each exit with its costs, three ways: see `archc.analysis.cost.ExitCost`."""
    columns = []
    for heading, costs in exit_ways(summary).items():
        pairs = (["parameters", *map(params_text, costs)], ["MACs", *map(macs_text, costs)])
        figures = zip(*map(_right, pairs), strict=True)
        columns.append(_left([heading, *("  ".join(pair) for pair in figures)]))
    figures_width = sum(len(column[0]) + len(_BETWEEN) for column in columns)
    names = [(printable(item.name),) for item in summary.exits]
    shown = fitted(names, [0], None if width is None else width - figures_width)
    columns.insert(0, _left(["exit", "", *(name for (name,) in shown)]))
    rows = [_BETWEEN.join(row).rstrip() for row in zip(*columns, strict=True)]
    return [*rows[:2], "-" * max(map(len, rows)), *rows[2:]]


def exit_ways(summary: Summary) -> dict[str, list[Cost]]:
    """The costs of all exits, by the way of counting."""
    return {
        "cumulative": [item.cost.cumulative for item in summary.exits],
        "own classifier": [item.cost.own for item in summary.exits],
        "lazy": [item.cost.lazy for item in summary.exits],
    }


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


def _tree(
    children: Sequence[Child], depth: int, indent: int = 0, *, unfold: bool = False
) -> Iterator[Row]:
    """The rows of so many levels. `unfold`: runs are folded at the last level only, where nobody
    asks for what is in them."""
    found = runs(children)
    if unfold and depth > 1:
        found = (Run((child,)) for child in children)
    for run in found:
        yield row(run, indent)
        (*_, last) = run.members
        if len(run.members) == 1 and isinstance(last, RegionSummary) and depth > 1:
            yield from _tree(last.children, depth - 1, indent + 1, unfold=unfold)


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


def row(run: Run, indent: int = 0) -> Row:
    """What is to be said of a run: its columns, as texts."""
    last = run.members[-1]
    types: tuple[TensorType, ...]
    if isinstance(last, LayerSummary):
        what, types = last.op, (last.type,)
        if not last.applications:
            what += ", unused"
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


def _aligned(rows: Sequence[Row], width: int | None) -> list[str]:
    """The rows under their headings: text to the left, numbers to the right."""
    found = fitted([HEADINGS, *rows], (0, 1), width)
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    heading, *lines = (_line(row, widths) for row in found)
    return [heading, "-" * len(heading), *lines]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    left = [f"{cell:<{width}}" for cell, width in zip(row[:3], widths, strict=False)]
    right = [f"{cell:>{width}}" for cell, width in zip(row[3:], widths[3:], strict=True)]
    return "  ".join([*(cell for cell in left if cell), *right]).rstrip()
