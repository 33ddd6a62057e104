"""Where the braces belong that are missing: read off the indentation, or not at all.

A body ends before the first statement that is indented no more than the statement to which the
body belongs. Where the lines of a body do not agree, the indentation tells nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from archc.diagnostics import Edit, Fix, Source, Span
from archc.syntax.messages import DECLARATIONS

_DECLARATION = re.compile(r"^([ \t]*)(?:net|block)\b", re.MULTILINE)
PIECE = re.compile(r"""#.*|"(?:[^"\\]|\\.)*"?|'[^'\n]*'|->|\w+|[^\s\w]""")
"""A piece of a line: a comment, a string, a word or a sign."""
UNFINISHED = re.compile(r"[-+*/%<>=!,:.\\]|->|and|or|not|in|if|else|for")
"""A last piece behind which a statement goes on below."""


_OPERATOR = re.compile(r"->|[-+*/%<>!]|==|\b(?:and|or|not|if|else|for|in)\b")
_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*')


def is_plain(inside: str, before_body: bool) -> bool:
    """Whether only the end of a text can be where the bracket before it closes.

    It may close before any operator, `relu(x -> conv(8, 3)`, and a bracket inside may be the one
    that lacks its partner: `zip(range(3, xs)`. Where a body follows, calls are of functions.
    """
    text = _LITERAL.sub("_", inside)
    if _OPERATOR.search(text) or text.rstrip().endswith(","):
        return False
    _, nested, rest = text.partition("(") if "(" in text else text.partition("[")
    return not nested or (before_body and "," not in rest)


@dataclass
class _Body:
    """A body that is open: its brace, and the indentation of its statement and of its lines."""

    opening: int
    indent: str
    inner: str | None = None
    shares_line: bool = False
    """Whether something stands behind the brace on its line."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A closing brace that is missing: the brace that it closes, and the text that it needs."""

    opening: Span
    edit: Edit


class _UnclearError(Exception):
    """The indentation does not tell."""


def missing_braces(source: Source, opening: int) -> tuple[Missing, ...]:
    """The braces that the declaration whose body opens at `opening` lacks, in their order; none
    where the indentation does not tell."""
    try:
        return tuple(_Scan(source, opening).run())
    except _UnclearError:
        return ()


def closing_fix(missing: Sequence[Missing]) -> Fix:
    """The edits that put them there, those at one place as one."""
    edits = [each.edit for each in missing]
    places = groupby(edits, key=lambda edit: edit.span)
    return tuple(Edit(span, "".join(edit.text for edit in same)) for span, same in places)


@dataclass
class _Scan:
    """Reads lines from a declaration's opening brace, and the bodies that they open and close."""

    source: Source
    opening: int
    bodies: list[_Body] = field(default_factory=list)
    indent: str = ""
    """That of the statement which is being read."""
    brackets: int = 0
    before: str = ""
    """The last piece of code, and where it ends."""
    before_end: int = 0

    def run(self) -> Iterator[Missing]:
        text = self.source.text
        heading = list(_DECLARATION.finditer(text, 0, self.opening))
        if not heading:
            raise _UnclearError
        self.indent = heading[-1][1]
        start = self.opening
        while self.bodies or start == self.opening:
            if start >= len(text):
                yield from self._dedent("", len(text))
                return
            end = text.find("\n", start)
            end = len(text) if end < 0 else end
            pieces = [found for found in PIECE.finditer(text, start, end) if found[0][0] != "#"]
            if pieces:
                if start > self.opening:
                    yield from self._line(pieces[0], text[start : pieces[0].start()], start)
                    if not self.bodies:
                        self._end(pieces[0])
                        return
                yield from self._read(pieces)
            start = end + 1

    def _end(self, first: re.Match[str]) -> None:
        """Behind the body of a declaration, only another one can stand."""
        if first[0] not in DECLARATIONS and first[0] != "@":
            raise _UnclearError

    def _line(self, first: re.Match[str], indent: str, start: int) -> Iterator[Missing]:
        """The bodies that end before a line."""
        if self.brackets or first[0] in ("->", "{") or UNFINISHED.fullmatch(self.before):
            return
        if first[0] == "}":
            yield from self._dedent(indent, start, level=True)
            if self.bodies and self.bodies[-1].indent != indent:
                raise _UnclearError
        elif first[0] == "else":
            yield from self._else(first.start(), indent, start)
        else:
            yield from self._dedent(indent, start)
            if self.bodies:
                self._statement(indent)

    def _else(self, offset: int, indent: str, start: int) -> Iterator[Missing]:
        """The body before an `else`, which stands no deeper than the lines of that body."""
        yield from self._dedent(indent, start, level=True)
        if self.before == "}" or not self.bodies:
            return
        body = self.bodies[-1]
        if len(indent) > len(self.indent):  # of an expression, `a if b else c`
            return
        if body.shares_line or body.inner is None or len(indent) >= len(body.inner):
            raise _UnclearError
        self.bodies.pop()
        yield self._missing(body, Edit(self._at(offset), "} "))
        self.indent = body.indent

    def _statement(self, indent: str) -> None:
        body = self.bodies[-1]
        if body.shares_line or body.inner not in (None, indent):
            raise _UnclearError
        body.inner = self.indent = indent

    def _dedent(self, indent: str, start: int, *, level: bool = False) -> Iterator[Missing]:
        """The bodies that are indented more than the line at `start`, or as much; with `level`
        those that are indented more."""
        while self.bodies:
            body = self.bodies[-1]
            if len(indent) > len(body.indent) or (level and indent == body.indent):
                if not indent.startswith(body.indent):
                    raise _UnclearError
                return
            if not body.indent.startswith(indent) or (body.inner is None and not body.shares_line):
                raise _UnclearError
            self.bodies.pop()
            yield self._missing(body, self._closing(body, start))

    def _closing(self, body: _Body, start: int) -> Edit:
        """A brace on the line of its body, or on a line of its own before the one at `start`."""
        if body.shares_line:
            return Edit(self._at(self.before_end), " }")
        lines = self.source.text[:start].split("\n")
        if start and not lines[-1]:
            lines.pop()
        while not lines[-1].strip() or self._is_comment_outside(lines[-1], body):
            lines.pop()
        return Edit(self._at(sum(map(len, lines)) + len(lines) - 1), f"\n{body.indent}}}")

    def _is_comment_outside(self, line: str, body: _Body) -> bool:
        code = line.lstrip()
        return code.startswith("#") and len(line) - len(code) <= len(body.indent)

    def _missing(self, body: _Body, edit: Edit) -> Missing:
        return Missing(Span(self.source, body.opening, body.opening + 1), edit)

    def _at(self, offset: int) -> Span:
        return Span(self.source, offset, offset)

    def _ends_a_body(self, chosen: bool) -> bool:
        """Whether an `else` stands where a body is open, and is not that of an expression."""
        return bool(self.bodies) and not (chosen or self.brackets or self.before == "}")

    def _read(self, pieces: Sequence[re.Match[str]]) -> Iterator[Missing]:
        """Keep the books of brackets and bodies over a line; in it a body may end by `else`."""
        opened = len(self.bodies)
        chosen = True  # whether an `if` of an expression waits for its `else`
        for piece in pieces:
            if piece[0] == "else" and self._ends_a_body(chosen):
                body = self.bodies.pop()
                yield self._missing(body, Edit(self._at(piece.start()), "} "))
                self.indent = body.indent
            chosen = piece[0] == "if" or (chosen and piece[0] not in "{}")
            self.before, self.before_end = piece[0], piece.end()
            if piece[0] == "{":
                if self.brackets:
                    raise _UnclearError
                self.bodies.append(_Body(piece.start(), self.indent))
            elif piece[0] == "}":
                if self.brackets or not self.bodies:
                    raise _UnclearError
                self.indent = self.bodies.pop().indent
            elif piece[0] in "([":
                self.brackets += 1
            elif piece[0] in ")]":
                self.brackets = max(0, self.brackets - 1)
        for body in self.bodies[opened:]:
            body.shares_line = body.opening < pieces[-1].start()
