"""Pooling: the maximum or mean of windows, of all positions, or of a given number of parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.border import both_sides
from archc.ops.op import (
    ChannelRule,
    Constancy,
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
from archc.ops.size import Dim, windows


@dataclass(frozen=True)
class Pool(Op):
    """The base of pools over windows: `[C, *S] -> [C, *windows(S)]`.

    As in torch, the stride is the kernel unless given, there is no padding, and the last, partial
    window goes; with `ceil_mode` it stays if it begins inside of the input or the padding before.
    """

    torch_module: ClassVar[str]
    torch_function: ClassVar[str]

    kernel: int | tuple[int, ...] = parameter("sizes", low=1, high=1023)
    stride: int | tuple[int, ...] | None = parameter("sizes", low=1, high=1023, optional=True)
    padding: int | tuple[int, ...] = parameter("sizes", 0, low=0, high=1023, keyword=True)
    ceil_mode: bool = parameter("bool", False, keyword=True)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        kernel = per_axis(self.kernel, x.rank, "kernel")
        stride = kernel if self.stride is None else per_axis(self.stride, x.rank, "stride")
        padding = both_sides(self.name, self.padding, x.rank, self.padded_by)
        for k, p in zip(kernel, padding, strict=True):
            if 2 * p > k:
                raise OpError(
                    f"the padding of `{self.name}` may be at most half its kernel: "
                    f"{p} is more than half of {k}",
                    parameter="padding",
                )
        sizes = zip(x.spatial, kernel, stride, padding, strict=True)
        spatial = tuple(self._positions(*each) for each in sizes)
        require_positive(self.name, spatial, x)
        return TensorType((x.channels, *spatial))

    def _positions(self, size: Dim, k: int, s: int, p: int) -> Dim:
        """How many windows there are along one axis; exact for a symbolic size, too.

        In ceil mode, `ceil((size + 2*p - k) / s) + 1`, unless the last of these begins beyond
        `size + p`. That happens only if s > k - p, and then those that begin before are
        `ceil((size + p) / s)`.
        """
        if not self.ceil_mode:
            return windows(size, k, s, (p, p))
        if s > k - p:
            return (size + (p + s - 1)) // s
        return windows(size + (s - 1), k, s, (p, p))

    @property
    def padded_by(self) -> str | None:
        """The mode of a `pad` that does what its padding does, if there is one."""
        return "zeros"

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    @property
    def at_constant(self) -> Constancy:
        return "constant"

    def args(self) -> tuple[TorchArg, ...]:
        """Its hyperparameters as torch's."""
        kernel = squeeze(self.kernel)
        stride = kernel if self.stride is None else squeeze(self.stride)
        return (
            TorchArg("kernel_size", kernel, positional=True),
            TorchArg("stride", stride, kernel),
            TorchArg("padding", squeeze(self.padding), 0),
            TorchArg("ceil_mode", self.ceil_mode, False),
        )

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule(f"nn.{self.torch_module}{types[0].rank}d", self.args())

    def function(self, *types: TensorType) -> TorchFunction:
        text = f"F.{self.torch_function}{types[0].rank}d({{0}}, {{args}})"
        return TorchFunction(text, self.args())


@dataclass(frozen=True)
class MaxPool(Pool):
    """The maximum of each window; padding never wins."""

    name: ClassVar[str] = "max_pool"
    torch_module: ClassVar[str] = "MaxPool"
    torch_function: ClassVar[str] = "max_pool"

    @property
    def padded_by(self) -> str | None:
        """A window that reaches beyond the border holds a value of the border, too."""
        return "replicate"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """The input, and the position of each maximum."""
        return (Saved("input"), Saved("new", shape=out.shape, dtype="int64"))


@dataclass(frozen=True)
class AvgPool(Pool):
    """The mean of each window; padding counts as zeros, unless `count_include_pad` is false.

    What a window in ceil mode has beyond the padding never counts.
    """

    name: ClassVar[str] = "avg_pool"
    torch_module: ClassVar[str] = "AvgPool"
    torch_function: ClassVar[str] = "avg_pool"

    count_include_pad: bool = parameter("bool", True, keyword=True)

    @property
    def padded_by(self) -> str | None:
        return "zeros" if self.count_include_pad else None

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        out = super().rule(x)
        kernel = per_axis(self.kernel, x.rank, "kernel")
        if x.rank == 3 and any(
            n < k for n, k in zip(x.spatial, kernel, strict=True) if isinstance(n, int)
        ):
            raise OpError(
                f"`avg_pool` over 3 axes needs an input of the size of its kernel, whatever the "
                f"padding, as in torch; its input is {x}",
                operand=0,
            )
        return out

    @property
    def at_constant(self) -> Constancy:
        sizes = self.padding if isinstance(self.padding, tuple) else (self.padding,)
        return "border" if self.count_include_pad and any(sizes) else "constant"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input"),)

    def args(self) -> tuple[TorchArg, ...]:
        counts = TorchArg("count_include_pad", self.count_include_pad, True)
        return (*super().args(), counts)


@dataclass(frozen=True)
class GlobalPool(Op):
    """The base of pools over all positions: `[C, *S] -> [C]`, or `[C, 1, ...]` with `keep`."""

    keep: bool = parameter("bool", False, keyword=True)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        return TensorType((x.channels, *(1,) * (x.rank if self.keep else 0)))

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    @property
    def at_constant(self) -> Constancy:
        return "constant"


@dataclass(frozen=True)
class GlobalAvgPool(GlobalPool):
    """The mean over all positions: `[C, *S] -> [C]`, or `[C, 1, ...]` with `keep`.

    Of a learned tensor, over all axes but the first: of a convolution's weight, for each filter.
    """

    name: ClassVar[str] = "global_avg_pool"
    takes_learned: ClassVar[bool] = True

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if x.batched or not x.rank:
            return super().rule(x)
        return TensorType((x.channels, *(1,) * (x.rank if self.keep else 0)), batched=False)

    def module(self, *types: TensorType) -> TorchModule | None:
        if not types[0].batched:
            return None
        return TorchModule(
            f"nn.AdaptiveAvgPool{types[0].rank}d",
            (TorchArg("output_size", 1, positional=True),),
            "" if self.keep else "{layer}({0}).flatten(1)",
        )

    def function(self, *types: TensorType) -> TorchFunction:
        first = 2 if types[0].batched else 1
        axes = tuple(range(first, first + types[0].rank))
        args = (
            TorchArg("dim", axes if len(axes) > 1 else first, positional=True),
            TorchArg("keepdim", self.keep, False),
        )
        return TorchFunction("{0}.mean({args})", args)


@dataclass(frozen=True)
class GlobalMaxPool(GlobalPool):
    """The maximum over all positions: `[C, *S] -> [C]`, or `[C, 1, ...]` with `keep`.

    Of equal maxima one gets the gradient, as in `max_pool`.
    """

    name: ClassVar[str] = "global_max_pool"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """The input, and the position of each maximum, which torch gives in any case."""
        positions = Saved("new", shape=out.shape, dtype="int64")
        return (Saved("input"), positions)

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule(
            f"nn.AdaptiveMaxPool{types[0].rank}d",
            (TorchArg("output_size", 1, positional=True),),
            "" if self.keep else "{layer}({0}).flatten(1)",
        )

    def function(self, *types: TensorType) -> TorchFunction:
        flat = "" if self.keep else ".flatten(1)"
        return TorchFunction(f"F.adaptive_max_pool{types[0].rank}d({{0}}, 1){flat}")


@dataclass(frozen=True)
class AdaptiveAvgPool(Op):
    """The means of `size` parts along each axis: `[C, *S] -> [C, *size]`, for every S.

    Part i of n reaches from `floor(i * S / n)` to `ceil((i + 1) * S / n)`, as in torch: parts
    overlap where n does not divide S.
    """

    name: ClassVar[str] = "adaptive_avg_pool"

    size: int | tuple[int, ...] = parameter("sizes", low=1, high=65536)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        return TensorType((x.channels, *per_axis(self.size, x.rank, "size")))

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """The input, unless one part is wanted: that is a mean."""
        return () if set(out.spatial) == {1} else (Saved("input"),)

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    @property
    def at_constant(self) -> Constancy:
        return "constant"

    def args(self) -> tuple[TorchArg, ...]:
        """Its hyperparameters as torch's."""
        return (TorchArg("output_size", squeeze(self.size), positional=True),)

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule(f"nn.AdaptiveAvgPool{types[0].rank}d", self.args())

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction(f"F.adaptive_avg_pool{types[0].rank}d({{0}}, {{args}})", self.args())
