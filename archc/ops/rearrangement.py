"""Operators that give a sample's values other places: reshaping, shuffling, pixels and channels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from archc.ops.op import (
    ChannelRule,
    Constancy,
    Op,
    OpError,
    TensorType,
    TorchArg,
    TorchFunction,
    TorchModule,
    parameter,
    require_spatial,
    word,
)
from archc.ops.size import Dim, Size, SizeError


@dataclass(frozen=True)
class Reshape(Op):
    """The values of a sample in their order, in another shape: `reshape([x.channels // 4, 4, 4])`.

    The batch axis is left out, and no size is inferred.
    """

    name: ClassVar[str] = "reshape"
    takes_learned: ClassVar[bool] = True

    shape: tuple[int, ...] = parameter("shape", low=1)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        out = TensorType(self.shape, x.batched)
        if x.batched and out.rank > 3:
            raise OpError(
                f"`shape` has channels and up to three spatial sizes, not {word(self.shape)}",
                parameter="shape",
            )
        if x.elements is None:
            raise OpError(
                f"`reshape` needs sizes that are numbers, but its input is {x}",
                operand=0,
                help="declare the net's input with numbers",
            )
        if x.elements != out.elements:
            raise OpError(
                f"`reshape` to {out} takes {out.elements} values, but its input {x} has "
                f"{x.elements}",
                operand=0,
                parameter="shape",
            )
        return out

    @property
    def channel_rule(self) -> ChannelRule:
        return "reshape"

    @property
    def at_constant(self) -> Constancy:
        return "constant"

    def thinned(self, reads: Sequence[int], keeps: Sequence[int], *types: TensorType) -> Op:
        return replace(self, shape=(len(keeps), *self.shape[1:]))

    def view(self, *types: TensorType) -> bool:
        return True

    def module(self, *types: TensorType) -> TorchModule | None:
        """Torch has one from a vector only."""
        (x,) = types
        if x.rank or not x.batched or len(self.shape) == 1:
            return None
        args = (
            TorchArg("dim", 1, positional=True),
            TorchArg("unflattened_size", self.shape, positional=True),
        )
        return TorchModule("nn.Unflatten", args)

    def function(self, *types: TensorType) -> TorchFunction:
        batch = "-1, " if types[0].batched else ""
        args = tuple(TorchArg(f"size{i}", n, positional=True) for i, n in enumerate(self.shape))
        return TorchFunction(f"{{0}}.reshape({batch}{{args}})", args)


@dataclass(frozen=True)
class PixelShuffle(Op):
    """Channels become pixels (Shi et al., 2016): `[C * f*f, H, W] -> [C, H * f, W * f]`."""

    name: ClassVar[str] = "pixel_shuffle"

    factor: int = parameter("int", low=2, high=1023)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        _require_image(self.name, x)
        area = self.factor**2
        if x.channels % area:
            fits = -(-x.channels // area) * area
            raise OpError(
                f"`pixel_shuffle({self.factor})` needs a multiple of {area} channels, "
                f"but its input is {x}",
                operand=0,
                help=f"`-> conv({fits}, 3)` before it gives {fits} channels",
            )
        return TensorType((x.channels // area, *(size * self.factor for size in x.spatial)))

    @property
    def channel_rule(self) -> ChannelRule:
        return "grouped"

    def channel_groups(self, *types: TensorType) -> int:
        return types[0].channels // self.factor**2

    def module(self, *types: TensorType) -> TorchModule:
        factor = TorchArg("upscale_factor", self.factor, positional=True)
        return TorchModule("nn.PixelShuffle", (factor,))

    def function(self, *types: TensorType) -> TorchFunction:
        factor = TorchArg("upscale_factor", self.factor)
        return TorchFunction("F.pixel_shuffle({0}, {upscale_factor})", (factor,))


@dataclass(frozen=True)
class SpaceToDepth(Op):
    """Pixels become channels: `[C, H, W] -> [C * f*f, H / f, W / f]`; undone by `pixel_shuffle`.

    Channel `c*f*f + i*f + j` has the pixels of channel c in row i and column j of each square, as
    torch's `pixel_unshuffle`.
    """

    name: ClassVar[str] = "space_to_depth"

    factor: int = parameter("int", low=2, high=1023)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        _require_image(self.name, x)
        spatial = tuple(self._part(size, x) for size in x.spatial)
        return TensorType((x.channels * self.factor**2, *spatial))

    def _part(self, size: Dim, x: TensorType) -> Dim:
        if isinstance(size, int) and size % self.factor:
            raise OpError(
                f"`space_to_depth({self.factor})` needs multiples of {self.factor}, "
                f"but its input is {x}",
                operand=0,
            )
        if isinstance(size, Size) and (size.c != 1 or size.a % self.factor or size.b % self.factor):
            raise SizeError(
                f"`{size}` divided by {self.factor} is not exact",
                f"declare the input's size with a multiple: `{self.factor * size.c}*{size.symbol}` "
                f"where it is `{size.symbol}`",
            )
        return size // self.factor

    @property
    def channel_rule(self) -> ChannelRule:
        return "grouped"

    def channel_groups(self, *types: TensorType) -> int:
        return types[0].channels

    def module(self, *types: TensorType) -> TorchModule:
        factor = TorchArg("downscale_factor", self.factor, positional=True)
        return TorchModule("nn.PixelUnshuffle", (factor,))

    def function(self, *types: TensorType) -> TorchFunction:
        factor = TorchArg("downscale_factor", self.factor)
        return TorchFunction("F.pixel_unshuffle({0}, {downscale_factor})", (factor,))


@dataclass(frozen=True)
class ChannelShuffle(Op):
    """The channels of `groups` groups in turn (ShuffleNet): 0 1 2 | 3 4 5 becomes 0 3 1 4 2 5."""

    name: ClassVar[str] = "channel_shuffle"

    groups: int = parameter("int", low=1)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        if x.channels % self.groups:
            raise OpError(
                f"`groups={self.groups}` must divide the {x.channels} input channels",
                parameter="groups",
            )
        return x

    @property
    def channel_rule(self) -> ChannelRule:
        return "select"

    def selection(self, *types: TensorType) -> tuple[int | None, ...]:
        channels = types[0].channels
        size = channels // self.groups
        return tuple(group * size + i for i in range(size) for group in range(self.groups))

    def module(self, *types: TensorType) -> TorchModule:
        groups = TorchArg("groups", self.groups, positional=True)
        return TorchModule("nn.ChannelShuffle", (groups,))

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("F.channel_shuffle({0}, {groups})", (TorchArg("groups", self.groups),))


def _require_image(op: str, x: TensorType) -> None:
    if x.rank != 2:
        raise OpError(f"`{op}` needs 2 spatial axes, but its input is {x}", operand=0)
