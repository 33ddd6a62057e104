"""What the parser refused -> one diagnostic: the mistakes people make, then "expected, found".

`RULES` are asked in turn; the first that recognises the situation words it.
"""

import re

from archc.diagnostics import Diagnostic, Label, nearest
from archc.syntax.edits import replaced
from archc.syntax.habits.brackets import BRACKETS
from archc.syntax.habits.colon_bodies import COLON_BODIES
from archc.syntax.habits.habit import Rule
from archc.syntax.habits.headings import ANNOTATED, HEADINGS
from archc.syntax.habits.phrases import (
    CONDITIONS,
    HOLES,
    LAYERS,
    LITERALS,
    STATEMENTS,
    UPDATES,
    VALUES,
)
from archc.syntax.habits.signs import BITWISE, LOGICAL, PUNCTUATION, SEMICOLONS, SLICES
from archc.syntax.habits.situation import HEADERS, Situation
from archc.syntax.habits.words import DECLARED, KEYWORDS, LABELS, LAMBDAS, NONES, QUOTES, VARIABLES
from archc.syntax.messages import CLOSING, DECLARATIONS, OPERATORS, WORDS

RULES: tuple[Rule, ...] = (
    *UPDATES,
    *HOLES,
    *LABELS,
    *LAMBDAS,
    *DECLARED,
    *NONES,
    *KEYWORDS,
    *VARIABLES,
    *ANNOTATED,
    *PUNCTUATION,
    *QUOTES,
    *SEMICOLONS,
    *LOGICAL,
    *BITWISE,
    *SLICES,
    *LAYERS,
    *LITERALS,
    *VALUES,
    *BRACKETS,
    *COLON_BODIES,
    *CONDITIONS,
    *HEADINGS,
    *STATEMENTS,
)


def explain(situation: Situation) -> Diagnostic:
    """The diagnostic for what the parser refused."""
    found = (rule(situation) for rule in RULES)
    return next((each for each in found if each is not None), None) or _expected(situation)


_HEAD = re.compile(r"\w+[ \t]+[\w\"]")


def _expected(s: Situation) -> Diagnostic:
    place = s.after_previous if s.line_ended else s.span
    message = f"expected {_wanted(s)}, found {s.found}"
    word = nearest(s.span.text, DECLARATIONS) if "IMPORT" in s.accepts else None
    if word is not None and s.type == "NAME" and _HEAD.match(s.source.text, s.start):
        help, fix = f"did you mean `{word}`?", replaced(s.span, word)
        return Diagnostic("E0110", message, (Label(place),), help=help, fix=fix)
    return Diagnostic("E0110", message, (Label(place),), help=_help(s))


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
