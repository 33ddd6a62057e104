"""A small net of growing concatenations, which the runtime's functions share, and its numbers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from archc.runtime.memory import set_memory
from archc.runtime.rebuild import concat, norm_act
from archc.runtime.recipes import Rebuilding


class Growing(nn.Module):
    """Post-activation features, concatenated; `shares` chooses the runtime's functions."""

    def __init__(
        self, shares: bool, act: Callable[[Tensor], Tensor] = torch.relu, keep: bool = False
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(4 + 3 * i, 3, 3, padding=1) for i in range(4))
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(4))
        self.last = nn.Conv2d(16, 2, 1)
        self.shares, self.act, self.keep = shares, act, keep
        set_memory(self, "keep" if shares else "off")

    def forward(self, x: Tensor) -> Tensor:
        with Rebuilding(self):
            for conv, norm in zip(self.convs, self.norms, strict=True):
                y = norm_act(conv(x), norm, self.act, self.keep)
                x = concat([x, y])
            result: Tensor = self.last(x)
        return result


def pair(**options: Any) -> tuple["Growing", "Growing"]:
    plain, shared = Growing(False, **options).double(), Growing(True, **options).double()
    shared.load_state_dict(plain.state_dict())
    return plain, shared


def image(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)


def numbers(model: nn.Module, x: Tensor) -> list[Tensor]:
    """The output of a training step, all gradients, all buffers."""
    model.zero_grad()
    y = model(x)
    (grad,) = torch.autograd.grad(y.square().sum(), x, retain_graph=True)
    torch.autograd.backward(y.square().sum())
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return [y, grad, *grads, *model.buffers()]
