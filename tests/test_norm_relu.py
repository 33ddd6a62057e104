"""norm, ReLU and pool that keep only their input, against the plain modules in float64."""

import copy
from typing import Any

import pytest
import torch
from dense_modules import NORMS, Layout, disturb, error, identical, images, step
from dense_modules import Shape as Block
from torch import Tensor, nn

from archc.runtime.feature_rows import are_features, row_moments, set_features
from archc.runtime.memory import set_memory
from archc.runtime.norm_relu import norm_relu
from archc.runtime.recipes import Rebuilding

CLOSE = 1e-12

POOLS: dict[str, tuple[int, nn.Module | None]] = {
    "none": (2, None),
    "none of a row": (1, None),
    "max": (2, nn.MaxPool2d(3, 2, 1)),
    "max of uneven windows": (2, nn.MaxPool2d((2, 3), (1, 2), (1, 0), ceil_mode=True)),
    "max with dilation": (2, nn.MaxPool2d(2, 1, dilation=2)),
    "max of volumes": (3, nn.MaxPool3d(2)),
    "average": (2, nn.AvgPool2d(2)),
    "average with a border": (2, nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
    "average of volumes": (3, nn.AvgPool3d((1, 2, 2), ceil_mode=True)),
}


class Closing(nn.Module):
    def __init__(self, axes: int, pool: nn.Module | None, memory: str, **settings: Any) -> None:
        super().__init__()
        self.norm = NORMS[axes](5, **settings)
        self.pool = copy.deepcopy(pool)
        set_memory(self, memory)

    def forward(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_compiling() and not are_features(x):
            set_features(x, None)  # as a dense block does
        with Rebuilding(self):
            return norm_relu(x, self.norm, pool=self.pool)


def closing(axes: int, pool: nn.Module | None, memory: str, **settings: Any) -> Closing:
    torch.manual_seed(4)
    made = Closing(axes, pool, memory, **settings).double()
    disturb(made.norm)
    return made


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("pool", POOLS)
def test_it_is_what_the_plain_modules_are(pool: str, layout: Layout, frozen: bool) -> None:
    axes, module = POOLS[pool]
    x = images(Block(axes=axes), 4, 7, layout if axes == 2 else None)
    made = [closing(axes, module, memory) for memory in ("keep", "off")]
    for each in made:
        each.norm.train(not frozen)
    ours, plain = (step(each, x) for each in made)
    assert error(ours, plain) < CLOSE


@pytest.mark.parametrize(
    "settings",
    [{"affine": False}, {"momentum": None}, {"track_running_stats": False}, {"eps": 0.1}],
    ids=str,
)
def test_norms_of_all_settings(settings: dict[str, Any]) -> None:
    x = images(Block(), 4, 7)
    ours, plain = (step(closing(2, nn.AvgPool2d(2), m, **settings), x) for m in ("keep", "off"))
    assert error(ours, plain) < CLOSE


def test_only_its_input_is_kept() -> None:
    x = images(Block(), 4, 8).requires_grad_()
    set_features(x, None)
    net = closing(2, nn.MaxPool2d(3, 2, 1), "keep")
    with Rebuilding(net):
        y = norm_relu(x, net.norm, pool=net.pool)
    node: Any = y.grad_fn
    kept: tuple[Tensor, ...] = node.next_functions[0][0].saved_tensors
    assert [t.shape for t in kept if t.dim() > 2] == [x.shape]


@pytest.mark.parametrize("pool", POOLS)
def test_a_reader_of_its_result_keeps_nothing_of_it(pool: str) -> None:
    """It is made again, to the same bits."""
    axes, module = POOLS[pool]
    net = closing(axes, module, "keep")
    x = images(Block(axes=axes), 4, 7).requires_grad_()
    set_features(x, None)
    with Rebuilding(net):
        y = norm_relu(x, net.norm, pool=net.pool)
        z = y.square()
        expected = y.detach().clone()
    y_again = z.grad_fn._saved_self  # type: ignore[union-attr]
    assert y_again is not y
    assert y_again.data_ptr() != y.data_ptr()
    assert torch.equal(y_again, expected)


def test_moments_that_are_known_are_not_taken_again() -> None:
    x = images(Block(), 4, 8)
    plain = closing(2, None, "off")(x)
    leaf = x.clone().requires_grad_()
    set_features(leaf, row_moments(x.movedim(1, -1)) + 1)
    assert not torch.allclose(closing(2, None, "keep")(leaf), plain)
    with torch.no_grad():
        leaf.add_(0)  # the values may have changed since
    assert torch.allclose(closing(2, None, "keep")(leaf), plain, rtol=0, atol=CLOSE)


def test_the_plain_modules_run_where_there_is_no_other_way(unsaid: None) -> None:
    x = images(Block(), 4, 8).requires_grad_()
    pool = nn.AvgPool2d(2, divisor_override=3)
    assert identical(step(closing(2, pool, "keep"), x), step(closing(2, pool, "off"), x))
    hooked = closing(2, None, "keep")
    seen = []
    hooked.norm.register_forward_hook(lambda *_: seen.append(1))
    with pytest.warns(UserWarning, match="A BatchNorm2d has a hook, so it runs as torch runs it"):
        hooked(x)
    assert seen == [1]


@pytest.mark.parametrize("pool", [None, nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2)], ids=str)
def test_it_compiles_to_one_graph(pool: nn.Module | None) -> None:
    x = images(Block(), 4, 8).requires_grad_()
    made = closing(2, pool, "keep")
    results = []
    for function in (copy.deepcopy(made), torch.compile(made, backend="aot_eager", fullgraph=True)):
        y = function(x)
        results.append((y, *torch.autograd.grad(y.square().sum(), x)))
    for ours, compiled in zip(*results, strict=True):
        assert torch.allclose(ours, compiled, rtol=0, atol=CLOSE * ours.abs().max().item())
