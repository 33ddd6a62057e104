"""Values that the backward pass builds again: the numbers of the plain net, in fewer bytes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.runtime.memory import set_memory
from archc.runtime.rebuild import Rebuilding, concat, norm_act

Activation = Callable[[Tensor], Tensor]


class Growing(nn.Module):
    """Post-activation features, concatenated; `shares` chooses the runtime's functions."""

    def __init__(self, shares: bool, act: Activation = torch.relu, keep: bool = False) -> None:
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
    y.square().sum().backward()
    return [y, grad, *(p.grad for p in model.parameters()), *model.buffers()]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    "act", [torch.relu, F.relu6, F.silu, torch.sigmoid, F.hardswish], ids=lambda act: act.__name__
)
def test_the_numbers_are_those_of_the_plain_net(act: Activation, keep: bool) -> None:
    plain, shared = pair(act=act, keep=keep)
    x = image(2, 4, 5, 5)
    for a, b in zip(numbers(plain, x), numbers(shared, x), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("change", ["eval", "frozen", "no affine", "no statistics", "momentum"])
def test_every_kind_of_batch_norm(change: str) -> None:
    plain, shared = pair()
    for model in (plain, shared):
        for i, norm in enumerate(model.norms):
            assert isinstance(norm, nn.BatchNorm2d)
            if change == "eval" or (change == "frozen" and i == 1):
                assert norm.running_mean is not None
                norm.running_mean.uniform_(-1, 1, generator=torch.Generator().manual_seed(i))
                norm.eval()
            elif change == "no affine":
                model.norms[i] = nn.BatchNorm2d(3, affine=False).double()
            elif change == "no statistics":
                model.norms[i] = nn.BatchNorm2d(3, track_running_stats=False).double()
            else:
                norm.momentum = None
    for a, b in zip(
        numbers(plain, image(2, 4, 5, 5)), numbers(shared, image(2, 4, 5, 5)), strict=True
    ):
        assert torch.equal(a, b)
