"""Plans beside measurements: nets of shipped specs and of generated ones, in all modes."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import emitted
import torch
from allocations import measure, measure_inference
from hypothesis import HealthCheck, Phase, given, seed, settings

from archc.analysis.plan.estimate import estimate_memory
from archc.analysis.plan.plan import Memory, MemoryPlan
from archc.compiler import Compilation, Request, compile_spec
from archc.ir.graph import Graph
from archc.ops.registry import OPS
from archc.ops.size import Size
from archc.passes.base import Pass
from archc.passes.parse import parse_passes
from archc.passes.pipeline import DEFAULT
from archc.testing import Spec, specs
from archc.watch.plan import watch_memory

BATCH = 2
SIDE = 64
"""What a symbolic size becomes, with the number before its symbol."""

RERUN = parse_passes("simplify,share-memory{recompute=true}")

SHIPPED: dict[str, dict[str, Any]] = {
    "densenet_cifar": {"depth": 22},
    "preact_resnet": {"blocks": [1, 2, 1, 1]},
    "preact_resnet_cifar": {"depth": 20},
    "resnet_cifar": {"depth": 20},
    "resnext_cifar": {"depth": 11},
}
"""Arguments of the nets that are large without; the others are taken as they are."""


@dataclass(frozen=True)
class Mode:
    """How a net is compiled and run."""

    passes: tuple[Pass, ...] = DEFAULT
    memory: Memory = "keep"
    training: bool = True
    dtype: str = "float32"

    def plan(
        self, compilation: Compilation, sizes: Mapping[str, int], batch: int = BATCH
    ) -> MemoryPlan:
        return watch_memory(compilation, batch, **self._asked(sizes))

    def estimate(
        self, compilation: Compilation, sizes: Mapping[str, int], batch: int = BATCH
    ) -> MemoryPlan:
        return estimate_memory(compilation.graph, batch, **self._asked(sizes))

    def _asked(self, sizes: Mapping[str, int]) -> dict[str, Any]:
        mode = "training" if self.training else "inference"
        return {"dtype": self.dtype, "memory": self.memory, "mode": mode, "symbols": sizes}


MODES = {
    "-O0": Mode((), "off"),
    "off": Mode(memory="off"),
    "keep": Mode(),
    "recompute": Mode(memory="recompute"),
    "inference": Mode(training=False),
}


@dataclass(frozen=True)
class Compared:
    """Bytes that are kept when the forward pass has ended, and the most at a time.

    An inference keeps nothing but its outputs, which the plan does not count as kept.
    """

    planned: tuple[int, int]
    measured: tuple[int, int]

    @property
    def ratios(self) -> list[float]:
        """Planned by measured, of each; 1 where there is nothing."""
        pairs = zip(self.planned, self.measured, strict=True)
        return [plan / true if true else 1.0 + plan for plan, true in pairs]


def compare(
    compilation: Compilation,
    path: Path,
    mode: Mode,
    shapes: Sequence[tuple[int, ...]],
    batch: int = BATCH,
) -> Compared:
    """A net in a file, with inputs of such shapes, the batch left out."""
    plan = mode.plan(compilation, sizes_of(compilation.graph, shapes), batch).planned
    dtype: torch.dtype = getattr(torch, mode.dtype)
    net = emitted.build_from(path).to(dtype)
    if compilation.graph.sharing:
        sys.modules[type(net).__module__].set_memory(net, mode.memory)
    _open_gates(net)
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(batch, *shape, generator=generator).to(dtype) for shape in shapes]
    if not mode.training:
        return Compared((0, plan.peak), (0, measure_inference(net, inputs)))
    measured = measure(net, inputs)
    return Compared((plan.saved, plan.peak), (measured.saved, measured.peak))


def _open_gates(net: Any) -> None:
    """The plan is of a step that skips nothing."""
    if hasattr(net, "draw_gates"):
        net.draw_gates(0, 0)
        for module in net.modules():
            if hasattr(module, "gate"):
                module.gate = True


def compare_shipped(spec: str, mode: Mode, net: str | None = None) -> Compared:
    """A net of a shipped spec, its first one unless named."""
    arguments = SHIPPED.get(spec, {}) if net is None else {}
    found = emitted.emit(spec, net, mode.passes, **arguments)
    return compare(found.compilation, found.path, mode, shapes_of(found.graph))


def compare_generated(spec: Spec, mode: Mode, folder: Path) -> Compared:
    """A generated net; its files lie in a folder."""
    file, model = folder / "net.arch", folder / f"net_{len(list(folder.iterdir()))}.py"
    file.write_text(spec.text, encoding="utf-8")
    compilation = compile_spec(Request(str(file), passes=mode.passes))
    model.write_text(compilation.source(), encoding="utf-8")
    return compare(compilation, model, mode, spec.shapes)


OPERATORS = sorted(OPS)


def generated(number: int) -> Spec:
    """A spec for each number; every operator is in one of them.

    Each is the last of a short random run of its own, so that they are unlike each other.
    """
    found: list[Spec] = []

    @seed(number)
    @settings(
        max_examples=5,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(specs(OPERATORS[number % len(OPERATORS)]))
    def collect(spec: Spec) -> None:
        found.append(spec)

    collect()
    return found[-1]


def shapes_of(graph: Graph) -> list[tuple[int, ...]]:
    """The shapes of a net's inputs; `16*H` and `H` are as large as each other."""
    sides = {d.symbol: SIDE // d.a for d in _sizes(graph)}
    return [
        tuple(d.at(sides[d.symbol]) if isinstance(d, Size) else d for d in node.type.shape)
        for node in graph.inputs()
    ]


def sizes_of(graph: Graph, shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """The symbols of inputs of such shapes."""
    pairs = [
        (dim, size)
        for node, shape in zip(graph.inputs(), shapes, strict=True)
        for dim, size in zip(node.type.shape, shape, strict=True)
    ]
    return {dim.symbol: size // dim.a for dim, size in pairs if isinstance(dim, Size)}


def _sizes(graph: Graph) -> Iterator[Size]:
    for node in graph.inputs():
        yield from (dim for dim in node.type.shape if isinstance(dim, Size))
