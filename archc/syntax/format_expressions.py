"""The layout of what stands between line breaks of the language: clauses, pipes, brackets.

A token's comments are written by whatever writes the separator before it: see `Join`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from archc.diagnostics import Diagnostic, Source
from archc.syntax.format_layout import (
    STEP,
    WIDTH,
    Break,
    IfBroken,
    Layout,
    Newline,
    Trailing,
    flat_width,
    forced,
    group,
    nest,
    render,
    row,
)
from archc.syntax.format_tokens import (
    Body,
    Bracket,
    Comment,
    Part,
    Token,
    ends_operand,
    first_token,
    kind_of,
    read,
)
from archc.syntax.literals import Hole, pieces
from archc.syntax.messages import DECLARATIONS

Parts = tuple[Part, ...]

WIDE_HEAD = 40
"""A pipe whose head is wider breaks before its first stage, too."""

# From the loosest to the tightest; a `-` or `*` without a left operand is no such operator.
_OPERATORS = (
    frozenset(["OR"]),
    frozenset(["AND"]),
    frozenset(["COMPARE", "IN"]),
    frozenset(["PLUS_MINUS"]),
    frozenset(["STAR", "MUL_DIV"]),
)
_SIGNS = frozenset(["PLUS_MINUS", "STAR"])
_LONGEST_NUMBER = 30


# ----------------------------------------------------------------- comments


@dataclass(frozen=True, slots=True)
class Join:
    """What stands between two parts: a separator, or comments and a line break in its place."""

    deeper: bool = True
    """Whether a line that a comment ends continues one step deeper."""

    def before(self, part: Part, separator: Layout) -> Layout:
        token = first_token(part)
        if not token.comments:
            return separator
        own = token.comments[-1].own_line
        lines = [*_lines(token.comments), Newline(own and token.after_blank)]
        return nest(*lines) if self.deeper else row(lines)


_JOIN = Join()
_SAME_DEPTH = Join(deeper=False)


def _lines(found: Iterable[Comment], *, first: bool = False) -> list[Layout]:
    """Comments inside a statement; no blank line above the `first` thing in a bracket."""
    lines: list[Layout] = []
    for comment in found:
        if comment.own_line:
            lines += [Newline(comment.after_blank and not first), comment.text]
        else:
            lines.append(Trailing(comment.text))
        first = False
    return lines


# ------------------------------------------------------------------ clauses


def header(parts: Parts) -> Layout:
    """What stands before a body. Of a block's two lists the first is the one to break."""
    line = clause(parts)
    lists = [part for part in parts if isinstance(part, Bracket)]
    declares = kind_of(parts[0]) in ("BLOCK", "NET") and lists[0].parts
    if not declares or forced(line) or flat_width(line) + len(" {") <= WIDTH:
        return line
    name, (parameters, inputs) = parts[:-2], lists
    join = _JOIN.before(inputs, "")
    return row([_spaced(name), _bracket(parameters, postfix=True, broken=True), join,
                _bracket(inputs, postfix=True)])  # fmt: skip


def clause(parts: Parts) -> Layout:
    """A statement without its bodies."""
    place = _find(parts, frozenset(["EQUAL", "PLUS_EQUAL"]))
    if place is None:
        return _values(parts, 0)
    targets, sign, value = parts[:place], parts[place], parts[place + 1 :]
    left = _values(targets, 0)
    offset = flat_width(left) + len(f" {first_token(sign).text} ")
    return row([
        left,
        _JOIN.before(sign, " "),
        first_token(sign).text,
        _JOIN.before(value[0], " "),
        _values(value, offset),
    ])  # fmt: skip


def _values(parts: Parts, offset: int) -> Layout:
    """Values with commas between them, the first of them `offset` columns into the statement."""
    items = _split(parts, "COMMA")
    if len(items) == 1:
        return _expression(parts, offset, bracketed=False)
    asserts = kind_of(parts[0]) == "ASSERT"
    lines = [_expression(items[0].parts, offset, bracketed=False)]
    for item in items[1:]:
        assert item.separator is not None
        lines += [_JOIN.before(item.separator, ""), ","]
        if not item.parts:
            lines += ["" if len(items) > 2 else ""]
            continue
        value = _expression(item.parts, WIDE_HEAD, bracketed=False)
        lines.append(_JOIN.before(item.parts[0], nest(Break()) if asserts else " "))
        lines.append(nest(value) if asserts else value)
    return group(*lines)


def _expression(parts: Parts, offset: int, *, bracketed: bool) -> Layout:
    """A choice or the inside of a comprehension: pipes with `for`, `if` and `else` between."""
    starts = [0, *(i for i in range(1, len(parts)) if _divides(parts, i)), len(parts)]
    chunks = [parts[start:end] for start, end in zip(starts, starts[1:])]
    lines = [_pipe(chunks[0], offset, bracketed=bracketed)]
    for chunk in chunks[1:]:
        breaks = bracketed or kind_of(chunk[0]) == "ELSE"
        separator: Layout = Break() if breaks else " "
        if bracketed:
            lines.append(_SAME_DEPTH.before(chunk[0], separator))
        else:
            lines.append(_JOIN.before(chunk[0], nest(separator)))
        lines.append(_pipe(chunk, WIDE_HEAD, bracketed=bracketed))
    return group(*lines) if len(lines) > 1 else lines[0]


def _divides(parts: Parts, place: int) -> bool:
    kind = kind_of(parts[place])
    return kind in ("FOR", "ELSE") or (kind == "IF" and ends_operand(parts[place - 1]))


# -------------------------------------------------------------------- pipes


def _pipe(parts: Parts, offset: int, *, bracketed: bool) -> Layout:
    """`head -> stage -> stage`; outside of brackets its author's line breaks are kept."""
    head, *stages = _split(parts, "ARROW")
    first = _chain(head.parts)
    if not stages:
        return first
    segments: list[list[Layout]] = []
    for i, stage in enumerate(stages):
        assert isinstance(stage.separator, Token)
        breaks = bool(stage.separator.comments) or (stage.separator.begins_line and not bracketed)
        if not segments or (i > 0 and breaks):
            segments.append([])
        ...
    return first


# ------------------------------------------------------------------- pieces


@dataclass(frozen=True, slots=True)
class _Item:
    """Parts, and the token that separates them from those before."""

    separator: Part | None
    parts: Parts


def _split(parts: Parts, kind: str) -> list[_Item]:
    places = [i for i, part in enumerate(parts) if kind_of(part) == kind]
    ends = [*places, len(parts)]
    items = [_Item(None, parts[: ends[0]])]
    return items + [
        _Item(parts[place], parts[place + 1 : end])
        for place, end in zip(places, ends[1:], strict=True)
    ]


def _find(parts: Parts, kinds: frozenset[str]) -> int | None:
    return next((i for i, part in enumerate(parts) if kind_of(part) in kinds), None)
