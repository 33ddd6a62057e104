"""Values that the backward pass builds again: the numbers of the plain net, in fewer bytes."""

import gc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from emitted import O0, emit
from growing_net import image, numbers, pair
from torch import Tensor, nn
from torch.nn import functional as F

from archc.passes.base import Pass
from archc.passes.pipeline import DEFAULT


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    "act", [torch.relu, F.relu6, F.silu, torch.sigmoid, F.hardswish], ids=lambda act: act.__name__
)
def test_the_numbers_are_those_of_the_plain_net(
    act: Callable[[Tensor], Tensor], keep: bool
) -> None:
    plain, shared = pair(act=act, keep=keep)
    x = image(2, 4, 5, 5)
    for a, b in zip(numbers(plain, x), numbers(shared, x), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("act", [torch.relu, F.silu], ids=lambda act: act.__name__)
def test_what_is_kept_ends_with_the_result(act: Callable[[Tensor], Tensor], keep: bool) -> None:
    """Also where no backward pass frees it: a loss that is only looked at."""
    _, shared = pair(act=act, keep=keep)

    def kept() -> int:
        gc.collect()
        return sum(type(each) is Tensor for each in gc.get_objects())

    counts = []
    for _ in range(3):
        shared(image(2, 4, 5, 5))
        counts.append(kept())
    assert counts[2] == counts[1] == counts[0]


@pytest.mark.parametrize(
    "change", ["eval", "frozen", "no affine", "no statistics", "momentum", "eps"]
)
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
            elif change == "eps":
                norm.eps = 0.1
            else:
                norm.momentum = None
    for a, b in zip(
        numbers(plain, image(2, 4, 5, 5)), numbers(shared, image(2, 4, 5, 5)), strict=True
    ):
        assert torch.equal(a, b)


def trained(text: str, folder: Path, passes: tuple[Pass, ...]) -> dict[str, Tensor]:
    """The state of an emitted net after a training step without a change of weights."""
    spec = folder / "net.arch"
    spec.write_text(text)
    net = emit(spec, passes=passes).build().double().train()
    net(image(2, 4, 8, 8)).sum().backward()
    return net.state_dict()


TWICE = """\
net Twice()(x: [4, 8, 8]) {
    head = bn()
    u = x -> conv: conv(4, 3) -> head
    v = x -> head
    return concat(v, u -> relu) -> last: conv(3, 1)
}
"""

NAMED = """\
block type(width)(x) { return concat(x, x -> norm: bn -> relu -> conv: conv(width, 3)) }
block Callable(width)(x) { return concat(x, x -> norm: bn -> relu -> conv: conv(width, 3)) }
net Named()(x: [4, 8, 8]) { return x -> a: type(4) -> b: Callable(4) -> last: conv(3, 1) }
"""


@pytest.mark.parametrize("text", [TWICE, NAMED], ids=["a norm applied twice", "names of Python"])
def test_running_statistics_move_as_without_passes(text: str, tmp_path: Path) -> None:
    shared, plain = trained(text, tmp_path, DEFAULT), trained(text, tmp_path, O0)
    assert shared.keys() == plain.keys()
    for key, value in plain.items():
        assert torch.allclose(shared[key], value, rtol=1e-12, atol=1e-12), key


SCOPE = """\
net Stem()(image: [4, 8, 8]) {
    scope stem { x = image -> "0": conv(6, 3) -> "1": bn -> relu }
    scope after { x = x -> "0": conv(6, 3) -> "1": bn -> relu }
    return concat(x, x -> side: conv(24, 3)) -> last: conv(3, 1)
}
"""


def test_an_activation_without_a_label_is_run_in_a_scope_of_numbered_layers(tmp_path: Path) -> None:
    """Such a scope is no `nn.Sequential`, though all that it owns is called in a row."""
    spec = tmp_path / "net.arch"
    spec.write_text(SCOPE)
    shared, plain = emit(spec), emit(spec, passes=O0).build().double().eval()
    assert "norm_act(" in shared.source
    net = shared.build().double().eval()
    net.load_state_dict(plain.state_dict())
    x = image(2, 4, 8, 8)
    assert torch.equal(net(x), plain(x))
