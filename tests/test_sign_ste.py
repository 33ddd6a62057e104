"""The straight-through sign in emitted code: its values, its gradient, and where it has to work."""

import pytest
import torch
from torch import Tensor, nn

from archc.runtime.sign_ste import sign_ste

EDGES = torch.tensor([-7.0, -1.0, -0.3, -0.0, 0.0, 1e-30, 0.7, 1.0, 1.0000001, 1e30])


class Binary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        weight = sign_ste(self.weight) * self.weight.abs().mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(sign_ste(x), weight, padding=1)


def test_the_values_are_exactly_the_signs() -> None:
    x = torch.cat([EDGES, torch.randn(10_000), torch.tensor([float("inf"), -float("inf")])])
    assert torch.equal(sign_ste(x), x.sign())


def test_the_gradient_passes_where_the_size_is_at_most_one() -> None:
    x = EDGES.clone().requires_grad_()
    slope = torch.arange(1.0, 1 + len(EDGES))
    (gradient,) = torch.autograd.grad(sign_ste(x), x, slope)
    assert torch.equal(gradient, slope * (EDGES.abs() <= 1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_it_keeps_the_dtype(dtype: torch.dtype) -> None:
    x = torch.linspace(-3, 3, 31).to(dtype)
    assert sign_ste(x).dtype == dtype
    assert torch.equal(sign_ste(x), x.sign())


def test_it_compiles_to_one_graph() -> None:
    net, x = Binary(), torch.randn(2, 3, 8, 8)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    ours = torch.autograd.grad(net(x).square().sum(), net.weight)
    theirs = torch.autograd.grad(compiled(x).square().sum(), net.weight)
    assert torch.equal(net(x), compiled(x))
    assert torch.equal(ours[0], theirs[0])


@pytest.mark.parametrize("training", [True, False])
def test_it_exports(training: bool) -> None:
    net, x = Binary().train(training), torch.randn(2, 3, 8, 8)
    exported = torch.export.export(net, (x,), strict=False)
    assert torch.equal(exported.module()(x), net(x))


def test_it_works_under_functional_transforms() -> None:
    xs = torch.randn(5, 7)
    gradients = torch.func.vmap(torch.func.grad(lambda x: sign_ste(x).sum()))(xs)
    assert torch.equal(gradients, (xs.abs() <= 1).float())
