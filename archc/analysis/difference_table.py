"""A difference as text for people: what differs by module, repeats folded, and the totals.

`-` is what only A has, `+` what only B has, `~` what is not the same in both. The tree is cut at
the depth at which it still fits on a screen.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from archc.analysis.cost import macs_text, params_text
from archc.analysis.difference import Change, Difference, Setting, StateKey
from archc.analysis.module_rows import last_type, range_label
from archc.analysis.module_tree import LayerSummary, ModuleSummary
from archc.analysis.summary import MAX_ROWS
from archc.analysis.text_table import TableRow, deepest, table
from archc.diagnostics import printable

_SIGNS = {"only_a": "-", "only_b": "+", "reshaped": "~"}

_READERS = 4
"""Those that read other values are named, but no more of them than these."""

_HEADINGS = ("  module", "block or operator", "output", "keys", "parameters")

Changes = tuple[Change, ...]


def to_text(difference: Difference, titles: tuple[str, str], width: int | None = None) -> str:
    """The difference as lines of text, under the titles of A and B.

    `width` are the characters of a line in which the table is to fit, None for any.
    """
    lines = [f"{side}  {printable(title)}" for side, title in zip("AB", titles, strict=True)]
    settings = [*difference.parameters, *difference.interface]
    if settings:
        lines += ["", *map(_setting_line, settings)]
    if difference.root is not None:
        roots = (difference.root,)
        rows = deepest(lambda levels: _inside(roots, levels), MAX_ROWS)
        lines += ["", *table([_HEADINGS, *rows], words=3, cuttable=(0, 1), width=width)]
    lines += ["", *_totals(difference), "", *_verdict(difference)]
    return "\n".join(lines) + "\n"


def key_lines(difference: Difference) -> str:
    """Each key that differs, on a line of its own."""
    lines = (
        f"{_SIGNS[key.kind]} {printable(key.name)}  {_shapes(key)}\n"
        for key in difference.keys
        if key.kind != "equal"
    )
    return "".join(lines)


def _shapes(key: StateKey) -> str:
    return " -> ".join(str(list(shape)) for shape in (key.a, key.b) if shape is not None)


def _setting_line(setting: Setting) -> str:
    a, b = (text or "none" for text in (setting.a, setting.b))
    return printable(f"  {setting.name}: {a} -> {b}")


# --------------------------------------------------------------------- rows


def _inside(alike: Changes, depth: int, indent: int = 0) -> Iterator[TableRow]:
    """What differs directly in a module, and in its modules down to a depth.

    Several modules are one here if the same differs in all of them.
    """
    if depth == 0:
        return
    columns = list(zip(*(change.children for change in alike), strict=True))
    for run in _runs(columns, depth - 1):
        yield _row(run, indent)
        changes = tuple(change for column in run for change in column)
        if changes[0].a is not None and changes[0].b is not None:
            yield from _inside(changes, depth - 1, indent + 1)
    start = "~ " + "  " * indent
    wiring = alike[0].wiring
    if wiring.functions:
        counts = ", ".join(f"{count:+} {text}" for text, count in wiring.functions)
        yield f"{start}(functions)", printable(counts), "", "", ""
    if wiring.readers:
        readers = [*wiring.readers[:_READERS], *(["..."] if wiring.readers[_READERS:] else [])]
        what = f"other operands of {', '.join(readers)}"
        yield f"{start}(connections)", printable(what), "", "", ""


def _runs(columns: Sequence[Changes], depth: int) -> Iterator[tuple[Changes, ...]]:
    """Neighbours that one row may stand for: down to a depth, the same differs in them."""
    numbered = enumerate(columns)
    for _, group in groupby(numbered, key=lambda pair: _kind(pair[1][0], depth, pair[0])):
        yield tuple(column for _, column in group)


def _kind(change: Change, depth: int, number: int) -> object:
    """Equal for changes side by side of which the same is to be said, down to a depth."""
    if isinstance(change.a or change.b, LayerSummary):
        return number
    return change.position - number, _what_differs(change, depth)


def _what_differs(change: Change, depth: int) -> object:
    shallow = _sign(change), _text(change.a), _text(change.b)
    if depth == 0 or change.a is None or change.b is None:
        return shallow
    inner = tuple((child.path[-1], _what_differs(child, depth - 1)) for child in change.children)
    return shallow, change.wiring, inner


def _row(run: tuple[Changes, ...], indent: int) -> TableRow:
    changes = [change for column in run for change in column]
    last = changes[-1]
    label = range_label(run[0][0].path[-1], run[-1][0].path[-1])
    what = _between(_text(last.a), _text(last.b))
    what = f"{len(changes)} x {what}" if len(changes) > 1 else what
    output = _between(_output(last.a), _output(last.b))
    changed = last.a is not None and last.b is not None
    kinds = Counter(key.kind for change in changes for key in change.keys)
    keys = " ".join(f"{sign}{kinds[kind]}" for kind, sign in _SIGNS.items() if kinds[kind])
    params = sum(_params(change.b) - _params(change.a) for change in changes)
    return (
        printable(f"{_sign(last)} {'  ' * indent}{label}"),
        printable(what),
        "" if changed and "->" not in output else output,
        keys,
        f"{params:+,}" if params else "",
    )


def _sign(change: Change) -> str:
    if change.a is None:
        return _SIGNS["only_b"]
    return _SIGNS["only_a"] if change.b is None else _SIGNS["reshaped"]


def _between(a: str | None, b: str | None) -> str:
    """What there is in A and B, once if it is the same."""
    return " -> ".join(dict.fromkeys(text for text in (a, b) if text is not None))


def _text(child: ModuleSummary | None) -> str | None:
    if isinstance(child, LayerSummary):
        return child.op
    return None if child is None else child.block or "scope"


def _output(child: ModuleSummary | None) -> str | None:
    return None if child is None else last_type(child.types)


def _params(child: ModuleSummary | None) -> int:
    return child.cost.params if child is not None else 0


# ------------------------------------------------------------------- totals


def _totals(difference: Difference) -> list[str]:
    a, b = difference.a, difference.b
    rows = [
        ("parameters", params_text(a.cost), params_text(b.cost), *_change(a.params, b.params)),
        ("buffers", f"{a.buffers:,}", f"{b.buffers:,}", *_change(a.buffers, b.buffers)),
        ("MACs", macs_text(a.cost), macs_text(b.cost), *_change(a.macs, b.macs)),
    ]
    return table([("", "A", "B", "difference", "ratio"), *rows], words=1)


def _change(a: int | None, b: int | None) -> tuple[str, str]:
    """The difference and the ratio of two numbers, where there are."""
    if a is None or b is None:
        return "", ""
    return f"{b - a:+,}" if a != b else "0", f"{b / a:.3f}" if a else ""


def _verdict(difference: Difference) -> list[str]:
    count = difference.count
    lines = [
        f"state_dict: {count('equal'):,} keys are equal, {count('reshaped'):,} have another shape, "
        f"{count('only_a'):,} are only in A, {count('only_b'):,} only in B",
        _LOADS[difference.loads],
    ]
    externs = dict.fromkeys((*difference.a.externs, *difference.b.externs))
    if externs:
        names = printable(", ".join(externs))
        lines.append(
            f"The extern layers ({names}) are left out: archc knows none of their weights."
        )
    return [*lines, "The nets are equal."] if difference.equal else lines


_LOADS = {
    "strict": "A checkpoint of A loads into B.",
    "strict=False": "A checkpoint of A loads into B with strict=False only.",
    "no": "A checkpoint of A does not load into B, not even with strict=False.",
}
