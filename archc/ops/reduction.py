"""Means and maxima over axes that are kept with size 1, and absolute values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.activation import Elementwise
from archc.ops.op import (
    ChannelRule,
    Constancy,
    Op,
    OpError,
    Saved,
    TensorType,
    TorchFunction,
)


@dataclass(frozen=True)
class Abs(Elementwise):
    """The absolute value, with gradient 0 at 0."""

    name: ClassVar[str] = "abs"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input"),)

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0}.abs()")


@dataclass(frozen=True)
class AbsMean(Op):
    """The mean of the absolute values over all axes but the first: `[C, *S] -> [C, 1, ...]`.

    Of a convolution's weight it is the scale of each filter (XNOR-Net), of an image that of each
    channel.
    """

    name: ClassVar[str] = "abs_mean"
    intermediates: ClassVar[int] = 1
    takes_learned: ClassVar[bool] = True

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if not x.rank:
            raise OpError(
                f"`abs_mean` needs axes beyond the first, but its input is {x}", operand=0
            )
        return TensorType((x.channels, *(1,) * x.rank), x.batched)

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input"),)

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    @property
    def at_constant(self) -> Constancy:
        return "constant"

    def function(self, *types: TensorType) -> TorchFunction:
        (x,) = types
        first = 2 if x.batched else 1
        axes = ", ".join(str(axis) for axis in range(first, first + x.rank))
        words = f"({axes})" if x.rank > 1 else axes
        return TorchFunction(f"{{0}}.abs().mean({words}, keepdim=True)")


@dataclass(frozen=True)
class OverChannels(Op):
    """The base of what takes the channels together, position by position: `[C, *S] -> [1, *S]`.

    A vector has one position: `[C] -> [1]`. Of a learned tensor the first axis is that of channels.
    """

    takes_learned: ClassVar[bool] = True
    reduce: ClassVar[str]
    """The method of torch's tensors."""

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        return TensorType((1, *x.spatial), x.batched)

    @property
    def channel_rule(self) -> ChannelRule:
        """All channels make one group, which none may leave."""
        return "grouped"

    def channel_groups(self, *types: TensorType) -> int:
        return 1

    def function(self, *types: TensorType) -> TorchFunction:
        axis = 1 if types[0].batched else 0
        return TorchFunction(f"{{0}}.{self.reduce}({axis}, keepdim=True)")


@dataclass(frozen=True)
class ChannelMean(OverChannels):
    """The mean of the channels at each position."""

    name: ClassVar[str] = "channel_mean"
    reduce: ClassVar[str] = "mean"


@dataclass(frozen=True)
class ChannelMax(OverChannels):
    """The largest channel at each position; equal ones share the gradient."""

    name: ClassVar[str] = "channel_max"
    reduce: ClassVar[str] = "amax"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input"), Saved("output"))
