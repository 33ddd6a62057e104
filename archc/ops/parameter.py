"""A learned tensor."""

from dataclasses import dataclass
from typing import ClassVar

from archc.ops.op import ChannelRule, Op, TensorType, TorchArg, TorchModule, Weight, parameter

_CONSTRUCTORS = {"zeros": "torch.zeros", "ones": "torch.ones", "normal": "torch.randn"}


@dataclass(frozen=True)
class Param(Op):
    """A learned tensor of `[C, *S]`, without a batch axis: one value for all samples.

    It is to be added to tensors of the batch, or multiplied with them. `normal` draws from the
    standard normal distribution.
    """

    name: ClassVar[str] = "param"
    arity: ClassVar[int | None] = 0

    shape: tuple[int, ...] = parameter("shape", low=1)
    init: str = parameter("string", "zeros", choices=tuple(_CONSTRUCTORS))

    def rule(self, *types: TensorType) -> TensorType:
        return TensorType(self.shape, batched=False)

    def weights(self, *types: TensorType) -> tuple[Weight, ...]:
        return (Weight("", self.shape),)

    @property
    def channel_rule(self) -> ChannelRule:
        return "source"

    @property
    def at_zero(self) -> float | None:
        return None

    def module(self, *types: TensorType) -> TorchModule:
        sizes = (TorchArg(f"size{i}", n, positional=True) for i, n in enumerate(self.shape))
        return TorchModule(_CONSTRUCTORS[self.init], tuple(sizes), parameter=True)
