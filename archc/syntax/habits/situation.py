"""Where the parser stood when it met what it could not take: all that a message is made from."""

import re
from dataclasses import dataclass
from functools import cached_property

from lark import Token

from archc.diagnostics import Source, Span
from archc.syntax.messages import WORDS

HEADERS = frozenset({"FOR", "IF", "BLOCK", "NET", "SCOPE"})
"""The keywords of what has a body."""

MARK = "\0"
"""Where the refused text begins, in the text around it; no source holds it."""
_NEAR = 1000

_WORD = re.compile(r"\w+")
_FIRST_WORD = re.compile(
    r"\s*(?:(?:for|if|scope|return|exit|assert)\b"
    r"|(?:net|block|const|import|extern)\b(?!\s*:)|[@}])"  # with a colon it is a label
)
_ASSIGNMENT = re.compile(
    r"\s*[A-Za-z_]\w*(?:\[[^\]\n]*\]|[ \t]*,[ \t]*[A-Za-z_]\w*)*[ \t]*\+?=(?!=).*"
)


def whole_word(token: Token, text: str) -> Token:
    """The word that begins with a keyword: `forj`, where the lexer looked for `for` only."""
    found = _WORD.match(text, token.start_pos or 0)
    assert found is not None
    return Token("NAME", found[0], found.start(), end_pos=found.end())


def begins_statement(text: str, offset: int) -> bool:
    """Whether what stands at `offset` looks like a statement, not like a further argument."""
    if _FIRST_WORD.match(text, offset):
        return True
    found = _ASSIGNMENT.match(text, offset)
    if found is None:
        return False
    line = found[0]
    closers, openers = (sum(map(line.count, both)) for both in (")]", "(["))
    return closers <= openers and not line.rstrip().endswith(",")


@dataclass(frozen=True)
class Situation:
    """Where the parser stood when it met what it could not take.

    `token` is None where no token could be read. `opener` is the first token of the statement,
    `keyword` its last keyword outside brackets, `open` the brackets and braces that are open.
    """

    source: Source
    start: int
    token: Token | None
    previous: Token | None
    opener: Token | None
    keyword: str
    annotated: bool
    open: tuple[Token, ...]
    accepts: frozenset[str]

    @property
    def end(self) -> int:
        length = len(self.token.rstrip("\n\t ")) if self.token is not None else 0
        return self.start + max(1, length)

    @property
    def first(self) -> int:
        """Where the lines around the refused text begin."""
        return self.source.text.rfind("\n", 0, max(0, self.start - _NEAR)) + 1

    @cached_property
    def unmarked(self) -> tuple[str, int]:
        """The lines around the refused text, and where in them it begins."""
        text = self.source.text
        last = text.find("\n", self.start + _NEAR) + 1 or len(text)
        return text[self.first : last], self.start - self.first

    @cached_property
    def marked(self) -> tuple[str, int]:
        """The same with a mark where the refused text begins."""
        text, place = self.unmarked
        return f"{text[:place]}{MARK}{text[place:]}", place

    @property
    def at_end(self) -> bool:
        """Whether the text is over; a hole of a string ends before it."""
        return self.type == "$END" and self.start == len(self.source.text)

    @property
    def type(self) -> str:
        return self.token.type if self.token is not None else ""

    @property
    def span(self) -> Span:
        return Span(self.source, self.start, self.end)

    @property
    def bracket(self) -> Token | None:
        """The innermost open bracket, if the parser stands inside ( ) or [ ]."""
        inner = self.open[-1] if self.open else None
        return inner if inner is not None and inner.type != "LBRACE" else None

    @property
    def follows_header(self) -> bool:
        """Whether this is the `{` of a body, behind the condition or list of its statement."""
        return self.type == "LBRACE" and self.opener is not None and self.opener.type in HEADERS

    @property
    def starts_statement(self) -> bool:
        """Whether a statement or declaration could begin here."""
        return bool(self.accepts & {"RETURN", "NET"})

    @property
    def after_previous(self) -> Span:
        end = self.previous.end_pos if self.previous is not None else 0
        return Span(self.source, end or 0, (end or 0) + 1)

    @property
    def first_on_line(self) -> bool:
        """Whether a line break lies between this token and the one before it."""
        if self.type == "_NL" or self.at_end:
            return True
        if self.previous is not None and self.previous.type == "_NL":
            return True
        return "\n" in self.source.text[self.after_previous.start : self.start]

    @property
    def line_ended(self) -> bool:
        """Whether the line ended too early: what comes next belongs to another statement."""
        continues = self.type in ("ELSE", "ARROW", "LBRACE")
        return self.first_on_line and not self.starts_statement and not continues

    @property
    def found(self) -> str:
        """What stands here, for a message."""
        if self.at_end:
            return WORDS["$END"]
        if self.token is None or self.type == "$END":  # $END inside the text: a hole's `}`
            return f"`{self.source.text[self.start]}`"
        if self.line_ended:
            return WORDS["_NL"]
        return WORDS["STRING"] if self.type == "STRING" else f"`{self.span.text}`"
