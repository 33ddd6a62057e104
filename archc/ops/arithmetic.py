"""Arithmetic of tensors, with the broadcasting of axes of size 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.op import (
    CALL,
    PRODUCT,
    SUM,
    ChannelRule,
    Op,
    OpError,
    Saved,
    TensorType,
    TorchFunction,
)
from archc.ops.size import Dim


@dataclass(frozen=True)
class Broadcast(Op):
    """The base of elementwise operators of two tensors; an axis of size 1 fits any size."""

    arity: ClassVar[int | None] = 2
    takes_learned: ClassVar[bool] = True

    def rule(self, *types: TensorType) -> TensorType:
        a, b = types
        if a.rank != b.rank:
            raise OpError(
                f"`{self.name}` needs equally many axes, but its operands are {a} and {b}",
                operand=1,
                help="`global_avg_pool(keep=true)` keeps the axes, each of size 1"
                if 0 in (a.rank, b.rank)
                else None,
            )
        shape = tuple(self._fit(p, q, a, b) for p, q in zip(a.shape, b.shape, strict=True))
        return TensorType(shape, batched=a.batched or b.batched)

    def _fit(self, p: Dim, q: Dim, a: TensorType, b: TensorType) -> Dim:
        if p != q and 1 not in (p, q):
            raise OpError(
                f"`{self.name}` needs equal sizes (or 1), but its operands are {a} and {b}: "
                f"{p} is not {q}",
                operand=1,
            )
        return q if p == 1 else p

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"


@dataclass(frozen=True)
class Add(Broadcast):
    """The sum of two tensors."""

    name: ClassVar[str] = "add"

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0} + {1}", level=SUM, needs=(SUM, PRODUCT))


@dataclass(frozen=True)
class Mul(Broadcast):
    """The product of two tensors, element by element."""

    name: ClassVar[str] = "mul"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input", 0), Saved("input", 1))

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0} * {1}", level=PRODUCT, needs=(PRODUCT, CALL))
