"""The fully connected layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.op import (
    ChannelRule,
    Op,
    OpError,
    Saved,
    TensorType,
    TorchArg,
    TorchModule,
    Weight,
    parameter,
)


@dataclass(frozen=True)
class Linear(Op):
    """Fully connected layer on a vector: `[C] -> [out]`; with a bias unless told otherwise."""

    name: ClassVar[str] = "linear"
    sums: ClassVar[bool] = True

    out: int = parameter("int", low=1, high=2**31)
    bias: bool = parameter("bool", True, keyword=True)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if x.rank:
            raise OpError(
                f"`linear` needs a vector, but its input is {x}",
                operand=0,
                help=self._instead(x),
            )
        return TensorType((self.out,))

    def _instead(self, x: TensorType) -> str:
        """What takes `x`, which is no vector; of one position, as a gate is, it need not be."""
        if all(size == 1 for size in x.spatial):
            bias = ", bias=true" if self.bias else ""
            return (
                f"a 1x1 convolution takes it as it is: `conv({self.out}, 1{bias})`; "
                "for a vector, put `flatten` before it"
            )
        return "put `flatten` before it, or `global_avg_pool` for the means of the channels"

    def weights(self, *types: TensorType) -> tuple[Weight, ...]:
        (x,) = types
        weight = Weight("weight", (self.out, x.channels))
        return (weight, Weight("bias", (self.out,))) if self.bias else (weight,)

    def macs(self, types: Sequence[TensorType], out: TensorType) -> int | None:
        return self.weights(*types)[0].elements

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input"),)

    @property
    def channel_rule(self) -> ChannelRule:
        return "mix"

    @property
    def seamless(self) -> bool:
        return True

    @property
    def at_zero(self) -> float | None:
        return None if self.bias else 0.0

    @property
    def initialised(self) -> tuple[str, ...]:
        return ("linear_std", "linear_bias") if self.bias else ("linear_std",)

    def module(self, *types: TensorType) -> TorchModule:
        (x,) = types
        return TorchModule(
            "nn.Linear",
            (
                TorchArg("in_features", x.channels, positional=True),
                TorchArg("out_features", self.out, positional=True),
                TorchArg("bias", self.bias, True),
            ),
        )
