"""Operators between compile-time values: what Python gives, within the limits of the language."""

import math
import operator
from collections.abc import Callable

from archc.elaborate.limits import LARGEST_INTEGER, Work
from archc.elaborate.pytorch.tensor_words import instead
from archc.elaborate.values import Datum, Tensor, ValuesRefused, describe, is_int, is_number
from archc.ops.size import Size, SizeError

_NUMERIC: dict[str, Callable[[Datum, Datum], Datum]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_ORDER: dict[str, Callable[[Datum, Datum], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def combine(op: str, left: Datum, right: Datum, work: Work) -> Datum:
    """`left op right` for numbers, sizes, strings and lists (tensors are not its business)."""
    if is_number(left) and is_number(right):
        return _numbers(op, left, right)
    if isinstance(left, Size) or isinstance(right, Size):
        return _sizes(op, left, right)
    if op == "+" and type(left) is type(right) and isinstance(left, list | tuple | str):
        _make(left, len(left) + len(right), work)
        return left + right
    if op == "*" and isinstance(left, list | str) and is_int(right):
        _make(left, len(left) * max(right, 0), work)
        return left * right
    if op == "*" and isinstance(right, list | str) and is_int(left):
        _make(right, len(right) * max(left, 0), work)
        return left * right
    raise ValuesRefused(f"`{op}` does not apply to {describe(left)} and {describe(right)}")


def _numbers(op: str, left: Datum, right: Datum) -> Datum:
    if op in ("/", "//", "%") and right == 0:
        raise ValuesRefused("division by zero")
    if op == "**":
        _check_power(left, right)
    try:
        result = _NUMERIC[op](left, right)
    except OverflowError:
        raise ValuesRefused(f"`{op}` gives a number that is too large") from None
    return checked(result)


def checked(result: Datum) -> Datum:
    """Refuse a number beyond the limits."""
    if isinstance(result, complex):
        raise ValuesRefused("`**` gives no real number")
    if isinstance(result, float) and not math.isfinite(result):
        raise ValuesRefused("the result is not a finite number")
    if isinstance(result, int) and abs(result) > LARGEST_INTEGER:
        raise ValuesRefused("the result is beyond 2**53, the largest whole number allowed")
    return result


def _check_power(base: Datum, exponent: Datum) -> None:
    if base == 0 and exponent < 0:
        raise ValuesRefused("division by zero")
    too_large = abs(base) > 1 and exponent * math.log2(abs(base)) > 1024
    if too_large or (abs(base) > 1 and exponent < -1024):
        raise ValuesRefused("`**` gives a number that is too large")


def _sizes(op: str, left: Datum, right: Datum) -> Datum:
    ints_and_sizes = all(isinstance(value, Size) or is_int(value) for value in (left, right))
    both = isinstance(left, Size) and isinstance(right, Size)
    if not ints_and_sizes or (both and op != "-"):
        raise ValuesRefused(f"`{op}` does not apply to {describe(left)} and {describe(right)}")
    commutes = op in ("+", "*")
    if op in ("+", "-", "*", "//") and (isinstance(left, Size) or commutes):
        try:
            return _NUMERIC[op](left, right)
        except SizeError as refusal:
            raise ValuesRefused(str(refusal), refusal.help) from None
    size = left if isinstance(left, Size) else right
    raise ValuesRefused(
        f"`{op}` of the symbolic size `{size}` is not a size",
        help="declare the input's size as a number, or as a multiple such as `32*h`",
    )


def _make(like: Datum, length: int, work: Work) -> None:
    """Spend what a list or string costs, before there is one."""
    if isinstance(like, str):
        work.make_text(length)
    else:
        work.make(length)


def negate(value: Datum) -> Datum:
    if not is_number(value):
        raise ValuesRefused(f"`-` does not apply to {describe(value)}")
    return -value


def compare(op: str, left: Datum, right: Datum, work: Work) -> bool:
    """`left op right` as Python decides it; ordering is for numbers and strings only."""
    if op in ("in", "not in"):
        return _contains(left, right, work) == (op == "in")
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        raise ValuesRefused(f"`{op}` does not compare tensors", instead("where"))
    if isinstance(left, Size) != isinstance(right, Size) and (is_int(left) or is_int(right)):
        size = left if isinstance(left, Size) else right
        what = "is a given number" if op in ("==", "!=") else "is more or less than a number"
        raise ValuesRefused(
            f"whether the symbolic size `{size}` {what} cannot be decided",
            help="declare the input's size as a number",
        )
    if op in ("==", "!="):
        return _equal(left, right, work) == (op == "==")
    both_text = isinstance(left, str) and isinstance(right, str)
    if not both_text and not (is_number(left) and is_number(right)):
        if isinstance(left, Size) or isinstance(right, Size):
            raise ValuesRefused(f"`{op}` cannot order symbolic sizes")
        raise ValuesRefused(f"`{op}` does not order {describe(left)} and {describe(right)}")
    if both_text:
        work.read_text(min(len(left), len(right)))
    return _ORDER[op](left, right)


def _equal(left: Datum, right: Datum, work: Work, depth: int = 1) -> bool:
    """What Python's `==` says; every element that is compared is counted."""
    if isinstance(left, str):
        work.read_text(len(left))
    elif isinstance(left, list | tuple) and type(left) is type(right):
        if left is right or len(left) != len(right):
            return left is right
        work.descend(depth)
        work.read(len(left))
        pairs = zip(left, right, strict=True)
        return all(one is other or _equal(one, other, work, depth + 1) for one, other in pairs)
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        raise ValuesRefused("a list of tensors is not compared", instead("where"))
    return bool(left == right)


def _contains(item: Datum, container: Datum, work: Work) -> bool:
    if isinstance(container, str) and isinstance(item, str):
        work.read_text(len(item) + len(container))
        return item in container
    if not isinstance(container, list | tuple):
        raise ValuesRefused(f"`in` needs a list, not {describe(container)}")
    work.read(len(container))
    return any(_equal(item, other, work) for other in container)
