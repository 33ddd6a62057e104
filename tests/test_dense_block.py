"""Dense blocks that share their storage, against the plain modules in float64."""

import copy
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from dense_modules import (
    Block,
    Layout,
    Shape,
    block,
    conditioned,
    disturb,
    error,
    identical,
    images,
    norms,
    order_weights,
    step,
)
from hypothesis import assume, given, settings
from torch import Tensor, nn

from archc.runtime.dense_block import grown
from archc.runtime.dense_layers import DenseStage
from archc.runtime.memory import set_memory
from archc.runtime.norm_relu import norm_relu
from archc.runtime.recipes import Rebuilding

BLOCK = 1e-12
"""What reordered arithmetic may change in a block, relative to the largest number."""

MEMORIES: tuple[str, ...] = ("keep", "off")

LAYOUTS: dict[int, list[Layout]] = {
    1: [torch.contiguous_format],
    2: [torch.contiguous_format, torch.channels_last],
    3: [torch.contiguous_format, torch.channels_last_3d],
}

shapes = st.builds(
    Shape,
    channels=st.integers(1, 5).map(lambda n: 2 * n),
    growths=st.lists(st.sampled_from([2, 4, 6]), min_size=1, max_size=4).map(tuple),
    width=st.sampled_from([None, 2, 6]),
    axes=st.sampled_from([1, 2, 2, 2, 3]),
    kernel=st.sampled_from([1, 3, 5]),
    dilation=st.sampled_from([1, 2]),
    groups=st.sampled_from([1, 2]),
    bias=st.booleans(),
    dropout=st.sampled_from([0.0, 0.0, 0.3]),
    selected=st.booleans(),
    eps=st.sampled_from([1e-5, 1e-2]),
    momentum=st.sampled_from([0.1, 1.0, None]),
    affine=st.booleans(),
    track=st.booleans(),
)


@settings(max_examples=60)
@given(shapes, st.booleans(), st.integers(2, 4), st.integers(2, 4), st.data())
def test_outputs_gradients_and_buffers_are_those_of_the_plain_modules(
    shape: Shape, thawed: bool, batch: int, size: int, data: st.DataObject
) -> None:
    mode: Any = st.sampled_from(["keep", "recompute"])
    depth = len(shape.growths)
    memory = data.draw(st.one_of(mode, st.lists(mode, min_size=depth, max_size=depth)))
    # Selected images, and volumes in float64, may be contiguous again, and so a dropout's noise.
    orders = 1 if shape.dropout and (shape.selected or shape.axes == 3) else 2
    layout = data.draw(st.sampled_from(LAYOUTS[shape.axes][:orders]))
    plain, ours = block(shape), block(shape, memory)
    numbers = range(len(norms(plain)))
    frozen = data.draw(st.sets(st.sampled_from(numbers))) if thawed else numbers
    x = images(shape, batch, size, layout)
    results = []
    for made in (ours, plain):
        for i in frozen:
            norms(made)[i].eval()
    assume(conditioned(plain, x))
    for made in (ours, plain):
        order_weights(made, layout)
        results.append(step(made, x))
    assert error(*results) < BLOCK


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize("drop_rate", [0.0, 0.2])
def test_it_computes_what_torchvision_computes(
    torchvision: Any, training: bool, memory: str, drop_rate: float
) -> None:
    torch.manual_seed(0)
    reference = torchvision.models.densenet._DenseBlock(6, 8, 4, 4, drop_rate).double()
    for norm in norms(reference):
        disturb(norm)

    class Shared(type(reference)):  # type: ignore[misc]
        def forward(self, x: Tensor) -> Tensor:
            p = drop_rate if self.training else 0.0
            layers = [
                [DenseStage(m.norm1, m.conv1), DenseStage(m.norm2, m.conv2, p)]
                for m in self.values()
            ]
            return grown(x, layers, memory)

    ours = copy.deepcopy(reference)
    ours.__class__ = Shared
    x = images(Shape(channels=8), 3, 6)
    assert error(step(ours.train(training), x), step(reference.train(training), x)) < BLOCK


SHAPES = {
    "bottleneck": Shape(),
    "basic": Shape(width=None),
    "dropout": Shape(dropout=0.3),
    "selected": Shape(selected=True, groups=2, channels=6, growths=(2, 4), bias=True),
}


@pytest.fixture(params=list(SHAPES))
def shape(request: pytest.FixtureRequest) -> Shape:
    return SHAPES[request.param]


def test_recomputed_is_kept_bit_for_bit_and_so_are_two_runs(shape: Shape) -> None:
    x = images(shape)
    kept = step(block(shape, "keep"), x)
    assert identical(step(block(shape, "keep"), x), kept)
    assert identical(step(block(shape, "recompute"), x), kept)


@pytest.mark.parametrize("frozen", [True, False])
def test_its_gradients_are_those_of_finite_differences(frozen: bool) -> None:
    made = block(Shape(channels=2, growths=(2, 1), width=2, bias=True), "recompute")
    for norm in norms(made):
        norm.train(not frozen)
    x = images(Shape(channels=2), 2, 3).requires_grad_()
    inputs = (x, *made.parameters())  # gradcheck changes them in place
    assert torch.autograd.gradcheck(lambda x, *_: made(x), inputs, eps=1e-7, atol=1e-5)


def test_where_a_relu_is_exactly_zero_no_gradient_passes() -> None:
    """Forward and backward agree on where that is: here it is everywhere."""
    made = block(Shape(), "keep")
    for norm in norms(made):
        nn.init.zeros_(norm.weight)
        nn.init.zeros_(norm.bias)
    done = step(made, images(Shape()))
    assert not any(gradient.any() for gradient in done.gradients.values())
    set_memory(made, "off")
    assert error(done, step(made, images(Shape()))) < BLOCK


def test_scale_and_shift_and_the_next_weights_balance(shape: Shape) -> None:
    """gamma * dgamma + beta * dbeta = sum of W * dW over the outputs, for every channel.

    Scaling a channel behind its norm by c, and its weights by 1 / c, changes nothing: a ReLU is
    homogeneous.
    """
    made = block(shape, "keep")
    done = step(made, images(shape))
    weights = dict(made.named_parameters())
    for name, weight in weights.items():
        if "conv" not in name or name.endswith("bias"):
            continue
        norm = name.replace("conv", "norm").removesuffix(".weight")
        conv: Any = made.get_submodule(name.removesuffix(".weight"))
        left = sum(
            weights[f"{norm}.{kind}"] * done.gradients[f"{norm}.{kind}"]
            for kind in ("weight", "bias")
        )
        products = (weight * done.gradients[name]).flatten(2).sum(2)
        right = products.view(conv.groups, -1, products.shape[1]).sum(1).flatten()
        assert float((left - right).detach().abs().max() / right.detach().abs().max()) < BLOCK


@pytest.mark.parametrize("frozen", ["norm1", "norm2"])
def test_one_sample_of_one_pixel_is_refused_as_torch_refuses_it(frozen: str) -> None:
    x = images(Shape(), batch=1, size=1)[..., :1]
    messages = []
    for memory in MEMORIES:
        made = block(Shape(), memory)
        assert made.eval()(x).shape == (1, 14, 1, 1)
        made.train()
        made.get_submodule(f"layer0.{frozen}").eval()
        with pytest.raises(ValueError, match="more than 1 value per channel") as refusal:
            made(x)
        messages.append(str(refusal.value))
    assert messages[0] == messages[1]


def test_statistics_of_large_means_are_as_exact_as_torchs() -> None:
    shape = Shape(channels=4, growths=(2,))
    x = (1000 + images(shape, 8, 16)).float()

    def variance(memory: str, dtype: torch.dtype) -> Tensor:
        done = step(block(shape, memory, dtype), x.to(dtype))
        return done.buffers["layer0.norm1.running_var"]

    exact = variance("off", torch.float64)
    ours, plain = ((variance(m, torch.float32) - exact).abs().max() for m in MEMORIES)
    assert float(ours) <= max(2 * float(plain), 1e-6)


@pytest.mark.parametrize("memory", ["keep", "recompute"])
def test_what_is_kept_grows_linearly_with_depth_and_is_known_to_the_byte(memory: str) -> None:
    """The buffer and, if they are kept, the bottlenecks; beside them vectors only."""
    for depth in (1, 4, 16):
        shape = Shape(channels=5, growths=(3,) * depth, width=7)
        kept: list[Tensor] = []

        def keep(tensor: Tensor, kept: list[Tensor] = kept) -> Tensor:
            kept.append(tensor)
            return tensor

        made, x = block(shape, memory), images(shape, 4, 8)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            made(x)
        channels = 5 + 3 * depth + (7 * depth if memory == "keep" else 0)
        pixels = x.numel() // 5
        weights = {p.data_ptr() for p in made.parameters()}
        large = [t for t in kept if t.dim() > 2 and t.data_ptr() not in weights]
        assert sum(t.untyped_storage().nbytes() for t in large) == 8 * channels * pixels


class Net(nn.Module):
    """A stem, two blocks with what stands between and behind them, and a classifier."""

    def __init__(self, memory: Any) -> None:
        super().__init__()
        first = Shape(channels=6, growths=(4, 4, 4), width=8)
        self.conv = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.stem = nn.BatchNorm2d(6)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.block1 = Block(first, memory)
        self.norm1 = nn.BatchNorm2d(18)
        self.conv1 = nn.Conv2d(18, 6, 1, bias=False)
        self.pool1 = nn.AvgPool2d(2)
        self.block2 = Block(first, memory)
        self.norm2 = nn.BatchNorm2d(18)
        self.classifier = nn.Linear(18, 5)
        set_memory(self, memory)

    def forward(self, x: Tensor) -> Tensor:
        with Rebuilding(self):
            x = norm_relu(self.conv(x), self.stem, pool=self.pool)
            x = norm_relu(self.block1(x), self.norm1, pool=self.pool1)
            x = norm_relu(self.block2(self.conv1(x)), self.norm2)
        return self.classifier(x.mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("memory", ["keep", "recompute"])
def test_fifty_steps_of_training_go_as_with_plain_modules(memory: str) -> None:
    torch.manual_seed(1)
    x, target = torch.randn(8, 3, 16, 16).double(), torch.randint(0, 5, (8,))
    losses: list[list[float]] = []
    states: list[dict[str, Tensor]] = []
    for mode in (memory, "off"):
        torch.manual_seed(2)
        net = Net(mode).double()
        optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, nesterov=True)
        losses.append([])
        for _ in range(50):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), target)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses[-1].append(loss.item())
        states.append(net.state_dict())
    assert losses[0][-1] < 0.1 * losses[0][0]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert all(
        torch.allclose(ours.double(), plain.double(), rtol=1e-6, atol=1e-9)
        for ours, plain in zip(states[0].values(), states[1].values(), strict=True)
    )
