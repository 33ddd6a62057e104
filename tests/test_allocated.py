"""What a training step allocates with shared memory, at batches small enough for CI.

The bytes of a step are a part that grows with the batch, exactly in proportion, and one that does
not (gradients of weights on their way, statistics): two batches tell the two apart.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import emitted
import pytest
import torch

from archc.passes.base import Pass
from archc.passes.pipeline import DEFAULT

MIB = 2**20


def load_benchmark() -> ModuleType:
    """The script that measures the same at full size."""
    path = Path(__file__).parents[1] / "benchmarks" / "memory.py"
    spec = importlib.util.spec_from_file_location("benchmark_memory", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_memory"] = module
    spec.loader.exec_module(module)
    return module


benchmark = load_benchmark()


def per_image(net: torch.nn.Module, size: int, channels: int = 3) -> tuple[float, float]:
    """Bytes kept for the backward pass, and at the peak, that one image more costs."""
    two, four = (benchmark.step_bytes(net, torch.randn(n, channels, size, size)) for n in (2, 4))
    return (four.saved - two.saved) / 2, (four.peak - two.peak) / 2


@pytest.mark.parametrize(("memory", "saved"), [("keep", 350), ("recompute", 98)])
def test_densenet_bc_100_keeps_few_bytes(memory: str, saved: int) -> None:
    """At batch 64, where torchvision's keeps 2,125 MiB."""
    kept, _ = per_image(emitted.emit("densenet_cifar").build(memory=memory), 32)
    assert kept * 64 <= saved * MIB


@pytest.mark.full
@pytest.mark.parametrize(("memory", "saved"), [("keep", 225), ("recompute", 95)])
def test_densenet_121_keeps_few_bytes(memory: str, saved: int) -> None:
    """At batch 8, where torchvision's keeps 990 MiB."""
    kept, _ = per_image(emitted.emit("densenet").build(memory=memory), 224)
    assert kept * 8 <= saved * MIB


@pytest.mark.parametrize(
    ("spec", "size"), [("msdnet_cifar", 32), pytest.param("hardnet", 96, marks=pytest.mark.full)]
)
def test_half_of_what_torch_keeps(spec: str, size: int) -> None:
    plain, shared = (
        per_image(emitted.emit(spec, passes=passes).build(), size)
        for passes in (emitted.O0, DEFAULT)
    )
    assert shared[0] <= plain[0] / 2
    assert shared[1] <= plain[1] / 2


def test_memory_is_linear_in_depth(tmp_path: Path) -> None:
    """Torch's is quadratic: each layer keeps all features before it once more."""
    spec = tmp_path / "one_block.arch"
    spec.write_text(benchmark.ONE_BLOCK)
    assert growth(spec, DEFAULT) <= 1.05
    assert growth(spec, emitted.O0) >= 1.4


def growth(spec: Path, passes: tuple[Pass, ...]) -> float:
    """The exponent of the peak of one image more in the number of layers, from 16 to 64."""
    nets = [emitted.emit(spec, passes=passes, layers=layers).build() for layers in (16, 64)]
    exponent: float = benchmark.exponent([per_image(net, 16, 24)[1] for net in nets], (16, 64))
    return exponent


@pytest.mark.full
def test_rows_keep_their_inputs_only() -> None:
    """ResNet-1202 at batch 8 fits into 200 MiB: what each further block costs tells."""
    net = emitted.emit("resnet_cifar", passes=benchmark.ROWS, depth=128).build()
    kept, most = per_image(net, 32)
    deeper = emitted.emit("resnet_cifar", passes=benchmark.ROWS, depth=152).build()
    more, most_more = per_image(deeper, 32)
    blocks = (1202 - 128) // 24
    assert 8 * (kept + blocks * (more - kept)) <= 200 * MIB
    assert 8 * (most + blocks * (most_more - most)) <= 200 * MIB
