"""Whole nets with shared memory beside the same nets as torch runs them, in double precision."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import emitted
import pytest
import torch
from torch import Tensor, nn

from archc.ir.sharing import Sharing
from archc.passes.share_memory import ShareMemory
from archc.passes.simplify import Simplify
from archc.runtime.memory import MODES
from archc.testing.models import backward

HARDNET = {"stem": [4, 8], "layers": [4, 8], "growth": [4, 6], "widths": [8, 12], "halved": [0]}
MSDNET = {"exits": 2, "step": 2, "width": 8, "growth": 4, "factors": [1, 2], "size": 64}
GHOST = {"widths": [8, 16, 16, 24], "blocks": [2, 3, 4, 1], "group_width": 8, "classes": 5}
RKCNN = {"growth": [8, 8], "stages": [3, 3], "steps": [2, 1], "updates": [2, 2]}

NETS: dict[str, tuple[str, dict[str, Any], int]] = {
    "densenet DenseNet121": ("dense", {"growth": 4, "stem": 8, "blocks": [2, 3]}, 64),
    "densenet_cifar DenseNetBC": ("dense", {"depth": 22, "growth": 4}, 16),
    "densenet_cifar DenseNet": ("dense", {"depth": 13, "growth": 4}, 16),
    "threshnet ThreshNet79": ("dense", {**HARDNET, "dense": 1}, 32),
    "min_nets DenseMin": ("swap", {"depth": 16, "growth": 4}, 32),
    "msdnet_cifar MSDNetAnytime": ("exact", {"exits": 4}, 32),
    "dense_grid DenseGrid": ("dense", {"stages": 3, "growth": 2}, 32),
    "hardnet HarDNet68": ("exact", HARDNET, 32),
    "msdnet MSDNet": ("exact", MSDNET, 64),
    "ghostnet GhostNet": ("exact", {"width": 0.25, "classes": 5}, 64),
    "g_ghost GGhostRegNetX032": ("exact", GHOST, 32),
    "googlenet GoogLeNet": ("exact", {"classes": 5}, 64),
    "rkcnn RKCNNI": ("exact", RKCNN, 32),
    "unet UNet": ("exact", {"width": 4, "depth": 2}, 16),
    "resnet_cifar ResNet": ("rows", {"depth": 20}, 16),
    "fpn ResNet18FPN": ("rows", {"blocks": [2, 2, 1, 1], "out": 8}, 32),
}
"""What is shared in each net, its settings, the size of its images."""


def randomise(model: nn.Module) -> None:
    """Scales and shifts away from 1 and 0, and running statistics, too."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.dim() == 1:
                low = 0.5 if key.endswith(("weight", "var")) else -0.5
                value.copy_(torch.rand(value.shape, generator=generator) + low)


def numbers(model: nn.Module, x: Tensor, *, training: bool = True) -> dict[str, Tensor]:
    """Outputs, the gradients of the input and of all weights, and all buffers."""
    model.train(training)
    model.zero_grad()
    x = x.detach().requires_grad_()
    torch.manual_seed(3)
    result = model(x)
    outputs = [result] if isinstance(result, Tensor) else list(result)
    backward(outputs)
    found = {f"output.{i}": y.detach() for i, y in enumerate(outputs)}
    found |= {f"grad.{key}": p.grad for key, p in model.named_parameters() if p.grad is not None}
    found |= {f"buffer.{key}": buffer.clone() for key, buffer in model.named_buffers()}
    assert x.grad is not None
    return {**found, "grad.image": x.grad}


def errors(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> Iterator[tuple[str, float]]:
    """Of each tensor, relative to it; of a gradient, to the largest of those of its layer."""
    scales: dict[str, float] = {}
    for key, value in theirs.items():
        layer = key.rpartition(".")[0] if key.startswith("grad") else key
        scales[layer] = max(scales.get(layer, 0.0), float(value.abs().max()))
    for key, value in theirs.items():
        layer = key.rpartition(".")[0] if key.startswith("grad") else key
        yield key, float((ours[key] - value).abs().max()) / max(scales[layer], 1e-300)


def assert_close(model: nn.Module, plain: nn.Module, x: Tensor, *, training: bool) -> None:
    """Within 1e-9, or within 20 times what the plain net's own two layouts differ by."""
    state = {key: value.clone() for key, value in plain.state_dict().items()}
    model.load_state_dict(state)
    theirs = numbers(plain, x, training=training)
    plain.load_state_dict(state)
    plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    turned = numbers(plain, x.contiguous(memory_format=torch.channels_last), training=training)
    plain.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    plain.load_state_dict(state)
    own = dict(errors(turned, theirs))
    ours = numbers(model, x, training=training)
    assert ours.keys() == theirs.keys()
    for key, error in errors(ours, theirs):
        assert error <= max(1e-9, 20 * own[key]), key


def assert_equal(model: nn.Module, plain: nn.Module, x: Tensor, *, training: bool) -> None:
    """Bit for bit."""
    state = {key: value.clone() for key, value in plain.state_dict().items()}
    model.load_state_dict(state)
    theirs = numbers(plain, x, training=training)
    plain.load_state_dict(state)
    ours = numbers(model, x, training=training)
    assert ours.keys() == theirs.keys()
    assert [key for key in theirs if not torch.equal(ours[key], theirs[key])] == []


def kind_of(sharing: Sharing) -> str:
    if sharing.blocks:
        return "dense"
    return "swap" if sharing.swaps else "rows" if sharing.rows else "exact"


def images(size: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, size, size, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("name", NETS)
def test_the_numbers_are_those_of_the_plain_net(name: str) -> None:
    """Bit for bit where neither a dense block nor a swap takes sums in another order."""
    kind, settings, size = NETS[name]
    spec, net = name.split()
    passes = (Simplify(), ShareMemory(recompute=kind == "rows"))
    plain = emitted.emit(spec, net, passes=emitted.O0, **settings).build().double()
    shared = emitted.emit(spec, net, passes=passes, **settings)
    assert kind_of(shared.graph.sharing) == kind
    randomise(plain)
    check = assert_close if kind in ("dense", "swap") else assert_equal
    for memory in MODES:
        model = shared.build(memory=memory).double()
        check(model, plain, images(size), training=True)
    check(shared.build().double(), plain, images(size), training=False)


@pytest.mark.parametrize("memory", MODES)
def test_dropout_draws_the_same_noise(memory: str) -> None:
    settings: dict[str, Any] = {"depth": 13, "growth": 4, "dropout_rate": 0.2}
    plain = emitted.emit("densenet_cifar", "DenseNet", passes=emitted.O0, **settings).build()
    shared = emitted.emit("densenet_cifar", "DenseNet", **settings).build(memory=memory)
    randomise(plain)
    assert_close(shared.double(), plain.double(), images(16), training=True)


RATES = """
import "blocks/dense"

block Layer(rate)(x) {
    return concat(x, x -> norm: bn -> relu -> conv: conv(4, 3) -> dropout(rate))
}

net Net()(image: [3, 8, 8]) {
    x = image -> one: DenseBlock(3, 4, 2, 0.1) -> other: DenseBlock(4, 4, 2, 0.2)
    scope rising { for i in range(3) { x = x -> "layer{i}": Layer(i / 10) } }
    scope mixed {
        x = concat(x, x -> norm1: bn -> relu -> conv1: conv(4, 3) -> dropout(0.3))
        x = concat(x, x -> norm2: bn -> relu -> conv2: conv(4, 3))
        x = x -> layer: Layer(0.4)
    }
    return x -> global_avg_pool -> classifier: linear(5)
}
"""


def test_dropouts_of_one_block_may_have_different_rates(tmp_path: Path) -> None:
    """In layers of one class, in blocks of one class, beside layers without."""
    path = tmp_path / "net.arch"
    path.write_text(RATES)
    plain, shared = emitted.emit(path, passes=emitted.O0).build(), emitted.emit(path)
    assert len(shared.graph.sharing.blocks) == 4
    assert shared.source.count("            return dense_block(") == 3  # one for each class
    randomise(plain)
    for training in (True, False):
        assert_close(shared.build().double(), plain.double(), images(8), training=training)


def test_densenet121_beside_torchvision(torchvision: Any) -> None:
    """The default pipeline, with the weights of torchvision's model."""
    torch.manual_seed(0)
    theirs = torchvision.models.densenet121().double()
    ours = emitted.emit("densenet").build().double()
    assert_close(ours, theirs, images(64), training=True)


@pytest.mark.parametrize("memory", ["keep", "recompute"])
def test_fifty_steps_of_training(memory: str) -> None:
    """The losses of both go the same way."""
    settings: dict[str, Any] = {"depth": 16, "growth": 4}
    plain = emitted.emit("densenet_cifar", passes=emitted.O0, **settings).build().double()
    shared = emitted.emit("densenet_cifar", **settings).build(memory=memory).double()
    shared.load_state_dict(plain.state_dict())
    losses = [_losses(model) for model in (plain, shared)]
    assert losses[0][-1] < 0.5 * losses[0][0]
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)


def _losses(model: nn.Module) -> list[float]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(8, 3, 8, 8, dtype=torch.float64, generator=generator)
    classes = torch.arange(8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), classes)
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return losses
