"""Stochastic depth that does not compute what it drops."""

from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from archc.runtime.drop_path import drop_path


class DropPath(nn.Module):
    """The end of the residual branch number `branch` `of` so many (Huang et al., 1603.09382).

    It survives with p = 1 - branch / of * (1 - survival). Training keeps or skips the whole
    mini-batch's branch, as its gate says; evaluation multiplies it by p, or, if `inverted`,
    training divides by p.
    """

    def __init__(self, survival: float, branch: int = 1, of: int = 1, mode: str = "paper") -> None:
        super().__init__()
        self.survival = survival if of == 1 and branch else 1 - branch / of * (1 - survival)
        self.mode = mode
        self.gate: bool | None = None
        """None while nobody has drawn it: the branch is computed, and multiplied by a draw."""

    def keeps(self) -> bool:
        """Whether the branch is to be computed."""
        return self.gate is not False or not self.training

    def forward(self, x: Tensor) -> Tensor:
        if self.gate is None or not self.training:
            return drop_path(x, self.survival, self.training, self.mode)
        return x / self.survival if self.mode == "inverted" else x

    def extra_repr(self) -> str:
        return f"survival={self.survival:.4g}, mode={self.mode!r}"


def skipped(x: Tensor, *parts: nn.Module | nn.Parameter) -> Tensor:
    """`x` without a branch, the parameters of whose parts have zero gradients, so that optimisers
    and DistributedDataParallel see them in every step."""
    modules = (part for part in parts if isinstance(part, nn.Module))
    weights = [weight for module in modules for weight in module.parameters()]
    weights += [part for part in parts if isinstance(part, nn.Parameter)]
    if torch.compiler.is_compiling():  # it traces no function that has a derivative of its own
        return sum((weight.flatten()[:0].sum() for weight in weights), x)
    apply: Any = _Skipped.apply
    result: Tensor = apply(x, *weights) if torch.is_grad_enabled() else x
    return result


class _Skipped(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, *_: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        needed = zip(ctx.saved_tensors, ctx.needs_input_grad[1:], strict=True)
        return gradient, *(torch.zeros_like(w) if wanted else None for w, wanted in needed)

    @staticmethod
    def jvp(_: Any, tangent: Tensor, *__: Tensor | None) -> Tensor:
        return tangent.view_as(tangent)


_KEYED = "gates have a key"
"""The attribute of a net whose gates a key has drawn: no layer can be called so."""


def draw_gates(net: nn.Module, *key: int) -> None:
    """Draw which branches the next mini-batch keeps, in a net that trains.

    With a key, the seed and the number of the step, the gates are a function of it, the same on all
    machines, and hold until the next key. Without one torch's generator of the host draws, unless
    a key has drawn before. A net that is compiled as a whole draws none: all its branches are
    computed, as they are, and not multiplied, where there are no numbers (on shapes alone).
    """
    if not key and (not net.training or getattr(net, _KEYED, False)):
        return
    names = sorted(name for name, each in net.named_modules() if isinstance(each, DropPath))
    numbers = _numbers(len(names), key)
    setattr(net, _KEYED, bool(key))
    for i, name in enumerate(names):
        path = net.get_submodule(name)
        assert isinstance(path, DropPath)
        path.gate = numbers[i] < path.survival if numbers else None


def _numbers(count: int, key: tuple[int, ...]) -> list[float]:
    """So many numbers from 0 to 1; none where the compiler would ask for one graph for each."""
    if torch.compiler.is_compiling():
        return []
    if key:
        draws = Random(repr(key))
        return [draws.random() for _ in range(count)]
    numbers = torch.rand(count, device="cpu")
    return numbers.tolist() if type(numbers) is Tensor else [0.0] * count
