"""Pooling: the maximum or mean of windows, and the mean of all positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.op import (
    CALL,
    ChannelRule,
    Op,
    OpError,
    Saved,
    TensorType,
    TorchArg,
    TorchFunction,
    TorchModule,
    parameter,
    per_axis,
    require_positive,
    require_spatial,
    squeeze,
)
from archc.ops.size import windows


@dataclass(frozen=True)
class Pool(Op):
    """The base of pools over windows: `[C, *S] -> [C, *windows(S)]`; the last, partial window goes.

    As in torch, the stride is the kernel unless given, and there is no padding.
    """

    torch_module: ClassVar[str]
    torch_function: ClassVar[str]

    kernel: int | tuple[int, ...] = parameter("sizes", low=1, high=1023)
    stride: int | tuple[int, ...] | None = parameter("sizes", low=1, high=1023, optional=True)
    padding: int | tuple[int, ...] = parameter("sizes", 0, low=0, high=1023)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        kernel = per_axis(self.kernel, x.rank, "kernel")
        stride = kernel if self.stride is None else per_axis(self.stride, x.rank, "stride")
        padding = per_axis(self.padding, x.rank, "padding")
        for k, p in zip(kernel, padding, strict=True):
            if 2 * p > k:
                raise OpError(
                    f"the padding of `{self.name}` may be at most half its kernel: "
                    f"{p} is more than half of {k}",
                    parameter="padding",
                )
        spatial = tuple(
            windows(size, k, s, (p, p))
            for size, k, s, p in zip(x.spatial, kernel, stride, padding, strict=True)
        )
        require_positive(self.name, spatial, x)
        return TensorType((x.channels, *spatial))

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    def _args(self) -> tuple[TorchArg, ...]:
        kernel = squeeze(self.kernel)
        stride = kernel if self.stride is None else squeeze(self.stride)
        return (
            TorchArg("kernel_size", kernel, positional=True),
            TorchArg("stride", stride, kernel),
            TorchArg("padding", squeeze(self.padding), 0),
        )

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule(f"nn.{self.torch_module}{types[0].rank}d", self._args())

    def function(self, *types: TensorType) -> TorchFunction:
        text = f"F.{self.torch_function}{types[0].rank}d({{0}}, {{args}})"
        return TorchFunction(text, self._args())


@dataclass(frozen=True)
class MaxPool(Pool):
    """The maximum of each window; padding never wins."""

    name: ClassVar[str] = "max_pool"
    torch_module: ClassVar[str] = "MaxPool"
    torch_function: ClassVar[str] = "max_pool"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """The input, and the position of each maximum."""
        return (Saved("input"), Saved("new", shape=out.shape, dtype="int64"))


@dataclass(frozen=True)
class AvgPool(Pool):
    """The mean of each window; padding counts as zeros."""

    name: ClassVar[str] = "avg_pool"
    torch_module: ClassVar[str] = "AvgPool"
    torch_function: ClassVar[str] = "avg_pool"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input"),)


@dataclass(frozen=True)
class GlobalAvgPool(Op):
    """The mean over all positions: `[C, *S] -> [C]`, or `[C, 1, ...]` with `keep`."""

    name: ClassVar[str] = "global_avg_pool"

    keep: bool = parameter("bool", False)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        return TensorType((x.channels, *(1,) * (x.rank if self.keep else 0)))

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule(
            f"nn.AdaptiveAvgPool{types[0].rank}d",
            (TorchArg("output_size", 1, positional=True),),
            suffix="" if self.keep else ".flatten(1)",
        )

    def function(self, *types: TensorType) -> TorchFunction:
        axes = tuple(range(2, 2 + types[0].rank))
        args = (
            TorchArg("dim", axes if len(axes) > 1 else 2, positional=True),
            TorchArg("keepdim", self.keep, False),
        )
        return TorchFunction("{0}.mean({args})", args, needs=(CALL,))
