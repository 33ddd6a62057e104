"""Convolutions with weights of their own: plain and transposed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.border import both_sides
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
from archc.ops.size import Dim, product, windows


def same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """`dilation * (kernel - 1) // 2` for each axis, torchvision's convention."""
    if any(k % 2 == 0 for k in kernel):
        raise OpError(
            f"an even kernel ({word(squeeze(kernel))}) has no same padding",
            parameter="kernel",
            help="give the padding yourself: `padding=0` is what PyTorch has by default",
        )
    return tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))


def require_groups(groups: int, channels: int, out: int) -> None:
    """Refuse groups that do not divide the channels on both sides."""
    if channels % groups or out % groups:
        raise OpError(
            f"`groups={groups}` must divide the {channels} input channels "
            f"and the {out} output channels",
            parameter="groups",
        )


def convolved(
    op: str,
    x: TensorType,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Dim, ...]:
    """The spatial sizes of a convolution's result."""
    spatial = tuple(
        windows(size, k, s, (p, p), d)
        for size, k, s, p, d in zip(x.spatial, kernel, stride, padding, dilation, strict=True)
    )
    require_positive(op, spatial, x)
    return spatial


def enlarged(
    op: str,
    x: TensorType,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Dim, ...]:
    """The spatial sizes of a transposed convolution's result."""
    for more, s, d in zip(output_padding, stride, dilation, strict=True):
        if more >= max(s, d):
            raise OpError(
                f"`output_padding` must be less than the stride or the dilation: {more} is not "
                f"less than {max(s, d)}",
                parameter="output_padding",
            )
    axes = zip(x.spatial, kernel, stride, padding, output_padding, dilation, strict=True)
    spatial = tuple(n * s + (d * (k - 1) + more + 1 - s - 2 * p) for n, k, s, p, more, d in axes)
    if any(isinstance(size, int) and size < 1 for size in spatial):
        raise OpError(
            f"the padding of `{op}` leaves nothing of its result: {list(spatial)} from {x}",
            parameter="padding",
        )
    return spatial


@dataclass(frozen=True)
class Conv(Op):
    """Convolution; 1d, 2d or 3d by its input: `[C, *S] -> [out, *windows(S)]`.

    `padding="same"` is `dilation * (kernel - 1) // 2` on both sides, torchvision's convention: at
    stride 1 the size stays. No bias unless asked for. `group_size`, the input channels of a group,
    is given instead of `groups`.
    """

    name: ClassVar[str] = "conv"
    sums: ClassVar[bool] = True

    out: int = parameter("int", low=1, high=65536)
    kernel: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023)
    stride: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023)
    groups: int = parameter("int", 1, low=1, keyword=True)
    dilation: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023, keyword=True)
    padding: int | tuple[int, ...] | str = parameter(
        "padding", "same", low=0, high=1023, keyword=True
    )
    bias: bool = parameter("bool", False, keyword=True)
    group_size: int | None = parameter("int", low=1, optional=True, keyword=True)

    def pads(self, rank: int) -> tuple[int, ...]:
        """The padding of each spatial axis, on both of its sides."""
        if not isinstance(self.padding, str):
            return both_sides(self.name, self.padding, rank)
        kernel = per_axis(self.kernel, rank, "kernel")
        return same_padding(kernel, per_axis(self.dilation, rank, "dilation"))

    def channel_groups(self, *types: TensorType) -> int:
        return self.groups if self.group_size is None else types[0].channels // self.group_size

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        self._check_group_size(x.channels)
        require_groups(self.channel_groups(x), x.channels, self.out)
        spatial = convolved(
            self.name,
            x,
            per_axis(self.kernel, x.rank, "kernel"),
            per_axis(self.stride, x.rank, "stride"),
            self.pads(x.rank),
            per_axis(self.dilation, x.rank, "dilation"),
        )
        return TensorType((self.out, *spatial))

    def _check_group_size(self, channels: int) -> None:
        if self.group_size is None:
            return
        if self.groups != 1:
            raise OpError(
                f"`groups={self.groups}` and `group_size={self.group_size}` are two ways to say "
                "the same",
                parameter="group_size",
                help="give one of them",
            )
        if channels % self.group_size:
            raise OpError(
                f"`group_size={self.group_size}` must divide the {channels} input channels",
                parameter="group_size",
            )

    def weights(self, *types: TensorType) -> tuple[Weight, ...]:
        (x,) = types
        kernel = per_axis(self.kernel, x.rank, "kernel")
        weight = Weight("weight", (self.out, x.channels // self.channel_groups(x), *kernel))
        return (weight, Weight("bias", (self.out,))) if self.bias else (weight,)

    def macs(self, types: Sequence[TensorType], out: TensorType) -> int | None:
        positions = product(out.spatial)
        return None if positions is None else self.weights(*types)[0].elements * positions

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input"),)

    @property
    def channel_rule(self) -> ChannelRule:
        return "mix" if self.groups == 1 and self.group_size is None else "grouped"

    @property
    def seamless(self) -> bool:
        padded = self.padding if isinstance(self.padding, tuple) else (self.padding,)
        return self.kernel == 1 if self.padding == "same" else not any(padded)

    @property
    def at_zero(self) -> float | None:
        return None if self.bias else 0.0

    @property
    def initialised(self) -> tuple[str, ...]:
        return ("scheme", "fan", "conv_bias") if self.bias else ("scheme", "fan")

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
                TorchArg("groups", self.channel_groups(x), 1),
                TorchArg("bias", self.bias, True),
            ),
        )


@dataclass(frozen=True)
class ConvTranspose(Op):
    """Transposed convolution; 1d, 2d or 3d by its input: `[C, *S] -> [out, *larger]`.

    A size n becomes `(n - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`
    as in torch: with kernel = stride, or kernel 4, stride 2, padding 1, it is n * stride. No bias
    unless asked for.
    """

    name: ClassVar[str] = "conv_transpose"
    sums: ClassVar[bool] = True

    out: int = parameter("int", low=1, high=65536)
    kernel: int | tuple[int, ...] = parameter("sizes", low=1, high=1023)
    stride: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023)
    padding: int | tuple[int, ...] = parameter("sizes", 0, low=0, high=1023, keyword=True)
    output_padding: int | tuple[int, ...] = parameter("sizes", 0, low=0, high=1023, keyword=True)
    groups: int = parameter("int", 1, low=1, keyword=True)
    dilation: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023, keyword=True)
    bias: bool = parameter("bool", False, keyword=True)

    def channel_groups(self, *types: TensorType) -> int:
        return self.groups

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        require_groups(self.groups, x.channels, self.out)
        spatial = enlarged(
            self.name,
            x,
            per_axis(self.kernel, x.rank, "kernel"),
            per_axis(self.stride, x.rank, "stride"),
            both_sides(self.name, self.padding, x.rank),
            per_axis(self.output_padding, x.rank, "output_padding"),
            per_axis(self.dilation, x.rank, "dilation"),
        )
        return TensorType((self.out, *spatial))

    def weights(self, *types: TensorType) -> tuple[Weight, ...]:
        (x,) = types
        kernel = per_axis(self.kernel, x.rank, "kernel")
        weight = Weight("weight", (x.channels, self.out // self.groups, *kernel))
        return (weight, Weight("bias", (self.out,))) if self.bias else (weight,)

    def macs(self, types: Sequence[TensorType], out: TensorType) -> int | None:
        positions = product(types[0].spatial)
        return None if positions is None else self.weights(*types)[0].elements * positions

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input"),)

    @property
    def channel_rule(self) -> ChannelRule:
        return "mix" if self.groups == 1 else "grouped"

    @property
    def at_zero(self) -> float | None:
        return None if self.bias else 0.0

    @property
    def initialised(self) -> tuple[str, ...]:
        return ("scheme", "fan", "conv_bias") if self.bias else ("scheme", "fan")

    def module(self, *types: TensorType) -> TorchModule:
        (x,) = types
        return TorchModule(
            f"nn.ConvTranspose{x.rank}d",
            (
                TorchArg("in_channels", x.channels, positional=True),
                TorchArg("out_channels", self.out, positional=True),
                TorchArg("kernel_size", squeeze(self.kernel), positional=True),
                TorchArg("stride", squeeze(self.stride), 1),
                TorchArg("padding", squeeze(self.padding), 0),
                TorchArg("output_padding", squeeze(self.output_padding), 0),
                TorchArg("groups", self.groups, 1),
                TorchArg("bias", self.bias, True),
                TorchArg("dilation", squeeze(self.dilation), 1),
            ),
        )
