"""The regularisers of the spec: what their papers say of them, one by one."""

from collections.abc import Callable
from pathlib import Path

import emitted
import pytest
import torch
from torch import Tensor

from archc.runtime.drop_block import drop_block
from archc.runtime.max_dropout import max_dropout
from archc.runtime.shake_shake import shake_shake

NET = """
net Disturbed(classes=3)(image: [4, 8, 8]) {
    y = image -> conv: conv(4, 3) -> drop_block(0.2, 3)
    z = image -> other: conv(4, 3) -> max_dropout(0.3)
    return shake_shake(y, z) -> global_avg_pool -> fc: linear(classes)
}
"""


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# ----------------------------------------------------------------------------------- DropBlock


@pytest.mark.parametrize("shape", [(64, 8, 24), (32, 8, 16, 12), (48, 8, 8, 8, 8)])
def test_drop_block_drops_whole_blocks_of_about_the_rate(shape: tuple[int, ...]) -> None:
    """Each value that is dropped lies in a block of zeros; blocks may overlap, so a little less
    than the rate is dropped."""
    x = torch.ones(shape)
    kept = (drop_block(x, 0.1, 3, True) != 0).float()
    pool = (torch.nn.functional.max_pool1d, torch.nn.functional.max_pool2d)
    pool3 = (*pool, torch.nn.functional.max_pool3d)[len(shape) - 3]
    whole = 1 - pool3(kept, 3, stride=1)  # where a block of zeros begins
    around = [2, 2] * (len(shape) - 2)
    spread = pool3(torch.nn.functional.pad(whole, around), 3, stride=1)
    assert torch.equal(spread, 1 - kept)
    assert 0.075 < float(1 - kept.mean()) < 0.1


def test_drop_block_of_one_position_is_dropout_with_the_mean_kept() -> None:
    x = torch.ones(200, 10, 5, 5)
    y = drop_block(x, 0.3, 1, True)
    assert float((y == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(y.mean()) == pytest.approx(1, abs=1e-4)
    assert len(set(y.flatten().tolist())) == 2


def test_drop_block_draws_for_each_channel_and_a_block_is_no_larger_than_the_map() -> None:
    y = drop_block(torch.ones(50, 20, 4, 2), 0.3, 7, True)
    zeros = (y == 0).float().mean((2, 3))
    assert set(zeros.flatten().tolist()) == {0.0, 1.0}
    assert float(zeros.mean()) == pytest.approx(0.3, abs=0.05)
    assert float(zeros.mean(1).std()) > 0.05


# ---------------------------------------------------------------------------------- MaxDropout


def test_max_dropout_drops_what_is_above_a_share_of_the_range() -> None:
    x = torch.tensor([[-1.0, 0.0, 1.5, 2.2, 3.0]], requires_grad=True)
    y = max_dropout(x, 0.25, True)  # the range is 4 wide: above 2 values go
    assert y.tolist() == [[-1.0, 0.0, 1.5, 0.0, 0.0]]
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 1, 1, 0, 0]]
    assert torch.equal(max_dropout(x, 0.0, True), x)


# --------------------------------------------------------------------------------- shake-shake


def test_shake_shake_draws_each_images_share_and_another_for_its_gradient() -> None:
    images = 4000
    x = torch.ones(images, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    y = torch.zeros(images, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    out = shake_shake(x, y, True)
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert y.grad is not None
    ahead, back = out.detach()[:, 0, 0, 0], x.grad[:, 0, 0, 0]
    assert torch.equal(out.detach(), ahead.reshape(-1, 1, 1, 1).expand_as(out))
    assert torch.allclose(x.grad + y.grad, torch.ones_like(x))
    for share in (ahead, back):
        assert float(share.mean()) == pytest.approx(0.5, abs=0.02)
        assert float(share.var()) == pytest.approx(1 / 12, abs=0.005)
    assert abs(float(torch.corrcoef(torch.stack((ahead, back)))[0, 1])) < 0.05


def test_shake_shake_takes_the_mean_in_evaluation() -> None:
    x, y = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    assert torch.equal(shake_shake(x, y, False), (x + y) / 2)


# ------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize(
    "disturb", [lambda x, on: drop_block(x, 0.3, 3, on), lambda x, on: max_dropout(x, 0.3, on)]
)
def test_evaluation_changes_nothing(disturb: Callable[[Tensor, bool], Tensor]) -> None:
    x = torch.randn(2, 3, 8, 8)
    assert disturb(x, False) is x
    assert not torch.equal(disturb(x, True), x)
    assert disturb(x.bfloat16(), True).dtype == torch.bfloat16


@pytest.mark.parametrize("training", [True, False])
def test_a_net_with_them_is_one_graph_and_exports(training: bool, tmp_path: Path) -> None:
    path = tmp_path / "disturbed.arch"
    path.write_text(NET, encoding="utf-8")
    net = emitted.emit(path).build().train(training)
    x = torch.randn(2, 4, 8, 8)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    torch.manual_seed(3)
    expected = net(x)
    torch.manual_seed(3)
    assert torch.equal(compiled(x), expected)
    program = torch.export.export(net.eval(), (x,))
    assert torch.equal(program.module()(x), net(x))
