"""Stochastic depth in emitted code: its distribution, and where it has to work."""

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from archc.runtime.drop_path import drop_path


class Residual(nn.Module):
    def __init__(self, survival: float = 0.5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.survival = survival

    def forward(self, x: Tensor) -> Tensor:
        return x + drop_path(self.conv(x), self.survival, self.training)


def test_training_keeps_or_drops_the_branch_of_the_whole_batch() -> None:
    torch.manual_seed(0)
    branch = torch.randn(4, 3, 2, 2)
    results = [drop_path(branch, 0.75, True) for _ in range(2000)]
    kept = [bool(torch.equal(y, branch)) for y in results]
    assert all(torch.equal(y, branch * k) for y, k in zip(results, kept, strict=True))
    assert sum(kept) / 2000 == pytest.approx(0.75, abs=0.03)


def test_evaluation_takes_the_expected_share() -> None:
    branch = torch.randn(4, 3)
    assert torch.equal(drop_path(branch, 0.75, False), branch * 0.75)


@pytest.mark.parametrize("training", [True, False])
def test_a_branch_that_always_survives_is_untouched(training: bool) -> None:
    branch = torch.randn(4, 3)
    assert drop_path(branch, 1.0, training) is branch


def test_a_dropped_branch_has_zero_gradients() -> None:
    net = Residual(survival=1e-9)
    net(torch.randn(2, 3, 4, 4)).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in net.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_it_compiles_to_one_graph(training: bool) -> None:
    net = Residual().train(training)
    x = torch.randn(2, 3, 4, 4)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    torch.manual_seed(3)
    expected = net(x)
    torch.manual_seed(3)
    assert torch.equal(compiled(x), expected)


@pytest.mark.parametrize("training", [True, False])
def test_it_exports(training: bool) -> None:
    net = Residual().train(training)
    x = torch.randn(2, 3, 4, 4)
    program = torch.export.export(net, (x,), dynamic_shapes=({0: Dim("batch")},))
    called = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert all(str(target).startswith("aten.") for target in called)
    exported = program.module()
    for batch in (2, 3, 7):
        x = torch.randn(batch, 3, 4, 4)
        torch.manual_seed(3)
        expected = net(x)
        torch.manual_seed(3)
        assert torch.equal(exported(x), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_it_keeps_the_dtype_of_the_branch(dtype: torch.dtype) -> None:
    branch = torch.ones(4, dtype=dtype)
    for training in (True, False):
        assert drop_path(branch, 0.5, training).dtype == dtype
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert drop_path(torch.ones(4, dtype=torch.bfloat16), 0.5, True).dtype == torch.bfloat16
