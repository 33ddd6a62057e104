"""Literals: the value of a number; the text, escapes and `{expression}` holes of a string."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from archc.diagnostics import Diagnostic, Label, Source, Span
from archc.syntax.edits import inserted, replaced
from archc.syntax.habits.interpolated import interpolated

MAX_DIGITS = 12
MAX_FLOAT = 32

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}

QUOTE_HELP = "bind the value to a name first, and put the name into the hole"

_PIECE = re.compile(r"[^\\{}]+|\\.|\{\{|\}\}|\{|\}")
_HOLE_END = re.compile(r"[{}\\]")
_IDLE = {"!s", ":", ":d", ":s", "!s:", "!s:s"}
"""Formats that change nothing of a whole number or a text."""
_FORMAT = re.compile(r"(?:![rsa])?(?::[^:\[\]]*)?$")


@dataclass(frozen=True, slots=True)
class Hole:
    """The place of an expression in a string, without its braces."""

    start: int
    end: int


def pieces(source: Source, start: int, end: int) -> Iterator[str | Hole | Diagnostic]:
    """The parts of the literal at `start` to `end` (quotes included) in turn.

    Mistakes come as diagnostics in place of the part that has them.
    """
    position, end = start + 1, end - 1
    formatted = _formatted(source, start, end + 1)
    if formatted is not None:
        yield formatted
        return
    while position < end:
        found = _PIECE.match(source.text, position, end)
        assert found is not None, "the STRING terminal admits nothing else"
        piece = found[0]
        position = found.end()
        if piece == "{":
            close = _close(source.text, position, end)
            yield _hole(source, position, close)
            position = max(position, close + (source.text[close] == "}"))
        elif piece[0] == "\\":
            yield _escape(source, found.start(), piece)
        elif piece == "}":
            yield _stray(source, found.start())
        else:
            yield {"{{": "{", "}}": "}"}.get(piece, piece)


_FORMATTED = re.compile(r"\.format(\((?:[^()\"\n]|\([^()\"\n]*\))*\))")


def _formatted(source: Source, start: int, end: int) -> Diagnostic | None:
    """`"c{}".format(i)`, whose empty holes are none of this language."""
    call = _FORMATTED.match(source.text, end)
    if call is None or not re.search(r"\{\d*[}:!]", source.text[start:end]):
        return None
    span = Span(source, start, call.end())
    ours = interpolated(span.text)
    return Diagnostic(
        "E0165",
        "strings have no `format`: what is to stand in a hole is written there",
        (Label(span),),
        help='write `"c{i}"`' if ours is None else f"write `{ours}`",
        fix=() if ours is None else replaced(span, ours),
        certain=ours is not None,
    )


def _close(text: str, start: int, end: int) -> int:
    """Where a hole's expression ends: at `}`, or at the first thing that no hole can hold."""
    found = _HOLE_END.search(text, start, end)
    return found.start() if found else end


def _hole(source: Source, start: int, end: int) -> Hole | Diagnostic:
    whole = Label(Span(source, start - 1, end))
    if source.text[end] == "\\":
        return Diagnostic(
            "E0161",
            "a hole cannot hold a quote or an escape",
            (Label(Span(source, end, end + 2)),),
            help=QUOTE_HELP,
        )
    if source.text[end] != "}":
        return Diagnostic(
            "E0161",
            "this hole is not closed",
            (whole,),
            help="close it with `}`, or write `{{` for a brace",
        )
    text = source.text[start:end]
    if not text.strip():
        return Diagnostic(
            "E0162",
            "this hole is empty",
            (Label(Span(source, start - 1, end + 1)),),
            help="put an expression into it, or write `{{}}` for braces",
            fix=replaced(Span(source, start - 1, end + 1), "{{}}"),
        )
    form = _FORMAT.search(text)
    if form and form[0]:
        place = Span(source, start + form.start(), end)
        plain = form[0] in _IDLE  # else the text would be another one
        return Diagnostic(
            "E0165",
            "a hole takes no format",
            (Label(place),),
            help="write the expression alone",
            fix=replaced(place, "") if plain else (),
            certain=plain,
        )
    return Hole(start, end)


def _escape(source: Source, start: int, escape: str) -> str | Diagnostic:
    text = ESCAPES.get(escape[1])
    if text is not None:
        return text
    return Diagnostic(
        "E0160",
        f"unknown escape `{escape}`",
        (Label(Span(source, start, start + 2)),),
        help="the escapes are `\\n`, `\\t`, `\\r`, `\\\\`, `\\\"` and `\\'`; a backslash is `\\\\`",
        fix=inserted(Span(source, start, start + 2), "\\"),
    )


def _stray(source: Source, start: int) -> Diagnostic:
    return Diagnostic(
        "E0163",
        "this `}` closes no hole",
        (Label(Span(source, start, start + 1)),),
        help="write `}}` for a brace",
        fix=inserted(Span(source, start, start + 1), "}"),
    )


def number(span: Span) -> int | float | Diagnostic:
    """The value of a number; its length is checked before it is converted."""
    text = span.text
    if text.isdigit() or text.replace("_", "").isdigit():
        return _integer(text.replace("_", ""), span)
    if len(text) > MAX_FLOAT:
        message = f"a float has at most {MAX_FLOAT} characters"
        return Diagnostic("E0151", message, (Label(span),))
    value = float(text)
    if math.isinf(value):
        return Diagnostic("E0151", "this float is too large", (Label(span),))
    return value


def _integer(digits: str, span: Span) -> int | Diagnostic:
    if len(digits) > MAX_DIGITS:
        message = f"an integer has at most {MAX_DIGITS} digits"
        return Diagnostic("E0150", message, (Label(span),))
    if digits[0] == "0" and int(digits) != 0:
        return Diagnostic(
            "E0125",
            "an integer has no leading zeros",
            (Label(span),),
            help=f"write `{int(digits)}`, or `0.{digits[1:]}` with a point",
        )
    return int(digits)
