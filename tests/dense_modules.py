"""Dense blocks as plain modules that may share their storage, for the tests of the runtime."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.runtime.dense_block import dense_block, shares_storage
from archc.runtime.memory import set_memory

NORMS: dict[int, Any] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
CONVS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}

Layout = torch.memory_format
Memories = str | Sequence[str]


@dataclass(frozen=True)
class Shape:
    """What a dense block is: one growth a layer, a bottleneck of `width` channels or none."""

    channels: int = 5
    growths: tuple[int, ...] = (3, 2, 4)
    width: int | None = 6
    axes: int = 2
    kernel: int = 3
    dilation: int = 1
    groups: int = 1
    bias: bool = False
    dropout: float = 0.0
    selected: bool = False
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track: bool = True


class Layer(nn.Module):
    """relu(norm), convolution, dropout; once or twice."""

    select: Tensor | None

    def __init__(self, shape: Shape, channels: int, growth: int) -> None:
        super().__init__()
        norm, conv = NORMS[shape.axes], CONVS[shape.axes]
        norm_settings = {
            "eps": shape.eps,
            "momentum": shape.momentum,
            "affine": shape.affine,
            "track_running_stats": shape.track,
        }
        settings = {
            "padding": shape.dilation * (shape.kernel - 1) // 2,
            "dilation": shape.dilation,
            "groups": shape.groups,
            "bias": shape.bias,
        }
        kept = torch.randperm(channels)[: max(2, channels - 2)].sort().values
        self.register_buffer("select", kept if shape.selected else None)
        read = len(kept) if shape.selected else channels
        self.dropout = shape.dropout
        self.norm1 = norm(read, **norm_settings)
        self.norm2: Any = None
        self.conv2: Any = None
        if shape.width is None:
            self.conv1 = conv(read, growth, shape.kernel, **settings)
            return
        self.conv1 = conv(read, shape.width, 1, bias=shape.bias)
        self.norm2 = norm(shape.width, **norm_settings)
        self.conv2 = conv(shape.width, growth, shape.kernel, **settings)

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.select is None else x.index_select(1, self.select)
        y = F.dropout(self.conv1(torch.relu(self.norm1(y))), self.dropout, self.training)
        if self.conv2 is not None:
            y = F.dropout(self.conv2(torch.relu(self.norm2(y))), self.dropout, self.training)
        return torch.cat([x, y], 1)


class Block(nn.Module):
    """A dense block as emitted code writes it."""

    def __init__(self, shape: Shape, memory: Memories = "keep") -> None:
        super().__init__()
        channels = shape.channels
        for i, growth in enumerate(shape.growths):
            self.add_module(f"layer{i}", Layer(shape, channels, growth))
            channels += growth
        set_memory(self, memory)

    def layers(self) -> Iterator[Layer]:
        return (layer for layer in self.children() if isinstance(layer, Layer))

    def forward(self, x: Tensor) -> Tensor:
        if shares_storage(self, x):
            return dense_block(self, x)
        for layer in self.children():
            x = layer(x)
        return x


def block(shape: Shape, memory: Memories = "off", dtype: torch.dtype = torch.float64) -> Block:
    """One with scales of both signs, and running statistics that differ from layer to layer."""
    torch.manual_seed(7)
    made = Block(shape, memory).to(dtype)
    for norm in norms(made):
        disturb(norm)
    return made


def disturb(norm: nn.modules.batchnorm._BatchNorm) -> None:
    """Give a norm weights and running statistics as of a net in the middle of its training."""
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
        if norm.running_mean is not None and norm.running_var is not None:
            norm.running_mean.add_(torch.randn_like(norm.running_mean) * 0.3)
            norm.running_var.mul_(1 + torch.rand_like(norm.running_var))


def norms(module: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def order_weights(module: nn.Module, layout: Layout) -> None:
    """Give the weights of the module's convolutions this order in memory."""
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d | nn.Conv3d):
            with torch.no_grad():
                conv.weight.data = conv.weight.contiguous(memory_format=layout)


def conditioned(module: nn.Module, x: Tensor) -> bool:
    """Whether every norm sees variances above 1e-3, and means below 1000 standard deviations.

    Beyond that the plain modules, too, give gradients that are rounding for the most part.
    """
    seen: list[Tensor] = []
    module = copy.deepcopy(module)
    for norm in norms(module):
        norm.register_forward_pre_hook(lambda _norm, args: seen.append(args[0]))
    with torch.no_grad():
        module(x)
    for features in seen:
        variance, mean = torch.var_mean(features.transpose(0, 1).flatten(1), 1)
        if bool((variance < 1e-3).any() or (mean.abs() > 1e3 * variance.sqrt()).any()):
            return False
    return True


def images(shape: Shape, batch: int = 3, size: int = 5, layout: Layout | None = None) -> Tensor:
    """Of uneven sides; a row is longer, as of few pixels only rounding is left in a gradient."""
    sizes = [size + axis for axis in range(shape.axes)] if shape.axes > 1 else [4 * size]
    torch.manual_seed(3)
    x = torch.randn(batch, shape.channels, *sizes, dtype=torch.float64) * 1.5 + 0.5
    return x if layout is None else x.contiguous(memory_format=layout)


@dataclass(frozen=True)
class Step:
    """What a forward and a backward pass leave."""

    output: Tensor
    input_gradient: Tensor
    gradients: dict[str, Tensor]
    buffers: dict[str, Tensor]


def step(module: nn.Module, x: Tensor, seed: int = 11) -> Step:
    """One of a copy of the module, for a fixed gradient of the output."""
    module, x = copy.deepcopy(module), x.detach().clone().requires_grad_()
    torch.manual_seed(seed)
    output = module(x)
    generator = torch.Generator().manual_seed(seed)
    output.backward(torch.randn(output.shape, generator=generator, dtype=output.dtype))
    assert x.grad is not None
    gradients = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in module.named_parameters()
    }
    return Step(output.detach(), x.grad, gradients, dict(module.named_buffers()))


def error(ours: Step, plain: Step) -> float:
    """The largest relative error; the scale of a gradient is the largest one of its dense layer."""
    assert list(ours.gradients) == list(plain.gradients)
    scales: dict[str, float] = {}
    for name, gradient in plain.gradients.items():
        layer = name.partition(".")[0]
        scales[layer] = max(scales.get(layer, 0.0), float(gradient.abs().max()))
    errors = [
        _relative(ours.output, plain.output),
        _relative(ours.input_gradient, plain.input_gradient),
        *(
            _relative(ours.gradients[name], gradient, scales[name.partition(".")[0]])
            for name, gradient in plain.gradients.items()
        ),
        *(
            _relative(ours.buffers[name].double(), buffer.double())
            for name, buffer in plain.buffers.items()
        ),
    ]
    return max(errors)


def _relative(ours: Tensor, plain: Tensor, scale: float = 0.0) -> float:
    assert ours.shape == plain.shape
    largest = max(float(plain.abs().max()), scale)
    difference = float((ours - plain).abs().max())
    return difference / largest if largest else difference


def identical(a: Step, b: Step) -> bool:
    pairs = [(a.output, b.output), (a.input_gradient, b.input_gradient)]
    pairs += zip(a.gradients.values(), b.gradients.values(), strict=True)
    pairs += zip(a.buffers.values(), b.buffers.values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)
