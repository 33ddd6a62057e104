"""Python's functions without a name, and labels that are put together from parts."""

import re

from archc.diagnostics import Diagnostic, Fix
from archc.syntax.edits import replaced
from archc.syntax.foreign import Rule, line_before, match_here, say, span_of
from archc.syntax.interpolated import interpolated
from archc.syntax.situation import Situation

_LABEL = re.compile(r".*(?:->|\bexit\b|\bscope\b)\s*")


def formatted_label(s: Situation) -> Diagnostic | None:
    """`-> "c" + str(i): conv(8)`, and `scope "s%d" % i {`."""
    line = line_before(s)
    head = _LABEL.match(line)
    if head is None or s.type not in ("COLON", "STRING", "PLUS_MINUS", "MUL_DIV", "DOT", "LPAR"):
        return None
    end = match_here(s, r"[^\n{:]*" if head[0].split()[-1] == "scope" else r"[^\n:]*")
    assert end is not None
    start = s.start - len(line) + head.end()
    whole = s.source.text[start : end.end()].rstrip()
    ours = interpolated(whole)
    if ours in (None, whole) or not re.search(r"[+%(]", whole):
        return None
    span = span_of(s, start, start + len(whole))
    message = "a label is a word or a string, not an expression"
    help = f"a string has holes: `{ours}`"
    return say("E0156", message, span, help, replaced(span, ours), certain=True)


_LAMBDA = re.compile(r"lambda\s+(\w+)\s*:\s*([^,()\n#]*(?:\([^()\n#]*\)[^,()\n#]*)*)")
_MAP = re.compile(r"((?:list\(\s*)?)map\(\s*$")


def anonymous(s: Situation) -> Diagnostic | None:
    """`lambda i: 2 * i`, and `map(lambda i: 2 * i, xs)`."""
    if s.token != "lambda":
        return None
    message = "there are no lambdas"
    found = _LAMBDA.match(s.source.text, s.start)
    if found is None:
        return say("E0122", message, s.span, _IN_PLACE)
    body = found[2].strip()
    alone = re.fullmatch(rf"(\w+)\(\s*{found[1]}\s*\)", body)
    if alone is not None:
        whole = span_of(s, s.start, s.start + len(found[0].rstrip()))
        return say("E0122", message, s.span, f"write `{alone[1]}`", replaced(whole, alone[1]))
    mapped = _MAP.search(line_before(s))
    rest = re.compile(r",\s*([\w.]*(?:\[[^\[\]\n]*\]|\([^()\n]*\))?)\s*\)").match(
        s.source.text, found.end()
    )
    if mapped is not None and rest is not None:
        ours = f"[{body} for {found[1]} in {rest[1]}]"
        return say("E0122", message, s.span, f"write `{ours}`", _listed(s, mapped, rest, ours))
    if "->" in body:
        return say("E0122", message, s.span, "write a `block`: `block Name(width)(x) { ... }`")
    help = f"for numbers write a list, `[{body} for {found[1]} in range(n)]`, and take its elements"
    return say("E0122", message, s.span, f"{help}; for tensors a `block`")


_IN_PLACE = "put the expression in place; for numbers write a list, `[... for i in range(n)]`"


def _listed(s: Situation, mapped: re.Match[str], rest: re.Match[str], ours: str) -> Fix:
    """A comprehension for `map(...)`, and for the `list(...)` around it."""
    start, end = s.start - len(mapped[0]), rest.end()
    if mapped[1]:
        closing = re.compile(r"\s*\)").match(s.source.text, end)
        if closing is None:
            return ()
        end = closing.end()
    return replaced(span_of(s, start, end), ours)


HABIT_RULES: tuple[Rule, ...] = (formatted_label, anonymous)
"""In the order in which they are asked."""
