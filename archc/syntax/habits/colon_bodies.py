"""Bodies behind a colon, as in Python: the braces that they are to have here, or none.

A body is the rest of its line, or the lines that are indented more. Comments and the inner lines
of brackets may be indented at will. Where the lines do not agree, there are no braces.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archc.diagnostics import Fix, Span
from archc.syntax.edits import appended, indentation, inserted, replaced
from archc.syntax.habits.braces import PIECE, UNFINISHED
from archc.syntax.habits.habit import Habit, outside
from archc.syntax.habits.situation import HEADERS, Situation

_BEFORE_BODY = frozenset({"if", "elif", "else", "for", "while", "scope", "block", "net", "}"})
"""First pieces of statements that end with the colon of a body; in others it is a label's."""


def _braces(s: Situation) -> Fix:
    """Braces around the rest of the line, or around the lines that are indented more."""
    text, own = s.source.text, _own_indentation(s)
    if re.compile(r":[ \t]*\{").match(text, s.start):
        return replaced(s.span, "")
    lines = list(_lines(text, s.end))
    closing = _end_on_line(s, own, lines) if lines[0].pieces else _end_below(s, own, lines[1:])
    opening = replaced(s.span, "{" if text[s.start - 1] == " " else " {")
    return (*opening, *closing) if closing else ()


def _own_indentation(s: Situation) -> str:
    """That of the statement to which the body belongs, whose heading may take several lines."""
    if s.opener is None or s.keyword == "ELSE":
        return indentation(s.span)
    start = s.opener.start_pos or 0
    return indentation(Span(s.source, start, start))


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a text: where it begins and ends, its indentation, and the pieces of its code."""

    start: int
    end: int
    indent: str
    pieces: tuple[re.Match[str], ...]

    @property
    def is_whole(self) -> bool:
        """Whether each string in it is closed."""
        words = [piece[0] for piece in self.pieces if piece[0][0] in "\"'"]
        return all(len(word) > 1 and word[0] == word[-1] for word in words)


def _lines(text: str, start: int) -> Iterator[_Line]:
    """The lines from an offset on, the first of which may be the rest of one."""
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        indent = line[: len(line) - len(line.lstrip())]
        found = () if line.lstrip().startswith("//") else PIECE.finditer(text, start, end)
        pieces = tuple(piece for piece in found if piece[0][0] != "#")
        yield _Line(start, end, indent, pieces)
        start = end + 1


def _end_on_line(s: Situation, own: str, lines: list[_Line]) -> Fix:
    """The brace behind a body on the line of its colon: before an `else`, or a brace that closes
    what is opened before on that line, or at the end."""
    text, pieces = s.source.text, lines[0].pieces
    following = next((line for line in lines[1:] if line.pieces), None)
    if following is not None and len(following.indent) > len(own):
        return ()  # a statement or a body that goes on below
    if following is not None and following.pieces[0][0] in ("->", "{"):
        return ()
    before = list(PIECE.finditer(text[text.rfind("\n", 0, s.start) + 1 : s.start].lstrip(" \t}")))
    if not lines[0].is_whole or UNFINISHED.fullmatch(pieces[-1][0]):
        return ()
    if _depth(before, "{", "}") + _depth(pieces, "{", "}") or _depth(pieces, "([", ")]"):
        return ()
    depth = 0
    for piece, after in zip(pieces, (*pieces[1:], None), strict=True):
        depth += (piece[0] == "{") - (piece[0] == "}")
        if depth < 0:
            return inserted(Span(s.source, piece.start(), piece.end()), "} ")
        other = piece[0] == "else" and after is not None and after[0] in (":", "{")
        if other and depth == 0 and text[: piece.start()].rstrip()[-1] != "}":
            nested = any(inner[0] in ("if", "for") for inner in pieces[: pieces.index(piece)])
            return () if nested else inserted(Span(s.source, piece.start(), piece.end()), "} ")
    return appended(Span(s.source, s.start, pieces[-1].end()), " }")


def _depth(pieces: Sequence[re.Match[str]], one: str, two: str) -> int:
    """How many brackets are open behind pieces that they open, less those that they close."""
    return sum((piece[0] in one) - (piece[0] in two) for piece in pieces)


def _end_below(s: Situation, own: str, lines: list[_Line]) -> Fix:
    """The brace below the lines that are indented more than the statement of a body."""
    inner, head, last = "", "", ""
    braces = brackets = 0
    end: int | None = None
    for line in lines:
        if not line.pieces:
            continue
        first = line.pieces[0][0]
        goes_on = UNFINISHED.fullmatch(last) and not (last == ":" and head in _BEFORE_BODY)
        if not (brackets or first in ("->", "{") or goes_on):
            if own.startswith(line.indent):
                if (first == "}" and line.indent == own) or braces:
                    return ()
                break
            inner = inner or line.indent
            if inner == own or not inner.startswith(own) or not line.indent.startswith(inner):
                return ()
            head = first
        braces += _depth(line.pieces, "{", "}")
        brackets += _depth(line.pieces, "([", ")]")
        if not line.is_whole or braces < 0 or brackets < 0:
            return ()
        last, end = line.pieces[-1][0], line.end
    if end is None or brackets or braces:
        return ()
    end = _with_comments(lines, end, own)
    return appended(Span(s.source, end, end), f"\n{own}}}")


def _with_comments(lines: list[_Line], end: int, own: str) -> int:
    """The end of the comments that follow a body and are indented as its lines are."""
    for line in lines:
        if line.start > end:
            if line.pieces or (line.end > line.start and len(line.indent) <= len(own)):
                break
            if line.end > line.start + len(line.indent):
                end = line.end
    return end


COLON_BODIES = (
    Habit(
        "E0129",
        "a body stands in braces, not after a colon",
        "‸(?P<at>:)",
        "write `{{ ... }}`",
        fix=lambda found: _braces(found.s),
        types="COLON",
        keywords=" ".join(sorted(HEADERS | {"ELSE"})),
        when=outside,
    ),
)
