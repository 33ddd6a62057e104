"""Times of a training step: nets with shared memory beside torchvision's, in turns.

    python benchmarks/step_time.py              # one thread of a CPU; writes results/step_time.json
    python benchmarks/step_time.py --steps 2    # to try it; not written
    python benchmarks/step_time.py --compile    # with torch.compile's peers: takes minutes
    python benchmarks/step_time.py --device cuda --compile

A step is forward, loss and backward, gradients set to None before; float32 on a CPU, bfloat16 by
autocast on a GPU. The ways take turns step by step, so that what else the machine does meets all of
them. A figure is CPU time of the process, or on a GPU wall-clock time until it has finished: the
median and the smallest. "first call" is wall-clock time, compiling included; "peak" the most memory
of a step above what lived before, which is taken on a GPU only (`memory.py` has that of a CPU).
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch._functorch import config as functorch
from torch._inductor.compile_fx import compile_fx
from torch.nn import functional as F

from archc.compiler import Request, compile_spec

RESULTS = Path(__file__).parent / "results" / "step_time.json"
STEPS = 9

NETS = {
    "cpu": (
        ("DenseNet-BC-100-12", "densenet_cifar", 64, 32),
        ("DenseNet-BC-100-12", "densenet_cifar", 16, 32),
        ("DenseNet-121", "densenet", 8, 224),
        ("DenseNet-121", "densenet", 2, 224),
    ),
    "cuda": (
        ("DenseNet-BC-100-12", "densenet_cifar", 64, 32),
        ("DenseNet-121", "densenet", 256, 224),
    ),
}
"""A net, its spec, the batch, and the size of the images."""


@dataclass(frozen=True)
class Way:
    """A net in one of the two memory formats."""

    net: nn.Module
    channels_last: bool = True

    def prepare(self, x: Tensor) -> tuple[nn.Module, Tensor]:
        order = torch.channels_last if self.channels_last else torch.contiguous_format
        net: Any = self.net.to(x.device)
        return net.to(memory_format=order), x.contiguous(memory_format=order)


def torchvision_densenet(cifar: bool, efficient: bool = False) -> nn.Module:
    """torchvision's DenseNet-121, or a DenseNet-BC-100-12 of its parts."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from conftest import import_torchvision  # works beside a torch for CPUs only

    models = import_torchvision().models
    if not cifar:
        whole: nn.Module = models.densenet121(memory_efficient=efficient)
        return whole
    net: Any = models.DenseNet(12, (16, 16, 16), 24, num_classes=10, memory_efficient=efficient)
    net.features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        setattr(net.features, name, nn.Identity())
    return net  # type: ignore[no-any-return]


def emitted(spec: str) -> ModuleType:
    """A module of its own of what a spec compiles to."""
    folder = tempfile.mkdtemp(prefix="archc-step-time-")
    path = Path(folder) / "model.py"
    path.write_text(compile_spec(Request(spec)).source(), encoding="utf-8")
    place = importlib.util.spec_from_file_location("model", path)
    assert place is not None
    assert place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def archc_net(spec: str, memory: str) -> nn.Module:
    module = emitted(spec)
    net: nn.Module = getattr(module, module.__all__[0])(memory=memory)
    return net


def with_compiled_pieces(spec: str, memory: str) -> nn.Module:
    """The same net with the elementwise pieces of its dense blocks compiled by torch.compile."""
    module: Any = emitted(spec)
    relu = torch.compile(
        lambda x, scale, shift: torch.relu(torch.addcmul(shift, x, scale)), dynamic=True
    )
    sums = torch.compile(_add_gradient, dynamic=True)

    def affine_relu(x: Tensor, scale: Tensor, shift: Tensor, _dtype: torch.dtype) -> Tensor:
        result: Tensor = relu(x.reshape(-1, x.shape[-1]), scale, shift).view(x.shape)
        return result

    def add_gradient(*tensors: Any) -> tuple[Tensor, Tensor]:
        total, grad, active, x, affine, empty = tensors
        if empty:
            total.zero_()
        rows = (t.reshape(-1, t.shape[-1]) for t in (grad, active, x))
        total = total.view(-1, total.shape[-1])
        result: tuple[Tensor, Tensor] = sums(total, *rows, affine[0], affine[3])
        return result

    module.affine_relu, module.add_gradient = affine_relu, add_gradient
    net: nn.Module = getattr(module, module.__all__[0])(memory=memory)
    return net


def _add_gradient(
    total: Tensor, grad: Tensor, active: Tensor, x: Tensor, scale: Tensor, mean: Tensor
) -> tuple[Tensor, Tensor]:
    dz = torch.where(active > 0, grad, 0.0)
    total.add_(dz * scale)
    return dz.sum(0), (dz * (x - mean)).sum(0)


def ways(spec: str, cifar: bool, compiled: bool) -> Iterator[tuple[str, Callable[[], Way]]]:
    """All that takes turns, by name."""
    yield "torchvision", lambda: Way(torchvision_densenet(cifar), channels_last=False)
    yield "torchvision, channels_last", lambda: Way(torchvision_densenet(cifar))
    yield (
        "torchvision memory_efficient",
        lambda: Way(torchvision_densenet(cifar, efficient=True), channels_last=False),
    )
    yield (
        "torchvision memory_efficient, channels_last",
        lambda: Way(torchvision_densenet(cifar, efficient=True)),
    )
    for memory in ("keep", "recompute"):
        yield f"archc {memory}", lambda memory=memory: Way(archc_net(spec, memory))
    yield "archc keep, NCHW", lambda: Way(archc_net(spec, "keep"), channels_last=False)
    yield "archc keep, compiled pieces", lambda: Way(with_compiled_pieces(spec, "keep"))
    if not compiled:
        return
    whole = "torch.compile of torchvision"
    yield whole, lambda: Way(_compiled(torchvision_densenet(cifar)))
    yield (
        f"{whole}, aggressive recomputation",
        lambda: Way(_compiled(torchvision_densenet(cifar), backend=_aggressive)),
    )
    if torch.cuda.is_available():
        tuned = "max-autotune-no-cudagraphs"
        yield f"{whole}, {tuned}", lambda: Way(_compiled(torchvision_densenet(cifar), mode=tuned))


def _compiled(net: nn.Module, **settings: Any) -> nn.Module:
    net.compile(**settings)
    return net


def _aggressive(graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
    """torch.compile's own backend, with as much computed again as it can."""
    with functorch.patch(aggressive_recomputation=True):
        compiled: Callable[..., Any] = compile_fx(graph, inputs)
    return compiled


def measure(
    x: Tensor, classes: int, steps: int, found: dict[str, Callable[[], Way]]
) -> dict[str, dict[str, float]]:
    """For each way the first call in seconds, median and smallest step in milliseconds."""
    target = torch.randint(0, classes, (len(x),), device=x.device)
    rows: dict[str, dict[str, float]] = {}
    running: dict[str, tuple[nn.Module, Tensor]] = {}
    for name, make in found.items():
        torch.manual_seed(0)
        running[name] = make().prepare(x)
        start = time.perf_counter()
        timed(*running[name], target)
        rows[name] = {"first call": round(time.perf_counter() - start, 2)}
    taken: dict[str, list[tuple[float, int]]] = {name: [] for name in found}
    for _ in range(steps):
        for name, (net, images) in running.items():
            taken[name].append(timed(net, images, target))
    for name, pairs in taken.items():
        times, peaks = zip(*pairs, strict=True)
        rows[name] |= {"median": round(statistics.median(times), 1), "min": round(min(times), 1)}
        if x.is_cuda:
            rows[name]["peak"] = max(peaks)
    return rows


def timed(net: nn.Module, images: Tensor, target: Tensor) -> tuple[float, int]:
    """The milliseconds of a step, and on a GPU the most bytes above those that lived before."""
    net.zero_grad(set_to_none=True)
    if not images.is_cuda:
        start = time.process_time()
        torch.autograd.backward(F.cross_entropy(net(images), target))
        return 1000 * (time.process_time() - start), 0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before, start = torch.cuda.memory_allocated(), time.perf_counter()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = F.cross_entropy(net(images), target)
    torch.autograd.backward(loss)
    torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start), torch.cuda.max_memory_allocated() - before


def machine() -> dict[str, str]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().split("\n") if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cpu = models[0] if models else platform.processor()
    found = {"cpu": cpu, "torch": torch.__version__, "python": platform.python_version()}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--compile", action="store_true", help="torch.compile's ways, too")
    parser.add_argument("--device", choices=list(NETS), default="cpu")
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(1)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp()  # nothing is compiled already
    result: dict[str, Any] = {}
    for name, spec, batch, size in NETS[options.device]:
        x = torch.randn(batch, 3, size, size, device=options.device)
        cifar = size == 32
        found = dict(ways(spec, cifar, options.compile))
        rows = measure(x, 10 if cifar else 1000, options.steps, found)
        result[f"{name}, batch {len(x)}"] = rows
        print(f"\n{name}, batch {len(x)}: first call in s, median and smallest step in ms")
        for way, row in rows.items():
            print(f"  {way:44}{row['first call']:8.2f}{row['median']:10.1f}{row['min']:10.1f}")
    if options.steps == STEPS:
        date = datetime.now(UTC).date().isoformat()
        every: dict[str, Any] = dict.fromkeys(NETS, "not measured")
        every |= json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        every[options.device] = {"date": date, "machine": machine(), "steps": result}
        RESULTS.write_text(json.dumps(every, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
