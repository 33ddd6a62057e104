"""Elementwise functions of one tensor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.op import CALL, ChannelRule, Op, Saved, TensorType, TorchFunction, TorchModule


@dataclass(frozen=True)
class Elementwise(Op):
    """The base of operators that keep the shape and treat every element alike."""

    takes_learned: ClassVar[bool] = True

    def rule(self, *types: TensorType) -> TensorType:
        return types[0]

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"


@dataclass(frozen=True)
class Relu(Elementwise):
    """`max(x, 0)`, with gradient 0 at 0."""

    name: ClassVar[str] = "relu"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("output"),)

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule("nn.ReLU")

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("torch.relu({0})")


@dataclass(frozen=True)
class Sigmoid(Elementwise):
    """`1 / (1 + exp(-x))`."""

    name: ClassVar[str] = "sigmoid"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("output"),)

    @property
    def at_zero(self) -> float | None:
        return 0.5

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule("nn.Sigmoid")

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("torch.sigmoid({0})")


@dataclass(frozen=True)
class Identity(Elementwise):
    """Its input."""

    name: ClassVar[str] = "identity"

    def view(self, *types: TensorType) -> bool:
        return True

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule("nn.Identity")

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0}", needs=(CALL,))


@dataclass(frozen=True)
class StopGradient(Elementwise):
    """Its input, through which no gradient flows back."""

    name: ClassVar[str] = "stop_gradient"

    def view(self, *types: TensorType) -> bool:
        return True

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0}.detach()", needs=(CALL,))
