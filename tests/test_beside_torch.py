"""Nets that share memory: other devices, other kinds of differentiation, other weights."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import emitted
import pytest
import torch
from allocations import measure
from surgery import SPECS, built, without_runtime
from torch import Tensor, nn
from torch.func import functional_call, jvp, vmap

import archc

forward_ad: Any = torch.autograd.forward_ad


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, nn.Module]:
    return built(tmp_path_factory.mktemp("nets"))


@pytest.fixture(params=SPECS)
def pair(request: pytest.FixtureRequest, nets: dict[str, nn.Module]) -> list[nn.Module]:
    """With the runtime, and without."""
    net = nets[request.param]
    return [copy.deepcopy(net), without_runtime(net)]


def images(*, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 12, 12, dtype=torch.float64, generator=generator)


def assert_close(ours: Tensor, plain: Tensor) -> None:
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-10)


def test_the_meta_device(pair: list[nn.Module]) -> None:
    for net in pair:
        net.to("meta")
        net(images().to("meta")).sum().backward()
        assert all(p.grad is not None and p.grad.is_meta for p in net.parameters())


IMPORTS = "ignore:`torch.jit.script` is deprecated:DeprecationWarning"
"""What torch's own modules for these say when they are imported."""


@pytest.mark.filterwarnings(IMPORTS)
@pytest.mark.parametrize("training", [True, False])
def test_forward_mode(pair: list[nn.Module], training: bool) -> None:
    tangents = []
    for net in pair:
        with forward_ad.dual_level():
            y = net.train(training)(forward_ad.make_dual(images(), images(seed=1)))
            tangents.append(forward_ad.unpack_dual(y).tangent)
    assert_close(*tangents)
    assert torch.equal(*tangents)


@pytest.mark.filterwarnings(IMPORTS)
def test_forward_mode_of_the_weights(pair: list[nn.Module]) -> None:
    tangents = []
    for net in pair:
        with forward_ad.dual_level():
            weights = {
                name: forward_ad.make_dual(p, p.detach().cos())
                for name, p in net.named_parameters()
            }
            y = functional_call(net, weights, (images(),))
            tangents.append(forward_ad.unpack_dual(y).tangent)
    assert torch.equal(*tangents)


@pytest.mark.filterwarnings(IMPORTS)
def test_transforms(pair: list[nn.Module]) -> None:
    found = []
    for net in pair:
        net.eval()
        many = vmap(net)(images()[:, None])
        tangent = jvp(net, (images(),), (images(seed=1),))[1]
        found.append([many, tangent])
    assert all(map(torch.equal, *found))


def test_gradients_in_batches_are_given_or_refused_with_what_to_do(pair: list[nn.Module]) -> None:
    found: list[Tensor | str] = []
    for net in pair:
        x = images().requires_grad_()
        y = net(x)
        directions = torch.stack([torch.ones_like(y), torch.eye(*y.shape, dtype=y.dtype)])
        try:
            found.append(torch.autograd.grad(y, x, directions, is_grads_batched=True)[0])
        except RuntimeError as refusal:
            found.append(str(refusal))
    ours, plain = found
    assert isinstance(plain, Tensor)
    if isinstance(ours, str):
        assert ours.endswith('none in batches: build the net with memory="off"')
    else:
        assert_close(ours, plain)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(pair: list[nn.Module], dtype: torch.dtype) -> None:
    """On a CPU not every operator has every dtype."""
    found = []
    for net in pair:
        net.float()
        with torch.autocast("cpu", dtype=dtype):
            y = net(images().float())
        y.float().square().sum().backward()
        grads = [p.grad for p in net.parameters() if p.grad is not None]
        found.append([y.detach().float(), *grads])
    for ours, plain in zip(*found, strict=True):
        assert (ours - plain).norm() <= 0.05 * plain.norm() + 1e-3


def test_a_dtype_that_the_runtime_does_not_know(pair: list[nn.Module]) -> None:
    """What torch has no operators for is said in torch's words."""
    found: list[Tensor | str] = []
    for net in pair:
        try:
            y = net.half()(images().half())
            y.abs().sum().backward()
            found.append(y.detach())
        except (RuntimeError, NotImplementedError) as refusal:
            found.append(str(refusal))
    ours, plain = found
    if isinstance(ours, Tensor) and isinstance(plain, Tensor):
        assert torch.equal(ours, plain)
    else:
        assert ours == plain


def _evaluate(net: nn.Module) -> None:
    net.eval()


def _put_others(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.weight = nn.Parameter(module.weight.detach() * 3)


def _move_statistics(net: nn.Module) -> None:
    with torch.no_grad():
        net.train()(images(seed=2))


def _load(net: nn.Module) -> None:
    net.load_state_dict({k: v.clone() for k, v in net.state_dict().items()}, assign=True)


@pytest.mark.parametrize("between", [_evaluate, _put_others, _move_statistics, _load])
def test_what_happens_between_forward_and_backward(
    pair: list[nn.Module], between: Callable[[nn.Module], None]
) -> None:
    found = []
    for net in pair:
        x = images().requires_grad_()
        weights = [*net.parameters()]
        y = net(x).square().sum()
        between(net)
        grads = torch.autograd.grad(y, [x, *weights])
        found.append([*grads, *net.buffers()])
    for ours, plain in zip(*found, strict=True):
        assert_close(ours, plain)


def test_other_weights_by_functional_call(pair: list[nn.Module]) -> None:
    found = []
    for net in pair:
        weights = {k: (1.5 * v).detach().requires_grad_() for k, v in net.named_parameters()}
        buffers = {k: v.clone() for k, v in net.named_buffers()}
        y = functional_call(net, (weights, buffers), (images(),)).square().mean()
        found.append([*torch.autograd.grad(y, [*weights.values()]), *buffers.values()])
    for ours, plain in zip(*found, strict=True):
        assert_close(ours, plain)


def test_state_moves_once(pair: list[nn.Module]) -> None:
    for net in pair:
        net(images()).sum().backward()
    for (name, ours), (_, plain) in zip(*(net.named_buffers() for net in pair), strict=True):
        assert_close(ours, plain)
        assert not name.endswith("tracked") or int(ours) == 1


# ------------------------------------------------------------------------------ memory and names


class Features(nn.Module):
    """A net without its head."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        features: Callable[[Tensor], Tensor] = self.net.forward_features  # type: ignore[assignment]
        return features(x)


@pytest.mark.parametrize("spec", ["hardnet", "densenet_cifar"])
def test_features_save_what_the_whole_net_saves(spec: str) -> None:
    """Up to the head, which is small, and the features themselves, which are then a result."""
    settings: dict[str, Any] = {"depth": 22} if spec == "densenet_cifar" else {}
    net = emitted.emit(spec, **settings).build()
    side = 32 if spec == "densenet_cifar" else 64
    x = torch.randn(2, 3, side, side)
    result = Features(net)(x)
    bytes = result.numel() * 4
    whole, features = (measure(each, [x]).saved for each in (net, Features(net)))
    assert abs(whole - features) <= bytes + 0.02 * whole
    assert whole < 0.6 * measure(without_runtime(net), [x]).saved


SLOTS = """
from torch import nn


class Slots(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.memory = nn.Linear(channels, channels)

    def forward(self, x):
        return x + self.memory(x.movedim(1, -1)).movedim(-1, 1)
"""


def test_nothing_is_written_on_the_modules_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slots_of_others.py").write_text(SLOTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    text = SPECS["dense"].replace("-> block:", "-> slots: Slots -> block:")
    extern = 'extern layer Slots(): [C, H, W] -> [C, H, W] from "slots_of_others:Slots"(C)\n\nnet N'
    spec = tmp_path / "slots.arch"
    spec.write_text(text.replace("net N", extern))
    for memory in ("keep", "off"):
        net = emitted.emit(spec).build(memory=memory).double()
        assert net(images()).shape == (4, 5)
        for module in net.modules():
            if type(module).__module__ != type(net).__module__:
                assert "memory" not in " ".join(vars(module))


def test_a_label_may_be_called_memory(tmp_path: Path) -> None:
    spec = tmp_path / "memory.arch"
    spec.write_text(SPECS["dense"].replace("stem:", "memory:").replace("block:", "mode:"))
    net = emitted.emit(spec).build(memory="recompute").double()
    assert isinstance(net.get_submodule("memory"), nn.Conv2d)
    plain = without_runtime(net)
    assert_close(net(images()), plain(images()))


def test_the_mode_of_a_part() -> None:
    net = emitted.emit("densenet_cifar", depth=22).build()
    home = sys.modules[type(net).__module__]
    home.set_memory(net.get_submodule("features.denseblock1"), ["keep", "recompute", "off"])
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    with pytest.raises(ValueError, match="memory must be one of keep, recompute, off, not 'of'"):
        home.set_memory(net, "of")


WITHOUT = """
import sys, warnings
import torch
*home, name = sys.argv[3].split(".")
found = torch
for word in home:
    found = getattr(found, word)
delattr(found, name)
from archc.runtime.surroundings import MISSING
from archc.runtime.memory import set_memory
assert MISSING == ["torch." + sys.argv[3]], MISSING
net = torch.load(sys.argv[1], weights_only=False)
results = []
for memory in ("keep", "off"):
    set_memory(net, memory)
    for _ in range(2):
        net.zero_grad()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            net(torch.load(sys.argv[2])).square().sum().backward()
        results.append([p.grad.clone() for p in net.parameters()])
        expected = memory == "keep" and len(results) == 1
        assert len(said) == expected, [str(each.message) for each in said]
    assert not said or "finds no torch." + sys.argv[3] in str(said[0].message)
assert all(map(torch.equal, results[0], results[2]))
"""


@pytest.mark.parametrize(
    "name",
    [
        "_C._autograd._top_saved_tensors_default_hooks",
        "autograd.forward_ad._current_level",
        "_lazy_clone",
    ],
)
def test_a_torch_without_one_of_its_private_functions(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The net runs as torch runs it, and says so once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    net = archc.loads(SPECS["dense"]).build().double()
    files = [str(tmp_path / "net.pt"), str(tmp_path / "x.pt")]
    torch.save(net, files[0])
    torch.save(torch.randn(2, 3, 12, 12).double(), files[1])
    root = str(Path(archc.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *files, name],
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
