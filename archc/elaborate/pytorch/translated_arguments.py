"""One argument of a module of torch's -> the argument of archc's operator that means the same.

The rule: where it is not known to mean the same, or there is no such argument, nothing is said.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from archc.elaborate.pytorch.signatures import (
    FIXED,
    INFERRED,
    NEEDLESS,
    RENAMED,
    REQUIRED,
    UNKNOWN,
    Absent,
    Theirs,
)
from archc.ops.op import OpError, word
from archc.ops.registry import OPS, Hyperparameter, check, parameters


class UnsaidError(Exception):
    """An argument that archc cannot express, or does not know; the text says why."""


@dataclass(frozen=True, slots=True)
class Written:
    """The value of an argument: its text as the language has it, and the value where it is known.

    A tuple of values known in part has UNKNOWN among them. The `items` are those of a list that
    stands there itself.
    """

    text: str
    value: object = UNKNOWN
    items: tuple["Written", ...] = ()
    is_number: bool = False
    """Whether it can be nothing else, though it is known only when the spec runs."""


@dataclass(frozen=True, slots=True)
class Ours:
    """An argument of an operator."""

    parameter: Hyperparameter
    text: str
    value: object
    needless: bool
    """Whether it is the operator's default."""


def ours(operator: str, theirs: Theirs, written: Written | None) -> Ours | None:
    """The operator's argument for one of torch's, `written` or left out; None if it needs none.

    Raises:
        UnsaidError: no argument is known to mean the same.
    """
    if theirs.name == "inplace" and written and not isinstance(written.value, bool | Absent):
        raise UnsaidError("it is true or false")
    if theirs.name in INFERRED | NEEDLESS or (operator, theirs.name) in _UNUSED:
        return None
    if written is None:
        if theirs.default is REQUIRED:
            raise UnsaidError("it is missing")
        written = Written(_default_text(theirs.default), theirs.default)
    if (operator, theirs.name) in FIXED:
        fixed = FIXED[operator, theirs.name]
        if theirs.name == "training" and written.text == "self.training":
            return None
        if any(same(written.value, value) for value in fixed.values):
            return None
        raise UnsaidError(f"`{operator}` {fixed.words}")
    return _translated(operator, theirs, written)


_UNUSED = {("instance_norm", "momentum")}
"""Torch uses it for statistics that archc's operator does not keep."""


def _default_text(value: object) -> str:
    return "None" if value is None else word(value)


def _translated(operator: str, theirs: Theirs, written: Written) -> Ours:
    convert = _CONVERTED.get((operator, theirs.name))
    written = written if convert is None else convert(written)
    name = RENAMED.get(theirs.name, theirs.name)
    known = {item.name: item for item in parameters(OPS[operator])}
    if name not in known:
        raise UnsaidError(f"`{operator}` has no `{theirs.name}`")
    if known[name].kind == "bool":
        written = _truth(written)
    default = same(written.value, known[name].default)
    if not default and written.value is not UNKNOWN:
        _require(operator, name, written.value)
    explicit = theirs.default is REQUIRED or written.value == "same"
    return Ours(known[name], written.text, written.value, default and not explicit)


def _require(operator: str, name: str, value: object) -> None:
    """Refuse a value that the operator would not take."""
    if isinstance(value, tuple) and UNKNOWN in value:
        return
    if value is None or (isinstance(value, tuple) and None in value):
        raise UnsaidError(f"`{operator}` has nothing for the `None` of PyTorch")
    try:
        check(OPS[operator], name, value)
    except OpError as refusal:
        raise UnsaidError(refusal.message) from None


def same(a: object, b: object) -> bool:
    """Whether two values are one for torch and archc: True is not 1."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _truth(written: Written) -> Written:
    """`bias=0`, for torch as good as false."""
    if type(written.value) is int and written.value in (0, 1):
        value = bool(written.value)
        return Written(word(value), value)
    return written


def _conv_padding(written: Written) -> Written:
    return Written("0", 0) if written.value == "valid" else written


def _pad_mode(written: Written) -> Written:
    if written.value is UNKNOWN:
        raise UnsaidError("`pad` calls `constant` zeros")
    return Written('"zeros"', "zeros") if written.value == "constant" else written


def _mode(written: Written) -> Written:
    """One word for the linear interpolations of one, two and three axes."""
    if written.value in ("linear", "trilinear"):
        return Written('"bilinear"', "bilinear")
    if written.value is UNKNOWN:
        raise UnsaidError("`upsample` calls linear and trilinear bilinear, too")
    return written


def _aligned(written: Written) -> Written:
    return Written("false", False) if written.value is None else written


def _factor(written: Written) -> Written:
    """A factor is a whole number here, `2` for `2.0`."""
    value = written.value
    factors = value if isinstance(value, tuple) else (value,)
    if not any(isinstance(factor, float) for factor in factors):
        return written
    if not all(isinstance(factor, int | float) and factor % 1 == 0 for factor in factors):
        raise UnsaidError("`upsample` enlarges by whole numbers")
    whole = tuple(int(factor) for factor in factors if isinstance(factor, int | float))
    exact = whole if isinstance(value, tuple) else whole[0]
    return Written(word(exact), exact)


_CONVERTED: Mapping[tuple[str, str], Callable[[Written], Written]] = {
    ("conv", "padding"): _conv_padding,
    ("apply_conv", "padding"): _conv_padding,
    ("max_pool", "padding"): _conv_padding,
    ("avg_pool", "padding"): _conv_padding,
    ("pad", "mode"): _pad_mode,
    ("upsample", "mode"): _mode,
    ("upsample", "align_corners"): _aligned,
    ("upsample", "scale_factor"): _factor,
}
