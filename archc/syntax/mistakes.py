"""What the parser refused -> one diagnostic: the mistakes people make, then "expected, found".

`RULES` are asked in turn; the first that recognises the situation words it.
"""

import re

from lark import Token

from archc.diagnostics import Diagnostic, Fix, Label, Span, nearest
from archc.syntax.bodies import colon_before_body
from archc.syntax.braces import PIECE, UNFINISHED, closing_fix, is_plain, missing_braces
from archc.syntax.edits import indentation, inserted, replaced
from archc.syntax.foreign import FOREIGN_RULES, Rule, say
from archc.syntax.foreign_operators import OPERATOR_RULES
from archc.syntax.habits import HABIT_RULES
from archc.syntax.literals import QUOTE_HELP
from archc.syntax.messages import CLOSING, DECLARATIONS, OPERATORS, WORDS
from archc.syntax.signatures import hyperparameter_among_inputs, missing_inputs
from archc.syntax.situation import HEADERS, Situation, begins_statement
from archc.syntax.structure import STRUCTURE_RULES


def explain(situation: Situation) -> Diagnostic:
    """The diagnostic for what the parser refused."""
    for rule in RULES:
        found = rule(situation)
        if found is not None:
            return found
    return _expected(situation)


_STRING = re.compile(r'"[^\n]*')
_RADIX = re.compile(r"0[xXoObB]\w*")
_NUMBER_START = re.compile(r"[0-9][\w.]*")
_WORD = re.compile(r"\w+")


def _open_string(s: Situation) -> Diagnostic | None:
    found = _STRING.match(s.source.text, s.start)
    if s.type == "STRING" or found is None:
        return None
    span = Span(s.source, s.start, found.end())
    return say("E0114", "this string is not closed", span, 'close it with `"` on the same line')


def _radix(s: Situation) -> Diagnostic | None:
    """`0x10`."""
    found = _RADIX.match(s.source.text, s.start)
    if found is None:
        return None
    span, decimal = Span(s.source, s.start, found.end()), _decimal(found[0])
    help, fix = (f"write `{decimal}`", replaced(span, decimal)) if decimal else (None, ())
    return say("E0125", "numbers are decimal", span, help, fix, certain=True)


def _decimal(text: str) -> str | None:
    try:
        return str(int(text, 0)) if len(text) <= 12 else None
    except ValueError:
        return None


def _unreadable(s: Situation) -> Diagnostic | None:
    if s.token is not None:
        return None
    text = s.source.text
    number = _NUMBER_START.match(text, s.start)
    if number:
        return say("E0154", "this is not a number", Span(s.source, s.start, number.end()))
    start = s.start
    if s.previous is not None and s.previous.type == "NAME" and s.previous.end_pos == start:
        start = s.previous.start_pos or 0
    word = _WORD.match(text, start)
    if word and not word[0].isascii():
        span = Span(s.source, start, word.end())
        return say("E0153", "names are of ASCII letters, digits and `_`", span)
    return say("E0111", f"the character `{text[s.start]}` means nothing here", s.span)


# ------------------------------------------------------- brackets and braces


def _closes_nothing(s: Situation) -> Diagnostic | None:
    if s.type not in CLOSING.values():
        return None
    if s.open and CLOSING[s.open[-1].type] == s.type:
        return None
    if s.bracket is not None:
        return _not_closed(s, s.bracket)
    if s.type == "RBRACE" and s.open:
        return None
    return say("E0113", f"this {WORDS[s.type]} closes nothing", s.span)


def _never_closed(s: Situation) -> Diagnostic | None:
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
        return () if _closes_more(rest) else replaced(s.span, closing)
    return inserted(s.after_previous, closing)


def _closes_more(text: str) -> bool:
    """Whether a bracket is closed that is opened before: then it is an opening one that lacks."""
    depth = 0
    for char in text:
        depth += (char in "([") - (char in ")]")
        if depth < 0:
            return True
    return False


def _body_not_closed(s: Situation) -> Diagnostic | None:
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


# ----------------------------------------------------------- in their context


def _equal_in_condition(s: Situation) -> Diagnostic | None:
    if s.type != "EQUAL" or s.keyword not in ("IF", "ASSERT") or not s.accepts & {"COMPARE"}:
        return None
    message = "`=` binds a name; it does not compare"
    return say("E0130", message, s.span, "write `==`", replaced(s.span, "=="), certain=True)


def _dict(s: Situation) -> Diagnostic | None:
    if s.type != "LBRACE" or "NUMBER" not in s.accepts or "RETURN" in s.accepts:
        return None
    if s.previous is not None and s.previous.type in ("IF", "IN"):
        return None
    help = "write a list, or parameters with names"
    return say("E0121", "there are no dicts", s.span, help)


def _missing_value(s: Situation) -> Diagnostic | None:
    before = s.previous.type if s.previous is not None else ""
    ended = s.first_on_line or s.type == "RBRACE"
    if s.previous is None or before not in ("RETURN", "EXIT") or not ended:
        return None
    help = f"write `{s.previous} x`, on one line"
    span = Span(s.source, s.previous.start_pos or 0, s.previous.end_pos or 0)
    return say("E0116", f"`{s.previous}` needs a value", span, help)


def _quote_in_hole(s: Situation) -> Diagnostic | None:
    """`"{xs["a"]}"`: the quote in the hole has ended the string."""
    before = s.previous
    if before is None or before.type != "STRING" or before.end_pos != s.start:
        return None
    if before.count("{") <= before.count("}"):
        return None
    span = Span(s.source, s.start - 1, s.start)
    return say("E0161", "a hole cannot hold a quote or an escape", span, QUOTE_HELP)


def _second_statement(s: Situation) -> Diagnostic | None:
    ended = s.accepts & {"_NL", "RBRACE"}
    starts = s.type in {"NAME", "AT", *HEADERS, "RETURN", "EXIT", "ASSERT", "IMPORT", "CONST"}
    if not ended or not starts or s.bracket is not None or not _reads_as_statement(s):
        return None
    if s.type in ("FOR", "IF") and "{" not in s.source.text[s.start :].split("\n")[0]:
        return None
    help = "put each statement on a line of its own"
    gap = Span(s.source, s.after_previous.start, s.start)
    whole = _WHOLE.search(s.source.line(s.span.line)[: s.span.column - 1])  # `a b = c` is not
    fix = replaced(gap, "\n" + indentation(s.span)) if whole else ()
    return say("E0115", "a second statement on this line", s.span, help, fix, certain=True)


_WHOLE = re.compile(r"(?<![=!<>])=(?!=)|\b(?:return|exit|assert|import|const)\b|[{}]")
_STATEMENT = re.compile(r"@\w|[A-Za-z_]\w*(?:\[[^\]\n]*\])?\s*(?:\+?=(?!=)|,)")


def _reads_as_statement(s: Situation) -> bool:
    return s.type not in ("NAME", "AT") or _STATEMENT.match(s.source.text, s.start) is not None


def _annotation_place(s: Situation) -> Diagnostic | None:
    if not s.annotated or s.opener is not None or "AT" not in s.accepts or s.token is None:
        return None
    message = "an annotation stands before a net, a block, an extern layer or an assignment"
    what = WORDS["$END"] if s.type == "$END" else f"`{s.token}`"
    return say("E0119", f"{message}, not before {what}", s.span)


def _operator_of_update(s: Situation) -> Diagnostic | None:
    """`a *= b`, of which the lexer has already taken the `*`."""
    before = s.previous
    if s.type != "EQUAL" or before is None or before.end_pos != s.start:
        return None
    if before.type not in ("STAR", "MUL_DIV", "PLUS_MINUS", "POWER"):
        return None
    span = Span(s.source, before.start_pos or 0, s.end)
    target = _updated(s, span.start)
    help = f"write `{target or 'a'} = {target or 'a'} {before} ...`"
    rest = _REST.match(s.source.text, s.end)
    fix: Fix = ()
    if target and rest and _is_whole(rest[1]):
        value = rest[1] if _ATOM.fullmatch(rest[1]) else f"({rest[1]})"
        whole = Span(s.source, span.start, rest.end(1))
        fix = replaced(whole, f"= {target} {before} {value}")
    message = "of the updates there is only `+=`"
    return say("E0110", message, span, help, fix, certain=True)


def _updated(s: Situation, end: int) -> str:
    """The name that is updated, with its index; nothing where it is something else."""
    if s.opener is None or s.bracket is not None:
        return ""
    target = s.source.text[s.opener.start_pos or 0 : end].strip()
    return target if _TARGET.fullmatch(target) else ""


def _is_whole(text: str) -> bool:
    """Whether a text is all of a value: it ends here, and its brackets are its own."""
    balanced = all(text.count(one) == text.count(two) for one, two in ("()", "[]"))
    ended = not UNFINISHED.fullmatch(PIECE.findall(text)[-1])
    return balanced and ended and not _closes_more(text) and not _UPDATE.search(text)


_UPDATE = re.compile(r"[-+*/%]=")
_TARGET = re.compile(r"[A-Za-z_]\w*(?:\[[^\[\]\n,:]+\])?")
_REST = re.compile(r"[ \t]*([^#\n{}\";']*[^#\n{}\";' \t])[ \t]*(?=[#\n};]|\Z)(?!\s*->)")
"""All that is left of a statement which ends on its line."""
_ATOM = re.compile(r"[\w.]+(?:\([^()]*\))?")


RULES: tuple[Rule, ...] = (
    _operator_of_update,
    _quote_in_hole,
    *HABIT_RULES,
    *FOREIGN_RULES,
    *OPERATOR_RULES,
    *STRUCTURE_RULES,
    _radix,
    _open_string,
    _unreadable,
    _missing_value,
    _closes_nothing,
    _body_not_closed,
    _never_closed,
    colon_before_body,
    _equal_in_condition,
    _dict,
    missing_inputs,
    hyperparameter_among_inputs,
    _annotation_place,
    _second_statement,
)


# ------------------------------------------------------------ in general


_HEAD = re.compile(r"\w+[ \t]+[\w\"]")


def _expected(s: Situation) -> Diagnostic:
    place = s.after_previous if s.line_ended else s.span
    message = f"expected {_wanted(s)}, found {s.found}"
    word = nearest(s.span.text, DECLARATIONS) if "IMPORT" in s.accepts else None
    if word is not None and s.type == "NAME" and _HEAD.match(s.source.text, s.start):
        return say("E0110", message, place, f"did you mean `{word}`?", replaced(s.span, word))
    return say("E0110", message, place, _help(s))


def _help(s: Situation) -> str | None:
    if s.type == "ELSE" and s.accepts & {"_NL", "RBRACE", "FOR"}:
        return "an `else` follows the `}` of an `if`"
    if s.keyword == "ASSERT" and "COMMA" in s.accepts:
        return 'write `assert condition, "message"`, without parentheses'
    if s.keyword == "FOR" and s.type == "EQUAL" and s.bracket is not None:
        return "write `for i in range(n) { ... }`"
    if "LBRACE" in s.accepts and "_NL" not in s.accepts and s.keyword in HEADERS | {"ELSE"}:
        return "a body stands in braces: `{ ... }`"
    if s.type == "COLON" and "_NL" in s.accepts:
        return "a label stands after `->` or `exit`: `x -> name: layer`"
    if s.opener is not None and s.opener.type == "EXTERN":
        return _extern_help(s)
    return None


def _extern_help(s: Situation) -> str | None:
    if s.type == "COMMA" and "ARROW" in s.accepts:
        return "several inputs stand in parentheses: `([C, *S], [C]) -> [C, *S]`"
    if s.previous is not None and s.previous.type in ("ARROW", "RSQB") and "ARROW" not in s.accepts:
        return 'several results stand in parentheses: `-> ([C, *S], [C]) from "package:Class"`'
    return None


def _wanted(s: Situation) -> str:
    """What could stand here, in a few words: a class of things, never the list of terminals."""
    accepts = s.accepts
    if "RETURN" in accepts:
        return "a statement"
    if "NET" in accepts or "IMPORT" in accepts:
        return "`net` or `block`" if s.annotated else "a declaration: `net`, `block`, `const` ..."
    if "NUMBER" in accepts:
        return _wanted_expression(s)
    if s.bracket is not None and CLOSING[s.bracket.type] in accepts:
        closing = WORDS[CLOSING[s.bracket.type]]
        return f"`,` or {closing}" if "COMMA" in accepts else closing
    ends = bool(accepts & {"_NL", "RBRACE", "$END"})
    for single in ("LBRACE", "FROM", "ELSE"):
        if single in accepts and not ends:
            return WORDS[single]
    if "IN" in accepts and "AND" not in accepts:
        return WORDS["IN"]
    if "COMMA" in accepts and s.keyword == "ASSERT" and not ends:
        return "`,` and a message in quotes"
    if ends:
        return _wanted_end(s)
    words = [WORDS[name] for name in WORDS if name in accepts - OPERATORS]
    words = words or [WORDS[name] for name in WORDS if name in accepts]
    return " or ".join(words[:3])


def _wanted_end(s: Situation) -> str:
    if not s.accepts & {"_NL", "RBRACE"}:  # the text is an expression, and no file
        return "the end of the expression"
    return "the end of the statement" if s.open else "the end of the line"


def _wanted_expression(s: Situation) -> str:
    before = s.previous.type if s.previous is not None else ""
    if before == "ARROW":
        return "a layer after `->`"
    if before in ("IF", "ASSERT"):
        return f"a condition after `{s.previous}`"
    if before == "PLUS_MINUS" or before in OPERATORS - {"LPAR", "LSQB"}:
        return f"an expression after `{s.previous}`"
    if before in ("EQUAL", "PLUS_EQUAL", "RETURN", "EXIT"):
        return f"a value after `{s.previous}`"
    return "an expression"
