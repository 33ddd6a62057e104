"""Enlarging an image."""

from dataclasses import dataclass
from typing import ClassVar

from archc.ops.op import (
    ChannelRule,
    Op,
    TensorType,
    TorchArg,
    TorchFunction,
    TorchModule,
    parameter,
    per_axis,
    require_spatial,
    squeeze,
)


@dataclass(frozen=True)
class Upsample(Op):
    """Enlarges an image by whole factors; `bilinear` leaves the corners unaligned, as in torch.

    With one or three spatial axes, `bilinear` is linear or trilinear interpolation.
    """

    name: ClassVar[str] = "upsample"

    scale: int | tuple[int, ...] = parameter("sizes", low=1, high=1023)
    mode: str = parameter("string", "nearest", choices=("nearest", "bilinear"))

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        scale = per_axis(self.scale, x.rank, "scale")
        return TensorType((x.channels, *(n * f for n, f in zip(x.spatial, scale, strict=True))))

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    def _args(self, rank: int) -> tuple[TorchArg, ...]:
        linear = ("linear", "bilinear", "trilinear")[rank - 1]
        mode = linear if self.mode == "bilinear" else self.mode
        return (
            TorchArg("scale_factor", squeeze(self.scale)),
            TorchArg("mode", mode, "nearest"),
        )

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule("nn.Upsample", self._args(types[0].rank))

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("F.interpolate({0}, {args})", self._args(types[0].rank))
