"""What a body computes: values, each given by an expression of others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from archc.program.tree import BinOp, Call, Expr, Hole, Name, filled, holes, walk


@dataclass(frozen=True, slots=True)
class Value(Hole):
    """A value of the body, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class Let:
    """Values that an expression gives; `op` says what it applies, and `kind` what that is.

    Rows are `nn.Sequential`s and reruns; blocks may be nested in pairs. Of a choice, one side is
    computed: it is a statement of its own.
    """

    values: tuple[int, ...]
    code: Expr
    op: str
    kind: Literal["function", "layer", "block", "row", "choice"]


@dataclass(frozen=True, slots=True)
class Turns:
    """Values that go through children in a row: `operands` before the first, `values` after."""

    values: tuple[int, ...]
    children: Expr
    operands: tuple[int, ...]


def inside(first: Let | Turns, second: Let) -> Let:
    """What the second one computes, with the value of the first one written inside."""
    assert isinstance(first, Let)
    (value,), code = first.values, first.code

    def fill(leaf: Hole | Name) -> Expr:
        return code if leaf == Value(value) else leaf

    return replace(second, code=filled(second.code, fill))


@dataclass(frozen=True, slots=True)
class Branch:
    """A sum of a branch, all in `inner`, that is computed if it `keeps` it; its value is that of
    `otherwise` if not."""

    inner: "tuple[Binding, ...]"
    keeps: Expr
    otherwise: Expr

    @property
    def values(self) -> tuple[int, ...]:
        return self.inner[-1].values


Binding = Let | Turns | Branch


def reads(each: Binding) -> tuple[int, ...]:
    """The values that a binding reads."""
    if isinstance(each, Turns):
        return each.operands
    if isinstance(each, Branch):
        return (*(value for part in each.inner for value in reads(part)), *read(each.otherwise))
    return read(each.code)


def read(code: Expr) -> tuple[int, ...]:
    return tuple(hole.number for hole in holes(code) if isinstance(hole, Value))


def late(code: Expr) -> Iterator[int]:
    """The values that are read after a part of the code is computed."""
    match code:
        case BinOp(_, operands):
            yield from _values(operands[2:])
        case Call(_, (Call() | BinOp() as first, *others)):
            yield from late(first)
            yield from _values(others)


def _values(parts: Sequence[Expr]) -> Iterator[int]:
    return (each.number for part in parts for each in walk(part) if isinstance(each, Value))
