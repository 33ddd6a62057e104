"""Small nets of growing concatenations, which the runtime's functions share, and their numbers."""

from collections.abc import Callable
from typing import Any

import emitted
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


DENSE: dict[str, Any] = {"depth": 16, "growth": 4}


def dense_pair() -> tuple[nn.Module, nn.Module]:
    """DenseNet-BC as torch does it, and with shared memory: dense blocks, transitions, a norm."""
    plain = emitted.emit("densenet_cifar", passes=emitted.O0, **DENSE).build(seed=1).double()
    shared = emitted.emit("densenet_cifar", **DENSE).build(seed=1).double()
    return plain, shared


def assert_same(ours: list[Tensor], theirs: list[Tensor], *, exact: bool = True) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        if exact:
            assert torch.equal(a, b)
        else:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
