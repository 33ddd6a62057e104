"""Arguments of operators that are given by position and have to be named.

Positional are those only that mean the same to everybody who knows PyTorch. For the others the help
says what the position means there; where that is the only reading, it is the mend.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile

from archc.diagnostics import ArchError, Fix, error
from archc.elaborate.pytorch import sides
from archc.elaborate.pytorch.signatures import INFERRED, OF_OPERATOR, UNKNOWN, Theirs
from archc.elaborate.pytorch.translated_arguments import (
    Ours,
    UnsaidError,
    Written,
    ours,
    same,
)
from archc.elaborate.pytorch.translated_calls import texts
from archc.elaborate.values import Datum, Given, MadeLayer
from archc.ops.op import Op, TensorType, word
from archc.ops.registry import Hyperparameter, parameters
from archc.ops.size import Size
from archc.syntax.edits import replaced, value_of, without_arguments

_OF_OPERATOR = re.compile("`")
"""A reason says what the operator does, beginning with its name."""


_OFTEN_MEANT_OTHERWISE = {"upsample"}
"""PyTorch has the size first, and most people mean the factor."""


def require_names(cls: type[Op], given: Sequence[Given], operand: TensorType | None) -> None:
    """Refuse positional arguments beyond those that an operator takes so.

    `operand` is the type of the tensor that it is about to be applied to, if that is known.
    """
    places = [item for item in parameters(cls) if not item.keyword]
    positional = [argument for argument in given if argument.name is None]
    if len(positional) > len(places):
        raise _refusal(cls, places, positional, given, operand)
    named = {argument.name: argument for argument in given if argument.name is not None}
    again = [named[item.name] for item in places[: len(positional)] if item.name in named]
    readings = _readings(cls.name, len(places), positional, {*named}, operand) if again else ()
    if any(isinstance(reading, _Reading) and reading.infers for reading in readings):
        message = f"`{cls.name}` gets `{again[0].name}` twice"
        help, fix = without_channels(cls, given)
        raise error("E0313", message, again[0].span, help=help, fix=fix)


def require_own_names(cls: type[Op], given: Sequence[Given], operand: TensorType | None) -> None:
    """Refuse a call all of whose arguments have PyTorch's names, the input's channels among them.

    It means PyTorch's defaults, too: the mend is the whole call.
    """
    if cls.name not in OF_OPERATOR:
        return
    theirs = OF_OPERATOR[cls.name].parameters
    names = [argument.name for argument in given]
    inferred = [a for a in given if a.name in INFERRED and _are_channels(a.value, operand)]
    if not inferred or not {*names} <= {item.name for item in theirs}:
        return
    own = {item.name for item in parameters(cls)}
    if len({*names}) < len(names) or inferred[0].name in own:
        return
    values = {argument.name: argument for argument in given}
    try:
        said = [ours(cls.name, item, _written(values.get(item.name))) for item in theirs]
    except UnsaidError:
        return
    text = ", ".join(texts(each for each in said if each is not None))
    first, last = given[0].span, given[-1].span
    raise error(
        "E0312",
        f"`{cls.name}` has no parameter `{inferred[0].name}`",
        inferred[0].span,
        help=f"PyTorch's is `{cls.name}({text})`; archc infers the channels of the input",
        fix=replaced(first.to(last), text) if text else without_arguments(first, last),
    )


def _written(argument: Given | None) -> Written | None:
    if argument is None:
        return None
    return Written(value_of(argument.span).text, _comparable(argument.value))


@dataclass(frozen=True, slots=True)
class _Reading:
    """What positional arguments would mean in PyTorch, as they are written here."""

    texts: tuple[str, ...]
    infers: bool
    """Whether the channels of the input are among them."""


def _refusal(
    cls: type[Op],
    places: Sequence[Hyperparameter],
    positional: Sequence[Given],
    given: Sequence[Given],
    operand: TensorType | None,
) -> ArchError:
    known = parameters(cls)
    takes = ", ".join(f"`{item.name}`" for item in places)
    if len(places) == len(known):
        takes = f"{takes} only" if places else "no arguments"
        code, message = "E0311", f"`{cls.name}` takes {takes}"
    else:
        message = f"`{cls.name}` takes {takes or 'nothing'} by position, all else by name"
        code = "E0318"
    named = {argument.name for argument in given}
    readings = [*_readings(cls.name, len(places), positional, named, operand)]
    meant = [reading for reading in readings if isinstance(reading, _Reading)]
    help, fix = _mend(cls, positional, meant)
    if not meant:
        reasons = [reason for reason in readings if isinstance(reason, str)]
        help = "; ".join([*filter(_OF_OPERATOR.match, reasons), help])
    return error(code, message, positional[len(places)].span, help=help, fix=fix)


def without_channels(cls: type[Op], given: Sequence[Given]) -> tuple[str, Fix]:
    """The help and the edit for a call in PyTorch's order, which begins with the channels of the
    input. It may mean PyTorch's defaults, too: there is an edit only where they are given."""
    first, *others = given
    names = {argument.name for argument in given}
    left = [
        f"{item.name}={word(_PYTORCHS[item.name])}"
        for item in parameters(cls)
        if item.name in _PYTORCHS.keys() - names and not same(item.default, _PYTORCHS[item.name])
    ]
    help = "leave out the channels of the input: archc infers them"
    if not left:
        return help, without_arguments(first.span)
    texts = [argument.span.text for argument in others]
    ours, theirs = (f"{cls.name}({', '.join([*texts, *more])})" for more in ([], left))
    return f"{help}, `{ours}`; with PyTorch's defaults it is `{theirs}`", ()


_PYTORCHS: Mapping[str, object] = {"padding": 0, "bias": True}
"""What a convolution of PyTorch's has unless told otherwise."""


def _readings(
    operator: str,
    places: int,
    positional: Sequence[Given],
    named: set[str | None],
    operand: TensorType | None,
) -> Iterator[_Reading | str]:
    """PyTorch's order has the channels of the input first, or they are left out as here; in the
    place of what has no meaning here, the reason."""
    if operator not in OF_OPERATOR or operator in _OFTEN_MEANT_OTHERWISE:
        return
    theirs = [item for item in OF_OPERATOR[operator].parameters if not item.named]
    shorter = [*dropwhile(lambda item: item.name in INFERRED, theirs)]
    infers = len(shorter) < len(theirs)
    for order in [shorter] * bool(places) + [theirs] * (infers or not places):
        try:
            said = _read(operator, order, positional, named, operand)
        except UnsaidError as reason:
            yield str(reason)
            continue
        yield _Reading(said, infers and order is theirs)


def _read(
    operator: str,
    order: Sequence[Theirs],
    positional: Sequence[Given],
    named: set[str | None],
    operand: TensorType | None,
) -> tuple[str, ...]:
    """Positional arguments in PyTorch's order, as arguments here. Raises UnsaidError."""
    if len(positional) > len(order):
        raise UnsaidError
    found: list[Ours] = []
    for theirs, argument in zip(order, positional, strict=False):
        if theirs.name in INFERRED and not _are_channels(argument.value, operand):
            raise UnsaidError
        if operator == "pad":
            found += _of_each_side(argument, operand)
            continue
        said = ours(operator, theirs, _written(argument))
        if said is not None:
            found.append(said)
    if any(said.parameter.name in named and not said.needless for said in found):
        raise UnsaidError
    return tuple(texts(found))


def _of_each_side(argument: Given, operand: TensorType | None) -> list[Ours]:
    """Numbers as `F.pad` takes them, for sides from the last axis on; or one for all sides."""
    value = _comparable(argument.value)
    written = Written(argument.span.text, value)
    if not isinstance(value, tuple):
        return sides.one_for_all(written)
    if operand is None:
        raise UnsaidError
    return sides.of_operand(written, value, operand.rank)


def _are_channels(value: Datum, operand: TensorType | None) -> bool:
    return type(value) is int and (operand is None or operand.channels == value)


def _comparable(value: Datum) -> object:
    if isinstance(value, Size):
        return UNKNOWN
    return tuple(map(_comparable, value)) if isinstance(value, list) else value


def _mend(
    cls: type[Op], positional: Sequence[Given], readings: Sequence[_Reading]
) -> tuple[str, Fix]:
    """The help, and the edit where there is one reading only."""
    calls = [f"`{cls.name}({', '.join(reading.texts)})`" for reading in readings]
    if len(readings) > 1:
        return f"PyTorch's order would make it {' or '.join(calls)}: which is meant?", ()
    first, last = positional[0].span, positional[-1].span
    if readings:
        (reading,) = readings
        text = ", ".join(reading.texts)
        fix = replaced(first.to(last), text) if text else without_arguments(first, last)
        infers = "; archc infers the channels of the input" if reading.infers else ""
        return f"write {calls[0]}{infers}", fix
    if cls.name in _NOT_BY_POSITION:
        return _NOT_BY_POSITION[cls.name], ()
    keywords = [f"`{item.name}=`" for item in parameters(cls) if item.keyword]
    return f"name it: {', '.join(keywords)}" if keywords else "leave it out", ()


def swapped(made: MadeLayer, operands: Sequence[TensorType]) -> tuple[str, str] | None:
    """What to say of `conv(8, 15, 3)` on 8 channels, which everybody from PyTorch reads as 15
    channels by a kernel of 3: a message and a help; None if nothing suggests that.

    A stride that is odd and not the kernel's is rare, and so is a large kernel beside a stride of
    1 that is written though it is the default. A transposed convolution without a padding whose
    kernel is not its stride is rare, too: its result is no multiple of its input.
    """
    given = made.given
    places = [given[name] for name in _IN_PYTORCH if name in given and given[name].name is None]
    if len(places) < len(_IN_PYTORCH) or not all(_NUMERALS.fullmatch(a.span.text) for a in places):
        return None
    out, kernel, stride = (_sizes(argument.value) for argument in places)
    if out != [operands[0].channels] or stride == kernel:
        return None
    unpadded = made.name == "conv_transpose" and not given.keys() & _OF_RESULT
    if not unpadded and not all(size % 2 for size in stride):
        return None
    if max(stride) == 1 and (max(kernel) <= _LARGE_KERNEL or "groups" in given):
        return None
    first, second, third = (argument.span.text for argument in places)
    return (
        f"the kernel is {second} and the stride {third}: PyTorch has another order",
        f"if {second} are the channels and {third} is the kernel, write "
        f"`{made.name}({second}, {third})`: archc infers the channels of the input; else name the "
        f"stride: `{made.name}({first}, {second}, stride={third})`",
    )


def turned(made: MadeLayer) -> tuple[str, str] | None:
    """What to say of `bn(momentum=0.99)`: Keras, TensorFlow and JAX count the share of what is
    kept, PyTorch and archc that of the new batch; None for another momentum.
    """
    given = made.given.get("momentum")
    if given is None or not _RARE_MOMENTUM <= given.value < 1:  # in Keras, 1 would be of no use
        return None
    kept = f"{1 - given.value:.6g}"
    return (
        f"a momentum of {given.value:g} forgets all statistics but those of the last batches",
        f"it is the share of the new batch, as in PyTorch: what Keras calls {given.value:g} is "
        f"`momentum={kept}`",
    )


_RARE_MOMENTUM = 0.9

_IN_PYTORCH = ("out", "kernel", "stride")
"""Where PyTorch has the channels of the input, those of the output, and the kernel."""

_OF_RESULT = {"padding", "output_padding"}
"""What makes the result of a transposed convolution a multiple of its input."""

_NUMERALS = re.compile(r"\d+|\[[\d, ]+\]")
_LARGE_KERNEL = 7


def _sizes(value: Datum) -> list[int]:
    return [*value] if isinstance(value, list) else [value]


_WITH_NUMBERS = "tensors alone are operands of it; with a number write `2 * x`, `x + 1` or `x / 6`"
_OF_CHANNELS = "it is over the channels, `dim=1`, and keeps their axis: leave it out"

_NOT_BY_POSITION: Mapping[str, str] = {
    "drop_path": "`survival=` is the probability to stay, which is 1 minus the rate of PyTorch's "
    "and timm's: `drop_path(survival=0.9)` for a rate of 0.1",
    "concat": "`concat` joins channels, `dim=1`, and takes nothing but tensors",
    "reshape": "the shape is a list: `reshape([64, 8, 8])`",
    "layer_norm": "`layer_norm` normalises the channels at each position, as many as there are",
    "channel_mean": _OF_CHANNELS,
    "channel_max": _OF_CHANNELS,
    **dict.fromkeys(["add", "sub", "mul", "div"], _WITH_NUMBERS),
}
"""What to say of an argument by position that an operator does not take."""
