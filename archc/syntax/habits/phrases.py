"""Labels, calls, pipes, updates and statements as other languages write them, or one forgets to."""

import re
from functools import partial
from typing import Any

from archc.diagnostics import Fix
from archc.syntax.edits import replaced
from archc.syntax.habits.braces import PIECE, UNFINISHED
from archc.syntax.habits.brackets import closes_more
from archc.syntax.habits.habit import Found, Habit, inside, outside
from archc.syntax.habits.situation import HEADERS
from archc.syntax.literals import QUOTE_HELP
from archc.syntax.messages import WORDS

# ---------------------------------------------------------------------- updates

_UPDATE = re.compile(r"[-+*/%]=")
_ATOM = re.compile(r"[\w.]+(?:\([^()]*\))?")
_OPERATED = r"(?P<at>(?P<op>\*\*|//|[-+*/%])‸=)"
_TARGET = r"(?P<target>[A-Za-z_]\w*(?:\[[^\[\]\n,:]+\])?)"
_VALUE = r"[ \t]*(?P<value>[^#\n{}\";']*[^#\n{}\";' \t])[ \t]*(?=[#\n};]|\Z)(?!\s*->)"
"""All that is left of a statement which ends on its line."""


def _is_target(found: Found) -> bool:
    opener = found.s.opener
    return opener is not None and opener.start_pos == found.span("target").start and outside(found)


def _updates_whole(found: Found) -> bool:
    """Whether the value of an update ends here, and its brackets are its own."""
    text = found["value"]
    balanced = all(text.count(one) == text.count(two) for one, two in ("()", "[]"))
    ended = not UNFINISHED.fullmatch(PIECE.findall(text)[-1])
    whole = balanced and ended and not closes_more(text) and not _UPDATE.search(text)
    return whole and _is_target(found)


def _updated(found: Found) -> Fix:
    value = found["value"]
    value = value if _ATOM.fullmatch(value) else f"({value})"
    whole = found.span("at").to(found.span("value"))
    return replaced(whole, f"= {found['target']} {found['op']} {value}")


def _update(pattern: str, target: str, **conditions: Any) -> Habit:
    message, help = "of the updates there is only `+=`", f"write `{target} = {target} {{op}} ...`"
    return Habit("E0110", message, pattern, help, types="EQUAL", **conditions)


UPDATES = (
    _update(
        rf"\b{_TARGET}[ \t]*{_OPERATED}{_VALUE}", "{target}", fix=_updated, when=_updates_whole
    ),
    _update(rf"\b{_TARGET}[ \t]*{_OPERATED}", "{target}", when=_is_target),
    _update(_OPERATED, "a"),
)

# ------------------------------------------------------- labels, calls and pipes


def _may_be_layer(found: Found) -> bool:
    before = found.s.previous
    applied = before is not None and before.type in ("NAME", "RPAR") and not found.s.first_on_line
    return applied and found.s.keyword not in HEADERS


def _no_arrow(pattern: str, help: str, write: str | None = None) -> Habit:
    return Habit(
        "E0110",
        "expected the end of the statement, found {found}",
        rf'{pattern}‸(?=(?:[A-Za-z_]\w*|"[^"\n]*")\s*[(:])',
        help,
        write,
        certain=False,
        types="NAME STRING",
        accepts="ARROW",
        when=_may_be_layer,
    )


LAYERS = (
    Habit(
        "E0158",
        "arguments are not unpacked",
        r"\b(?P<f>concat|sum|min|max)\(\s*‸(?P<at>\*)[^*,()\n]+\)",
        "leave out the `*`: `{f}` takes a list",
        "",
        when=inside,
    ),
    Habit(
        "E0158",
        "arguments are not unpacked",
        r"\bSequential\(\s*‸(?P<at>\*)\s*(?P<xs>\w+)\s*\)",
        "a loop applies the layers of a list in turn: `for layer in {xs} {{ x = x -> layer }}`",
        when=inside,
    ),
    Habit(
        "E0158",
        "arguments are not unpacked",
        r"\bSequential\(\s*‸\*",
        "a loop applies the layers of a list in turn: `for layer in layers {{ x = x -> layer }}`",
        when=inside,
    ),
    Habit("E0158", "arguments are not unpacked", r"[(,]\s*‸\*", "write each argument", when=inside),
    Habit(
        "E0156",
        "a label is followed by a colon",
        r'->\s*(?P<label>\w+|"[^"\n]*")(?P<out>\s*‸(?P<at>=))\s*[A-Za-z_]\w*[ \t]*(?:[(#\n}]|->)',
        "write `{label}:`",
        ":",
        types="EQUAL",
    ),
    Habit(
        "E0401",
        "a label is one name, not `{at}`",
        r"(?:->|\bexit)\s*(?P<at>(?P<scope>\w+)(?:\.\w+)+)\s*‸:",
        "write `{new}`, or open `scope {scope} {{ ... }}` around it",
        lambda found: found["at"].replace(".", "_"),
        certain=False,
    ),
    Habit(
        "E0118",
        "the shape of an input stands after a colon",
        r"\b(?P<name>\w+)(?P<out>\s*‸(?P<at>=))\s*\[",
        "write `{name}:`",
        ":",
        types="EQUAL",
        keywords="NET BLOCK",
        accepts="COLON",
        when=inside,
    ),
    Habit(
        "E0110",
        "a shape stands in square brackets",
        r"\w\s*:\s*(?P<at>‸\((?P<sizes>[^()\[\]\n]*[^()\[\]\n,\s])\s*,?\s*\))",
        write="[{sizes}]",
        types="LPAR",
        keywords="NET BLOCK",
        when=inside,
    ),
    _no_arrow(
        r"->\s*\w+\s*", "write `{previous}:` if it is a label, and `{previous} ->` if it is a layer"
    ),
    _no_arrow(
        r"^[^\n‸]*(?:(?<![=!<>])=(?!=)|\b(?:return|exit)\b)[^\n‸]*(?P<out>)",
        "`->` applies a layer",
        "-> ",
    ),
    _no_arrow("", "`->` applies a layer"),
)

# ------------------------------------------------------------ numbers and strings


def _decimal(found: Found) -> str | None:
    try:
        return str(int(found["at"], 0)) if len(found["at"]) <= 12 else None
    except ValueError:
        return None


_RADIX = r"‸(?P<at>0[xXoObB]\w*)"


def _is_unreadable(found: Found) -> bool:
    return found.s.token is None


def _ends_in_hole(found: Found) -> bool:
    """Whether the string before this one was ended by the quote of `"{xs["a"]}"`."""
    before = found.s.previous
    touches = before is not None and before.type == "STRING" and before.end_pos == found.s.start
    return touches and found["previous"].count("{") > found["previous"].count("}")


_SIGNS = {
    "\u2192": " -> ",
    "\u00d7": " * ",
    "\u2212": " - ",
    "\u2264": " <= ",
    "\u2265": " >= ",
    "\u2260": " != ",
}
"""The arrow, the times, the minus and the comparisons of printed text."""

LITERALS = (
    Habit("E0125", "numbers are decimal", _RADIX, write=_decimal),
    Habit("E0125", "numbers are decimal", _RADIX),
    Habit(
        "E0114",
        "this string is not closed",
        r'‸(?P<at>"[^\n]*)',
        'close it with `"` on the same line',
        when=lambda found: found.s.type != "STRING",
    ),
    Habit("E0154", "this is not a number", r"‸(?P<at>[0-9][\w.]*)", when=_is_unreadable),
    Habit(
        "E0153",
        "names are of ASCII letters, digits and `_`",
        r"(?P<at>\b\w+‸\w+|‸\w+)",
        when=_is_unreadable,
    ),
    *(
        Habit("E0111", "the character `{at}` means nothing here", f"‸(?P<at>{sign})", write=text)
        for sign, text in _SIGNS.items()
    ),
    Habit("E0111", "the character `{refused}` means nothing here", when=_is_unreadable),
)

# ------------------------------------------------------------------- statements


def _has_no_value(found: Found) -> bool:
    before, ended = found.s.previous, found.s.first_on_line or found.s.type == "RBRACE"
    return ended and before is not None and before.type in ("RETURN", "EXIT")


def _is_dict(found: Found) -> bool:
    before = found.s.previous
    is_body = "RETURN" in found.s.accepts or (before is not None and before.type in ("IF", "IN"))
    return not is_body


_STATEMENT = re.compile(r"@\w|[A-Za-z_]\w*(?:\[[^\]\n]*\])?\s*(?:\+?=(?!=)|,)")
_STARTS = " ".join(["NAME AT RETURN EXIT ASSERT IMPORT CONST", *sorted(HEADERS)])


def _is_second(found: Found) -> bool:
    """Whether a statement begins where another one could end."""
    s = found.s
    if not s.accepts & {"_NL", "RBRACE"} or s.bracket is not None:
        return False
    if s.type in ("FOR", "IF"):
        return "{" in s.source.text[s.start :].split("\n")[0]
    text = s.source.text
    return s.type not in ("NAME", "AT") or _STATEMENT.match(text, s.start) is not None


_second = partial(
    Habit,
    "E0115",
    "a second statement on this line",
    help="put each statement on a line of its own",
    types=_STARTS,
    when=_is_second,
)


def _is_annotated(found: Found) -> bool:
    return found.s.annotated and found.s.opener is None and found.s.token is not None


_ANNOTATED = "an annotation stands before a net, a block, an extern layer or an assignment"
_WHOLE = r"(?:(?<![=!<>])=(?!=)|\b(?:return|exit|assert|import|const)\b|[{}])"
"""What a statement has that is over; `a b = c` has none."""

HOLES = (
    Habit(
        "E0161",
        "a hole cannot hold a quote or an escape",
        r'(?P<at>")‸',
        QUOTE_HELP,
        when=_ends_in_hole,
    ),
)

VALUES = (
    Habit(
        "E0116",
        "`{at}` needs a value",
        r"\b(?P<at>return|exit)\b(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*‸",
        "write `{at} x`, on one line",
        when=_has_no_value,
    ),
)

CONDITIONS = (
    Habit(
        "E0130",
        "`=` binds a name; it does not compare",
        "‸(?P<at>=)",
        write="==",
        types="EQUAL",
        keywords="IF ASSERT",
        accepts="COMPARE",
    ),
    Habit(
        "E0121",
        "there are no dicts",
        help="write a list, or parameters with names",
        types="LBRACE",
        accepts="NUMBER",
        when=_is_dict,
    ),
)

STATEMENTS = (
    Habit(
        "E0119",
        f"{_ANNOTATED}, not before {WORDS['$END']}",
        types="$END",
        accepts="AT",
        when=_is_annotated,
    ),
    Habit("E0119", f"{_ANNOTATED}, not before `{{token}}`", accepts="AT", when=_is_annotated),
    _second(rf"^[^\n‸]*{_WHOLE}[^\n‸]*?(?P<out>[ \t]*)‸", write="\n{indent}"),
    _second(),
)
