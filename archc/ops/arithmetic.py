"""Arithmetic of tensors, with the broadcasting of axes of size 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from archc.ops.activation import Elementwise
from archc.ops.op import (
    ChannelRule,
    Constancy,
    Op,
    OpError,
    Saved,
    TensorType,
    TorchArg,
    TorchFunction,
    parameter,
)
from archc.ops.size import Dim


@dataclass(frozen=True)
class Broadcast(Op):
    """The base of elementwise operators of several tensors; an axis of size 1 fits any size."""

    arity: ClassVar[int | None] = 2
    takes_learned: ClassVar[bool] = True

    def rule(self, *types: TensorType) -> TensorType:
        joined, *others = types
        for i, other in enumerate(others, start=1):
            joined = self._join(joined, other, i)
        return joined

    def _join(self, a: TensorType, b: TensorType, operand: int) -> TensorType:
        if a.rank != b.rank:
            raise OpError(
                f"`{self.name}` needs equally many axes, but its operands are {a} and {b}",
                operand=operand,
                help=_missing_axes(*sorted((a, b), key=lambda type_: type_.rank)),
            )
        pairs = zip(a.shape, b.shape, strict=True)
        shape = tuple(self._fit(p, q, a, b, operand) for p, q in pairs)
        return TensorType(shape, batched=a.batched or b.batched)

    def _fit(self, p: Dim, q: Dim, a: TensorType, b: TensorType, operand: int) -> Dim:
        if p != q and 1 not in (p, q):
            raise OpError(
                f"`{self.name}` needs equal sizes (or 1), but its operands are {a} and {b}: "
                f"{p} is not {q}",
                operand=operand,
            )
        return q if p == 1 else p

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    @property
    def at_constant(self) -> Constancy:
        return "constant"

    def view(self, *types: TensorType) -> bool:
        return len(types) == 1


def _missing_axes(fewer: TensorType, more: TensorType) -> str | None:
    """How the operand of fewer axes gets the others."""
    if not fewer.batched:
        shape = [*fewer.shape, *[1] * (more.rank - fewer.rank)]
        return f"a learned tensor needs all of them: `param([{', '.join(map(str, shape))}])`"
    if fewer.rank == 0:
        return (
            "what joins an image keeps its axes, each of size 1, and a 1x1 `conv` stands for "
            "`linear`:\n`x -> global_avg_pool(keep=true) -> conv(n, 1, bias=true) -> ...`, as "
            '`SqueezeExcite` of "blocks/se"'
        )
    return None


@dataclass(frozen=True)
class Add(Broadcast):
    """The sum of two tensors."""

    name: ClassVar[str] = "add"
    beside_zero: ClassVar[Literal["neutral", "absorbing"] | None] = "neutral"
    commutes: ClassVar[bool] = True

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0} + {1}", folds=True)


@dataclass(frozen=True)
class Sub(Broadcast):
    """The first tensor minus the second."""

    name: ClassVar[str] = "sub"

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0} - {1}", folds=True)


@dataclass(frozen=True)
class Mul(Broadcast):
    """The product of two tensors, element by element."""

    name: ClassVar[str] = "mul"
    beside_zero: ClassVar[Literal["neutral", "absorbing"] | None] = "absorbing"
    commutes: ClassVar[bool] = True

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input", 0), Saved("input", 1))

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0} * {1}", folds=True)


@dataclass(frozen=True)
class Div(Broadcast):
    """The first tensor divided by the second, element by element."""

    name: ClassVar[str] = "div"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input", 0), Saved("input", 1))

    @property
    def at_zero(self) -> float | None:
        """No number: zero divided by zero."""
        return None

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0} / {1}", folds=True)


_ALONE = TorchFunction("{0}")
"""A sum, minimum or maximum of one tensor."""


@dataclass(frozen=True)
class Sum(Broadcast):
    """The sum of one or more tensors, from left to right."""

    name: ClassVar[str] = "sum"
    beside_zero: ClassVar[Literal["neutral", "absorbing"] | None] = "neutral"
    arity: ClassVar[int | None] = None
    commutes: ClassVar[bool] = True

    def function(self, *types: TensorType) -> TorchFunction:
        if len(types) == 1:
            return _ALONE
        return TorchFunction("{0} + {1}", folds=True)


@dataclass(frozen=True)
class Extreme(Broadcast):
    """The base of the smallest and the largest of one or more tensors, element by element.

    Equal elements share the gradient, pair by pair from the left.
    """

    arity: ClassVar[int | None] = None
    commutes: ClassVar[bool] = True
    torch_function: ClassVar[str]

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """All operands, and what each pair but the last gives."""
        if len(types) == 1:
            return ()
        between = (self.rule(*types[:count]) for count in range(2, len(types)))
        made = (Saved("new", shape=t.shape, per_sample=t.batched) for t in between)
        return (*(Saved("input", i) for i in range(len(types))), *made)

    def function(self, *types: TensorType) -> TorchFunction:
        if len(types) == 1:
            return _ALONE
        return TorchFunction(f"{self.torch_function}({{0}}, {{1}})", folds=True)


@dataclass(frozen=True)
class Min(Extreme):
    """The smallest of one or more tensors, element by element."""

    name: ClassVar[str] = "min"
    torch_function: ClassVar[str] = "torch.minimum"


@dataclass(frozen=True)
class Max(Extreme):
    """The largest of one or more tensors, element by element."""

    name: ClassVar[str] = "max"
    torch_function: ClassVar[str] = "torch.maximum"


@dataclass(frozen=True)
class Affine(Elementwise):
    """`factor * x + shift`: what arithmetic of a tensor and numbers becomes.

    A factor of 1 / n divides by n, a whole number up to 65,536.
    """

    name: ClassVar[str] = "affine"

    factor: float = parameter("float", 1.0)
    shift: float = parameter("float", 0.0)

    @property
    def at_zero(self) -> float | None:
        return self.shift

    @property
    def divisor(self) -> int | None:
        """The whole number that x is divided by, if the factor is one over it."""
        if not 1 / 65536 <= abs(self.factor) < 1:
            return None
        whole = round(1 / self.factor)
        return whole if 1 / whole == self.factor else None

    def function(self, *types: TensorType) -> TorchFunction:
        scaled = self._scaled()
        if self.factor == -1 and self.shift:
            return TorchFunction("{shift} - {0}", (TorchArg("shift", _number(self.shift)),))
        if not self.shift and self.factor != 1:
            return scaled
        sign = "-" if self.shift < 0 else "+"
        args = (*scaled.args, TorchArg("shift", _number(abs(self.shift))))
        return TorchFunction(f"{scaled.template} {sign} {{shift}}", args)

    def _scaled(self) -> TorchFunction:
        if self.factor == 1:
            return TorchFunction("{0}")
        if self.factor == -1:
            return TorchFunction("-{0}")
        if self.divisor is not None:
            args = (TorchArg("divisor", self.divisor),)
            return TorchFunction("{0} / {divisor}", args)
        args = (TorchArg("factor", _number(self.factor)),)
        return TorchFunction("{factor} * {0}", args)


def _number(value: float) -> int | float:
    """A number as one writes it: `2`, not `2.0`."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
