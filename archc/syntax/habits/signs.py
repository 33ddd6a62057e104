"""Signs of other languages: operators, comments, semicolons, ranges, slices by axes."""

import re
from functools import partial
from typing import Any

from archc.syntax.habits.batched import all_batched, is_learned
from archc.syntax.habits.habit import Found, Habit, in_index, inside, outside
from archc.syntax.habits.situation import HEADERS

# ------------------------------------------------------------------ operators

_BEFORE_NOT = r"(?:\b(?:if|and|or|not|else|assert|return)|&&|\|\||(?<![=!<>])=|[(\[,])\s*"
_BEHIND_NOT = r"\s*(?:[])}{:,#]|&&|\|\||(?:and|or|if|else)\b|\Z)"
_GROUP = r"[(\[](?:[^()\[\]\n]|[(\[][^()\[\]\n]*[)\]])*[)\]]"
_OPERAND = rf"(?:[A-Za-z_]\w*(?:{_GROUP})*|(?:{_GROUP})+)"


def _operator(pattern: str, write: str, *, certain: bool = True, **conditions: Any) -> Habit:
    code = "E0126" if write.strip().isalpha() else "E0132"
    message = "there is no `{at}`"
    return Habit(code, message, pattern, write=write, certain=certain, **conditions)


def _not(behind: str, **conditions: Any) -> Habit:
    pattern = rf"{_BEFORE_NOT}‸(?P<at>!)(?!=)\s*{_OPERAND}{behind}"
    return Habit("E0126", "there is no `!`", pattern, write=" not ", **conditions)


def _in_condition(found: Found) -> bool:
    return found.s.keyword in ("IF", "ASSERT")


LOGICAL = (
    _operator(r"(?P<at>(?<!-)>‸>)", "->", certain=False),
    _operator(r"‸(?P<at>&&)", " and "),
    _operator(r"‸(?P<at>\|\|)", " or "),
    _operator(r"‸(?P<at>\|>)", " -> "),
    _operator(r"‸(?P<at>=>)", " >= ", certain=False, keywords="IF ASSERT"),
    _operator(r"‸(?P<at>=>)", " -> ", certain=False),
    _not(_BEHIND_NOT),
    _not(r"[ \t]*\n(?!\s*->)", when=outside),
    Habit(
        "E0126",
        "there is no `!`",
        r"‸(?P<at>!)(?!=)",
        "write `not`, in parentheses: `not` takes all of a comparison, as in `not (a == b)`",
    ),
)

_COMPARISON = re.compile(r"[<>]|[=!]=|\b(?:in|not)\b")
_INNERMOST = re.compile(r"\([^()\n]*\)")


def _beside_no_comparison(found: Found) -> bool:
    """`a & b == c` is `(a & b) == c` in Python."""
    text = found.s.source.line(found.s.span.line)
    while _INNERMOST.search(text):
        text = _INNERMOST.sub("_", text)
    return not _COMPARISON.search(text)


_bitwise = partial(Habit, "E0134", "there are no bitwise operators", certain=False)
_AND, _OR = "write `and` between conditions", "write `or` between conditions"

BITWISE = (
    _bitwise(r"‸\|", "`->` applies a layer", "->", when=lambda found: not _in_condition(found)),
    _bitwise("‸&", _AND, " and ", when=_beside_no_comparison),
    _bitwise("‸&", _AND),
    _bitwise(r"‸\|", _OR, " or ", when=_beside_no_comparison),
    _bitwise(r"‸\|", _OR),
    _bitwise(r"‸[\^~]", "`**` is the power"),
)

# --------------------------------------------------------- binding and comments


def _binds(found: Found) -> bool:
    return outside(found) and found.s.previous is found.s.opener


def _declares(found: Found) -> bool:
    declares = found.s.keyword == "CONST" or found.s.previous is found.s.opener
    return declares and outside(found) and found.s.keyword not in HEADERS


_walrus = partial(Habit, "E0138", "`:=` is not available", "‸(?P<at>:=)")
_comment = partial(Habit, "E0139", "a comment begins with `#`", write="#")
_semicolon = partial(Habit, "E0120", "there are no semicolons")
_PIPE = r'^[^"#\n‸]*->[^"#\n‸]*?[\w)][ \t]+(?P<at>//)[ \t]*[A-Za-z]\w*[ \t]+'

PUNCTUATION = (
    _walrus(write="=", when=_binds),
    _walrus("bind the name in a statement of its own, on the line before"),
    Habit(
        "E0136",
        "a variable has no declared type",
        r"‸(?P<at>:\s*[A-Za-z_][\w.\[\], |]*?)(?=\s*=(?!=))",
        "leave it out: only parameters have kinds, as in `block B(width: int)(x)`",
        "",
        types="COLON",
        when=_declares,
    ),
    Habit(
        "E0134",
        "there is no matrix product of tensors",
        help="`linear` and `conv` multiply with weights; `x * y` is element by element",
        types="AT",
        when=lambda found: not found.s.first_on_line,
    ),
    _comment(r"^\s*‸(?P<at>//)"),
    _comment(rf"{_PIPE}‸[^{{}}\n]*(?:\n|\Z)", certain=False, when=outside),
)

SEMICOLONS = (
    _semicolon("‸;", write=",", certain=False, when=inside),
    _semicolon(r"‸(?P<out>(?P<at>;);*)[ \t]*(?=#|\n|\Z)", "leave it out", ""),
    _semicolon(
        r"‸(?P<out>(?P<at>;)[ \t]*)", "put each statement on a line of its own", "\n{indent}"
    ),
)

# ------------------------------------------------------------ ranges and slices

_ALL = r"\s*(?:,\s*(?::|\.\.\.)\s*)*\])"
_CHANNELS = r"(?P<at>\b(?P<x>[A-Za-z_]\w*)\[\s*:\s*‸,\s*"
"""All samples, some channels, all positions."""
_INDEX = r"[\w)\]]\[(?=[^\[\]\n]*:)"
_TAKE = re.compile(r"\btake\b(?!\s*\()|\b(?:block|net|extern)\s+take\b")


def _has_channels(found: Found) -> bool:
    """Whether `x[:, :8]` may be of channels, and `take` is the operator."""
    source = found.s.source
    return not (is_learned(source, found["x"]) or _TAKE.search(source.text))


_slice = partial(Habit, "E0135", "tensors are not sliced by axes", types="COMMA")
_taken = partial(_slice, certain=lambda found: all_batched(found.s.source), when=_has_channels)

SLICES = (
    Habit(
        "E0157",
        "there is no `..`",
        r"(?P<at>\b(?P<a>\w+)\.\.\.?\s*(?P<b>\w+))",
        "write `range({a}, {b})`, which leaves `{b}` out",  # other languages have it in, or not
    ),
    _slice(
        rf"{_INDEX}(?=[^\[\]\n]*\bNone\b)[^\[\]\n]*‸,",
        "`reshape` gives a vector axes, `reshape(s, [64, 1, 1])`; `global_avg_pool(keep=true)` "
        "keeps them, so that `x * s` is a gate",
        when=in_index,
    ),
    _taken(rf"{_CHANNELS}0?\s*:\s*(?P<n>\w+){_ALL}", write="take({x}, {n})"),
    _taken(
        rf"{_CHANNELS}(?P<m>\w+)\s*:\s*(?P<n>\w+){_ALL}", write="take({x}, {n} - {m}, start={m})"
    ),
    _taken(
        rf"{_CHANNELS}(?P<m>\w+)\s*:{_ALL}",
        write="take({x}, {x}.channels - {m}, start={m})",
    ),
    Habit(
        "E0135",
        "tensors are not sliced by axes",
        r"\w\[\s*(?P<at>‸\.\.\.)\s*,",
        "behind `...` stands the last axis, which are the columns of an image: "
        "`crop(x, right=1)` leaves out the last; channels are taken by `take(x, 8)`",
    ),
    _slice(
        rf"{_INDEX}[^\[\]\n]*‸,",
        "`take(x, 8)` gives the first 8 channels, and `crop(x, spatial=1)` the image without its "
        "outermost rows and columns",
        when=in_index,
    ),
)
