"""Brackets and braces that are missing, or one too many."""

from lark import Token

from archc.diagnostics import Diagnostic, Fix, Label, Span
from archc.syntax.edits import inserted, replaced
from archc.syntax.habits.braces import closing_fix, is_plain, missing_braces
from archc.syntax.habits.situation import Situation, begins_statement
from archc.syntax.messages import CLOSING, DECLARATIONS, WORDS


def closes_nothing(s: Situation) -> Diagnostic | None:
    if s.type not in CLOSING.values():
        return None
    if s.open and CLOSING[s.open[-1].type] == s.type:
        return None
    if s.bracket is not None:
        return _not_closed(s, s.bracket)
    if s.type == "RBRACE" and s.open:
        return None
    message = f"this {WORDS[s.type]} closes nothing"
    return Diagnostic("E0113", message, (Label(s.span),))


def never_closed(s: Situation) -> Diagnostic | None:
    bracket = s.bracket
    if bracket is None or s.type in CLOSING.values():
        return None
    if CLOSING[bracket.type] not in s.accepts:
        return None
    if s.follows_header or s.type == "$END":
        return _not_closed(s, bracket)
    if not s.first_on_line or not begins_statement(s.source.text, s.start):
        return None
    return _not_closed(s, bracket)


def _not_closed(s: Situation, bracket: Token) -> Diagnostic:
    closing = WORDS[CLOSING[bracket.type]]
    opened = Span(s.source, bracket.start_pos or 0, bracket.end_pos or 0)
    where = f"{opened.line}:{opened.column}"
    place = s.after_previous if s.line_ended or s.type == "RBRACE" else s.span
    help = f"put {closing} where it belongs"
    fix: Fix = ()
    inside = s.source.text[opened.end : place.start]
    message_behind = s.keyword == "ASSERT" and "," in inside
    before_body = s.follows_header and s.keyword in ("FOR", "IF")
    if is_plain(inside, before_body) and not message_behind:
        fix = _closed(s, closing.strip("`"))
        help = f"put {closing} here" if fix else help
    return Diagnostic(
        "E0112",
        f"expected {closing} to close the `{bracket}` at {where}, found {s.found}",
        (Label(place, f"{closing} is missing"), Label(opened, "opened here")),
        help=help,
        fix=fix,
    )


def _closed(s: Situation, closing: str) -> Fix:
    """The bracket behind what was read; instead of another one there, if that closes nothing."""
    closes = s.type in CLOSING.values()
    if closes and all(CLOSING[other.type] != s.type for other in s.open):
        rest = s.source.line(s.span.line)[s.span.column :]
        return () if closes_more(rest) else replaced(s.span, closing)
    return inserted(s.after_previous, closing)


def closes_more(text: str) -> bool:
    """Whether a bracket is closed that is opened before: then it is an opening one that lacks."""
    depth = 0
    for char in text:
        depth += (char in "([") - (char in ")]")
        if depth < 0:
            return True
    return False


def body_not_closed(s: Situation) -> Diagnostic | None:
    """The text is over, a declaration begins, or an `else` follows, and a body is still open."""
    if not s.open or s.bracket is not None:
        return None
    unfinished = s.type in ("$END", "ELSE") and "RBRACE" in s.accepts
    if not unfinished and not (s.token in DECLARATIONS and s.first_on_line):
        return None
    missing = missing_braces(s.source, s.open[0].start_pos or 0)
    if s.type == "ELSE" and not missing:
        return None
    if not missing:
        opened = Span(s.source, s.open[-1].start_pos or 0, s.open[-1].end_pos or 0)
        return _unclosed(opened, s.after_previous, f", found {s.found}", _NO_PLACE)
    first = missing[0]
    place = first.edit.span
    labelled = Span(s.source, place.start, place.start + 1)
    return _unclosed(first.opening, labelled, "", _PLACE, closing_fix(missing))


_PLACE = "put `}` where the indentation ends the body"
_NO_PLACE = "put `}` behind the last statement of the body"


def _unclosed(opened: Span, place: Span, found: str, help: str, fix: Fix = ()) -> Diagnostic:
    where = f"{opened.line}:{opened.column}"
    message = f"expected `}}` to close the `{{` at {where}{found}"
    labels = (Label(place, "`}` is missing"), Label(opened, "opened here"))
    return Diagnostic("E0112", message, labels, help=help, fix=fix, certain=bool(fix))


BRACKETS = (closes_nothing, body_not_closed, never_closed)
