"""The two pairs of parentheses of nets and blocks, as one confuses or forgets them."""

import re
from collections.abc import Iterator
from functools import partial

from archc.diagnostics import Diagnostic, Fix, Label, Span
from archc.syntax.edits import replaced
from archc.syntax.habits.habit import Habit, inside
from archc.syntax.habits.situation import Situation

_INPUTS = {
    "NET": "after the hyperparameters come the tensors: `net Name()(image: [3, 32, 32])`",
    "BLOCK": "after the hyperparameters come the tensors: `block Name(width)(x)`; "
    "there are no functions of numbers",
}


def missing_inputs(s: Situation) -> Diagnostic | None:
    """`net N(image: [3, 32, 32])`, `block B(x)`."""
    if s.keyword not in ("NET", "BLOCK") or s.previous is None:
        return None
    before = s.previous.type
    named = {"EQUAL", "LPAR"} if s.keyword == "NET" else {"LPAR"}
    alone = {"NAME": named, "RPAR": {"LPAR"}}
    left_out = before in alone and s.accepts == alone[before]
    empty = s.type == "RPAR" and s.accepts == {"NAME", "STAR"}
    only_inputs = s.type == "LSQB" and before == "COLON" and s.accepts == {"NAME"}
    if not (left_out or empty or only_inputs):
        return None
    span = s.span if only_inputs else s.after_previous
    fix = _sorted_out(s) if only_inputs else ()
    message, help = f"the {s.keyword.lower()}'s inputs are missing", _INPUTS[s.keyword]
    return Diagnostic("E0117", message, (Label(span),), help=help, fix=fix, certain=bool(fix))


_TENSOR = re.compile(r"\w+\s*:\s*\[")


def _sorted_out(s: Situation) -> Fix:
    """The same parameters, those with a shape in the second pair of parentheses; none where a
    comment or string stands among them."""
    text = s.source.text
    heads = [*re.finditer(r"\b(?:net|block)\s+\w+\s*(?=\()", text[: s.start])]
    if not heads:
        return ()
    start = end = heads[-1].end()
    items: list[str] = []
    for _ in range(2):
        closing = _closing(text, end)
        if closing is None:
            return ()
        items += _items(text[end + 1 : closing])
        end = closing + 1
        if not text.startswith("(", end):
            break
    if s.start >= end:  # the head was that of a declaration before
        return ()
    tensors = [item for item in items if _TENSOR.match(item)]
    others = [item for item in items if item not in tensors]
    if s.keyword == "BLOCK" and others:  # these may be tensors, too
        return ()
    return replaced(Span(s.source, start, end), f"({', '.join(others)})({', '.join(tensors)})")


def _closing(text: str, start: int) -> int | None:
    """Where the bracket at `start` is closed, if no string or comment is in it."""
    depth = 0
    for place in range(start, len(text)):
        char = text[place]
        depth += (char in "([{") - (char in ")]}")
        if char in '"#':
            return None
        if not depth:
            return place
    return None


def _items(text: str) -> Iterator[str]:
    """What the commas outside of brackets part."""
    depth = start = 0
    for place, char in enumerate(f"{text},"):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and not depth:
            if text[start:place].strip():
                yield text[start:place].strip()
            start = place + 1


_REST = r"(?:\.[\w.]+)?(?:\[[^\n(){}=]*\])?(?:\s*\|\s*\w+)*"
_TYPE = rf"[A-Za-z_]\w*{_REST}"
"""An annotation of Python's: `torch.Tensor`, `Optional[float]`, `float | None`."""

_annotated = partial(Habit, "E0136", keywords="NET BLOCK")

ANNOTATED = (
    _annotated(
        "the input of a net has a shape, not a type",
        rf"\b(?P<name>\w+)\s*:\s*(?P<at>‸{_TYPE})(?=\s*[,)])",
        "write the shape of one sample: `{name}: [3, 32, 32]`",
        keywords="NET",
        types="NAME",
        accepts="LSQB",
        when=inside,
    ),
    _annotated(
        "a tensor has no declared type",
        rf"\b\w+(?P<out>\s*(?P<at>:\s*‸{_TYPE}))(?=\s*[,)])",
        "leave it out: a block takes tensors of any shape",
        "",
        types="NAME",
        accepts="LSQB",
        when=inside,
    ),
    _annotated(
        "there are no declared results",
        r"\)(?P<out>\s*(?P<at>‸->\s*[^\n{}#]*[^\n{}#\s]))(?=\s*\{)",
        "leave it out: what is returned says it",
        "",
        types="ARROW",
        accepts="LBRACE",
    ),
    _annotated(
        "this is not one of the kinds of parameters",
        rf"\b\w+(?P<out>\s*(?P<at>:\s*[A-Za-z_]\w*\s*‸(?=[.\[|]){_REST}))(?=\s*[=,)])",
        "leave it out: the kinds are int, float, bool, string and list",
        "",
        when=inside,
    ),
)

HEADINGS = (
    missing_inputs,
    Habit(
        "E0118",
        "`{name}` stands among the tensors, which have no defaults",
        r"(?P<at>\b(?P<name>\w+)\s*‸=)",
        "hyperparameters stand in the first parentheses, tensors in the second",
        fix=lambda found: _sorted_out(found.s),
        types="EQUAL",
        keywords="NET",
        accepts="COLON",
        when=inside,
    ),
)
