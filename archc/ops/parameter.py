"""Learned tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from archc.ops.op import (
    ChannelRule,
    Constancy,
    Op,
    Saved,
    TensorType,
    TorchArg,
    TorchModule,
    Weight,
    parameter,
)

_CONSTRUCTORS = {"zeros": "torch.zeros", "ones": "torch.ones", "normal": "torch.randn"}


@dataclass(frozen=True)
class Param(Op):
    """A learned tensor of `[C, *S]`, without a batch axis: one value for all samples.

    It is to be added to tensors of the batch, or multiplied with them. `normal` draws from the
    normal distribution of mean 0 and standard deviation `std`.
    """

    name: ClassVar[str] = "param"
    arity: ClassVar[int | None] = 0

    shape: tuple[int, ...] = parameter("shape", low=1)
    init: str = parameter("string", "zeros", choices=tuple(_CONSTRUCTORS))
    std: float = parameter("float", 1.0, above=0, keyword=True)

    def rule(self, *types: TensorType) -> TensorType:
        return TensorType(self.shape, batched=False)

    def weights(self, *types: TensorType) -> tuple[Weight, ...]:
        return (Weight("", self.shape),)

    @property
    def channel_rule(self) -> ChannelRule:
        return "source"

    def thinned(self, reads: Sequence[int], keeps: Sequence[int], *types: TensorType) -> Op:
        return replace(self, shape=(len(keeps), *self.shape[1:]))

    @property
    def at_zero(self) -> float | None:
        return None

    def module(self, *types: TensorType) -> TorchModule:
        sizes = (TorchArg(f"size{i}", n, positional=True) for i, n in enumerate(self.shape))
        times = self.std if self.init == "normal" else 1.0
        return TorchModule(_CONSTRUCTORS[self.init], tuple(sizes), parameter=True, times=times)


@dataclass(frozen=True)
class Scale(Op):
    """Each channel times a learned factor that begins as `init`: ConvNeXt's layer scale.

    The factor is a parameter of the module around it, of shape `[C, 1, ...]`, as in torchvision: no
    module of its own. A learned shift is `+ param([x.channels, 1, 1])`.
    """

    name: ClassVar[str] = "scale"

    init: float = parameter("float", 1.0, keyword=True)

    def rule(self, *types: TensorType) -> TensorType:
        return types[0]

    def weights(self, *types: TensorType) -> tuple[Weight, ...]:
        return (Weight("", self._shape(types[0])),)

    def _shape(self, x: TensorType) -> tuple[int, ...]:
        return (x.channels, *(1,) * x.rank)

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input"),)

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    @property
    def at_constant(self) -> Constancy:
        return "constant"

    def module(self, *types: TensorType) -> TorchModule:
        shape = self._shape(types[0])
        sizes = (TorchArg(f"size{i}", n, positional=True) for i, n in enumerate(shape))
        return TorchModule(
            "torch.zeros" if self.init == 0 else "torch.ones",
            tuple(sizes),
            parameter=True,
            times=self.init or 1.0,
            use="{0} * {layer}",
        )
