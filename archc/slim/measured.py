"""What slimming has changed as it is measured: accuracy on the run's images, time on this CPU."""

import statistics
import time
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from archc.diagnostics import ArchError
from archc.ir.graph import Graph
from archc.slim.slimming import Thin, Wide
from archc.train.evaluation import BATCH, answers

ROUNDS, SECONDS = 31, 2.0
"""How often each net is run, and after which time less often."""

_LEAST = 5


@dataclass(frozen=True)
class Accuracy:
    """Shares of the `images` of a split that the last exit is right about, from 0 to 1."""

    data: str
    split: str
    images: int
    before: float
    after: float


@dataclass(frozen=True)
class Latency:
    """Medians of a batch's time in seconds, of `rounds` in which the nets take turns."""

    batch: int
    threads: int
    rounds: int
    before: float
    after: float


@dataclass(frozen=True)
class Measured:
    """What could be measured; `unmeasured` says why the accuracy could not."""

    accuracy: Accuracy | None
    latency: Latency | None
    unmeasured: str = ""

    def to_json(self) -> dict[str, object]:
        found = {"accuracy": self.accuracy, "latency": self.latency}
        return {name: asdict(each) for name, each in found.items() if each is not None}

    def lines(self) -> list[str]:
        """For people."""
        found = []
        if (a := self.accuracy) is not None:
            where = f"{a.images:,} images of {a.data} ({a.split})"
            found.append(f"accuracy    {a.before:>16.2%} -> {a.after:>16.2%}  on {where}")
        elif self.unmeasured:
            found.append(f"accuracy: not measured: {self.unmeasured}")
        if (b := self.latency) is not None:
            times = [f"{1000 * each:.2f} ms" for each in (b.before, b.after)]
            threads = "1 CPU thread" if b.threads == 1 else f"{b.threads} CPU threads"
            ran = f"{b.after / b.before:.1%}, batch {b.batch}, {threads}"
            found.append(f"latency     {times[0]:>16} -> {times[1]:>16}  {ran}")
        return found


def measure(thin: Thin, batch: int = 1) -> Measured:
    """Run the wide net and the thin one: on the test images, if it is a run whose data is here;
    and for time, if the net takes images of a certain size."""
    nets = thin.wide.net().eval(), thin.net().eval()
    latency = latency_of(*nets, thin.wide.graph, batch)
    if thin.wide.run is None:
        return Measured(None, latency)
    try:
        return Measured(_accuracy(*nets, thin.wide), latency)
    except ArchError as problem:
        return Measured(None, latency, problem.diagnostics[0].message)


def _accuracy(wide: nn.Module, thin: nn.Module, of: Wide) -> Accuracy:
    assert of.run is not None
    data = of.run.data()
    before, after = (
        answers(net, of.run.adapt, data.batches(data.test, BATCH)).measures()[-1].top1
        for net in (wide, thin)
    )
    return Accuracy(data.name, "test", len(data.test.labels), before, after)


@torch.no_grad()
def latency_of(wide: nn.Module, thin: nn.Module, graph: Graph, batch: int) -> Latency | None:
    """Times of two nets in evaluation for the same random images, after a first run of each; None
    for nets that take images of any size."""
    shapes = [node.type.shape for node in graph.inputs()]
    sizes = [[size for size in shape if isinstance(size, int)] for shape in shapes]
    if list(map(len, sizes)) != list(map(len, shapes)):
        return None
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(batch, *shape, generator=generator) for shape in sizes]
    times: tuple[list[float], list[float]] = ([], [])
    for net in (wide, thin):
        net(*images)
    end = time.perf_counter() + SECONDS
    while len(times[0]) < _LEAST or (len(times[0]) < ROUNDS and time.perf_counter() < end):
        for net, found in zip((wide, thin), times, strict=True):
            found.append(_time(net, images))
    before, after = map(statistics.median, times)
    return Latency(batch, torch.get_num_threads(), len(times[0]), before, after)


def _time(net: nn.Module, images: list[Tensor]) -> float:
    start = time.perf_counter()
    net(*images)
    return time.perf_counter() - start
