"""Operators that draw random numbers in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.activation import Elementwise
from archc.ops.op import (
    ChannelRule,
    Op,
    OpError,
    Saved,
    TensorType,
    TorchArg,
    TorchFunction,
    TorchModule,
    parameter,
    require_spatial,
)

DROPS = ("paper", "inverted", "sample")
"""The ways to drop a path; see `DropPath`."""


@dataclass(frozen=True)
class Dropout(Elementwise):
    """Training sets each value to zero with probability `rate` and divides the rest by `1 - rate`;
    evaluation changes nothing."""

    name: ClassVar[str] = "dropout"
    takes_learned: ClassVar[bool] = False
    random: ClassVar[bool] = True

    rate: float = parameter("float", low=0, below=1)

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("new", shape=out.shape, dtype="mask"),) if self.rate else ()

    def view(self, *types: TensorType) -> bool:
        return self.rate == 0

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule("nn.Dropout", (TorchArg("p", self.rate, positional=True),))

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("F.dropout({0}, {p}, self.training)", (TorchArg("p", self.rate),))


@dataclass(frozen=True)
class SpatialDropout(Elementwise):
    """Dropout of whole channels (Tompson et al., 2015): `[C, *S]`, one draw for each channel of
    each sample; evaluation changes nothing."""

    name: ClassVar[str] = "spatial_dropout"
    takes_learned: ClassVar[bool] = False
    random: ClassVar[bool] = True

    rate: float = parameter("float", low=0, below=1)

    def rule(self, *types: TensorType) -> TensorType:
        require_spatial(self.name, types[0])
        return types[0]

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """A factor for each channel."""
        gates = (out.channels, *(1,) * out.rank)
        return (Saved("new", shape=gates),) if self.rate else ()

    def view(self, *types: TensorType) -> bool:
        return self.rate == 0

    def module(self, *types: TensorType) -> TorchModule:
        rate = TorchArg("p", self.rate, positional=True)
        return TorchModule(f"nn.Dropout{types[0].rank}d", (rate,))

    def function(self, *types: TensorType) -> TorchFunction:
        text = f"F.dropout{types[0].rank}d({{0}}, {{p}}, self.training)"
        return TorchFunction(text, (TorchArg("p", self.rate),))


@dataclass(frozen=True)
class DropBlock(Elementwise):
    """Dropout of blocks of `block` positions an axis (Ghiasi et al., 2018): `[C, *S]`, drawn for
    each channel; what stays is scaled to the mean that it had. Evaluation changes nothing."""

    name: ClassVar[str] = "drop_block"
    takes_learned: ClassVar[bool] = False
    runtime: ClassVar[tuple[str, ...]] = ("drop_block",)
    random: ClassVar[bool] = True

    rate: float = parameter("float", low=0, below=1)
    block: int = parameter("int", 7, low=1)

    def rule(self, *types: TensorType) -> TensorType:
        require_spatial(self.name, types[0])
        return types[0]

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """What each element is multiplied by."""
        return (Saved("new", shape=out.shape),) if self.rate else ()

    def view(self, *types: TensorType) -> bool:
        return self.rate == 0

    def function(self, *types: TensorType) -> TorchFunction:
        args = (TorchArg("rate", self.rate), TorchArg("block", self.block))
        return TorchFunction("drop_block({0}, {rate}, {block}, self.training)", args)


@dataclass(frozen=True)
class MaxDropout(Elementwise):
    """Training sets the most active elements of the mini-batch to zero (Santos et al., 2020): those
    above `1 - rate` of the way from its least to its greatest. Evaluation changes nothing."""

    name: ClassVar[str] = "max_dropout"
    takes_learned: ClassVar[bool] = False
    runtime: ClassVar[tuple[str, ...]] = ("max_dropout",)

    rate: float = parameter("float", low=0, below=1)

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """What each element is multiplied by: 0 or 1."""
        return (Saved("new", shape=out.shape),)

    def function(self, *types: TensorType) -> TorchFunction:
        rate = TorchArg("rate", self.rate)
        return TorchFunction("max_dropout({0}, {rate}, self.training)", (rate,))


@dataclass(frozen=True)
class ShakeShake(Op):
    """Two branches in random proportions, one draw for each sample, and another for the gradients
    (Gastaldi, 2017); evaluation takes their mean."""

    name: ClassVar[str] = "shake_shake"
    arity: ClassVar[int | None] = 2
    runtime: ClassVar[tuple[str, ...]] = ("shake_shake",)
    random: ClassVar[bool] = True
    intermediates: ClassVar[int] = 7

    def rule(self, *types: TensorType) -> TensorType:
        x, y = types
        if x != y:
            message = f"`{self.name}` needs equal sizes, but its operands are {x} and {y}"
            raise OpError(message, operand=1)
        return x

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """The proportions for the gradients, drawn with those of the forward pass."""
        one = (1,) * len(out.shape)
        return (Saved("new", shape=(2, *one)), Saved("new", shape=one))

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("shake_shake({0}, {1}, self.training)")


@dataclass(frozen=True)
class DropPath(Elementwise):
    """Stochastic depth (Huang et al., 2016): the end of a branch that is added to a shortcut.

    It survives with `1 - branch / of * (1 - survival)`, by one draw for the mini-batch. Training
    multiplies it by 1 or by 0, and evaluation by that probability; `inverted` divides by it in
    training instead, and so does `sample`, with a draw for each sample. Without a `survival`, which
    `@stochastic_depth` may give, nothing is dropped.
    """

    name: ClassVar[str] = "drop_path"
    takes_learned: ClassVar[bool] = False
    runtime: ClassVar[tuple[str, ...]] = ("drop_path",)
    random: ClassVar[bool] = True

    survival: float | None = parameter("float", optional=True, above=0, high=1, keyword=True)
    branch: int = parameter("int", 1, low=0, keyword=True)
    of: int = parameter("int", 1, low=1, keyword=True)
    mode: str = parameter("string", "paper", choices=DROPS, keyword=True)

    def rule(self, *types: TensorType) -> TensorType:
        if self.branch > self.of:
            raise OpError(f"branch {self.branch} is not one of {self.of}", parameter="branch")
        return super().rule(*types)

    @property
    def probability(self) -> float:
        """That the branch survives: the paper's `1 - l / L * (1 - p_L)`."""
        last = 1.0 if self.survival is None else self.survival
        return last if self.of == 1 and self.branch else 1 - self.branch / self.of * (1 - last)

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """The gate, or one for each sample."""
        one = () if self.mode != "sample" else (1,) * len(out.shape)
        gates = Saved("new", shape=one, per_sample=self.mode == "sample")
        return (gates,) if self.probability < 1 else ()

    def view(self, *types: TensorType) -> bool:
        return self.probability == 1

    def function(self, *types: TensorType) -> TorchFunction:
        if self.survival is None:
            return TorchFunction("{0}")
        survival, args = "{survival}", [TorchArg("survival", self.survival)]
        if self.of > 1 or not self.branch:
            survival = "1 - {branch} / {of} * (1 - {survival})"
            args += [TorchArg("branch", self.branch), TorchArg("of", self.of)]
        mode = "" if self.mode == "paper" else f", '{self.mode}'"
        return TorchFunction(f"drop_path({{0}}, {survival}, self.training{mode})", tuple(args))


@dataclass(frozen=True)
class SkippedPath(DropPath):
    """A `drop_path` whose branch is not computed where it is dropped: what the pass
    `stochastic-depth` makes of it."""

    name: ClassVar[str] = "skipped_path"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return ()

    def view(self, *types: TensorType) -> bool:
        return True

    def module(self, *types: TensorType) -> TorchModule:
        args = (
            TorchArg("survival", self.survival, positional=True),
            TorchArg("branch", self.branch, 1),
            TorchArg("of", self.of, 1),
            TorchArg("mode", self.mode, "paper"),
        )
        return TorchModule("DropPath", args)
