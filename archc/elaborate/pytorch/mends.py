"""What mends a layer that an operator refuses: edits of its call, from what the operator says."""

from collections.abc import Mapping, Sequence

from archc.diagnostics import Fix, Span
from archc.elaborate.pytorch.positions import without_channels
from archc.elaborate.pytorch.translation import Mend
from archc.elaborate.values import Datum, Given, MadeLayer
from archc.ops.op import InexactError, Op, OpError, TensorType
from archc.syntax.edits import inserted, is_stage, replaced, value_of

Help = tuple[str | None, Fix]


def mend_value(given: Mapping[str, Given], name: str, refusal: OpError) -> Help:
    """For a value that its parameter does not take."""
    argument = given[name]
    written = value_of(argument.span)
    if name in refusal.arguments and _is_written(argument.value, written):
        return refusal.help, replaced(written, _instead(argument, refusal.arguments[name]))
    return refusal.help, ()


def _is_written(value: Datum, written: Span) -> bool:
    """Whether a string or bool stands where it is given, and not a name or a computation of it."""
    return not isinstance(value, str) or written.text == f'"{value}"'


def _instead(argument: Given, text: str) -> str:
    written = value_of(argument.span).text
    if text == "int({})" and written.replace(".", "", 1).isdecimal() and argument.value % 1 == 0:
        return str(int(argument.value))  # `16` for `16.0`
    return text.replace("{}", written)


def mend_layer(
    made: MadeLayer, operands: Sequence[TensorType], span: Span, refusal: OpError
) -> Help:
    """For a layer that does not fit its operands."""
    channels = _input_channels(made, operands)
    if channels is not None and not isinstance(refusal, InexactError):
        return channels
    if refusal.before is not None and not is_stage(span):
        return refusal.help, ()
    first = inserted(span, f"{refusal.before} -> ") if refusal.before is not None else ()
    edits = [edit for name, text in refusal.arguments.items() for edit in _set(made, name, text)]
    return refusal.help, (*first, *edits)


def _input_channels(made: MadeLayer, operands: Sequence[TensorType]) -> Mend | None:
    """`conv(3, 64, 3)` for 3 channels: the kernel is then 64."""
    out, stride = made.given.get("out"), made.given.get("stride")
    if out is None or stride is None or out.name is not None or stride.name is not None:
        return None
    if not operands or out.value != operands[0].channels:
        return None
    cls = type(made.maker)
    return without_channels(cls, [*made.given.values()]) if issubclass(cls, Op) else None


def _set(made: MadeLayer, name: str, text: str) -> Fix:
    """An argument gets a value, whether it is written or not."""
    if name in made.given:
        return replaced(value_of(made.given[name].span), text)
    call = made.span
    if not call.text.endswith(")"):
        return ()
    closing = Span(call.source, call.end - 1, call.end)
    return inserted(closing, f"{', ' if made.given else ''}{name}={text}")
