"""Batch normalisation."""

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
)


@dataclass(frozen=True)
class BatchNorm(Op):
    """Batch normalisation, 1d, 2d or 3d by its input; vectors and sequences take the 1d form.

    Training normalises by the batch's mean and biased variance and moves the running statistics
    (the variance unbiased) by `momentum`; evaluation uses those.
    """

    name: ClassVar[str] = "bn"

    eps: float = parameter("float", 1e-5, above=0, high=1)
    momentum: float = parameter("float", 0.1, low=0, high=1)
    affine: bool = parameter("bool", True)

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
