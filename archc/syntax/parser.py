"""Source -> AST: feeds lark's LALR parser token by token, and recovers from every mistake.

After a mistake the statement is replaced by a stand-in that parses, and reading goes on at the
next statement, so that all independent mistakes of a file are reported in one run.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from lark import Token, Tree, UnexpectedCharacters
from lark.exceptions import UnexpectedToken
from lark.utils import TextSlice

from archc.diagnostics import MAX_SHOWN, ArchError, Diagnostic, Label, Source, Span
from archc.syntax import ast, table
from archc.syntax.habits.mistakes import explain
from archc.syntax.habits.python_values import foreign_value, quoted
from archc.syntax.habits.situation import Situation, begins_statement, whole_word
from archc.syntax.messages import CLOSING, DECLARATIONS, FOREIGN, KEYWORDS, OPENERS, RESERVED
from archc.syntax.recovery import STAND_INS, restart, statement_end
from archc.syntax.tree_builder import TreeBuilder

MAX_TOKENS = 100_000
MAX_NESTING = 64
MAX_NAME = 64


def parse(source: Source) -> ast.File:
    """The syntax tree of a file.

    Raises:
        ArchError: every independent mistake of the file (at most 20), in their order.
    """
    file, foreign = read(source)
    if foreign:
        raise ArchError(foreign)
    return file


def read(source: Source) -> tuple[ast.File, tuple[Diagnostic, ...]]:
    """The syntax tree of a file, and what is wrong with its values in Python's words, as `True` and
    `'same'`: they are understood, and a mend of what is around them may hold them.

    Raises:
        ArchError: every independent mistake of the file (at most 20), if there are others.
    """
    reader = Reader(source)
    file: ast.File = _build(reader, reader.file())
    return file, tuple(reader.foreign)


def parse_expression(source: Source) -> ast.Expr:
    """The syntax tree of a text that is one expression, as of an option of the command line.

    Raises:
        ArchError: the first mistake.
    """
    reader = Reader(source)
    expr: ast.Expr = _build(reader, reader.hole(0, len(source.text)))
    if reader.foreign:
        raise ArchError(tuple(reader.foreign[:1]))
    return expr


def _build(reader: "Reader", tree: Tree[Token] | None) -> Any:
    built = None
    if tree is not None:
        builder = TreeBuilder(reader.source, reader.hole)
        built = builder.build(tree)
        reader.errors += builder.errors
    if reader.errors or len(reader.foreign) >= MAX_SHOWN:
        reader.errors += reader.foreign
        reader.errors.sort(key=lambda diagnostic: diagnostic.labels[0].span.start)
        raise ArchError(tuple(reader.errors[:MAX_SHOWN]))
    return built


_DECLARATION = re.compile(
    r"(?:net|block)\s+\w+\s*[(={]|const\s+\w+\s*=|import\s*\"|extern\s+layer\b"
)

_STRUCTURE = KEYWORDS - {"IN", "AND", "OR", "NOT", "TRUE", "FALSE", "LAYER", "FROM"}
_CLOSERS = frozenset(CLOSING.values())


@dataclass
class _Mark:
    """The parser before a statement, to return to when the statement turns out to be broken."""

    states: list[Any]
    values: list[Any]
    opener: Token | None = None
    keyword: str = ""
    annotated: bool = False


@dataclass
class _RefusedError(Exception):
    """The text at `start` cannot be taken; `token` is what the lexer made of it, if anything."""

    start: int
    token: Token | None


@dataclass
class _GiveUpError(Exception):
    """A limit is exceeded, or there are enough errors."""


@dataclass
class Reader:
    """Reads the trees of one source, and collects what is wrong with it."""

    source: Source
    errors: list[Diagnostic] = field(default_factory=list)
    foreign: list[Diagnostic] = field(default_factory=list)
    """The same of values in Python's words, which are read all the same."""
    tokens: int = 0
    long_names: set[str] = field(default_factory=set)
    """Names that are too long, each of which is reported once."""

    def file(self) -> Tree[Token] | None:
        """The tree of the whole file; None if a limit made the reader give up."""
        return self._read("file", 0, len(self.source.text), recover=True)

    def hole(self, start: int, end: int) -> Tree[Token] | None:
        """The tree of an expression in a string; None, with an error noted, if it has none."""
        if len(self.errors) >= MAX_SHOWN:
            return None
        return self._read("expr", start, end, recover=False)

    def _read(self, rule: str, start: int, end: int, *, recover: bool) -> Tree[Token] | None:
        try:
            return _Stretch(self, rule, start, end, recover).read()
        except _GiveUpError:
            return None


class _Stretch:
    """One run of the parser over the text from `start` to `end`."""

    def __init__(self, reader: Reader, rule: str, start: int, end: int, recover: bool) -> None:
        self.reader = reader
        self.source = reader.source
        self.end = end
        self.recover = recover
        text = TextSlice(self.source.text, start, end)
        self.parser: Any = table.load().parse_interactive(text, start=rule)
        self.open: list[Token] = []
        self.previous: Token | None = None
        self.marks = [self._mark()]
        self.resumed = False

    def read(self) -> Tree[Token]:
        while True:
            try:
                self._feed_all()
                return self._finish()
            except _RefusedError as broken:
                self._note(broken)
                if not self.recover:
                    raise _GiveUpError from None
                self._resume(broken)

    # ------------------------------------------------------------- reading

    def _feed_all(self) -> None:
        thread, state = self.parser.lexer_thread, self.parser.parser_state
        while True:
            try:
                for token in thread.lex(state):
                    self._feed(token)
                return
            except UnexpectedCharacters as problem:
                start = problem.pos_in_stream or 0
                if not self._feed_string(start):
                    raise _RefusedError(start, None) from None
            except UnexpectedToken as problem:
                raise _RefusedError(_start(problem.token), problem.token) from None

    def _feed_string(self, start: int) -> bool:
        """Read `'same'` as `"same"`, if it stands there and needs no thought."""
        string = quoted(self.source, start, self.end, self.previous)
        if string is None or "STRING" not in self.parser.accepts():
            return False
        self._note_foreign(start, None)
        self._feed(string)
        self.parser.lexer_thread.state.line_ctr.char_pos = string.end_pos
        return True

    def _feed(self, token: Token) -> None:
        kind = token.type
        if kind == "_NL" and not self._outside():
            return
        self._count(token)
        if kind == "NAME":
            token = self._name(token)
            kind = token.type
        elif kind in KEYWORDS:
            self._keyword(token)
        self._forbid_line_break(self.previous, token)
        self._push(token)
        self._follow(kind, token)
        self.previous = token
        self.resumed = False

    def _count(self, token: Token) -> None:
        self.reader.tokens += 1
        if self.reader.tokens > MAX_TOKENS:
            self._stop("E0107", f"a spec has at most {MAX_TOKENS} tokens", token)

    def _name(self, token: Token) -> Token:
        if token in RESERVED:
            return Token(token.upper(), str(token), token.start_pos, end_pos=token.end_pos)
        value = foreign_value(token, self.parser.accepts, argument=not self._outside())
        if value is not None:
            self._note_foreign(_start(token), token)
            return value
        if token in FOREIGN:
            raise _RefusedError(_start(token), token)
        if self._declares(token):
            raise _RefusedError(_start(token), token)
        if len(token) > MAX_NAME and token not in self.reader.long_names:
            self.reader.long_names.add(str(token))
            message = f"a name has at most {MAX_NAME} characters, and this one {len(token)}"
            self._error("E0152", message, token)
        return token

    def _declares(self, token: Token) -> bool:
        """Whether a word at the start of a line opens a declaration, whatever was open before.

        An indented `const` in a body is a statement by habit.
        """
        if token not in DECLARATIONS:
            return False
        line = self.source.text.rfind("\n", 0, _start(token)) + 1
        before = self.source.text[line : token.start_pos]
        if before.strip() or (before and self.open and token == "const"):
            return False
        return _DECLARATION.match(self.source.text, _start(token)) is not None

    def _keyword(self, token: Token) -> None:
        word = whole_word(token, self.source.text)
        if len(word) > len(token):
            raise _RefusedError(_start(token), word)

    def _forbid_line_break(self, before: Token | None, token: Token) -> None:
        """A line that looks like a statement is one, although what is above it is unfinished."""
        if before is None or before.type in ("_NL", "LBRACE"):
            return
        if "\n" not in self.source.text[before.end_pos : token.start_pos]:
            return
        lone = before.type in ("RETURN", "EXIT")  # takes its value from its own line
        assigns = token.type == "NAME" and self._outside()
        if lone or (assigns and begins_statement(self.source.text, _start(token))):
            raise _RefusedError(_start(token), token)

    def _outside(self) -> bool:
        """Whether the parser stands outside ( ) and [ ]."""
        return not self.open or self.open[-1].type == "LBRACE"

    def _push(self, token: Token) -> None:
        state = self.parser.parser_state
        states, values = state.state_stack[:], state.value_stack[:]
        try:
            self.parser.feed_token(token)
        except UnexpectedToken:
            # The wrong token may have reduced what was read; go back, so that what is expected
            # is found from where the author stands.
            state.state_stack, state.value_stack = states, values
            raise

    def _follow(self, kind: str, token: Token) -> None:
        """Keep the books: open brackets, the mark of each statement, its keyword."""
        if kind in CLOSING:
            self._open(kind, token)
        elif kind in _CLOSERS:
            self._close(kind)
        elif self._outside():
            self._outside_brackets(kind, token, self.marks[-1])

    def _outside_brackets(self, kind: str, token: Token, mark: _Mark) -> None:
        if kind == "_NL":
            self.marks[-1] = self._mark(mark.annotated and mark.opener is None)
        elif kind == "AT" and mark.opener is None:
            mark.annotated = True
        elif kind in _STRUCTURE:
            mark.keyword = kind
            mark.opener = mark.opener or token
        elif mark.opener is None and (kind == "EQUAL" or not mark.annotated):
            mark.opener = token

    def _close(self, kind: str) -> None:
        self.open.pop()
        if kind == "RBRACE":
            self.marks.pop()
            self.marks[-1].keyword = ""

    def _open(self, kind: str, token: Token) -> None:
        brace = kind == "LBRACE"
        self.open.append(token)
        if sum((other.type == "LBRACE") == brace for other in self.open) > MAX_NESTING:
            what = "bodies" if brace else "brackets"
            self._stop("E0108", f"{what} nest at most {MAX_NESTING} deep", token)
        if brace:
            self.marks.append(self._mark())

    def _mark(self, annotated: bool = False) -> _Mark:
        state = self.parser.parser_state
        return _Mark(state.state_stack[:], state.value_stack[:], annotated=annotated)

    def _finish(self) -> Tree[Token]:
        end = Token("$END", "", self.end, end_pos=self.end)
        try:
            self._push(end)
        except UnexpectedToken:
            raise _RefusedError(self.end, end) from None
        tree: Tree[Token] = self.parser.parser_state.value_stack[-1]
        return tree

    # ------------------------------------------------------------- mistakes

    def _note(self, broken: _RefusedError) -> None:
        """Say what is wrong, unless it is the echo of the mistake just recovered from."""
        if self.resumed:
            return
        found = explain(self._situation(broken.start, broken.token))
        if not found.fix or all(other.fix != found.fix for other in self.reader.errors):
            self.reader.errors.append(found)
        if len(self.reader.errors) >= MAX_SHOWN:
            raise _GiveUpError

    def _note_foreign(self, start: int, token: Token | None) -> None:
        self.reader.foreign.append(explain(self._situation(start, token)))
        if len(self.reader.foreign) >= MAX_SHOWN:
            raise _GiveUpError

    def _situation(self, start: int, token: Token | None) -> Situation:
        mark = self.marks[-1]
        opener, keyword, annotated = mark.opener, mark.keyword, mark.annotated
        accepts, before = frozenset(self.parser.accepts()), self.previous
        return Situation(
            self.source, start, token, before, opener, keyword, annotated, (*self.open,), accepts
        )

    def _error(self, code: str, message: str, token: Token) -> None:
        span = Span(self.source, _start(token), token.end_pos or 0)
        self.reader.errors.append(Diagnostic(code, message, (Label(span),)))

    def _stop(self, code: str, message: str, token: Token) -> None:
        self._error(code, message, token)
        raise _GiveUpError

    # ------------------------------------------------------------- recovery

    def _resume(self, broken: _RefusedError) -> None:
        """Put a stand-in where the broken statement is, and go on behind it."""
        mark = self.marks[-1]
        opener = mark.opener or broken.token
        header = opener is not None and opener in OPENERS and not (mark.annotated and self.open)
        offset, brackets = restart(self.source.text, broken.start, self.previous, self.open)
        while not self._outside():
            self.open.pop()
        inside = len(self.marks) > 1
        line = self.source.text.rfind("\n", 0, broken.start)
        declares = line >= 0 and broken.token is not None and self._declares(broken.token)
        offset = (
            line if declares else statement_end(self.source.text, offset, brackets, inside, header)
        )
        self._return_to(mark)
        heading = self.source.text.startswith("{", offset) and offset < self.end
        self._stand_in(STAND_INS[inside, heading], offset)
        if declares or offset == self.end:
            self._close_bodies(offset)
        self.parser.lexer_thread.state.line_ctr.char_pos = offset
        self.previous = None
        self.resumed = True

    def _return_to(self, mark: _Mark) -> None:
        state = self.parser.parser_state
        state.state_stack, state.value_stack = mark.states[:], mark.values[:]
        mark.opener, mark.keyword = None, ""

    def _stand_in(self, kinds: str, offset: int) -> None:
        """Feed tokens that form a whole statement, or the header of one, in the text's place."""
        for kind in kinds.split():
            self.parser.feed_token(Token(kind, "", offset, end_pos=offset))

    def _close_bodies(self, offset: int) -> None:
        """Close all bodies that are open, after a stand-in in the innermost."""
        while self.open:
            self.open.pop()
            self.marks.pop()
            self._stand_in("RBRACE", offset)


def _start(token: Token) -> int:
    return token.start_pos or 0
