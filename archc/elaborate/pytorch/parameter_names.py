"""Arguments whose names are no parameters: what other libraries call them, and what to write."""

from collections.abc import Mapping, Sequence

from archc.diagnostics import Fix, Span, nearest
from archc.elaborate.pytorch.signatures import FIXED, INFERRED, NEEDLESS
from archc.elaborate.pytorch.texts import operator_called
from archc.elaborate.pytorch.translated_arguments import same
from archc.elaborate.pytorch.vocabulary import PARAMETERS, SHORT
from archc.elaborate.values import Given
from archc.ops.registry import OPS
from archc.syntax.edits import appended, is_stage, renamed_argument, value_of, without_arguments

_CHANNELS = INFERRED | {"in_chans"}
_AXIS = {"axis": "dim"}
_ACTIVATION = {"activation", "activation_fn", "act", "act_fn", "act_layer", "nonlinearity"}


def written_as(callee: str, slots: Mapping[str, bool]) -> str:
    """How a call is written, as a help says it."""
    words = (name if required else f"{name}=..." for name, required in slots.items())
    return f"it is written `{callee}({', '.join(words)})`"


def instead_of_unknown(
    callee: str,
    argument: Given,
    slots: Mapping[str, bool],
    given: set[str],
    call: Span,
    channels: int | None,
) -> tuple[str, Fix]:
    """What to do about an argument whose name is no parameter's, beside those that are `given`.

    `channels` are those of the input, where they are known.
    """
    name, place = argument.name or "", argument.span
    names = list(slots)
    theirs = _of_torch(callee, argument, names, given, channels)
    if theirs is not None:
        return theirs
    if name in _ACTIVATION:
        value = argument.value
        layer = operator_called(value) if isinstance(value, str) else value_of(place).text
        if layer is None or layer in ("linear", "identity"):
            return f"an activation is applied after the layer: `{callee}(...) -> relu`", ()
        then = f" -> {layer}"
        own = callee in OPS and is_stage(call)  # a block may have another activation
        fix = (*without_arguments(place), *appended(call, then)) if own else ()
        return f"apply it after the layer: `{callee}(...){then}`", fix
    if name == "name":
        help = f"a label names a layer: `-> {argument.value}: {callee}(...)`"
        return help, without_arguments(place)
    free = [other for other in names if other not in given]
    near = SHORT[name] if SHORT.get(name) in free else nearest(name, free)
    if near is None:
        written = written_as(callee, slots)
        if nearest(name, names) is None:
            return written, ()
        return f"leave it out: {written}", ()
    return f"did you mean `{near}`?", renamed_argument(place, near)


def _of_torch(
    callee: str, argument: Given, names: Sequence[str], given: set[str], channels: int | None
) -> tuple[str, Fix] | None:
    """What to do about a parameter of another library's; None if it is none that is known."""
    name, place = argument.name or "", argument.span
    ours = PARAMETERS.get(name)
    if ours in given:
        return f"leave one of them out: archc calls it `{ours}`, which is given", ()
    if ours is not None and ours in names:
        return f"archc calls it `{ours}`", renamed_argument(place, ours)
    if name in _CHANNELS and callee in OPS and channels not in (None, argument.value):
        return f"archc infers the channels of the input, which has {channels}", ()
    if name in _CHANNELS | NEEDLESS and callee in OPS:
        return f"leave it out: archc infers or needs no `{name}`", without_arguments(place)
    if name == "normalized_shape" and callee in OPS:
        help = (
            "archc's `layer_norm` normalises the channels at each position, PyTorch's the last axes"
        )
        return help, ()
    fixed = FIXED.get((callee, _AXIS.get(name, name)))
    if fixed is not None:
        if any(same(argument.value, value) for value in fixed.values):
            return f"leave it out: `{callee}` {fixed.words}", without_arguments(place)
        return f"`{callee}` {fixed.words}", ()
    return None
