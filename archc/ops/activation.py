"""Elementwise functions of one tensor, and softmax."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from archc.ops.op import (
    ChannelRule,
    Constancy,
    Op,
    Saved,
    TensorType,
    TorchArg,
    TorchFunction,
    TorchModule,
    parameter,
)


@dataclass(frozen=True)
class Elementwise(Op):
    """The base of operators that keep the shape and treat every element alike."""

    takes_learned: ClassVar[bool] = True

    def rule(self, *types: TensorType) -> TensorType:
        return types[0]

    @property
    def channel_rule(self) -> ChannelRule:
        return "same"

    @property
    def at_constant(self) -> Constancy:
        return "live" if self.random else "constant"


@dataclass(frozen=True)
class Activation(Elementwise):
    """The base of activations: torch has each as a module and as a function, and its backward pass
    needs the input or the output."""

    torch_module: ClassVar[str]
    torch_function: ClassVar[str]
    keeps: ClassVar[Literal["input", "output"]] = "input"

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved(self.keeps),)

    def args(self) -> tuple[TorchArg, ...]:
        """Its hyperparameters as torch's."""
        return ()

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule(self.torch_module, self.args())

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction(f"{self.torch_function}({{0}}, {{args}})", self.args())


@dataclass(frozen=True)
class Relu(Activation):
    """`max(x, 0)`, with gradient 0 at 0."""

    name: ClassVar[str] = "relu"
    torch_module: ClassVar[str] = "nn.ReLU"
    torch_function: ClassVar[str] = "torch.relu"
    keeps: ClassVar[Literal["input", "output"]] = "output"


@dataclass(frozen=True)
class Relu6(Activation):
    """`min(max(x, 0), 6)`."""

    name: ClassVar[str] = "relu6"
    torch_module: ClassVar[str] = "nn.ReLU6"
    torch_function: ClassVar[str] = "F.relu6"


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """`x`, times `slope` where it is negative."""

    name: ClassVar[str] = "leaky_relu"
    torch_module: ClassVar[str] = "nn.LeakyReLU"
    torch_function: ClassVar[str] = "F.leaky_relu"

    slope: float = parameter("float", 0.01, low=0, high=1)

    def args(self) -> tuple[TorchArg, ...]:
        return (TorchArg("negative_slope", self.slope, 0.01, positional=True),)


@dataclass(frozen=True)
class Gelu(Activation):
    """`x` times the normal distribution function of x, or its approximation by `tanh`."""

    name: ClassVar[str] = "gelu"
    torch_module: ClassVar[str] = "nn.GELU"
    torch_function: ClassVar[str] = "F.gelu"

    approximate: str = parameter("string", "none", choices=("none", "tanh"))

    def args(self) -> tuple[TorchArg, ...]:
        return (TorchArg("approximate", self.approximate, "none"),)


@dataclass(frozen=True)
class Silu(Activation):
    """`x * sigmoid(x)`, also called swish."""

    name: ClassVar[str] = "silu"
    torch_module: ClassVar[str] = "nn.SiLU"
    torch_function: ClassVar[str] = "F.silu"


@dataclass(frozen=True)
class Sigmoid(Activation):
    """`1 / (1 + exp(-x))`."""

    name: ClassVar[str] = "sigmoid"
    torch_module: ClassVar[str] = "nn.Sigmoid"
    torch_function: ClassVar[str] = "torch.sigmoid"
    keeps: ClassVar[Literal["input", "output"]] = "output"

    @property
    def at_zero(self) -> float | None:
        return 0.5


@dataclass(frozen=True)
class HardSigmoid(Activation):
    """`min(max(x + 3, 0), 6) / 6`."""

    name: ClassVar[str] = "hard_sigmoid"
    torch_module: ClassVar[str] = "nn.Hardsigmoid"
    torch_function: ClassVar[str] = "F.hardsigmoid"

    @property
    def at_zero(self) -> float | None:
        return 0.5


@dataclass(frozen=True)
class HardSwish(Activation):
    """`x * hard_sigmoid(x)`."""

    name: ClassVar[str] = "hard_swish"
    torch_module: ClassVar[str] = "nn.Hardswish"
    torch_function: ClassVar[str] = "F.hardswish"


@dataclass(frozen=True)
class Tanh(Activation):
    """The hyperbolic tangent."""

    name: ClassVar[str] = "tanh"
    torch_module: ClassVar[str] = "nn.Tanh"
    torch_function: ClassVar[str] = "torch.tanh"
    keeps: ClassVar[Literal["input", "output"]] = "output"


@dataclass(frozen=True)
class SignSte(Elementwise):
    """The sign of x: -1, 0 or 1. The gradient passes straight through where |x| <= 1, else it is 0
    (XNOR-Net, Rastegari et al., 2016)."""

    name: ClassVar[str] = "sign_ste"
    intermediates: ClassVar[int] = 3
    runtime: ClassVar[tuple[str, ...]] = ("sign_ste",)

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("input"),)

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("sign_ste({0})")


@dataclass(frozen=True)
class Softmax(Op):
    """`exp(x)` divided by its sum over the channels, at each position."""

    name: ClassVar[str] = "softmax"

    def rule(self, *types: TensorType) -> TensorType:
        return types[0]

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        return (Saved("output"),)

    @property
    def channel_rule(self) -> ChannelRule:
        return "grouped"

    def channel_groups(self, *types: TensorType) -> int:
        return 1

    @property
    def at_zero(self) -> float | None:
        """One over the number of channels."""
        return None

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule("nn.Softmax", (TorchArg("dim", 1, positional=True),))

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0}.softmax(1)")


@dataclass(frozen=True)
class Identity(Elementwise):
    """Its input."""

    name: ClassVar[str] = "identity"

    def view(self, *types: TensorType) -> bool:
        return True

    def module(self, *types: TensorType) -> TorchModule:
        return TorchModule("nn.Identity")

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0}")


@dataclass(frozen=True)
class StopGradient(Elementwise):
    """Its input, through which no gradient flows back."""

    name: ClassVar[str] = "stop_gradient"

    def view(self, *types: TensorType) -> bool:
        return True

    def function(self, *types: TensorType) -> TorchFunction:
        return TorchFunction("{0}.detach()")
