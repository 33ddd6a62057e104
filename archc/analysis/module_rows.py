"""The tree of modules as rows of words, repeats folded, for the tables of text and of notebooks."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from archc.analysis.cost import macs_text, params_text, total
from archc.analysis.module_tree import LayerSummary, ModuleSummary, RegionSummary
from archc.analysis.text_table import TableRow
from archc.diagnostics import printable
from archc.ops.tensor_type import TensorType

HEADINGS = ("module", "block or operator", "output", "parameters", "MACs")


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive siblings that are applications of one block, or one child alone."""

    members: tuple[ModuleSummary, ...]

    def row(self, indent: int = 0) -> TableRow:
        """What is to be said of it, under the headings."""
        last = self.members[-1]
        if isinstance(last, LayerSummary):
            what = last.op
            if last.applications != 1:
                times = f"{last.applications} times" if last.applications else "unused"
                what += f", {times}"
        else:
            what = last.block or ""
            if len(self.members) > 1:
                what = f"{len(self.members)} x {what}"
        cost = total(member.cost for member in self.members)
        label = range_label(self.members[0].path[-1], last.path[-1])
        params = params_text(cost) if cost.params or cost.opaque else "-"
        macs = macs_text(cost) if cost.macs != 0 else "-"
        words = printable("  " * indent + label), printable(what)
        return *words, last_type(last.types), params, macs


def runs(children: Sequence[ModuleSummary]) -> Iterator[Run]:
    """The children in order, consecutive applications of one block together."""
    numbered = enumerate(children)
    for _, group in groupby(numbered, key=lambda pair: _block(pair[1]) or pair[0]):
        yield Run(tuple(child for _, child in group))


def _block(child: ModuleSummary) -> str | None:
    return child.block if isinstance(child, RegionSummary) else None


def tree_rows(
    children: Sequence[ModuleSummary], depth: int, indent: int = 0, *, unfold: bool = False
) -> Iterator[TableRow]:
    """The rows of so many levels. `unfold`: runs are folded at the last level only, where nobody
    asks for what is in them."""
    found: Iterable[Run] = runs(children)
    if unfold and depth > 1:
        found = (Run((child,)) for child in children)
    for run in found:
        yield run.row(indent)
        if len(run.members) == 1 and isinstance(run.members[0], RegionSummary) and depth > 1:
            yield from tree_rows(run.members[0].children, depth - 1, indent + 1, unfold=unfold)


def range_label(first: str, last: str) -> str:
    """The names from `first` to `last`: what they share is written once."""
    if first == last:
        return first
    stem = re.sub(r"\d+$", "", first)
    number = last[len(stem) :]
    shared = last.startswith(stem) and number.isascii() and number.isdigit()
    return f"{first}..{number if shared else last}"


def last_type(types: Sequence[TensorType]) -> str:
    """The type of a module's last value; those before it are counted."""
    more = f" +{len(types) - 1}" if len(types) > 1 else ""
    return f"{types[-1]}{more}" if types else ""
