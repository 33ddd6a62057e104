"""Convolutions by a computed weight, which is an operand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.border import both_sides
from archc.ops.convolution import convolved, enlarged, require_groups, same_padding
from archc.ops.op import (
    ChannelRule,
    Op,
    OpError,
    Saved,
    TensorType,
    TorchArg,
    TorchFunction,
    parameter,
    per_axis,
    require_spatial,
    squeeze,
)
from archc.ops.size import product


@dataclass(frozen=True)
class Applied(Op):
    """The base: of a tensor of the batch and a learned weight."""

    arity: ClassVar[int | None] = 2
    takes_learned: ClassVar[bool] = True

    def _check_kinds(self, x: TensorType, weight: TensorType) -> None:
        if not x.batched:
            raise OpError(
                f"`{self.name}` needs a tensor of the batch, but its 1st operand is the learned "
                f"tensor {x}",
                operand=0,
                help=f"the tensor comes first, then the weight: `{self.name}(x, weight)`"
                if weight.batched
                else None,
            )
        if weight.batched:
            raise OpError(
                f"the weight of `{self.name}` must be a learned tensor, but its 2nd operand "
                f"{weight} is one of the batch",
                operand=1,
                help="compute the weight from `param` alone, as in "
                f"`param([16, {x.channels}{', 3' * x.rank}]) -> sign_ste`",
            )

    def _refuse_weight(
        self, x: TensorType, weight: TensorType, shape: str, why: str = ""
    ) -> OpError:
        message = (
            f"the weight of `{self.name}` must be {shape} for the input {x}, not {weight}{why}"
        )
        return OpError(message, operand=1)

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input", 0), Saved("input", 1))

    @property
    def channel_rule(self) -> ChannelRule:
        """Its weight is not its own, so that no channel may leave."""
        return "grouped"


@dataclass(frozen=True)
class ApplyConv(Applied):
    """Convolution of a tensor by a computed weight, `[out, C // groups, *kernel]` without a batch
    axis: XNOR-Net's binary weights. `padding` is as in `conv`; there is no bias.
    """

    name: ClassVar[str] = "apply_conv"

    stride: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023, keyword=True)
    groups: int = parameter("int", 1, low=1, keyword=True)
    dilation: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023, keyword=True)
    padding: int | tuple[int, ...] | str = parameter(
        "padding", "same", low=0, high=1023, keyword=True
    )

    def channel_groups(self, *types: TensorType) -> int:
        return self.groups

    def _pads(self, kernel: tuple[int, ...]) -> tuple[int, ...]:
        if not isinstance(self.padding, str):
            return both_sides(self.name, self.padding, len(kernel))
        return same_padding(kernel, per_axis(self.dilation, len(kernel), "dilation"))

    def rule(self, *types: TensorType) -> TensorType:
        x, weight = types
        self._check_kinds(x, weight)
        require_spatial(self.name, x)
        shape = f"[out, {x.channels // self.groups}{', kernel' * x.rank}]"
        if len(weight.shape) != x.rank + 2:
            raise self._refuse_weight(x, weight, shape)
        require_groups(self.groups, x.channels, weight.channels)
        if weight.shape[1] != x.channels // self.groups:
            why = f": {weight.shape[1]} is not {x.channels // self.groups}"
            raise self._refuse_weight(x, weight, shape, why)
        kernel = _kernel_of(weight)
        spatial = convolved(
            self.name,
            x,
            kernel,
            per_axis(self.stride, x.rank, "stride"),
            self._pads(kernel),
            per_axis(self.dilation, x.rank, "dilation"),
        )
        return TensorType((weight.channels, *spatial))

    def macs(self, types: Sequence[TensorType], out: TensorType) -> int | None:
        positions, elements = product(out.spatial), types[1].elements
        assert elements is not None
        return None if positions is None else elements * positions

    def function(self, *types: TensorType) -> TorchFunction:
        x, weight = types
        return TorchFunction(
            f"F.conv{x.rank}d({{0}}, {{1}}, {{args}})",
            (
                TorchArg("stride", squeeze(self.stride), 1),
                TorchArg("padding", squeeze(self._pads(_kernel_of(weight))), 0),
                TorchArg("dilation", squeeze(self.dilation), 1),
                TorchArg("groups", self.groups, 1),
            ),
        )


@dataclass(frozen=True)
class ApplyConvTranspose(Applied):
    """Transposed convolution by a computed weight, `[C, out // groups, *kernel]` without a batch
    axis: with the weight of an `apply_conv` it goes the way back (tied weights). The sizes are
    those of `conv_transpose`; there is no bias.
    """

    name: ClassVar[str] = "apply_conv_transpose"

    stride: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023, keyword=True)
    padding: int | tuple[int, ...] = parameter("sizes", 0, low=0, high=1023, keyword=True)
    output_padding: int | tuple[int, ...] = parameter("sizes", 0, low=0, high=1023, keyword=True)
    groups: int = parameter("int", 1, low=1, keyword=True)
    dilation: int | tuple[int, ...] = parameter("sizes", 1, low=1, high=1023, keyword=True)

    def channel_groups(self, *types: TensorType) -> int:
        return self.groups

    def rule(self, *types: TensorType) -> TensorType:
        x, weight = types
        self._check_kinds(x, weight)
        require_spatial(self.name, x)
        shape = f"[{x.channels}, out // groups{', kernel' * x.rank}]"
        if len(weight.shape) != x.rank + 2:
            raise self._refuse_weight(x, weight, shape)
        if weight.channels != x.channels:
            why = f": {weight.channels} is not {x.channels}"
            raise self._refuse_weight(x, weight, shape, why)
        out = self._out(weight)
        require_groups(self.groups, x.channels, out)
        spatial = enlarged(
            self.name,
            x,
            _kernel_of(weight),
            per_axis(self.stride, x.rank, "stride"),
            both_sides(self.name, self.padding, x.rank),
            per_axis(self.output_padding, x.rank, "output_padding"),
            per_axis(self.dilation, x.rank, "dilation"),
        )
        return TensorType((out, *spatial))

    def _out(self, weight: TensorType) -> int:
        each = weight.shape[1]
        assert isinstance(each, int)
        return each * self.groups

    def macs(self, types: Sequence[TensorType], out: TensorType) -> int | None:
        positions, elements = product(types[0].spatial), types[1].elements
        assert elements is not None
        return None if positions is None else elements * positions

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction(
            f"F.conv_transpose{types[0].rank}d({{0}}, {{1}}, {{args}})",
            (
                TorchArg("stride", squeeze(self.stride), 1),
                TorchArg("padding", squeeze(self.padding), 0),
                TorchArg("output_padding", squeeze(self.output_padding), 0),
                TorchArg("groups", self.groups, 1),
                TorchArg("dilation", squeeze(self.dilation), 1),
            ),
        )


def _kernel_of(weight: TensorType) -> tuple[int, ...]:
    """A weight's spatial sizes, which are numbers: no learned tensor has symbolic ones."""
    return tuple(size for size in weight.shape[2:] if isinstance(size, int))
