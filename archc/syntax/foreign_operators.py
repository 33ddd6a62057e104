"""Operators of other languages: signs for `and`, `or`, `not` and `->`, and those on bits."""

import re

from archc.diagnostics import Diagnostic, Fix
from archc.syntax.edits import replaced
from archc.syntax.foreign import Rule, match_here, say, span_of
from archc.syntax.situation import Situation

_OPERATORS = {"&&": "and", "||": "or", "!": "not", "|>": "->", "=>": "->"}


def foreign_operator(s: Situation) -> Diagnostic | None:
    """`&&`, `||`, `!`, `|>`, `=>` and `>>`."""
    if s.previous == ">" and s.previous.end_pos == s.start and match_here(s, ">"):
        span = span_of(s, s.start - 1, s.start + 1)
        return say("E0132", "there is no `>>`", span, "write `->`", replaced(span, "->"))
    found = match_here(s, r"&&|\|\||!(?!=)|\|>|=>")
    if found is None:
        return None
    ours = _OPERATORS[found[0]]
    if found[0] == "=>" and s.keyword in ("IF", "ASSERT"):
        ours = ">="
    span = span_of(s, s.start, found.end())
    code = "E0126" if ours in ("and", "or", "not") else "E0132"
    fix = replaced(span, _spaced(s, ours, found.end()))
    if found[0] == "!" and not _negates_alike(s):
        help = "write `not`, in parentheses: `not` takes all of a comparison, as in `not (a == b)`"
        return say(code, "there is no `!`", span, help)
    certain = found[0] != "=>"
    return say(code, f"there is no `{found[0]}`", span, f"write `{ours}`", fix, certain=certain)


_BEFORE_NOT = re.compile(
    r"(?:\b(?:if|and|or|not|else|assert|return)|&&|\|\||(?<![=!<>])=|[(\[,])\s*$"
)
_BEHIND_NOT = re.compile(r"\s*(?:[])}{:,#]|&&|\|\||(?:and|or|if|else)\b|\Z)")
_GROUP = re.compile(r"[(\[](?:[^()\[\]\n]|[(\[][^()\[\]\n]*[)\]])*[)\]]")


def _negates_alike(s: Situation) -> bool:
    """Whether `!` has an operand of its own, as `not` has: `!a == b` is `(!a) == b` elsewhere."""
    text, start = s.source.text, s.start
    name = match_here(s, r"!\s*(?:[A-Za-z_]\w*)?")
    if name is None or not _BEFORE_NOT.search(text[:start]):
        return False
    end = name.end()
    while (group := _GROUP.match(text, end)) is not None:
        end = group.end()
    if end == start + 1:
        return False
    line_ends = s.bracket is None and re.compile(r"[ \t]*\n(?!\s*->)").match(text, end)
    return bool(line_ends or _BEHIND_NOT.match(text, end))


def _spaced(s: Situation, word: str, end: int) -> str:
    """A word in the place of a symbol, apart from its neighbours."""
    text = s.source.text
    before = "" if text[s.start - 1 : s.start] in ("", " ", "\t", "(", "[") else " "
    after = "" if text[end : end + 1] in ("", " ", "\t") else " "
    return f"{before}{word}{after}"


def bitwise(s: Situation) -> Diagnostic | None:
    """`&`, `|`, `^`, `~`; of these `|` is most likely meant as a pipe."""
    found = match_here(s, r"[&|^~]")
    if found is None:
        return None
    message, help = "there are no bitwise operators", "`**` is the power"
    fix: Fix = ()
    if found[0] == "|" and s.keyword not in ("IF", "ASSERT"):
        return say("E0134", message, s.span, "`->` applies a layer", replaced(s.span, "->"))
    if found[0] in "&|":
        ours = "and" if found[0] == "&" else "or"
        help = f"write `{ours}` between conditions"
        if not _COMPARISON.search(_bare_condition(s)):  # `a & b == c` is `(a & b) == c` in Python
            fix = replaced(s.span, _spaced(s, ours, s.start + 1))
    return say("E0134", message, s.span, help, fix)


_COMPARISON = re.compile(r"[<>]|[=!]=|\b(?:in|not)\b")
_INNERMOST = re.compile(r"\([^()\n]*\)")


def _bare_condition(s: Situation) -> str:
    """What a line has outside of parentheses."""
    text = s.source.line(s.span.line)
    while _INNERMOST.search(text):
        text = _INNERMOST.sub("_", text)
    return text


OPERATOR_RULES: tuple[Rule, ...] = (foreign_operator, bitwise)
"""In the order in which they are asked."""
