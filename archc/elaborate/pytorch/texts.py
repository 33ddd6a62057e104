"""Strings where a number belongs, and strings put together as in Python: what to write instead."""

import re
from collections.abc import Sequence

from archc.diagnostics import Fix, Span
from archc.elaborate.pytorch.vocabulary import ALIASES
from archc.elaborate.values import Datum
from archc.ops.registry import OPS
from archc.syntax import ast
from archc.syntax.edits import replaced
from archc.syntax.habits.interpolated import interpolated


def unquoted(value: Datum, written: str) -> tuple[str, tuple[str, ...]] | None:
    """The number or bool that stands in quotes in `written`, and the kinds that it is welcome as;
    None for another string, and for one that does not stand there itself."""
    if not isinstance(value, str) or written != f'"{value}"':
        return None
    if value.lower() in ("true", "false"):
        return value.lower(), ("bool",)
    if re.fullmatch(r"-?[0-9]{1,12}", value):
        return value, ("int", "float")
    return (value, ("float",)) if re.fullmatch(r"-?[0-9]{1,12}\.[0-9]{1,12}", value) else None


def of_texts(op: str, operands: Sequence[Datum], span: Span) -> tuple[str | None, Fix]:
    """For `left op right` that is refused: a number without its quotes, or a string with holes."""
    texts = [value for value in operands if isinstance(value, str)]
    if len(texts) != 1:
        return (None, ())
    quoted = f'"{texts[0]}"'
    bare = unquoted(texts[0], quoted)
    if bare is not None:  # `"8" + 1` may be a text as well
        if op == "+" or span.text.count(quoted) != 1:
            return (None, ())
        help = f"a number has no quotes: write `{bare[0]}`"
        return help, replaced(span, span.text.replace(quoted, bare[0]))
    ours = interpolated(span.text)
    if ours is None:
        return (None, ())
    return f"a string has holes: `{ours}`", replaced(span, ours)


def operator_called(text: str) -> str | None:
    """The operator that a string names, as `"relu"` and `"ReLU"` do in other libraries."""
    names = (text, text.lower(), ALIASES.get(text), ALIASES.get(text.lower()))
    return next((name for name in names if name in OPS), None)


def of_layer(text: str, written: ast.Expr) -> tuple[str, Fix]:
    """For a string where a layer is applied: `act="relu"`, which a block applies as `x -> act`."""
    name = operator_called(text)
    if isinstance(written, ast.String):
        help = f"an operator has no quotes: `{name or 'relu'}`"
        return help, replaced(written.span, name) if name else ()
    argument = f"{written.span.text}={name or 'relu'}"
    return f"an operator is given as it is, without quotes: `{argument}`", ()


def of_arguments(values: Sequence[Datum], places: Sequence[Span]) -> tuple[str | None, Fix]:
    """For a function that refuses its arguments: the first of them that is a number in quotes."""
    for value, place in zip(values, places, strict=True):
        bare = unquoted(value, place.text)
        if bare is not None:
            return f"a number has no quotes: write `{bare[0]}`", replaced(place, bare[0])
    return (None, ())


_LITERAL_BEFORE = re.compile(r'(?:[=(,\[:+]|->|return)\s*("[^"\\\n]*")\s*\+\s*$')


def of_conversion(call: ast.Call) -> tuple[str, Fix]:
    """For `str(i)`, in a string, behind one, `"c" + str(i)`, or alone."""
    text, start = call.span.source.text, call.span.start
    value = call.arguments[0].span.text if call.arguments else ""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    if line.count('"') % 2:
        return f"a hole takes numbers as they are: `{{{value}}}`", replaced(call.span, value)
    before = _LITERAL_BEFORE.search(line)
    whole = call.span
    if before is not None:
        whole = Span(call.span.source, start - len(line) + before.start(1), call.span.end)
    ours = interpolated(whole.text)
    if ours is None:
        return 'every string may have holes, as `"c{i}"`', ()
    return f"every string may have holes: `{ours}`", replaced(whole, ours)
