"""Emitted nets where nets are used: mixed precision, memory formats, compilation, DDP.

Each way is tried on a small dense net, a small residual net, and one whose branches are dropped.
"""

import copy
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import emitted
import pytest
import torch
from torch import Tensor, nn

DROPPED = """
import "blocks/residual"

block Branch(planes, survival)(x) {
    y = x -> conv1: conv(planes, 3) -> bn1: bn -> relu
          -> conv2: conv(planes, 3) -> drop_path(survival=survival)
    return x + y
}

net Dropped(classes=10)(image: [3, 8, 8]) {
    x = image -> stem: conv(8, 3)
    for i in range(4) { x = x -> "branch{i + 1}": Branch(8, 0.5) }
    return x -> global_avg_pool -> fc: linear(classes)
}
"""
KINDS = ("dense", "residual", "dropped")
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]
NET = 1e-9  # the error of a whole net that reordered float64 arithmetic may have

on_each_device = pytest.mark.parametrize("device", DEVICES)
each_kind = pytest.mark.parametrize("kind", KINDS)
each_mode = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("specs") / "dropped.arch"
    path.write_text(DROPPED, encoding="utf-8")
    return path


@pytest.fixture
def build(dropped: Path) -> Callable[[str], nn.Module]:
    return lambda kind: _emit(kind, dropped).build()


def _emit(kind: str, dropped: Path) -> emitted.Emitted:
    if kind == "dense":
        return emitted.emit("densenet_cifar", "DenseNetBC", depth=22, growth=8, size=8)
    if kind == "residual":
        return emitted.emit("resnet_cifar", "ResNet", depth=8)
    return emitted.emit(dropped)


def _images(batch: int = 4, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, 8, 8, generator=generator).to(device, dtype)


def _loss(output: Tensor) -> Tensor:
    """A mean over the batch, as a loss is: DDP relies on it."""
    weights = torch.linspace(-1, 1, output.shape[1], dtype=output.dtype, device=output.device)
    return (output.square() * weights).sum(1).mean()


def _gradients(net: nn.Module) -> dict[str, Tensor]:
    found = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    assert len(found) == len(list(net.parameters()))
    return found


def _step(net: nn.Module, images: Tensor, seed: int = 3) -> tuple[Tensor, dict[str, Tensor]]:
    """The output and all gradients; branches are dropped as `seed` says."""
    net.zero_grad()
    torch.manual_seed(seed)
    output = net(images)
    _loss(output).backward()  # type: ignore[no-untyped-call]
    return output.detach(), _gradients(net)


def _error(ours: dict[str, Tensor], reference: dict[str, Tensor]) -> float:
    """The largest error of any gradient, in units of the largest gradient of its layer."""
    assert list(ours) == list(reference)
    scale: dict[str, float] = {}
    for name, value in reference.items():
        layer = name.rpartition(".")[0]
        scale[layer] = max(scale.get(layer, 0.0), float(value.abs().max()))
    errors = {
        name: float((ours[name] - value).abs().max()) / (scale[name.rpartition(".")[0]] or 1.0)
        for name, value in reference.items()
    }
    return max(errors.values())


# ------------------------------------------------------------------- numbers and their layout


@on_each_device
@each_kind
@each_mode
def test_bf16_autocast(
    build: Callable[[str], nn.Module], kind: str, device: str, training: bool
) -> None:
    net = build(kind).to(device).train(training)
    plain, _ = _step(net, _images(device=device))
    net.load_state_dict(build(kind).state_dict())
    with torch.autocast(device, dtype=torch.bfloat16):
        net.zero_grad()
        torch.manual_seed(3)
        output = net(_images(device=device))
        loss = _loss(output)
    loss.backward()  # type: ignore[no-untyped-call]
    assert output.dtype == torch.bfloat16
    assert bool(output.isfinite().all())
    assert nn.functional.cosine_similarity(output.flatten().float(), plain.flatten(), 0) > 0.99
    assert all(g.dtype == torch.float32 and g.isfinite().all() for g in _gradients(net).values())


@on_each_device
@each_kind
@each_mode
def test_channels_last(
    build: Callable[[str], nn.Module], kind: str, device: str, training: bool
) -> None:
    """The same result, and the layout is kept up to the head."""
    net = build(kind).double().to(device).train(training)
    other = cast(Any, copy.deepcopy(net)).to(memory_format=torch.channels_last)
    images = _images(device=device, dtype=torch.float64)
    output, gradients = _step(net, images)
    ours, our_gradients = _step(other, images.contiguous(memory_format=torch.channels_last))
    assert float((ours - output).abs().max() / output.abs().max()) < NET
    assert _error(our_gradients, gradients) < NET

    layouts: list[bool] = []
    for module in other.modules():
        module.register_forward_hook(
            lambda _module, _args, y: layouts.append(
                y.dim() < 4 or y.is_contiguous(memory_format=torch.channels_last)
            )
        )
    with torch.no_grad():  # in training, a dense block does not call the modules in it
        other(images.contiguous(memory_format=torch.channels_last))
    assert layouts
    assert all(layouts)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", ["densenet", "resnet"])
def test_both_are_bit_equal_to_torchvision(
    torchvision: Any, name: str, layout: torch.memory_format
) -> None:
    """Under autocast and in both layouts: the same casts and kernels in the same order."""
    models = torchvision.models
    if name == "densenet":
        torch.manual_seed(2)
        reference = models.DenseNet(
            growth_rate=8, block_config=(2, 3), num_init_features=16, num_classes=10
        )
        small: dict[str, Any] = {"growth": 8, "stem": 16, "blocks": [2, 3], "classes": 10}
        net = emitted.emit("densenet", passes=emitted.O0, **small)
    else:
        torch.manual_seed(2)
        reference = models.ResNet(models.resnet.Bottleneck, [1, 2, 1, 1], num_classes=10)
        net = emitted.emit("resnet", "ResNet50", blocks=[1, 2, 1, 1], classes=10)
    ours = net.build(seed=2)
    images = torch.randn(2, 3, 32, 48).contiguous(memory_format=layout)
    results = []
    for model in (reference, ours):
        cast(Any, model).to(memory_format=layout)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            results.append(_step(model, images))
    assert torch.equal(results[0][0], results[1][0])
    assert list(results[0][1]) == list(results[1][1])
    assert all(map(torch.equal, results[0][1].values(), results[1][1].values()))
    assert all(map(torch.equal, reference.state_dict().values(), ours.state_dict().values()))


# -------------------------------------------------------------------------------- compilation


@each_kind
@each_mode
def test_compilation_without_a_graph_break(
    build: Callable[[str], nn.Module], dropped: Path, kind: str, training: bool
) -> None:
    """The same numbers; those of a DenseNet but for rounding: the norms that close its blocks are
    plain modules there, which the compiler fuses."""
    net = build(kind).train(training).double()
    reference = copy.deepcopy(net)
    torch.compiler.reset()
    compiled = cast(nn.Module, torch.compile(net, backend="aot_eager", fullgraph=True))
    same: Callable[[Tensor, Tensor], bool] = torch.equal
    if kind == "dense":
        same = partial(torch.allclose, rtol=NET, atol=NET)
    if kind == "dropped" and training:  # as a whole it is compiled as if no branch were skipped
        reference = emitted.emit(dropped, passes=emitted.O0).build().double()
    for seed in (3, 4):
        expected, gradients = _step(reference, _images(dtype=torch.float64), seed)
        ours, our_gradients = _step(compiled, _images(dtype=torch.float64), seed)
        assert same(ours, expected)
        assert all(map(same, our_gradients.values(), gradients.values()))
    assert all(map(same, net.state_dict().values(), reference.state_dict().values()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@each_kind
def test_compilation_on_a_gpu(build: Callable[[str], nn.Module], kind: str) -> None:
    net = build(kind).cuda().eval()
    torch.compiler.reset()
    compiled = torch.compile(net, fullgraph=True)
    with torch.no_grad():
        expected, ours = net(_images(device="cuda")), compiled(_images(device="cuda"))
    assert float((ours - expected).abs().max() / expected.abs().max()) < 1e-3


# ------------------------------------------------------------------------------- two processes

MODES = (True, False)


def _two_halves(rank: int, folder: Path, files: list[Path]) -> None:
    """One process of two: its half of the batch; DDP averages the gradients."""
    torch.set_num_threads(1)
    meeting = (folder / "meeting").as_uri()
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    found: list[tuple[Any, ...]] = []
    for file in files:
        for training in MODES:
            net = emitted.build_from(file).double().train(training)
            ddp = nn.parallel.DistributedDataParallel(net)
            output, _ = _step(ddp, _half(rank), seed=rank)
            found.append((output, _gradients(net), dict(net.named_buffers())))
    found.append(_steps(files[-1], rank))
    torch.save(found, folder / f"rank{rank}.pt")
    torch.distributed.barrier()
    os._exit(0)  # torch joins gloo's threads with the interpreter locked, and may wait for ever


def _steps(file: Path, rank: int, count: int = 4) -> tuple[list[Any], dict[str, Tensor]]:
    """The gates of some steps of a net whose branches are skipped, and its weights after them."""
    net = emitted.build_from(file).double()
    ddp = nn.parallel.DistributedDataParallel(net)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    gates = []
    for step in range(count):
        cast(Any, net).draw_gates(1, step)
        gates.append(
            [cast(Any, net).get_submodule(f"branch{i}").drop_path.gate for i in range(1, 5)]
        )
        optimiser.zero_grad()
        _loss(ddp(_half(rank))).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return gates, dict(net.named_parameters())


def _half(rank: int) -> Tensor:
    return _images(dtype=torch.float64)[2 * rank : 2 * rank + 2]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory, dropped: Path) -> list[dict[Any, Any]]:
    """For each process: output, gradients and buffers of each net in each mode."""
    folder = tmp_path_factory.mktemp("ddp")
    files = [_emit(kind, dropped).path for kind in KINDS]
    context = torch.multiprocessing.spawn(  # type: ignore[attr-defined, no-untyped-call]
        _two_halves, (folder, files), nprocs=2, join=False
    )
    deadline = time.monotonic() + 120
    try:
        while not context.join(timeout=1):
            assert time.monotonic() < deadline, "the two processes do not come to an end"
    finally:
        for process in context.processes:
            process.kill()
    cases = [*((kind, training) for kind in KINDS for training in MODES), "steps"]
    return [
        dict(zip(cases, torch.load(folder / f"rank{rank}.pt", weights_only=True), strict=True))
        for rank in (0, 1)
    ]


@each_kind
def test_two_processes_have_the_gradients_of_the_whole_batch(
    build: Callable[[str], nn.Module], kind: str, ranks: list[dict[Any, Any]]
) -> None:
    """In evaluation, where batch norm does not look at the batch. (A kernel may add in another
    order for two images than for four, so the bits are those of the half alone.)"""
    _, gradients = _step(build(kind).double().eval(), _images(dtype=torch.float64))
    for rank in (0, 1):
        ours, our_gradients, _ = ranks[rank][kind, False]
        output, _ = _step(build(kind).double().eval(), _half(rank))
        assert torch.equal(ours, output)
        assert _error(our_gradients, gradients) < NET


def test_two_processes_skip_the_same_branches_step_after_step(
    ranks: list[dict[Any, Any]],
) -> None:
    """Without `find_unused_parameters`, in which a skipped branch would end the second step."""
    (gates, weights), (other_gates, other_weights) = (rank["steps"] for rank in ranks)
    assert gates == other_gates
    assert not all(map(all, gates))
    assert all(map(torch.equal, weights.values(), other_weights.values()))


@each_kind
def test_two_processes_have_the_mean_of_the_gradients_of_the_halves(
    build: Callable[[str], nn.Module], kind: str, ranks: list[dict[Any, Any]]
) -> None:
    """In training each process has its own batch statistics, and here its own dropped branches."""
    halves = []
    for rank in (0, 1):
        net = build(kind).double().train()
        output, gradients = _step(net, _half(rank), seed=rank)
        halves.append(gradients)
        ours, _, buffers = ranks[rank][kind, True]
        assert torch.equal(ours, output)
        assert all(torch.equal(buffers[name], value) for name, value in net.named_buffers())
    mean = {name: (value + halves[1][name]) / 2 for name, value in halves[0].items()}
    for rank in (0, 1):
        assert _error(ranks[rank][kind, True][1], mean) < NET


def test_the_halves_dropped_different_branches(ranks: list[dict[Any, Any]]) -> None:
    """Or the test above would not show that a branch dropped in one process only is no obstacle."""
    draws = []
    for rank in (0, 1):
        torch.manual_seed(rank)
        draws.append([bool(torch.rand(()) < 0.5) for _ in range(4)])
    assert draws[0] != draws[1]
    assert ranks[0]["dropped", True][1].keys() == ranks[1]["dropped", True][1].keys()
