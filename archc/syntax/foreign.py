"""What people write from the habit of another language: Python's first, then C's and JavaScript's.

Each rule recognises one habit where the parser refused the text, and says what to write here.
"""

import re

from archc.diagnostics import Diagnostic, Fix, Label, Span
from archc.syntax.edits import appended, indentation, inserted, replaced, without_line
from archc.syntax.messages import FOREIGN, RESERVED
from archc.syntax.situation import Situation

HEADERS = {"FOR", "IF", "BLOCK", "NET", "SCOPE"}
"""The keywords of what has a body."""


def say(code: str, message: str, span: Span, help: str | None = None, fix: Fix = ()) -> Diagnostic:
    """A diagnostic of one place."""
    return Diagnostic(code, message, (Label(span),), help=help, fix=fix)


def _match(s: Situation, pattern: str, start: int | None = None) -> re.Match[str] | None:
    """What a pattern finds at the refused text, or at another offset of the source."""
    return re.compile(pattern).match(s.source.text, s.start if start is None else start)


def _line_before(s: Situation) -> str:
    """The text of the line before the refused text."""
    text = s.source.text
    return text[text.rfind("\n", 0, s.start) + 1 : s.start]


def _span(s: Situation, start: int, end: int) -> Span:
    return Span(s.source, start, end)


def _previous(s: Situation) -> Span:
    assert s.previous is not None
    return _span(s, s.previous.start_pos or 0, s.previous.end_pos or 0)


# ------------------------------------------------------------------- words


def keyword_label(s: Situation) -> Diagnostic | None:
    """`-> class: conv(8)`: names of layers become attributes of a Python class."""
    word = _match(s, r"(\w+)\s*:")
    if word is None or not re.search(r"(->|\bexit)\s*$", _line_before(s)):
        return None
    if word[1] not in FOREIGN and word[1] not in RESERVED:
        return None
    span = _span(s, s.start, word.end(1))
    message = f"`{word[1]}` is a keyword, so it cannot be a label"
    fix = replaced(span, f"{word[1]}_")
    return say("E0133", message, span, f"choose another name, say `{word[1]}_`", fix)


def numbered_label(s: Situation) -> Diagnostic | None:
    """`-> 0: conv(8)`."""
    if s.type != "COLON" or s.previous is None or s.previous.type != "NUMBER":
        return None
    if not re.search(r"(->|\bexit)\s*[0-9]+$", _line_before(s).rstrip()):
        return None
    number = _previous(s)
    message = "a label that begins with a digit stands in quotes"
    help = f'write `"{number.text}"`'
    return say("E0156", message, number, help, replaced(number, f'"{number.text}"'))


_SIGNATURE = r"\w+[ \t]+\w+\s*\([^()\n]*\)\s*\(([^()\n]*)\)\s*\{"
_DECLARING = {"def", "class", "function", "fn", "func", "model", "module", "network", "layer"}


def declaring_word(s: Situation) -> Diagnostic | None:
    """`def Unit(width)(x) {`, `model Small()(image: [3, 32, 32]) {`."""
    if s.type not in ("NAME", "LAYER") or s.span.text not in _DECLARING or _line_before(s).strip():
        return None
    word, signature = s.span.text, _match(s, _SIGNATURE)
    if signature is None and word not in FOREIGN:
        return None
    message = f"there is no `{word}`"
    if signature is None:
        help = "write `block Name(hyperparameters)(x) { ... return y }`"
        return say("E0124", message, s.span, help)
    ours = "net" if ":" in signature[1] else "block"
    return say("E0124", message, s.span, f"write `{ours}`", replaced(s.span, ours))


def import_of_python(s: Situation) -> Diagnostic | None:
    """`import torch.nn as nn`, `from torch import nn`."""
    before = _line_before(s)
    rest = _match(s, r"[^\n#]*?(?=[ \t]*(?:#|\n|\Z))")
    assert rest is not None
    if not re.match(r"\s*(import\s+[A-Za-z_]|from\s+[\w.]+\s+import\b)", before + rest[0]):
        return None
    span = _span(s, s.start - len(before.lstrip()), rest.end())
    message = 'an import names another spec in quotes, as in `import "blocks/dense"`'
    help = "remove this line: operators need no import"
    return say("E0155", message, span, help, without_line(span))


_SIMPLE = {"elif": "else if", "True": "true", "False": "false", "is": "=="}
_NONE = re.compile(r"(?:,\s*|(?<=\())\w+\s*=\s*$")


def foreign_word(s: Situation) -> Diagnostic | None:
    """A keyword of Python."""
    if s.type != "NAME" or s.token not in FOREIGN:
        return None
    code, message, help = FOREIGN[str(s.token)]
    fix: Fix = ()
    if s.token in _SIMPLE:
        fix = replaced(s.span, _SIMPLE[str(s.token)])
    if s.token == "pass":
        rest = _match(s, r"pass[ \t]*")
        fix = replaced(_span(s, s.start, rest.end() if rest else s.end), "")
    argument = _NONE.search(s.source.text[: s.start]) if s.token == "None" and s.bracket else None
    if argument is not None:
        after = _match(s, r"None\s*,\s*") if not argument[0].startswith(",") else None
        help = "leave the argument out"
        fix = replaced(_span(s, argument.start(), after.end() if after else s.end), "")
    return say(code, message, s.span, help, fix)


# --------------------------------------------------------------- punctuation

_QUOTED = re.compile(r"'((?:[^'\\\"\n]|\\.)*)'")


def single_quotes(s: Situation) -> Diagnostic | None:
    """`'conv1'`, and `f'conv{i}'`."""
    found = _match(s, r"'(?:[^'\\\n]|\\.)*'?")
    if found is None:
        return None
    start = _prefix_start(s)
    quoted = _QUOTED.fullmatch(found[0])
    fix = replaced(_span(s, start, found.end()), f'"{quoted[1]}"') if quoted else ()
    help = 'write `"..."`'
    return say("E0127", "strings stand in double quotes", _span(s, s.start, found.end()), help, fix)


def _prefix_start(s: Situation) -> int:
    """Where the `f` of an f-string begins, or the string itself."""
    before = s.previous
    touches = before is not None and before.end_pos == s.start and before.type == "NAME"
    if before is None or not touches or before.lower() not in ("f", "u"):
        return s.start
    return before.start_pos or 0


def string_prefix(s: Situation) -> Diagnostic | None:
    """`f"conv{i}"`."""
    before = s.previous
    if s.type != "STRING" or before is None or before.end_pos != s.start or before.type != "NAME":
        return None
    if before.lower() not in ("f", "u", "r", "b", "fr", "rf"):
        return None
    message, help = "a string has no prefix", f"leave out the `{before}`"
    if before.lower() == "f":
        help = "leave out the `f`: every string may have holes"
    fix = replaced(_previous(s), "") if before.lower() in ("f", "u") else ()
    return say("E0137", message, _previous(s), help, fix)


def semicolon(s: Situation) -> Diagnostic | None:
    """`;`, at the end of a line or between two statements."""
    found = _match(s, r";[ \t]*")
    if found is None:
        return None
    ends = _match(s, r";+[ \t]*(?=#|\n|\Z)")
    if ends:
        help, fix = "leave it out", replaced(_span(s, s.start, ends.end()), ends[0].strip(";"))
    else:
        help = "put each statement on a line of its own"
        fix = replaced(_span(s, s.start, found.end()), "\n" + indentation(s.span))
    return say("E0120", "there are no semicolons", s.span, help, fix)


_OPERATORS = {"&&": "and", "||": "or", "!": "not", "|>": "->", "=>": "->"}


def foreign_operator(s: Situation) -> Diagnostic | None:
    """`&&`, `||`, `!`, `|>` and `=>`."""
    found = _match(s, r"&&|\|\||!(?!=)|\|>|=>")
    if found is None:
        return None
    ours = _OPERATORS[found[0]]
    span = _span(s, s.start, found.end())
    code = "E0132" if ours == "->" else "E0126"
    fix = replaced(span, _spaced(s, ours, found.end()))
    return say(code, f"there is no `{found[0]}`", span, f"write `{ours}`", fix)


def _spaced(s: Situation, word: str, end: int) -> str:
    """A word in the place of a symbol, apart from its neighbours."""
    text = s.source.text
    before = "" if text[s.start - 1 : s.start] in ("", " ", "\t", "(", "[") else " "
    after = "" if text[end : end + 1] in ("", " ", "\t") else " "
    return f"{before}{word}{after}"


def bitwise(s: Situation) -> Diagnostic | None:
    """`&`, `|`, `^`, `~`; of these `|` is most likely meant as a pipe."""
    found = _match(s, r"[&|^~]")
    if found is None:
        return None
    message, help = "there are no bitwise operators", "`**` is the power"
    fix: Fix = ()
    if found[0] == "|" and s.keyword not in ("IF", "ASSERT"):
        return say("E0134", message, s.span, "`->` applies a layer", replaced(s.span, "->"))
    if found[0] in "&|":
        ours = "and" if found[0] == "&" else "or"
        help = f"write `{ours}` between conditions"
        fix = replaced(s.span, _spaced(s, ours, s.start + 1))
    return say("E0134", message, s.span, help, fix)


def matrix_product(s: Situation) -> Diagnostic | None:
    """`q @ k`."""
    if s.type != "AT" or s.first_on_line:
        return None
    help = "`linear` and `conv` multiply with weights; `x * y` is element by element"
    return say("E0134", "there is no matrix product of tensors", s.span, help)


def slash_comment(s: Situation) -> Diagnostic | None:
    """`// a comment`, on a line of its own."""
    if not _match(s, r"//") or _line_before(s).strip():
        return None
    span = _span(s, s.start, s.start + 2)
    return say("E0139", "a comment begins with `#`", span, "write `#`", replaced(span, "#"))


def walrus(s: Situation) -> Diagnostic | None:
    """`n := 3`."""
    found = _match(s, r":=")
    if found is None:
        return None
    span = _span(s, s.start, found.end())
    if s.bracket is not None or s.previous is not s.opener:
        help = "bind the name in a statement of its own, on the line before"
        return say("E0138", "`:=` is not available", span, help)
    return say("E0138", "`:=` is not available", span, "write `=`", replaced(span, "="))


def annotation_of_type(s: Situation) -> Diagnostic | None:
    """`width: int = 3`, outside of parameters."""
    declares = s.keyword == "CONST" or s.previous is s.opener
    if s.type != "COLON" or s.bracket is not None or not declares or s.keyword in HEADERS:
        return None
    found = _match(s, r":\s*[A-Za-z_][\w.\[\], |]*?(?=\s*=(?!=))")
    if found is None:
        return None
    span = _span(s, s.start, found.end())
    help = "leave it out: only parameters have kinds, as in `block B(width: int)(x)`"
    return say("E0136", "a variable has no declared type", span, help, replaced(span, ""))


# ----------------------------------------------------------------- bodies


def colon_before_body(s: Situation) -> Diagnostic | None:
    """`if n > 3:`, with what Python would take as its body."""
    bodied = HEADERS | {"ELSE"}
    if s.type != "COLON" or s.bracket is not None or s.keyword not in bodied:
        return None
    message, help = "a body stands in braces, not after a colon", "write `{ ... }`"
    return say("E0129", message, s.span, help, _braces(s))


def _braces(s: Situation) -> Fix:
    """Braces around the rest of the line, or around the lines that are indented more."""
    text, own = s.source.text, indentation(s.span)
    rest = _match(s, r":[ \t]*([^#\n{]*[^#\n{ \t])?")
    opening = replaced(s.span, "{" if text[s.start - 1] == " " else " {")
    if rest is not None and rest[1]:
        return (*opening, *appended(_span(s, s.start, rest.end()), " }"))
    end = text.find("\n", s.start)
    last = None
    while end >= 0:
        start, end = end + 1, text.find("\n", end + 1)
        line = text[start : end if end >= 0 else len(text)]
        if line.strip() and len(line) - len(line.lstrip()) <= len(own):
            break
        if line.strip():
            last = start + len(line)
    return (*opening, *appended(_span(s, last, last), f"\n{own}}}")) if last else ()


def dots(s: Situation) -> Diagnostic | None:
    """`0..n`."""
    line = _line_before(s)
    start = s.start - len(re.search(r"[\w.]*$", line)[0])  # type: ignore[index]  # matches always
    found = _match(s, r"(\w+)\s*\.\.\.?\s*(\w+)", start)
    if found is None or found.end() < s.start:
        return None
    ours = f"range({found[1]}, {found[2]})"
    span = _span(s, found.start(), found.end())
    return say("E0157", "there is no `..`", span, f"write `{ours}`", replaced(span, ours))


_BY_AXES = re.compile(r"([A-Za-z_]\w*)\[\s*(?::\s*,\s*)?(\w*)\s*:\s*(\w*)\s*(?:,[^\[\]]*)?\]")


def slice_by_axes(s: Situation) -> Diagnostic | None:
    """`x[:, :8]`, or `x[:8, ...]`."""
    bracket = s.bracket
    if s.type != "COMMA" or bracket is None or bracket.type != "LSQB" or s.previous is None:
        return None
    line = s.source.text[: bracket.start_pos]
    name = re.search(r"[A-Za-z_]\w*$", line)
    if name is None or not _match(s, r"\[[^\[\]\n]*:", bracket.start_pos):
        return None
    message = "tensors are not sliced by axes"
    found = _BY_AXES.match(s.source.text, name.start())
    if found is None or not (found[2] or found[3]) or not found[3]:
        help = "`take(x, 8)` gives the first 8 channels"
        return say("E0135", message, s.span, help)
    ours = f"take({found[1]}, {found[3]})"
    if found[2] and found[2] != "0":
        ours = f"take({found[1]}, {found[3]} - {found[2]}, start={found[2]})"
    span = _span(s, found.start(), found.end())
    return say("E0135", message, span, f"write `{ours}`", replaced(span, ours))


def unpacked_arguments(s: Situation) -> Diagnostic | None:
    """`conv(*sizes)`, `block B(**options)(x)`."""
    before = s.previous.type if s.previous is not None else ""
    if s.type not in ("STAR", "POWER") or s.bracket is None or before not in ("LPAR", "COMMA"):
        return None
    return say("E0158", "arguments are not unpacked", s.span, "write each argument")


# ------------------------------------------------------------------- pipes


def label_by_equals(s: Situation) -> Diagnostic | None:
    """`x -> stem = conv(16)`."""
    if s.type != "EQUAL" or s.previous is None or s.previous.type not in ("NAME", "STRING"):
        return None
    if not re.search(r"->\s*$", s.source.text[: s.previous.start_pos]):
        return None
    span = _span(s, s.previous.end_pos or 0, s.end)
    message, help = "a label is followed by a colon", f"write `{s.previous}:`"
    return say("E0156", message, s.span, help, replaced(span, ":"))


def shape_by_equals(s: Situation) -> Diagnostic | None:
    """`net N()(image = [3, 32, 32])`."""
    if s.type != "EQUAL" or s.bracket is None or s.keyword not in ("NET", "BLOCK"):
        return None
    if s.previous is None or "COLON" not in s.accepts or not _match(s, r"=\s*\["):
        return None
    span = _span(s, s.previous.end_pos or 0, s.end)
    message, help = "the shape of an input stands after a colon", f"write `{s.previous}:`"
    return say("E0118", message, s.span, help, replaced(span, ":"))


def missing_arrow(s: Situation) -> Diagnostic | None:
    """`x = image conv(16, 3)`."""
    before = s.previous
    if s.type not in ("NAME", "STRING") or s.first_on_line or before is None:
        return None
    if before.type not in ("NAME", "RPAR") or "ARROW" not in s.accepts or s.keyword in HEADERS:
        return None
    if not _match(s, r"(?:[A-Za-z_]\w*|\"[^\"\n]*\")\s*[(:]"):
        return None
    message = f"expected the end of the statement, found {s.found}"
    help = "`->` applies a layer"
    return say("E0110", message, s.span, help, inserted(s.span, "-> "))


FOREIGN_RULES = (
    keyword_label,
    declaring_word,
    import_of_python,
    foreign_word,
    numbered_label,
    string_prefix,
    dots,
    slice_by_axes,
    unpacked_arguments,
    foreign_operator,
    label_by_equals,
    shape_by_equals,
    missing_arrow,
    walrus,
    annotation_of_type,
    matrix_product,
    slash_comment,
    single_quotes,
    semicolon,
    bitwise,
)
"""In the order in which they are asked."""
