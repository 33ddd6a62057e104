"""The functions of the language over numbers, strings and lists.

Each means what Python's function of the same name means (`round` is half-to-even, `floor` and
`ceil` are exact), but for `make_divisible`; each refuses a wrong argument with a ValuesRefused, to
which evaluation adds the place.
"""

import math
from collections.abc import Callable, Iterable

from archc.elaborate.values import Builtin, Datum, ValuesRefused, describe, is_int, is_number
from archc.ops.size import Size


def _number(name: str, value: Datum) -> int | float:
    if not is_number(value):
        raise ValuesRefused(f"`{name}` needs a number, not {describe(value)}")
    number: int | float = value
    return number


def _whole(name: str, value: Datum) -> int:
    if not is_int(value):
        raise ValuesRefused(f"`{name}` needs whole numbers, not {describe(value)}")
    return value


def _items(name: str, value: Datum) -> list[Datum]:
    if not isinstance(value, list | tuple):
        raise ValuesRefused(f"`{name}` needs a list, not {describe(value)}")
    return list(value)


def _range(*bounds: Datum) -> range:
    """Numbers that are counted before they are a list."""
    if not 1 <= len(bounds) <= 3:
        raise ValuesRefused("`range` takes one to three whole numbers")
    whole = [_whole("range", bound) for bound in bounds]
    if len(whole) == 3 and whole[2] == 0:
        raise ValuesRefused("the step of a `range` cannot be 0")
    return range(*whole)


def _len(value: Datum) -> int:
    if not isinstance(value, list | tuple | str):
        raise ValuesRefused(f"`len` needs a list, not {describe(value)}")
    return len(value)


def _rounding(name: str, function: Callable[[float], int]) -> Callable[[Datum], int]:
    def call(value: Datum) -> int:
        number = _number(name, value)
        if isinstance(number, float) and not math.isfinite(number):
            raise ValuesRefused(f"`{name}` needs a finite number")
        return function(number)

    return call


def _int(value: Datum) -> int:
    return _rounding("int", int)(int(value) if isinstance(value, bool) else value)


def _float(value: Datum) -> float:
    return float(_number("float", value))


def _extreme(name: str, function: Callable[[Iterable[Datum]], Datum]) -> Callable[..., Datum]:
    def call(*values: Datum) -> Datum:
        items = _items(name, values[0]) if len(values) == 1 else list(values)
        if not items:
            raise ValuesRefused(f"`{name}` of nothing")
        if any(isinstance(item, Size) for item in items):
            raise ValuesRefused(f"`{name}` cannot order symbolic sizes")
        return function(_number(name, item) for item in items)

    return call


def _sum(values: Datum) -> Datum:
    return sum(_number("sum", item) for item in _items("sum", values))


def _abs(value: Datum) -> Datum:
    return abs(_number("abs", value))


def _sqrt(value: Datum) -> float:
    number = _number("sqrt", value)
    if number < 0:
        raise ValuesRefused(f"`sqrt` of the negative number {number}")
    return math.sqrt(number)


def _log(value: Datum) -> float:
    number = _number("log", value)
    if number <= 0:
        raise ValuesRefused(f"`log` of {number}, which is not over 0")
    return math.log(number)


def _make_divisible(value: Datum, divisor: Datum = 8) -> int:
    """The multiple of `divisor` that is nearest to a width, the upper one of two; at least
    `divisor`, and not below 90 % of the width (Sandler et al., 1801.04381, in their code)."""
    width, step = _number("make_divisible", value), _whole("make_divisible", divisor)
    if not math.isfinite(width) or width <= 0 or step <= 0:
        raise ValuesRefused("`make_divisible` needs a finite width and a divisor over 0")
    rounded = max(step, int(width + step / 2) // step * step)
    return rounded + step if rounded < 0.9 * width else rounded


def _enumerate(values: Datum, start: Datum = 0) -> list[Datum]:
    return list(enumerate(_items("enumerate", values), _whole("enumerate", start)))


def _zip(*lists: Datum) -> list[Datum]:
    items = [_items("zip", values) for values in lists]
    if len({len(values) for values in items}) > 1:
        lengths = " and ".join(str(len(values)) for values in items)
        raise ValuesRefused(f"`zip` needs lists of one length, not {lengths}")
    return list(zip(*items, strict=True))


def _reversed(values: Datum) -> list[Datum]:
    return _items("reversed", values)[::-1]


_FUNCTIONS: dict[str, Callable[..., Datum]] = {
    "range": _range,
    "len": _len,
    "floor": _rounding("floor", math.floor),
    "ceil": _rounding("ceil", math.ceil),
    "round": _rounding("round", round),
    "int": _int,
    "float": _float,
    "min": _extreme("min", min),
    "max": _extreme("max", max),
    "sum": _sum,
    "abs": _abs,
    "sqrt": _sqrt,
    "log": _log,
    "make_divisible": _make_divisible,
    "enumerate": _enumerate,
    "zip": _zip,
    "reversed": _reversed,
}

BUILTINS = {name: Builtin(name, function) for name, function in _FUNCTIONS.items()}
