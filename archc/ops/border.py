"""What is put around a tensor, and what is cut off: padding and cropping, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from archc.ops.op import (
    ChannelRule,
    Constancy,
    Dim,
    Op,
    OpError,
    Saved,
    TensorType,
    TorchArg,
    TorchFunction,
    TorchModule,
    parameter,
    per_axis,
    require_spatial,
    squeeze,
    word,
)

_AXES = (("left", "right"), ("top", "bottom"), ("front", "back"))
"""The sides of a spatial axis, from the last axis to the first, as torch counts them."""

SIDES = tuple(side for axis in _AXES for side in axis)
"""All of them, in torch's order."""


def both_sides(
    op: str, padding: int | tuple[int, ...], rank: int, mode: str | None = "zeros"
) -> tuple[int, ...]:
    """The padding of an operator that pads both sides of an axis alike, for each axis.

    Raises OpError where there is a number for each side: a `pad` of that mode does it before.
    """
    if isinstance(padding, int) or len(padding) != 2 * rank:
        return per_axis(padding, rank, "padding")
    message = f"`{op}` pads both sides of an axis alike, and `padding` is {word(padding)}"
    if mode is None:
        raise OpError(message, parameter="padding")
    names = [name for axis in _AXES[:rank] for name in axis]
    last = "" if mode == "zeros" else f', mode="{mode}"'
    pairs = {padding[i : i + 2] for i in range(0, len(padding), 2)}
    if len(pairs) > 1:  # which axis is meant first is not known
        sides = ", ".join(f"{side}=..." for side in names)
        help = f"pad before it: `-> pad({sides}{last})`, and `padding=0`"
        raise OpError(message, parameter="padding", help=help)
    sides = ", ".join(f"{side}={n}" for side, n in zip(names, padding, strict=True) if n)
    raise OpError(
        message,
        parameter="padding",
        help=f"pad before it: `-> pad({sides}{last})`, and `padding=0`",
        before=f"pad({sides}{last})",
        arguments={"padding": "0"},
    )


@dataclass(frozen=True)
class Border(Op):
    """The base of operators with a number for each side of an image, or `spatial` for both sides of
    each axis: one way or the other."""

    opposite: ClassVar[str]
    """The operator that undoes this one, which a negative number asks for."""
    of_channels: ClassVar[str]
    """What does with channels what this one does with an image."""

    spatial: int | tuple[int, ...] = parameter("sizes", 0, high=1023, keyword=True)
    left: int = parameter("int", 0, high=65536, keyword=True)
    right: int = parameter("int", 0, high=65536, keyword=True)
    top: int = parameter("int", 0, high=65536, keyword=True)
    bottom: int = parameter("int", 0, high=65536, keyword=True)
    front: int = parameter("int", 0, high=65536, keyword=True)
    back: int = parameter("int", 0, high=65536, keyword=True)

    def __post_init__(self) -> None:
        for name in ("spatial", *SIDES):
            value = getattr(self, name)
            numbers = value if isinstance(value, tuple) else (value,)
            if any(n < 0 for n in numbers):
                turned = word(squeeze(tuple(-n for n in numbers)))
                raise OpError(
                    f"`{name}` must be at least 0, not {word(value)}",
                    parameter=name,
                    help=f"`{self.opposite}({name}={turned})` does the opposite"
                    if all(n <= 0 for n in numbers)
                    else f"`{self.opposite}` does the opposite of a positive number",
                )

    def sides(self, x: TensorType) -> tuple[tuple[int, int], ...]:
        """The numbers before and after each spatial axis, in their order. Raises OpError."""
        given = {side: n for side in SIDES if (n := getattr(self, side))}
        if self.spatial or given:
            require_spatial(self.name, x)
        for side in given:
            self._check_side(side, x)
        if not given:
            return tuple((n, n) for n in per_axis(self.spatial, x.rank, "spatial"))
        return tuple(
            (given.get(before, 0), given.get(after, 0))
            for before, after in reversed(_AXES[: x.rank])
        )

    def _check_side(self, side: str, x: TensorType) -> None:
        if self.spatial:
            raise OpError(
                f"`spatial` is for all sides of the image, and `{side}` for one of them",
                parameter=side,
                help="give the numbers of the sides alone",
            )
        if not any(side in axis for axis in _AXES[: x.rank]):
            sides = [f"`{name}`" for axis in _AXES[: x.rank] for name in axis]
            raise OpError(
                f"`{self.name}` has no side `{side}` for the input {x}: its sides are "
                f"{', '.join(sides[:-1])} and {sides[-1]}",
                parameter=side,
                help=self.of_channels,
            )

    @property
    def does_nothing(self) -> bool:
        """Whether its result is its operand, whatever that is."""
        sizes = self.spatial if isinstance(self.spatial, tuple) else (self.spatial,)
        return not any((*sizes, *(getattr(self, side) for side in SIDES)))


@dataclass(frozen=True)
class Pad(Border):
    """Zeros around a tensor: after its channels (`channels`), `before` them, and around its image.

    `spatial` is the number on both sides of each spatial axis; `left`, `right`, `top`, `bottom`,
    `front` and `back` are those of single sides. `mode` is torch's `padding_mode`: an image may be
    continued by its mirror image (`reflect`) or by its border (`replicate`). A ResNet's
    parameter-free shortcut is `avg_pool(1, stride) -> pad(channels=out - x.channels)`.
    """

    name: ClassVar[str] = "pad"
    opposite: ClassVar[str] = "crop"
    of_channels: ClassVar[str] = (
        "`channels=` adds channels behind those that are there, `before=` before"
    )

    channels: int = parameter("int", 0, low=0, keyword=True)
    before: int = parameter("int", 0, low=0, keyword=True)
    mode: str = parameter(
        "string", "zeros", choices=("zeros", "reflect", "replicate"), keyword=True
    )

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        sides = self.sides(x)
        if self.mode != "zeros":
            self._check_mode(x, sides)
        spatial = (size + sum(pair) for size, pair in zip(x.spatial, sides, strict=True))
        return TensorType((self.before + x.channels + self.channels, *spatial))

    def _check_mode(self, x: TensorType, sides: Sequence[tuple[int, int]]) -> None:
        require_spatial(self.name, x)
        if self.before or self.channels:
            raise OpError(
                f'channels are padded with zeros, not by `mode="{self.mode}"`', parameter="mode"
            )
        for size, pair in zip(x.spatial, sides, strict=True):
            if self.mode == "reflect" and isinstance(size, int) and max(pair) >= size:
                raise OpError(
                    f"a mirror image has no more than {size - 1} of {size} positions, and "
                    f"{max(pair)} are wanted",
                    operand=0,
                    help='`mode="replicate"` repeats the border as often as is wanted',
                )

    @property
    def does_nothing(self) -> bool:
        return not (self.channels or self.before) and super().does_nothing

    @property
    def channel_rule(self) -> ChannelRule:
        return "select"

    @property
    def at_constant(self) -> Constancy:
        """Beside zeros it is the same but for the border; a mirror image of it is it."""
        return "constant" if self.mode != "zeros" or super().does_nothing else "border"

    def thinned(self, reads: Sequence[int], keeps: Sequence[int], *types: TensorType) -> Op:
        before = sum(channel < self.before for channel in keeps)
        return replace(self, before=before, channels=len(keeps) - before - len(reads))

    def selection(self, *types: TensorType) -> tuple[int | None, ...]:
        zeros: tuple[None, ...] = (None,)
        return zeros * self.before + tuple(range(types[0].channels)) + zeros * self.channels

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return () if self.mode == "zeros" else (Saved("input"),)

    def _flat(self, x: TensorType) -> tuple[int, ...]:
        """Torch's order: the last axis first, and of each axis the front, then the back."""
        return tuple(n for pair in reversed(self.sides(x)) for n in pair)

    def module(self, *types: TensorType) -> TorchModule | None:
        (x,) = types
        if self.before or self.channels or not x.rank:
            return None
        kind = {"zeros": "Zero", "reflect": "Reflection", "replicate": "Replication"}[self.mode]
        sides = TorchArg("padding", squeeze(self._flat(x)), positional=True)
        return TorchModule(f"nn.{kind}Pad{x.rank}d", (sides,))

    def function(self, *types: TensorType) -> TorchFunction:
        """Each number is an argument of its own: nets of one form may differ in one of them."""
        sides = self._flat(types[0])
        if self.before or self.channels or not sides:
            sides += (self.before, self.channels)
        names = [f"side{i}" if side else "0" for i, side in enumerate(sides)]
        places = ", ".join(f"{{{name}}}" if name != "0" else name for name in names)
        args = (TorchArg(n, side) for n, side in zip(names, sides, strict=True) if side)
        mode = "" if self.mode == "zeros" else f', mode="{self.mode}"'
        return TorchFunction(f"F.pad({{0}}, ({places}){mode})", tuple(args))


@dataclass(frozen=True)
class Crop(Border):
    """An image without some rows and columns at its sides, as in the first U-Net.

    `spatial` go on both sides of each spatial axis; `left`, `right`, `top`, `bottom`, `front` and
    `back` on single sides.
    """

    name: ClassVar[str] = "crop"
    opposite: ClassVar[str] = "pad"
    of_channels: ClassVar[str] = "`take` gives a part of the channels"

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        spatial: list[Dim] = []
        for size, pair in zip(x.spatial, self.sides(x), strict=True):
            if isinstance(size, int) and sum(pair) >= size:
                raise OpError(
                    f"`crop` by {sum(pair)} leaves nothing of an axis of {size}: its input is {x}",
                    operand=0,
                )
            spatial.append(size - sum(pair))
        return TensorType((x.channels, *spatial))

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    @property
    def at_constant(self) -> Constancy:
        return "constant"

    def view(self, *types: TensorType) -> bool:
        return True

    def function(self, *types: TensorType) -> TorchFunction:
        """`x[:, :, 1:-1, :-2]`: as it is for any size."""
        args: list[TorchArg] = []
        axes: list[str] = []
        for i, (before, after) in enumerate(self.sides(types[0])):
            start, stop = TorchArg(f"start{i}", before), TorchArg(f"stop{i}", -after)
            args += [arg for arg in (start, stop) if arg.value]
            axes.append(":".join(f"{{{arg.name}}}" if arg.value else "" for arg in (start, stop)))
        while axes and axes[-1] == ":":
            axes.pop()
        if not axes:
            return TorchFunction("{0}")
        return TorchFunction(f"{{0}}[:, :, {', '.join(axes)}]", tuple(args))
