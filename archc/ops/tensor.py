"""Operators that move values and compute none: joining, cutting, padding, flattening, enlarging."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.autograd import Gradient, Record
from archc.ops.op import (
    CALL,
    ChannelRule,
    Op,
    OpError,
    TensorType,
    TorchArg,
    TorchFunction,
    TorchModule,
    operand_word,
    parameter,
    per_axis,
    require_spatial,
    squeeze,
)


@dataclass(frozen=True)
class Concat(Op):
    """Tensors of equal spatial sizes, one after the other along the channels."""

    name: ClassVar[str] = "concat"
    arity: ClassVar[int | None] = None

    def rule(self, *types: TensorType) -> TensorType:
        first, *others = types
        for i, other in enumerate(others, start=1):
            if other.spatial != first.spatial:
                raise OpError(
                    f"`concat` needs equal spatial sizes, but its {operand_word(i, types)} is "
                    f"{other} and its {operand_word(0, types)} is {first}",
                    operand=i,
                )
        return TensorType((sum(type_.channels for type_ in types), *first.spatial))

    @property
    def channel_rule(self) -> ChannelRule:
        return "concat"

    def records(self, types: Sequence[TensorType], out: TensorType) -> tuple[Record, ...]:
        return (Record(tuple(range(len(types))), out, gradients=(Gradient("part"),) * len(types)),)

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("torch.cat([{operands}], 1)")


@dataclass(frozen=True)
class Take(Op):
    """`count` channels, from `start` on."""

    name: ClassVar[str] = "take"

    count: int = parameter("int", low=1)
    start: int = parameter("int", 0, low=0)

    @property
    def stop(self) -> int:
        return self.start + self.count

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if self.stop > x.channels:
            raise OpError(
                f"`take` wants channels {self.start} to {self.stop - 1}, "
                f"but its input {x} has {x.channels}",
                operand=0,
                parameter="count",
            )
        return TensorType((self.count, *x.spatial))

    @property
    def channel_rule(self) -> ChannelRule:
        return "select"

    def selection(self, *types: TensorType) -> tuple[int | None, ...]:
        return tuple(range(self.start, self.stop))

    def view(self, *types: TensorType) -> bool:
        return True

    def records(self, types: Sequence[TensorType], out: TensorType) -> tuple[Record, ...]:
        """A view; its gradient is written among zeros."""
        return (Record((0,), out, gradients=(Gradient(),), view=True),)

    def function(self, *types: TensorType) -> TorchFunction:
        stop = TorchArg("stop", self.stop)
        if not self.start:
            return TorchFunction("{0}[:, :{stop}]", (stop,), needs=(CALL,))
        start = TorchArg("start", self.start)
        return TorchFunction("{0}[:, {start}:{stop}]", (start, stop), needs=(CALL,))


@dataclass(frozen=True)
class Pad(Op):
    """Zeros around a tensor: `before` and after (`channels`) its channels, and around its image.

    `spatial` is the number on both sides of each spatial axis. A ResNet's parameter-free shortcut
    is `avg_pool(1, stride) -> pad(channels=out - x.channels)`.
    """

    name: ClassVar[str] = "pad"

    channels: int = parameter("int", 0, low=0)
    before: int = parameter("int", 0, low=0)
    spatial: int | tuple[int, ...] = parameter("sizes", 0, low=0, high=1023)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if self.spatial:
            require_spatial(self.name, x)
        pads = per_axis(self.spatial, x.rank, "spatial")
        spatial = (size + 2 * p for size, p in zip(x.spatial, pads, strict=True))
        return TensorType((self.before + x.channels + self.channels, *spatial))

    @property
    def channel_rule(self) -> ChannelRule:
        return "select"

    def selection(self, *types: TensorType) -> tuple[int | None, ...]:
        zeros: tuple[None, ...] = (None,)
        return zeros * self.before + tuple(range(types[0].channels)) + zeros * self.channels

    def _sides(self, rank: int) -> tuple[int, ...]:
        """Torch's order: the last axis first, and of each axis the front, then the back."""
        pads = per_axis(self.spatial, rank, "spatial")
        return tuple(p for pad in reversed(pads) for p in (pad, pad))

    def module(self, *types: TensorType) -> TorchModule | None:
        rank = types[0].rank
        if self.before or self.channels or not rank:
            return None
        sides = TorchArg("padding", squeeze(self._sides(rank)), positional=True)
        return TorchModule(f"nn.ZeroPad{rank}d", (sides,))

    def function(self, *types: TensorType) -> TorchFunction:
        """Each number is an argument of its own: nets of one form may differ in one of them."""
        sides = self._sides(types[0].rank)
        if self.before or self.channels or not sides:
            sides += (self.before, self.channels)
        names = [f"side{i}" if side else "0" for i, side in enumerate(sides)]
        places = ", ".join(f"{{{name}}}" if name != "0" else name for name in names)
        args = (TorchArg(n, side) for n, side in zip(names, sides, strict=True) if side)
        return TorchFunction(f"F.pad({{0}}, ({places}))", tuple(args))


@dataclass(frozen=True)
class Flatten(Op):
    """All values of a sample as a vector, channel by channel."""

    name: ClassVar[str] = "flatten"

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if x.elements is None:
            raise OpError(
                f"`flatten` needs sizes that are numbers, but its input is {x}",
                operand=0,
                help="declare the net's input with numbers, or use `global_avg_pool`",
            )
        return TensorType((x.elements,))

    @property
    def channel_rule(self) -> ChannelRule:
        return "reshape"

    def view(self, *types: TensorType) -> bool:
        return True

    def records(self, types: Sequence[TensorType], out: TensorType) -> tuple[Record, ...]:
        return super().records(types, out) if types[0].rank else ()

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule("nn.Flatten")

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0}.flatten(1)", needs=(CALL,))


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
