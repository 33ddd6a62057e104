"""Laying out Python: statements of at most 100 columns, broken as the field's formatter breaks them.

Everything that comes from a spec passes `py` or `comment`; nothing else turns values into code.
"""

import keyword
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

WIDTH = 100


@dataclass(frozen=True)
class Symbol:
    """A number that depends on constructor arguments: `constant + sum(factor * argument)`.

    `base` is its value for the arguments of the spec.
    """

    constant: int
    factors: tuple[tuple[str, int], ...]
    base: int

    def __str__(self) -> str:
        terms = [name if factor == 1 else f"{factor} * {name}" for name, factor in self.factors]
        text = " + ".join(terms)
        if self.constant:
            text += f" {'+' if self.constant > 0 else '-'} {abs(self.constant)}"
        return text


Value = Union[int, float, bool, str, None, Symbol, tuple["Value", ...]]
"""What a slot of emitted code may hold."""


def py(value: Value) -> str:
    """A value as Python source: the one filter between a spec and emitted code."""
    if isinstance(value, Symbol):
        return str(value)
    if isinstance(value, tuple):
        inner = ", ".join(map(py, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, str):
        return '"' + repr("'" + value)[2:-1].replace('\\\'', "'").replace('"', '\\"') + '"'
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise TypeError(f"{type(value).__name__} has no place in emitted code")


def sequence(values: tuple[Value, ...]) -> str:
    """Numbers that a loop takes in turn: `range(24, 216, 12)` if they progress evenly."""
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if len(numbers) == len(values) > 1:
        step = numbers[1] - numbers[0]
        even = all(b - a == step for a, b in zip(numbers, numbers[1:], strict=False))
        if even and step:
            last = numbers[-1] + (1 if step > 0 else -1) * abs(step)
            arguments = [numbers[0], last] if step == 1 else [numbers[0], last, step]
            if arguments[0] == 0 and len(arguments) == 2:
                arguments = arguments[1:]
            return f"range({', '.join(map(str, arguments))})"
    return py(values)


def is_name(word: str) -> bool:
    return word.isascii() and word.isidentifier() and not keyword.iskeyword(word)


def comment(text: str) -> str:
    """Spec text for a comment or docstring: one line of printable ASCII, quotes and slashes safe."""
    escaped = text.encode("ascii", "backslashreplace").decode()
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped)
    return shown.replace("\\", "\\\\").replace('"""', "'''")


@dataclass(frozen=True)
class Bracketed:
    """`before` + items separated by commas + `after`: what may be broken over lines.

    `before` ends with the opening bracket, `after` begins with the closing one.
    """

    before: str
    items: tuple["Code", ...]
    after: str

    def __str__(self) -> str:
        trailing = "," if self.before.endswith("(") and self.is_single_tuple else ""
        return f"{self.before}{', '.join(map(str, self.items))}{trailing}{self.after}"

    @property
    def is_single_tuple(self) -> bool:
        return self.before == "(" and len(self.items) == 1


Code = str | Bracketed


def call(function: str, arguments: Sequence[Code], after: str = "") -> Bracketed:
    return Bracketed(f"{function}(", tuple(arguments), f"){after}")


def lines(indent: int, before: str, code: Code, after: str = "") -> list[str]:
    """A statement `before code after` at an indentation, broken only where it is too long."""
    pad = " " * indent
    flat = f"{pad}{before}{code}{after}"
    if len(flat) <= WIDTH or isinstance(code, str) or not code.items:
        return [flat]
    head, tail = f"{pad}{before}{code.before}", f"{pad}{code.after}{after}"
    inner = indent + 4
    one_line = f"{' ' * inner}{', '.join(map(str, code.items))}"
    if len(one_line) <= WIDTH and not code.is_single_tuple and _may_share_a_line(code):
        return [head, one_line, tail]
    broken = [line for item in code.items for line in lines(inner, "", item, _comma(code))]
    return [head, *broken, tail]


def _comma(code: Bracketed) -> str:
    """A generator that is the only argument takes no trailing comma, nor does `*` in it."""
    lone_generator = len(code.items) == 1 and " for " in str(code.items[0])
    return "" if lone_generator else ","


def _may_share_a_line(code: Bracketed) -> bool:
    """A literal list or tuple that breaks has one element a line; a call's arguments may share."""
    return code.before[-2:-1].isidentifier() or code.before[-2:-1] in ("]", ")")
