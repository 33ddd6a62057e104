"""Images of another size by interpolation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.op import (
    ChannelRule,
    Constancy,
    Dim,
    Op,
    OpError,
    TensorType,
    TorchArg,
    TorchFunction,
    TorchModule,
    parameter,
    per_axis,
    require_spatial,
    squeeze,
)

_ALIGNED = ("bilinear", "bicubic")


@dataclass(frozen=True)
class Upsample(Op):
    """An image enlarged by whole factors (`scale`), or brought to a `size`, or to that of another
    tensor, `like=y`.

    `bilinear` and `bicubic` leave the corners unaligned unless `align_corners` is set, as in torch.
    With one or three spatial axes, `bilinear` is linear or trilinear interpolation; `bicubic` is
    for two.
    """

    name: ClassVar[str] = "upsample"

    scale: int | tuple[int, ...] | None = parameter(
        "sizes", low=1, high=1023, optional=True, keyword=True
    )
    mode: str = parameter("string", "nearest", choices=("nearest", *_ALIGNED), keyword=True)
    size: int | tuple[int, ...] | None = parameter(
        "sizes", low=1, high=65536, optional=True, keyword=True
    )
    like: bool | None = parameter("tensor", optional=True, keyword=True)
    align_corners: bool = parameter("bool", False, keyword=True)

    def __post_init__(self) -> None:
        given = [name for name in ("scale", "size", "like") if getattr(self, name) is not None]
        if not given:
            raise OpError(
                "`upsample` needs one of `scale`, `size` and `like`",
                help="`upsample(scale=2)` doubles an image, `upsample(size=[64, 64])` gives it a "
                "size, and `upsample(like=y)` the size of a tensor",
            )
        if len(given) > 1:
            words = ", ".join(f"`{name}`" for name in given[:-1])
            raise OpError(
                f"`upsample` needs one of `scale`, `size` and `like`, not {words} and "
                f"`{given[-1]}`",
                help="give one of them",
            )
        if self.align_corners and self.mode not in _ALIGNED:
            raise OpError(
                f'`align_corners` is for `bilinear` and `bicubic`, and the mode is "{self.mode}"',
                help='give the mode, too: `mode="bilinear"`',
            )

    @property
    def arity(self) -> int:  # type: ignore[override]  # the other operators have one arity a class
        """The tensor that is `like`d is an operand, of which the shape is read."""
        return 2 if self.like else 1

    def rule(self, *types: TensorType) -> TensorType:
        x = types[0]
        require_spatial(self.name, x)
        if self.mode == "bicubic" and x.rank != 2:
            raise OpError(
                f"`bicubic` is for 2 spatial axes, and the input is {x}", parameter="mode"
            )
        return TensorType((x.channels, *self._spatial(*types)))

    def _spatial(self, x: TensorType, y: TensorType | None = None) -> Sequence[Dim]:
        if self.size is not None:
            return per_axis(self.size, x.rank, "size")
        if self.scale is not None:
            scale = per_axis(self.scale, x.rank, "scale")
            return [n * f for n, f in zip(x.spatial, scale, strict=True)]
        assert y is not None
        if y.rank != x.rank:
            raise OpError(
                f"`like` is {y}, which has other spatial axes than the input {x}",
                operand=1,
                parameter="like",
            )
        return y.spatial

    @property
    def channel_rule(self) -> ChannelRule:
        return "select" if self.like else "same"

    @property
    def at_constant(self) -> Constancy:
        return "constant"

    def thinned(self, reads: Sequence[int], keeps: Sequence[int], *types: TensorType) -> Op:
        return self

    def selection(self, *types: TensorType) -> tuple[int | None, ...]:
        return tuple(range(types[0].channels))

    def _args(self, rank: int) -> tuple[TorchArg, ...]:
        linear = ("linear", "bilinear", "trilinear")[rank - 1]
        mode = linear if self.mode == "bilinear" else self.mode
        sizes: tuple[TorchArg, ...] = ()
        if self.scale is not None:
            sizes = (TorchArg("scale_factor", squeeze(self.scale)),)
        if self.size is not None:
            sizes = (TorchArg("size", squeeze(self.size)),)
        corners = TorchArg("align_corners", self.align_corners, False)
        return (*sizes, TorchArg("mode", mode, "nearest"), corners)

    def module(self, *types: TensorType) -> TorchModule | None:
        return None if self.like else TorchModule("nn.Upsample", self._args(types[0].rank))

    def function(self, *types: TensorType) -> TorchFunction:
        args = self._args(types[0].rank)
        if self.like:
            return TorchFunction("F.interpolate({0}, {1}.shape[2:], {args})", args)
        return TorchFunction("F.interpolate({0}, {args})", args)
