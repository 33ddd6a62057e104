"""Bytes of a training step: nets with shared memory beside torch and torchvision, by allocation.

    python benchmarks/memory.py                # prints a table, writes results/memory.json
    python benchmarks/memory.py --scale 8      # the same with batches of an eighth, not written

Counted is every allocation of torch on a CPU, kernels' workspaces included, above what lives before
the step (parameters, their gradients, the batch): what is kept for the backward pass when the
forward pass has ended, and the most at any time. float32.
"""

import argparse
import gc
import json
import math
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from archc.compiler import Request, compile_spec
from archc.passes.base import Pass
from archc.passes.pipeline import DEFAULT
from archc.passes.share_memory import ShareMemory
from archc.passes.simplify import Simplify

RESULTS = Path(__file__).parent / "results" / "memory.json"
MIB = 2**20
ROWS = (Simplify(), ShareMemory(recompute=True))
DEPTHS = (16, 32, 64)

ONE_BLOCK = """
import "blocks/dense"

net OneBlock(layers=16)(image: [24, 32, 32]) {
    return image -> block: DenseBlock(layers, 12) -> norm: bn -> relu -> global_avg_pool
           -> classifier: linear(10)
}
"""


@dataclass(frozen=True)
class Step:
    """Bytes that live when the forward pass has ended, and the most of the whole step."""

    saved: int
    peak: int


def step_bytes(net: nn.Module, x: Tensor) -> Step:
    """One training step of a net; its parameters have gradients before it."""
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    losses: list[Tensor] = []

    def forward() -> None:
        result = net(x)
        outputs = [result] if isinstance(result, Tensor) else list(result)
        losses.append(torch.stack([output.mean() for output in outputs]).sum())

    first = _changes(forward)
    second = _changes(lambda: torch.autograd.backward(losses.pop()))
    saved = sum(first)
    return Step(saved, max(_most(first), saved + _most(second)))


def _changes(run: Callable[[], None]) -> list[int]:
    """The bytes that a call takes (above zero) and gives back, in order."""
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    results: Any = profiler.profiler
    events = [each for each in results.kineto_results.events() if each.name() == "[memory]"]
    return [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]


def _most(changes: Sequence[int]) -> int:
    total = most = 0
    for change in changes:
        total += change
        most = max(most, total)
    return most


def emitted(spec: str, passes: tuple[Pass, ...], memory: str | None = None, **settings: str) -> Any:
    """An instance of the net that a spec compiles to."""
    compilation = compile_spec(Request(spec, None, settings, passes))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.py"
        path.write_text(compilation.source(), encoding="utf-8")
        scope: dict[str, Any] = {"__name__": "model", "__file__": str(path)}
        exec(compile(compilation.source(), str(path), "exec"), scope)
    net = scope[scope["__all__"][0]]
    return net() if memory is None else net(memory=memory)


def _peer(efficient: bool, cifar: bool) -> Any:
    """torchvision's DenseNet-121, or its DenseNet-BC-100-12 with the stem for CIFAR."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from conftest import import_torchvision  # works beside a torch for CPUs only

    models = import_torchvision().models
    if not cifar:
        return models.densenet121(memory_efficient=efficient)
    net = models.DenseNet(12, (16, 16, 16), 24, num_classes=10, memory_efficient=efficient)
    net.features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        setattr(net.features, name, nn.Identity())
    return net


@dataclass(frozen=True)
class Case:
    """A net, the shape of its batch, and the ways to run it."""

    name: str
    shape: tuple[int, ...]
    ways: dict[str, Callable[[], Any]]


def cases() -> Iterator[Case]:
    """All that is measured, the growth with depth apart."""
    for name, spec, shape, cifar in (
        ("DenseNet-BC-100-12", "densenet_cifar", (64, 3, 32, 32), True),
        ("DenseNet-121", "densenet", (8, 3, 224, 224), False),
    ):
        yield Case(
            name,
            shape,
            {
                "torchvision": lambda cifar=cifar: _peer(False, cifar),
                "torchvision memory_efficient": lambda cifar=cifar: _peer(True, cifar),
                "archc keep": lambda spec=spec: emitted(spec, DEFAULT, "keep"),
                "archc recompute": lambda spec=spec: emitted(spec, DEFAULT, "recompute"),
            },
        )
    for name, spec, shape in (
        ("MSDNet, CIFAR, 7 exits", "msdnet_cifar", (64, 3, 32, 32)),
        ("HarDNet-68", "hardnet", (8, 3, 224, 224)),
    ):
        yield Case(
            name,
            shape,
            {
                "archc -O0": lambda spec=spec: emitted(spec, ()),
                "archc keep": lambda spec=spec: emitted(spec, DEFAULT, "keep"),
            },
        )
    yield Case(
        "ResNet-1202",
        (8, 3, 32, 32),
        {
            "archc -O0": lambda: emitted("resnet_cifar", (), depth="1202"),
            "archc rows run again": lambda: emitted("resnet_cifar", ROWS, depth="1202"),
        },
    )


def growth(passes: tuple[Pass, ...]) -> dict[str, Any]:
    """The peak of one dense block with 16 to 64 layers of 12 features, batch 4: how it grows."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "one_block.arch"
        spec.write_text(ONE_BLOCK)
        for depth in DEPTHS:
            net = emitted(str(spec), passes, layers=str(depth))
            peaks.append(step_bytes(net, torch.randn(4, 24, 32, 32)).peak)
    return {"layers": DEPTHS, "peak": peaks, "exponent": round(exponent(peaks, DEPTHS), 3)}


def exponent(peaks: Sequence[float], depths: Sequence[int]) -> float:
    """Of the depth, with which the peak grows from the first to the last."""
    return math.log(peaks[-1] / peaks[0]) / math.log(depths[-1] / depths[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=1, help="divide all batches by this")
    scale = parser.parse_args().scale
    nets: dict[str, Any] = {}
    for case in cases():
        batch, *rest = case.shape
        rows = nets.setdefault(f"{case.name}, batch {batch // scale}", {})
        for way, build in case.ways.items():
            torch.manual_seed(0)
            step = step_bytes(build(), torch.randn(batch // scale, *rest))
            rows[way] = {"saved": step.saved, "peak": step.peak}
            saved, peak = step.saved / MIB, step.peak / MIB
            print(f"{case.name:<24}{way:<32}{saved:10.1f}{peak:10.1f} MiB", flush=True)
    depth = {"archc -O0": growth(()), "archc keep": growth(DEFAULT)}
    for way, found in depth.items():
        print(f"{'growth with depth':<24}{way:<32}{found['exponent']:10.3f}")
    if scale == 1:
        machine = {"system": platform.system(), "machine": platform.machine()}
        results = {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": {**machine, "python": platform.python_version(), "torch": torch.__version__},
            "unit": "bytes",
            "nets": nets,
            "growth with depth": depth,
        }
        RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
