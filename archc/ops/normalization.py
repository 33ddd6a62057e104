"""Normalisation: over the batch, the channels, groups of channels, or each channel."""

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
    TorchFunction,
    TorchModule,
    Weight,
    parameter,
    require_spatial,
)


@dataclass(frozen=True)
class BatchNorm(Op):
    """Batch normalisation, 1d, 2d or 3d by its input; vectors and sequences take the 1d form.

    Training normalises by the batch's mean and biased variance and moves the running statistics
    (the variance unbiased) by `momentum`; evaluation uses those.
    """

    name: ClassVar[str] = "bn"

    eps: float = parameter("float", 1e-5, above=0, high=1, keyword=True)
    momentum: float = parameter("float", 0.1, low=0, high=1, keyword=True)
    affine: bool = parameter("bool", True, keyword=True)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if x.rank > 3:
            raise OpError(f"`bn` takes at most 3 spatial axes, but its input is {x}", operand=0)
        return x

    def weights(self, *types: TensorType) -> tuple[Weight, ...]:
        shape = (types[0].channels,)
        trained = (Weight("weight", shape), Weight("bias", shape)) if self.affine else ()
        return (
            *trained,
            Weight("running_mean", shape, trained=False),
            Weight("running_var", shape, trained=False),
            Weight("num_batches_tracked", (), trained=False, dtype="int64"),
        )

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """The input, and the batch's mean and reciprocal deviation."""
        vector = Saved("new", shape=(out.channels,), dtype="float32", per_sample=False)
        return (Saved("input"), vector, vector)

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    @property
    def at_zero(self) -> float | None:
        return None

    @property
    def initialised(self) -> tuple[str, ...]:
        return ("bn_weight",) if self.affine else ()

    def module(self, *types: TensorType) -> TorchModule:
        (x,) = types
        return TorchModule(
            f"nn.BatchNorm{max(x.rank, 1)}d",
            (
                TorchArg("num_features", x.channels, positional=True),
                TorchArg("eps", self.eps, 1e-5),
                TorchArg("momentum", self.momentum, 0.1),
                TorchArg("affine", self.affine, True),
            ),
        )


class SampleNorm(Op):
    """The base of norms that treat each sample alone: no running statistics, so that training and
    evaluation do the same."""

    affine: bool
    """A learned scale and shift for each channel. Subclasses declare the field, in their order."""

    def rule(self, *types: TensorType) -> TensorType:
        return types[0]

    def weights(self, *types: TensorType) -> tuple[Weight, ...]:
        shape = (types[0].channels,)
        return (Weight("weight", shape), Weight("bias", shape)) if self.affine else ()

    @property
    def channel_rule(self) -> ChannelRule:
        return "grouped"

    @property
    def at_zero(self) -> float | None:
        return None if self.affine else 0.0


@dataclass(frozen=True)
class LayerNorm(SampleNorm):
    """Normalises the channels at each position by their mean and biased variance.

    It is ConvNeXt's norm (and, for vectors, the usual one). `group_norm(1)` normalises channels and
    positions together.
    """

    name: ClassVar[str] = "layer_norm"

    eps: float = parameter("float", 1e-5, above=0, high=1, keyword=True)
    affine: bool = parameter("bool", True, keyword=True)

    def channel_groups(self, *types: TensorType) -> int:
        return 1

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """The input, and each position's mean and reciprocal deviation."""
        position = Saved("new", shape=out.spatial, dtype="float32")
        return (Saved("input"), position, position)

    def module(self, *types: TensorType) -> TorchModule:
        (x,) = types
        args = (
            TorchArg("normalized_shape", x.channels, positional=True),
            TorchArg("eps", self.eps, 1e-5),
            TorchArg("elementwise_affine", self.affine, True),
        )
        if not x.rank:
            return TorchModule("nn.LayerNorm", args)
        return TorchModule("nn.LayerNorm", args, "{layer}({0}.movedim(1, -1)).movedim(-1, 1)")

    def function(self, *types: TensorType) -> TorchFunction | None:
        if self.affine:
            return None
        (x,) = types
        args = (TorchArg("channels", x.channels), TorchArg("eps", self.eps))
        rest = "({channels},), eps={eps})" if self.eps != 1e-5 else "({channels},))"
        if not x.rank:
            return TorchFunction(f"F.layer_norm({{0}}, {rest}", args)
        text = f"F.layer_norm({{0}}.movedim(1, -1), {rest}.movedim(-1, 1)"
        return TorchFunction(text, args)


@dataclass(frozen=True)
class GroupNorm(SampleNorm):
    """Normalises each of `groups` groups of channels by its mean and biased variance over channels
    and positions."""

    name: ClassVar[str] = "group_norm"

    groups: int = parameter("int", low=1)
    eps: float = parameter("float", 1e-5, above=0, high=1, keyword=True)
    affine: bool = parameter("bool", True, keyword=True)

    def channel_groups(self, *types: TensorType) -> int:
        return self.groups

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        if x.channels % self.groups:
            raise OpError(
                f"`groups={self.groups}` must divide the {x.channels} input channels",
                parameter="groups",
            )
        if x.elements == self.groups:
            raise OpError(
                f"`group_norm` in {self.groups} groups of the input {x} normalises single values, "
                "which gives zeros",
                parameter="groups",
                help="give fewer groups",
            )
        return x

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """The input, and each group's mean and reciprocal deviation."""
        group = Saved("new", shape=(self.groups,), dtype="float32")
        return (Saved("input"), group, group)

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule(
            "nn.GroupNorm",
            (
                TorchArg("num_groups", self.groups, positional=True),
                TorchArg("num_channels", types[0].channels, positional=True),
                TorchArg("eps", self.eps, 1e-5),
                TorchArg("affine", self.affine, True),
            ),
        )

    def function(self, *types: TensorType) -> TorchFunction | None:
        if self.affine:
            return None
        args = (
            TorchArg("num_groups", self.groups, positional=True),
            TorchArg("eps", self.eps, 1e-5),
        )
        return TorchFunction("F.group_norm({0}, {args})", args)


@dataclass(frozen=True)
class InstanceNorm(SampleNorm):
    """Normalises each channel by its mean and biased variance over all positions.

    As in torch, there is no learned scale and shift unless asked for, and no running statistics.
    """

    name: ClassVar[str] = "instance_norm"

    eps: float = parameter("float", 1e-5, above=0, high=1, keyword=True)
    affine: bool = parameter("bool", False, keyword=True)

    def rule(self, *types: TensorType) -> TensorType:
        (x,) = types
        require_spatial(self.name, x)
        if x.elements == x.channels:
            raise OpError(
                f"`instance_norm` normalises over positions, and its input {x} has only one",
                operand=0,
                help="put it before the pool",
            )
        return x

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """The input, each channel's mean and reciprocal deviation, and the scales as often as
        there are samples."""
        channel = Saved("new", shape=(out.channels,), dtype="float32")
        scales = (Saved("new", shape=(out.channels,)),) if self.affine else ()
        return (Saved("input"), channel, channel, *scales)

    def module(self, *types: TensorType) -> TorchModule:
        (x,) = types
        return TorchModule(
            f"nn.InstanceNorm{x.rank}d",
            (
                TorchArg("num_features", x.channels, positional=True),
                TorchArg("eps", self.eps, 1e-5),
                TorchArg("affine", self.affine, False),
            ),
        )

    def function(self, *types: TensorType) -> TorchFunction | None:
        if self.affine:
            return None
        return TorchFunction("F.instance_norm({0}, {args})", (TorchArg("eps", self.eps, 1e-5),))
