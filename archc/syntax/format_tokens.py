"""Source -> statements of tokens, grouped by brackets; each token knows the comments before it.

Comments are what stands between two tokens and is not white space, so none can be missed and no
string be taken for one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lark.utils import TextSlice

from archc.diagnostics import Source
from archc.syntax import table

_GAP = re.compile(r"#[^\n]*|\n")
_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"|#[^\n]*')
_CLOSING = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_OPERAND = frozenset(["NAME", "NUMBER", "STRING", "TRUE", "FALSE"])
_LONGEST_NUMBER = 30
END = "$END"


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment: alone on its line or behind a token, and whether a blank line is above it."""

    text: str
    own_line: bool
    after_blank: bool


@dataclass(frozen=True, slots=True)
class Token:
    """A token, the comments before it, and whether it begins a line or has a blank one above."""

    kind: str
    text: str
    comments: tuple[Comment, ...]
    begins_line: bool
    after_blank: bool


NOTHING = Token("", "", (), False, False)
"""What is before the first token."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """`( )` or `[ ]` and what is inside."""

    opener: Token
    parts: tuple["TokenTree", ...]
    closer: Token


@dataclass(frozen=True, slots=True)
class Braced:
    """`{ }` and the statements inside; `one_line` if it was written on one."""

    opener: Token
    statements: tuple["TokenTrees", ...]
    closer: Token
    one_line: bool


TokenTree = Token | Bracket | Braced
TokenTrees = tuple[TokenTree, ...]
"""A statement or declaration; an annotation before it is a statement of its own."""


def first_token(part: TokenTree) -> Token:
    return part if isinstance(part, Token) else part.opener


def kind_of(part: TokenTree) -> str:
    """The kind of a token, or of the bracket that opens a group."""
    return first_token(part).kind


def ends_operand(part: TokenTree | None) -> bool:
    """Whether an operator after this part has two operands, and a bracket belongs to it."""
    return isinstance(part, Bracket) or (isinstance(part, Token) and part.kind in _OPERAND)


def spelling(token: Token) -> str:
    """A number with digits on both sides of its point and a small `e`; all else as it is."""
    if token.kind != "NUMBER":
        return token.text
    mantissa, e, exponent = token.text.lower().partition("e")
    if len(token.text) > _LONGEST_NUMBER or "." not in mantissa:
        return mantissa + e + exponent
    whole, _, fraction = mantissa.partition(".")
    return f"{whole or 0}.{fraction or 0}{e}{exponent}"


def read(source: Source, rule: str = "file") -> tuple[tuple[TokenTrees, ...], Token]:
    """The statements of a text that parses by `rule`, and the token at its end."""
    reader = _TreeReader(_tokens(source, rule))
    return reader.statements(END), reader.token


def comments(source: Source) -> list[str]:
    """All comments of a text that parses, in their order."""
    found = _STRING_OR_COMMENT.findall(source.text)
    return [text.rstrip() for text in found if text[0] == "#"]


def _tokens(source: Source, rule: str) -> Iterator[Token]:
    parser: Any = table.load().parse_interactive(TextSlice.cast_from(source.text), start=rule)
    end, depth = 0, 0
    for token in parser.lexer_thread.lex(parser.parser_state):
        kind = token.type
        if kind == "_NL" and depth > 0:
            continue
        depth += (kind in ("LPAR", "LSQB")) - (kind in ("RPAR", "RSQB"))
        parser.feed_token(token)
        if kind == "_NL":
            # What follows is the gap up to the next statement, line breaks of this one included.
            yield _token(kind, "", source.text[end : token.start_pos], starts=end == 0)
            end = token.start_pos
            continue
        yield _token(kind, str(token), source.text[end : token.start_pos], starts=end == 0)
        end = token.end_pos
    yield _token(END, "", source.text[end:], starts=end == 0)


def _token(kind: str, text: str, gap: str, *, starts: bool) -> Token:
    """A token after a gap of white space and comments; `starts` for the first one of a text."""
    found: list[Comment] = []
    breaks = 1 if starts else 0
    for piece in _GAP.findall(gap):
        if piece == "\n":
            breaks += 1
            continue
        found.append(Comment(piece.rstrip(), breaks > 0, breaks > 1))
        breaks = 0
    return Token(kind, text, tuple(found), breaks > 0, breaks > 1)


class _TreeReader:
    """Groups tokens by brackets and line breaks. `token` is the next one."""

    def __init__(self, tokens: Iterator[Token]) -> None:
        self.tokens = tokens
        self.token = next(tokens)
        self.lines = 0
        """The number of line breaks met so far, but for several between two tokens."""

    def statements(self, closer: str) -> tuple[TokenTrees, ...]:
        found: list[TokenTrees] = []
        while self.token.kind != closer:
            found.append(self._annotation() if self.token.kind == "AT" else self._statement(closer))
            if self.token.kind == "_NL":
                self._skip_line_break()
        return tuple(found)

    def _skip_line_break(self) -> None:
        """Drop a line break; the comments before it belong to the statement after it."""
        line_break = self._take()
        comments = line_break.comments + self.token.comments
        after = self.token
        self.token = Token(after.kind, after.text, comments, True, after.after_blank)

    def _take(self) -> Token:
        token = self.token
        self.lines += token.begins_line or bool(token.comments)
        self.token = next(self.tokens, token)
        return token

    def _annotation(self) -> TokenTrees:
        parts: list[TokenTree] = [self._take(), self._take()]
        if self.token.kind == "LPAR":
            parts.append(self._bracket())
        return tuple(parts)

    def _statement(self, closer: str) -> TokenTrees:
        parts: list[TokenTree] = []
        while self.token.kind not in ("_NL", closer):
            parts.append(self._part())
        return tuple(parts)

    def _part(self) -> TokenTree:
        if self.token.kind == "LBRACE":
            return self._body()
        return self._bracket() if self.token.kind in _CLOSING else self._take()

    def _bracket(self) -> Bracket:
        opener = self._take()
        parts: list[TokenTree] = []
        while self.token.kind != _CLOSING[opener.kind]:
            parts.append(self._part())
        return Bracket(opener, tuple(parts), self._take())

    def _body(self) -> Braced:
        opener = self._take()
        lines = self.lines
        statements = self.statements("RBRACE")
        closer = self._take()
        return Braced(opener, statements, closer, self.lines == lines)
