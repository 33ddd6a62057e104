"""Slices, calls and pipes as other languages write them, or as one forgets to."""

import re

from archc.diagnostics import Diagnostic
from archc.syntax.batched import all_batched, is_learned
from archc.syntax.edits import inserted, replaced
from archc.syntax.foreign import Rule, line_before, match_here, say, span_of
from archc.syntax.situation import HEADERS, Situation


def dots(s: Situation) -> Diagnostic | None:
    """`0..n`."""
    line = line_before(s)
    start = s.start - len(re.search(r"[\w.]*$", line)[0])  # type: ignore[index]  # matches always
    found = match_here(s, r"(\w+)\s*\.\.\.?\s*(\w+)", start)
    if found is None or found.end() < s.start:
        return None
    span = span_of(s, found.start(), found.end())
    help = f"write `range({found[1]}, {found[2]})`, which leaves `{found[2]}` out"
    return say("E0157", "there is no `..`", span, help)  # other languages have it in, or not


_BY_AXES = re.compile(r"([A-Za-z_]\w*)\[\s*:\s*,\s*(\w*)\s*:\s*(\w*)\s*(?:,\s*(?::|\.\.\.)\s*)*\]")
"""All samples, some channels, all positions."""


def slice_by_axes(s: Situation) -> Diagnostic | None:
    """`x[:, :8]`, or `x[:, 8:, ...]`."""
    bracket = s.bracket
    if s.type != "COMMA" or bracket is None or bracket.type != "LSQB" or s.previous is None:
        return None
    line = s.source.text[: bracket.start_pos]
    name = re.search(r"[A-Za-z_]\w*$", line)
    if name is None or not match_here(s, r"\[[^\[\]\n]*:", bracket.start_pos):
        return None
    message = "tensors are not sliced by axes"
    found = _BY_AXES.match(s.source.text, name.start())
    if match_here(s, r"\[[^\[\]\n]*\bNone\b", bracket.start_pos):
        return say("E0135", message, s.span, _MORE_AXES)
    learned = is_learned(s.source, name[0]) or _binds_take(s)
    if found is None or not found[3] or learned:
        help = (
            "`take(x, 8)` gives the first 8 channels, and `crop(x, spatial=1)` the image without "
            "its outermost rows and columns"
        )
        return say("E0135", message, s.span, help)
    ours = f"take({found[1]}, {found[3]})"
    if found[2] and found[2] != "0":
        ours = f"take({found[1]}, {found[3]} - {found[2]}, start={found[2]})"
    span = span_of(s, found.start(), found.end())
    help, certain = f"write `{ours}`", all_batched(s.source)
    return say("E0135", message, span, help, replaced(span, ours), certain=certain)


_MORE_AXES = (
    "`reshape` gives a vector axes, `reshape(s, [64, 1, 1])`; `global_avg_pool(keep=true)` keeps "
    "them, so that `x * s` is a gate"
)
_TAKE = re.compile(r"\btake\b(?!\s*\()|\b(?:block|net|extern)\s+take\b")


def _binds_take(s: Situation) -> bool:
    """Whether a text may call something of its own `take`."""
    return _TAKE.search(s.source.text) is not None


def unpacked_arguments(s: Situation) -> Diagnostic | None:
    """`conv(*sizes)`, `block B(**options)(x)`."""
    before = s.previous.type if s.previous is not None else ""
    if s.type not in ("STAR", "POWER") or s.bracket is None or before not in ("LPAR", "COMMA"):
        return None
    message = "arguments are not unpacked"
    joined = re.search(r"\b(concat|sum|min|max)\(\s*$", line_before(s))
    if joined and match_here(s, r"\*[^*,()\n]+\)"):
        help = f"leave out the `*`: `{joined[1]}` takes a list"
        return say("E0158", message, s.span, help, replaced(s.span, ""), certain=True)
    return say("E0158", message, s.span, "write each argument")


# ------------------------------------------------------------------- pipes


def label_by_equals(s: Situation) -> Diagnostic | None:
    """`x -> stem = conv(16)`."""
    if s.type != "EQUAL" or s.previous is None or s.previous.type not in ("NAME", "STRING"):
        return None
    if not re.search(r"->\s*$", s.source.text[: s.previous.start_pos]):
        return None
    if not match_here(s, r"=\s*[A-Za-z_]\w*[ \t]*(?:\(|->|#|\n|\})"):
        return None
    span = span_of(s, s.previous.end_pos or 0, s.end)
    message, help = "a label is followed by a colon", f"write `{s.previous}:`"
    return say("E0156", message, s.span, help, replaced(span, ":"), certain=True)


def dotted_label(s: Situation) -> Diagnostic | None:
    """`x -> stage1.conv1: conv(16)`."""
    label = re.search(r"(?:->|\bexit)\s*(\w+(?:\.\w+)+)\s*$", line_before(s))
    if s.type != "COLON" or label is None:
        return None
    start = s.start - len(line_before(s))
    span = span_of(s, start + label.start(1), start + label.end(1))
    scope, ours = label[1].partition(".")[0], label[1].replace(".", "_")
    help = f"write `{ours}`, or open `scope {scope} {{ ... }}` around it"
    message = f"a label is one name, not `{label[1]}`"
    return say("E0401", message, span, help, replaced(span, ours))


def shape_by_equals(s: Situation) -> Diagnostic | None:
    """`net N()(image = [3, 32, 32])`."""
    if s.type != "EQUAL" or s.bracket is None or s.keyword not in ("NET", "BLOCK"):
        return None
    if s.previous is None or "COLON" not in s.accepts or not match_here(s, r"=\s*\["):
        return None
    span = span_of(s, s.previous.end_pos or 0, s.end)
    message, help = "the shape of an input stands after a colon", f"write `{s.previous}:`"
    return say("E0118", message, s.span, help, replaced(span, ":"), certain=True)


def missing_arrow(s: Situation) -> Diagnostic | None:
    """`x = image conv(16, 3)`."""
    before = s.previous
    if s.type not in ("NAME", "STRING") or s.first_on_line or before is None:
        return None
    if before.type not in ("NAME", "RPAR") or "ARROW" not in s.accepts or s.keyword in HEADERS:
        return None
    if not match_here(s, r"(?:[A-Za-z_]\w*|\"[^\"\n]*\")\s*[(:]"):
        return None
    message = f"expected the end of the statement, found {s.found}"
    line = line_before(s)
    if re.search(r"->\s*\w+\s*$", line):  # a label, or a layer
        help = f"write `{before}:` if it is a label, and `{before} ->` if it is a layer"
        return say("E0110", message, s.span, help)
    binds = re.search(r"(?<![=!<>])=(?!=)|\b(?:return|exit)\b", line)
    fix = inserted(s.span, "-> ") if binds else ()
    return say("E0110", message, s.span, "`->` applies a layer", fix)


STRUCTURE_RULES: tuple[Rule, ...] = (
    dots,
    slice_by_axes,
    unpacked_arguments,
    label_by_equals,
    dotted_label,
    shape_by_equals,
    missing_arrow,
)
"""In the order in which they are asked."""
