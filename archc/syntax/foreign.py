"""Words and signs that people write from the habit of another language, Python's first.

Each rule recognises one habit where the parser refused the text, and says what to write here.
"""

import re
from collections.abc import Callable

from archc.diagnostics import Diagnostic, Fix, Label, Span
from archc.syntax.edits import indentation, replaced, without_line
from archc.syntax.kinds import compares_one_kind
from archc.syntax.messages import FOREIGN, RESERVED
from archc.syntax.situation import HEADERS, Situation

Rule = Callable[[Situation], Diagnostic | None]


def say(
    code: str,
    message: str,
    span: Span,
    help: str | None = None,
    fix: Fix = (),
    *,
    certain: bool = False,
) -> Diagnostic:
    """A diagnostic of one place."""
    sure = certain and bool(fix)
    return Diagnostic(code, message, (Label(span),), help=help, fix=fix, certain=sure)


def match_here(s: Situation, pattern: str, start: int | None = None) -> re.Match[str] | None:
    """What a pattern finds at the refused text, or at another offset of the source."""
    return re.compile(pattern).match(s.source.text, s.start if start is None else start)


def line_before(s: Situation) -> str:
    """The text of the line before the refused text."""
    text = s.source.text
    return text[text.rfind("\n", 0, s.start) + 1 : s.start]


def span_of(s: Situation, start: int, end: int) -> Span:
    return Span(s.source, start, end)


def previous_span(s: Situation) -> Span:
    assert s.previous is not None
    return span_of(s, s.previous.start_pos or 0, s.previous.end_pos or 0)


# ------------------------------------------------------------------- words


def keyword_label(s: Situation) -> Diagnostic | None:
    """`-> class: conv(8)`: names of layers become attributes of a Python class."""
    word = match_here(s, r"(\w+)\s*:")
    if word is None or not re.search(r"(->|\bexit)\s*$", line_before(s)):
        return None
    if word[1] not in FOREIGN and word[1] not in RESERVED:
        return None
    span = span_of(s, s.start, word.end(1))
    message = f"`{word[1]}` is a keyword, so it cannot be a label"
    fix = replaced(span, f"{word[1]}_")
    return say("E0133", message, span, f"choose another name, say `{word[1]}_`", fix)


def numbered_label(s: Situation) -> Diagnostic | None:
    """`-> 0: conv(8)`."""
    if s.type != "COLON" or s.previous is None or s.previous.type != "NUMBER":
        return None
    if not re.search(r"(->|\bexit)\s*[0-9]+$", line_before(s).rstrip()):
        return None
    number = previous_span(s)
    message = "a label that begins with a digit stands in quotes"
    help = f'write `"{number.text}"`'
    quoted = replaced(number, f'"{number.text}"')
    return say("E0156", message, number, help, quoted, certain=True)


_SIGNATURE = r"\w+[ \t]+\w+\s*\([^()\n]*\)\s*\(([^()\n]*)\)\s*\{"
_DECLARING = {"def", "class", "function", "fn", "func", "model", "module", "network", "layer"}


def declaring_word(s: Situation) -> Diagnostic | None:
    """`def Unit(width)(x) {`, `model Small()(image: [3, 32, 32]) {`."""
    if s.type not in ("NAME", "LAYER") or s.span.text not in _DECLARING or line_before(s).strip():
        return None
    word, signature = s.span.text, match_here(s, _SIGNATURE)
    if signature is None and word not in FOREIGN:
        return None
    message = f"there is no `{word}`"
    if signature is None:
        help = "write `block Name(hyperparameters)(x) { ... return y }`"
        return say("E0124", message, s.span, help)
    ours = "net" if ":" in signature[1] else "block"
    return say("E0124", message, s.span, f"write `{ours}`", replaced(s.span, ours), certain=True)


def import_of_python(s: Situation) -> Diagnostic | None:
    """`import torch.nn as nn`, `from torch import nn`."""
    before = line_before(s)
    rest = match_here(s, r"[^\n#]*?(?=[ \t]*(?:#|\n|\Z))")
    assert rest is not None
    if not re.match(r"\s*(import\s+[A-Za-z_]|from\s+[\w.]+\s+import\b)", before + rest[0]):
        return None
    span = span_of(s, s.start - len(before.lstrip()), rest.end())
    message = 'an import names another spec in quotes, as in `import "blocks/dense"`'
    path = _SPEC.match(before + rest[0])
    if path is not None:
        ours = f'import "{path[1].replace(".", "/")}"'
        return say("E0155", message, span, f"write `{ours}`", replaced(span, ours), certain=True)
    help = "remove this line: operators need no import"
    return say("E0155", message, span, help, without_line(span), certain=True)


_SPEC = re.compile(r"\s*(?:import|from)\s+(\w+(?:/\w+)+|blocks\.\w+)")
"""A path as imports have it here, in the quotes that it lacks; or the library as a package."""

_SIMPLE = {"elif": "else if", "True": "true", "False": "false"}


def foreign_word(s: Situation) -> Diagnostic | None:
    """A keyword of Python."""
    if s.type != "NAME" or s.token not in FOREIGN:
        return None
    code, message, help = FOREIGN[str(s.token)]
    fix: Fix = ()
    if s.token in _SIMPLE:
        fix = replaced(s.span, _SIMPLE[str(s.token)])
    if s.token == "pass":
        rest = match_here(s, r"pass[ \t]*")
        fix = replaced(span_of(s, s.start, rest.end() if rest else s.end), "")
    if code == "E0133" and help is None and _opens_statement(s):
        message = f"there is no `{s.token}`"
    return say(code, message, s.span, help, fix, certain=True)


def identity(s: Situation) -> Diagnostic | None:
    """`a is b` and `a is not b`: values are compared."""
    found = match_here(s, r"is(?:[ \t]+(not))?\b")
    if s.token != "is" or found is None or "COMPARE" not in s.accepts:
        return None
    if match_here(s, r"[ \t]+None\b", found.end()):
        return _no_none(span_of(s, s.start, s.source.text.index("None", found.end()) + 4), _TESTED)
    span, ours = span_of(s, s.start, found.end()), "!=" if found[1] else "=="
    help = f"compare with `{ours}`"
    message = f"there is no `{found[0]}`"
    certain = compares_one_kind(s.source.text, s.start, found.end())
    return say("E0133", message, span, help, replaced(span, ours), certain=certain)


_TESTED = (
    "give what may be missing a default that can be told from other values, as `0`, `false`, "
    '`""` or `[]`, and compare with that'
)
_NAMED_NONE = re.compile(r"(\w+)\(((?:[^()]*,\s*)?)(\w+)\s*=\s*$")


def none(s: Situation) -> Diagnostic | None:
    """`None`, as a default, as an argument, in a comparison or anywhere else."""
    if s.token != "None":
        return None
    text = s.source.text[: s.start]
    if re.search(r"[=!]=\s*$", text):
        return _no_none(s.span, _TESTED)
    if s.keyword == "NET" and s.bracket is not None and s.bracket.type == "LSQB":
        return _no_none(s.span, "leave the batch axis out: shapes are of one sample", _axis(s))
    named = _NAMED_NONE.search(text) if s.bracket is not None else None
    if named is None or s.keyword in ("BLOCK", "NET", "EXTERN"):
        return _no_none(s.span, _TESTED if named else "bind a name where it has its first value")
    if named[1] in ("max_pool", "avg_pool") and named[3] == "stride":
        rest = match_here(s, r"None\s*,\s*") if not named[2] else None
        start = len(text[: named.start(3)].rstrip(", \n")) if rest is None else named.start(3)
        start = named.start(3) if text[:start].endswith("(") else start
        fix = replaced(span_of(s, start, rest.end() if rest else s.end), "")
        return _no_none(s.span, "leave the argument out", fix)
    return _no_none(s.span, f"leave the argument out where the default of `{named[3]}` will do")


def _axis(s: Situation) -> Fix:
    """The batch axis of `[None, 3, 32, 32]` goes."""
    rest = match_here(s, r"None\s*,\s*")
    first = s.bracket is not None and s.previous is s.bracket
    return replaced(span_of(s, s.start, rest.end()), "") if first and rest else ()


def _no_none(span: Span, help: str, fix: Fix = ()) -> Diagnostic:
    return say("E0166", "there is no `None`: a value is always one", span, help, fix, certain=True)


def _opens_statement(s: Situation) -> bool:
    """`try {`, `raise ...`: a word of another language's statement, not the name of a variable."""
    return not line_before(s).strip() and not match_here(s, r"\w+\s*(?:\+?=|,)")


_DECLARING_VARIABLES = {"let", "var", "val", "auto", "const", "mut"}


def declared_variable(s: Situation) -> Diagnostic | None:
    """`let y = x`, or a `const` in a body."""
    before = s.previous
    if s.type != "NAME" or before is None or before not in _DECLARING_VARIABLES:
        return None
    if s.first_on_line or not match_here(s, r"\w+\s*=(?!=)"):
        return None
    span = span_of(s, before.start_pos or 0, s.start)
    place = " in a body" if before == "const" else ""
    message, help = f"there is no `{before}`{place}", "leave it out: `=` binds a name"
    return say("E0159", message, previous_span(s), help, replaced(span, ""), certain=True)


# --------------------------------------------------------------- punctuation

_QUOTED = re.compile(r"'((?:[^'\\\"\n]|\\.)*)'")


def single_quotes(s: Situation) -> Diagnostic | None:
    """`'conv1'`, and `f'conv{i}'`."""
    found = match_here(s, r"'(?:[^'\\\n]|\\.)*'?")
    if found is None:
        return None
    start = _prefix_start(s)
    quoted = _QUOTED.fullmatch(found[0])
    fix = replaced(span_of(s, start, found.end()), f'"{quoted[1]}"') if quoted else ()
    certain = start < s.start or "{" not in found[0]  # where it is no f-string, Python has no holes
    message, span = "strings stand in double quotes", span_of(s, s.start, found.end())
    return say("E0127", message, span, 'write `"..."`', fix, certain=certain)


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
    fix = replaced(previous_span(s), "") if before.lower() in ("f", "u") else ()
    return say("E0137", message, previous_span(s), help, fix, certain=True)


def semicolon(s: Situation) -> Diagnostic | None:
    """`;`, at the end of a line or between two statements."""
    found = match_here(s, r";[ \t]*")
    if found is None:
        return None
    ends = match_here(s, r";+[ \t]*(?=#|\n|\Z)")
    if s.bracket is not None:
        help, fix = "write `,`", replaced(s.span, ",")
    elif ends:
        help, fix = "leave it out", replaced(span_of(s, s.start, ends.end()), ends[0].strip(";"))
    else:
        help = "put each statement on a line of its own"
        fix = replaced(span_of(s, s.start, found.end()), "\n" + indentation(s.span))
    certain = s.bracket is None
    return say("E0120", "there are no semicolons", s.span, help, fix, certain=certain)


def matrix_product(s: Situation) -> Diagnostic | None:
    """`q @ k`."""
    if s.type != "AT" or s.first_on_line:
        return None
    help = "`linear` and `conv` multiply with weights; `x * y` is element by element"
    return say("E0134", "there is no matrix product of tensors", s.span, help)


def slash_comment(s: Situation) -> Diagnostic | None:
    """`// a comment`, on a line of its own, or behind a pipe, where no operator may stand."""
    before = line_before(s)
    ends_line = s.bracket is None and match_here(s, r"[^{}\n]*(?:\n|\Z)")
    behind = _BEHIND_PIPE.fullmatch(before) if ends_line else None
    if behind is None and (before.strip() or not match_here(s, r"//")):
        return None
    start = s.start if behind is None else s.start - len(before) + behind.start(1)
    span = span_of(s, start, start + 2)
    message, fix = "a comment begins with `#`", replaced(span, "#")
    return say("E0139", message, span, "write `#`", fix, certain=behind is None)


_BEHIND_PIPE = re.compile(r'[^"#\n]*->[^"#\n]*?[\w)][ \t]+(//)[ \t]*[A-Za-z]\w*[ \t]+')


def walrus(s: Situation) -> Diagnostic | None:
    """`n := 3`."""
    found = match_here(s, r":=")
    if found is None:
        return None
    span = span_of(s, s.start, found.end())
    if s.bracket is not None or s.previous is not s.opener:
        help = "bind the name in a statement of its own, on the line before"
        return say("E0138", "`:=` is not available", span, help)
    message, fix = "`:=` is not available", replaced(span, "=")
    return say("E0138", message, span, "write `=`", fix, certain=True)


def annotation_of_type(s: Situation) -> Diagnostic | None:
    """`width: int = 3`, outside of parameters."""
    declares = s.keyword == "CONST" or s.previous is s.opener
    if s.type != "COLON" or s.bracket is not None or not declares or s.keyword in HEADERS:
        return None
    found = match_here(s, r":\s*[A-Za-z_][\w.\[\], |]*?(?=\s*=(?!=))")
    if found is None:
        return None
    span = span_of(s, s.start, found.end())
    help = "leave it out: only parameters have kinds, as in `block B(width: int)(x)`"
    message, fix = "a variable has no declared type", replaced(span, "")
    return say("E0136", message, span, help, fix, certain=True)


FOREIGN_RULES: tuple[Rule, ...] = (
    keyword_label,
    declaring_word,
    import_of_python,
    identity,
    none,
    foreign_word,
    numbered_label,
    declared_variable,
    string_prefix,
    walrus,
    annotation_of_type,
    matrix_product,
    slash_comment,
    single_quotes,
    semicolon,
)
"""In the order in which they are asked."""
