"""Convolution and the fully connected layer."""

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
    per_axis,
    require_positive,
    require_spatial,
    squeeze,
    word,
)
from archc.ops.size import product, windows


@dataclass(frozen=True)
class Conv(Op):
    """Convolution; 1d, 2d or 3d by its input: `[C, *S] -> [out, *windows(S)]`.

    `padding="same"` is `dilation * (kernel - 1) // 2` on both sides, torchvision's convention: at
    stride 1 the size stays. No bias unless asked for.
    """

    name: ClassVar[str] = "conv"

    out: int = parameter("int", low=1, high=65536)
    kernel: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023)
    stride: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023)
    groups: int = parameter("int", 1, low=1)
    dilation: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023)
    padding: int | tuple[int, ...] | str = parameter("padding", "same", low=0, high=1023)
    bias: bool = parameter("bool", False)

    def pads(self, rank: int) -> tuple[int, ...]:
        """The padding of each spatial axis, on both of its sides."""
        if not isinstance(self.padding, str):
            return per_axis(self.padding, rank, "padding")
        kernel = per_axis(self.kernel, rank, "kernel")
        dilation = per_axis(self.dilation, rank, "dilation")
        if any(k % 2 == 0 for k in kernel):
            raise OpError(
                f"an even kernel ({word(self.kernel)}) has no same padding",
                parameter="kernel",
                help="give the padding yourself, say `padding=0`",
            )
        return tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        if x.channels % self.groups or self.out % self.groups:
            raise OpError(
                f"`groups={self.groups}` must divide the {x.channels} input channels "
                f"and the {self.out} output channels",
                parameter="groups",
            )
        spatial = tuple(
            windows(size, k, s, (p, p), d)
            for size, k, s, p, d in zip(
                x.spatial,
                per_axis(self.kernel, x.rank, "kernel"),
                per_axis(self.stride, x.rank, "stride"),
                self.pads(x.rank),
                per_axis(self.dilation, x.rank, "dilation"),
                strict=True,
            )
        )
        require_positive(self.name, spatial, x)
        return TensorType((self.out, *spatial))

    def weights(self, *types: TensorType) -> tuple[Weight, ...]:
        (x,) = types
        kernel = per_axis(self.kernel, x.rank, "kernel")
        weight = Weight("weight", (self.out, x.channels // self.groups, *kernel))
        return (weight, Weight("bias", (self.out,))) if self.bias else (weight,)

    def macs(self, types: Sequence[TensorType], out: TensorType) -> int | None:
        positions = product(out.spatial)
        return None if positions is None else self.weights(*types)[0].elements * positions

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input"),)

    @property
    def channel_rule(self) -> ChannelRule:
        return "mix" if self.groups == 1 else "grouped"

    @property
    def at_zero(self) -> float | None:
        return None if self.bias else 0.0

    def module(self, *types: TensorType) -> TorchModule:
        (x,) = types
        return TorchModule(
            f"nn.Conv{x.rank}d",
            (
                TorchArg("in_channels", x.channels, positional=True),
                TorchArg("out_channels", self.out, positional=True),
                TorchArg("kernel_size", squeeze(self.kernel), positional=True),
                TorchArg("stride", squeeze(self.stride), 1),
                TorchArg("padding", squeeze(self.pads(x.rank)), 0),
                TorchArg("dilation", squeeze(self.dilation), 1),
                TorchArg("groups", self.groups, 1),
                TorchArg("bias", self.bias, True),
            ),
        )


@dataclass(frozen=True)
class Linear(Op):
    """Fully connected layer on a vector: `[C] -> [out]`; with a bias unless told otherwise."""

    name: ClassVar[str] = "linear"

    out: int = parameter("int", low=1, high=2**31)
    bias: bool = parameter("bool", True)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if x.rank:
            raise OpError(
                f"`linear` needs a vector, but its input is {x}",
                operand=0,
                help="put `global_avg_pool` or `flatten` before it",
            )
        return TensorType((self.out,))

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
    def at_zero(self) -> float | None:
        return None if self.bias else 0.0

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
