"""Operators that draw random numbers in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.activation import Elementwise
from archc.ops.op import (
    Saved,
    TensorType,
    TorchArg,
    TorchFunction,
    TorchModule,
    parameter,
    require_spatial,
)


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
class DropPath(Elementwise):
    """Stochastic depth (Huang et al., 2016): the end of a branch that is added to a shortcut.

    Training multiplies by 1 with probability `survival`, else by 0, one draw for the mini-batch;
    evaluation multiplies by `survival`.
    """

    name: ClassVar[str] = "drop_path"
    takes_learned: ClassVar[bool] = False
    runtime: ClassVar[tuple[str, ...]] = ("drop_path",)
    random: ClassVar[bool] = True

    survival: float = parameter("float", 1.0, above=0, high=1, keyword=True)

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """The gate, one number."""
        return (Saved("new", per_sample=False),) if self.survival < 1 else ()

    def view(self, *types: TensorType) -> bool:
        return self.survival == 1

    def function(self, *types: TensorType) -> TorchFunction:
        survival = TorchArg("survival", self.survival)
        return TorchFunction("drop_path({0}, {survival}, self.training)", (survival,))
