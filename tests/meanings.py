"""What operators without weights mean, one slow function each: a part of the interpreter."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from archc.ops.activation import Gelu, LeakyRelu
from archc.ops.arithmetic import Affine
from archc.ops.op import Op
from archc.ops.rearrangement import ChannelShuffle, PixelShuffle, Reshape, SpaceToDepth
from archc.ops.regularization import DropBlock, MaxDropout

Weights = Mapping[str, Tensor]
Tensors = Sequence[Tensor]

Meaning = TypeVar("Meaning", bound=Callable[..., Tensor])

FORMULAS: set[str] = set()
"""Operators whose meaning is the formula of the documentation: torch's result rounds in another
way, so that it is compared within a tolerance. That of the others is equal bit for bit."""


def formula(meaning: Meaning) -> Meaning:
    """Before a meaning that is a formula."""
    FORMULAS.add(meaning.__name__)
    return meaning


class StraightThrough(torch.autograd.Function):
    """The sign; backward, the gradient where |x| <= 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.sign(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.where(torch.abs(x) <= 1, gradient, torch.zeros_like(gradient))


class Shaken(torch.autograd.Function):
    """One draw for the sum, another for the gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, ahead: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        return ahead * x + (1 - ahead) * y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (back,) = ctx.saved_tensors
        return back * gradient, (1 - back) * gradient, None, None


class Noise:
    """What training disturbs."""

    @formula
    def shake_shake(self, op: Op, xs: Tensors, weights: Weights, training: bool) -> Tensor:
        x, y = xs
        if not training:
            return 0.5 * x + 0.5 * y
        draws = torch.rand([2, len(x)], dtype=x.dtype).reshape(2, len(x), *[1] * (x.dim() - 1))
        mixed: Tensor = Shaken.apply(x, y, *draws)  # type: ignore[no-untyped-call]
        return mixed

    @formula
    def drop_block(self, op: DropBlock, xs: Tensors, weights: Weights, training: bool) -> Tensor:
        """Each block by itself, from its first position on."""
        (x,) = xs
        if not training or op.rate == 0:
            return x
        sizes = list(x.shape[2:])
        block = [min(op.block, size) for size in sizes]
        fit = [size - inside + 1 for size, inside in zip(sizes, block, strict=True)]
        gamma = op.rate
        for size, inside, places in zip(sizes, block, fit, strict=True):
            gamma *= size / (inside * places)
        mask = torch.ones_like(x)
        for first in (torch.rand([*x.shape[:2], *fit]) < gamma).nonzero().tolist():
            ends = zip(first[2:], block, strict=True)
            mask[(*first[:2], *(slice(a, a + n) for a, n in ends))] = 0
        return x * mask * mask.numel() / max(float(mask.sum()), 1.0)

    def max_dropout(self, op: MaxDropout, xs: Tensors, weights: Weights, training: bool) -> Tensor:
        (x,) = xs
        if not training:
            return x
        above, all_ = x.detach() - x.detach().min(), x.detach().max() - x.detach().min()
        return torch.where(above > (1 - op.rate) * all_, 0.0 * x, x)


class Activations:
    """Elementwise functions, and softmax."""

    def relu(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return functional.relu(xs[0])

    def relu6(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return functional.hardtanh(xs[0], min_val=0.0, max_val=6.0)

    def leaky_relu(self, op: LeakyRelu, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return functional.leaky_relu(xs[0], negative_slope=op.slope)

    def gelu(self, op: Gelu, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return functional.gelu(xs[0], approximate=op.approximate)

    def silu(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return functional.silu(xs[0])

    def sigmoid(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        y: Tensor = torch.special.expit(xs[0])
        return y

    def hard_sigmoid(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return functional.hardsigmoid(xs[0])

    @formula
    def hard_swish(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return xs[0] * torch.clamp(xs[0] + 3, 0, 6) / 6

    def tanh(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return torch.tanh(xs[0])

    def softmax(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return functional.softmax(xs[0], dim=1)

    def sign_ste(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        y: Tensor = StraightThrough.apply(xs[0])  # type: ignore[no-untyped-call]
        return y

    def identity(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return xs[0]

    def stop_gradient(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return xs[0].detach()


class Arithmetic:
    """Arithmetic of tensors. `batched` tells whether the result has a batch axis."""

    batched: bool

    def add(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return torch.add(xs[0], xs[1])

    def sub(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return torch.sub(xs[0], xs[1])

    def mul(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return torch.mul(xs[0], xs[1])

    def div(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return torch.div(xs[0], xs[1])

    def affine(self, op: Affine, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        """A factor that is one over a whole number divides by that."""
        (x,) = xs
        if op.factor == 1:  # a product by 1 would give gradients a memory layout of its own
            return torch.add(x, op.shift)
        whole = next((n for n in range(2, 65537) if 1 / n == abs(op.factor)), None)
        if whole is None:
            return torch.add(torch.mul(x, op.factor), op.shift)
        return torch.add(torch.div(x, whole if op.factor > 0 else -whole), op.shift)

    def abs(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return torch.abs(xs[0])

    def sum(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return reduce(torch.add, xs)

    def min(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return reduce(torch.minimum, xs)

    def max(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return reduce(torch.maximum, xs)

    def channel_mean(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return torch.mean(xs[0], dim=int(self.batched), keepdim=True)

    def channel_max(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        return torch.amax(xs[0], dim=int(self.batched), keepdim=True)

    def abs_mean(self, op: Op, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        (x,) = xs
        return torch.mean(torch.abs(x), dim=list(range(1 + self.batched, x.dim())), keepdim=True)


class Rearrangements:
    """Operators that move values."""

    batched: bool

    def reshape(self, op: Reshape, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        (x,) = xs
        return x.reshape(*x.shape[: int(self.batched)], *op.shape)

    def pixel_shuffle(self, op: PixelShuffle, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        """Pixel (y, x) of channel c is pixel (y // f, x // f) of one of the f*f channels of c."""
        (x,) = xs
        f = op.factor
        size, channels, height, width = x.shape
        y = x.new_empty(size, channels // (f * f), height * f, width * f)
        for i in range(f):
            for j in range(f):
                y[:, :, i::f, j::f] = x[:, i * f + j :: f * f]
        return y

    def space_to_depth(self, op: SpaceToDepth, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        (x,) = xs
        f = op.factor
        parts = [x[:, :, i::f, j::f] for i in range(f) for j in range(f)]
        return torch.stack(parts, dim=2).flatten(1, 2)

    def channel_shuffle(self, op: ChannelShuffle, xs: Tensors, weights: Weights, _: bool) -> Tensor:
        (x,) = xs
        size = x.shape[1] // op.groups
        order = [group * size + i for i in range(size) for group in range(op.groups)]
        return torch.stack([x[:, c] for c in order], dim=1)
