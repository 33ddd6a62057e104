"""How to draw operands: shapes of every rank, small sizes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from archc.ops.op import Op, TensorType

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Case:
    """An operator, and operand types that it accepts."""

    op: Op
    types: tuple[TensorType, ...]

    @property
    def out(self) -> TensorType:
        return self.op.infer(*self.types)

    def __str__(self) -> str:
        return f"{self.op} of {', '.join(map(str, self.types))}"


def number(draw: Draw, low: int, high: int) -> int:
    value = draw(st.integers(low, high))
    assert isinstance(value, int)
    return value


def width(draw: Draw) -> int:
    return number(draw, 1, 6)


def image(draw: Draw, low: int = 1, channels: int | None = None) -> TensorType:
    rank = number(draw, 1, 3)
    spatial = (number(draw, low, (12, 9, 6)[rank - 1]) for _ in range(rank))
    return TensorType((channels or width(draw), *spatial))


def any_type(draw: Draw) -> TensorType:
    return TensorType((width(draw),)) if draw(st.booleans()) else image(draw)


def sizes(draw: Draw, ranges: Sequence[tuple[int, int]]) -> int | tuple[int, ...]:
    """One number for all axes, or one for each, within every axis' range."""
    if draw(st.booleans()):
        return number(draw, max(low for low, _ in ranges), min(high for _, high in ranges))
    return tuple(number(draw, low, high) for low, high in ranges)


def per_axis(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else value


def perhaps_learned(draw: Draw, op: Op, type_: TensorType) -> TensorType:
    return replace(type_, batched=not op.takes_learned or draw(st.booleans()))
