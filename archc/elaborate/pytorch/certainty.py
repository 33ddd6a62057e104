"""Which mends of calls of PyTorch's are certain: those that drop nothing said of the input."""

import re
from collections.abc import Sequence

from archc.diagnostics import Fix
from archc.elaborate.pytorch import sides
from archc.elaborate.pytorch.in_place_layers import changes_what_stays
from archc.elaborate.pytorch.signatures import (
    FUNCTIONS,
    INFERRED,
    KERAS,
    LAZY,
    SIGNATURES,
    Signature,
)
from archc.elaborate.pytorch.translated_arguments import UnsaidError
from archc.elaborate.pytorch.translated_calls import bound, pads_zeros, written
from archc.elaborate.pytorch.translation import Use, is_function, method_of, rendered
from archc.elaborate.trial import AXES, CHANNELS
from archc.syntax import ast
from archc.syntax.edits import replaced
from archc.syntax.habits.batched import all_batched


def certainty(use: Use, fix: Fix, known: set[str]) -> tuple[bool, Fix]:
    """Whether a mend is certain; and, where it would be if the call were right in what it says of
    its input, the edits that say so in a trial (`archc.elaborate.trial`)."""
    word = use.place.text.rpartition(".")[2].strip()
    signature = _exact(use, word)
    as_method = method_of(use, word, known)
    if as_method is not None and fix and all_batched(use.name.span.source):
        return _said_of(fix, [f"{AXES}={as_method[1]}"] if as_method[1] else [])
    if signature is None or not fix:
        return False, ()
    if use.call is not None and _may_change_another(use.call, signature):
        return False, ()
    axes = _axes_of(use, word, signature)
    channels = [item.name for item in signature.parameters if item.name in INFERRED]
    if not axes and not channels:
        return True, ()
    if use.call is None:
        return False, ()
    said = [f"{AXES}={axes}"] if axes else []
    try:
        given = bound(signature, use.call.arguments)
        said += [f"{CHANNELS}={rendered(given[name].value, known)}" for name in channels]
    except UnsaidError:
        return False, ()
    return _said_of(fix, said)


def _may_change_another(call: ast.Call, signature: Signature) -> bool:
    try:
        return changes_what_stays(call, bound(signature, call.arguments))
    except UnsaidError:
        return True


def _said_of(fix: Fix, said: Sequence[str]) -> tuple[bool, Fix]:
    """Certain, or as soon as a trial has found true what is said of the input."""
    if not said:
        return True, ()
    (edit,) = fix
    before = edit.text.removesuffix(")")
    comma = "" if before.endswith("(") else ", "
    return False, replaced(edit.span, f"{before}{comma}{', '.join(said)})")


def _exact(use: Use, word: str) -> Signature | None:
    """The signature of a class or function all of whose arguments are translated or refused."""
    place = (use.call or use.whole).span
    if re.search(r"\.(?:shape|size)\b", place.text) and not all_batched(place.source):
        return None
    if word in FUNCTIONS and is_function(use):
        return FUNCTIONS[word]
    return SIGNATURES.get(word) or LAZY.get(word) or KERAS.get(word)


_OF_AXES = re.compile(r"([123])[dD]$")


def _axes_of(use: Use, word: str, signature: Signature) -> list[int]:
    """The numbers of axes of an image that a call is for; none where it is for any.

    PyTorch refuses another image, or reads the call otherwise, and the mend would take it.
    """
    named = _OF_AXES.search(word)
    if named:
        return [0, 1] if word == "BatchNorm1d" else [int(named[1])]
    if signature.operator != "pad" or use.call is None:
        return []
    given = bound(signature, use.call.arguments)
    numbers = written(given["pad"].value, _as_it_is)
    return sides.axes_of_function(numbers, zeros=pads_zeros(given))


def _as_it_is(expr: ast.Expr) -> str:
    return expr.span.text
