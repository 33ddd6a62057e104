"""Operators that slimming writes where two layers have other channels left of a tensor: a choice of
its channels, and channels put back among zeros. The language has no words for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.op import (
    ChannelRule,
    Constancy,
    Op,
    OpError,
    TensorType,
    TorchArg,
    TorchModule,
    parameter,
)


def digits(channels: Sequence[int]) -> str:
    """A set of channels as hexadecimal digits, of the bits of a number: channel c is bit c."""
    return f"{sum(1 << channel for channel in channels):x}"


@dataclass(frozen=True)
class ChosenChannels(Op):
    """The base: `mask` are the chosen channels, as `digits`."""

    mask: str = parameter("string")

    @property
    def chosen(self) -> list[int]:
        bits = int(self.mask, 16)
        return [channel for channel in range(bits.bit_length()) if bits >> channel & 1]

    @property
    def channel_rule(self) -> ChannelRule:
        return "select"

    @property
    def at_constant(self) -> Constancy:
        return "constant"


@dataclass(frozen=True)
class SelectChannels(ChosenChannels):
    """Some channels of a tensor, in their order."""

    name: ClassVar[str] = "select_channels"
    runtime: ClassVar[tuple[str, ...]] = ("channel_selection",)
    takes_learned: ClassVar[bool] = True

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if self.chosen[-1] >= x.channels:
            raise OpError(f"`{self.name}` wants channel {self.chosen[-1]} of {x}", operand=0)
        return TensorType((len(self.chosen), *x.spatial), x.batched)

    def selection(self, *types: TensorType) -> tuple[int | None, ...]:
        return tuple(self.chosen)

    def thinned(self, reads: Sequence[int], keeps: Sequence[int], *types: TensorType) -> Op:
        chosen = self.chosen
        wanted = {chosen[channel] for channel in keeps}
        return SelectChannels(digits([i for i, c in enumerate(reads) if c in wanted]))

    def module(self, *types: TensorType) -> TorchModule:
        axis = TorchArg("axis", 1 if types[0].batched else 0, 1)
        return TorchModule("SelectChannels", (TorchArg("mask", self.mask, positional=True), axis))


@dataclass(frozen=True)
class PlaceChannels(ChosenChannels):
    """A tensor's channels in their places among `channels`, of which the others are zeros."""

    name: ClassVar[str] = "place_channels"
    runtime: ClassVar[tuple[str, ...]] = ("channel_placement",)

    channels: int = parameter("int", low=1)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if len(self.chosen) != x.channels or self.chosen[-1] >= self.channels:
            raise OpError(f"`{self.name}` has no places for {x}", operand=0)
        return TensorType((self.channels, *x.spatial))

    def selection(self, *types: TensorType) -> tuple[int | None, ...]:
        places: list[int | None] = [None] * self.channels
        for source, channel in enumerate(self.chosen):
            places[channel] = source
        return tuple(places)

    def thinned(self, reads: Sequence[int], keeps: Sequence[int], *types: TensorType) -> Op:
        places, present = self.selection(), set(reads)
        found = [i for i, channel in enumerate(keeps) if places[channel] in present]
        return PlaceChannels(digits(found), len(keeps))

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule(
            "PlaceChannels",
            (
                TorchArg("mask", self.mask, positional=True),
                TorchArg("channels", self.channels, positional=True),
            ),
        )
