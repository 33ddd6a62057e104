"""What the loop of `archc train` costs beside a bare loop with the same net, in turns.

    python benchmarks/loop.py                   # one thread of a CPU; writes results/loop.json
    python benchmarks/loop.py --steps 3         # to try it; not written
    python benchmarks/loop.py --device cuda

A bare step is forward, loss, backward and SGD on tensors that lie there. `step` is the loop's step
on the same tensors; `data` is that with images of a data set, cropped and mirrored. A figure is the
images a second of CPU time of the process, or on a GPU of wall-clock time; the ways take turns step
by step, and ratios are those of the medians.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from archc.compiler import Request
from archc.train.data import Batch, Dataset, Origin
from archc.train.data.dataset import InMemory
from archc.train.devices import Machine
from archc.train.fit import fit
from archc.train.loop import Loop
from archc.train.recipe_file import load_recipe
from archc.train.record import Record
from archc.train.training import Order, Prepared

RESULTS = Path(__file__).parent / "results" / "loop.json"

NETS = (
    ("densenet_cifar", {"depth": "40"}, 32),
    ("resnet_cifar", {"depth": "20"}, 64),
    ("wide_resnet_cifar", {"depth": "16", "widen": "2"}, 64),
)


def synthetic(images: int) -> Dataset:
    """Random images of CIFAR's size and number of classes."""
    made = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 3, 32, 32), generator=made, dtype=torch.uint8)
    split = InMemory(pixels, torch.randint(0, 10, (images,), generator=made))
    mean, deviation = torch.full((3,), 127.5), torch.full((3,), 74.0)
    names = tuple(map(str, range(10)))
    return Dataset("synthetic", names, 3, 32, mean, deviation, split, None, split)


class Ways:
    """The three loops over one net's architecture, each with an instance of its own."""

    def __init__(self, spec: str, settings: dict[str, str], batch: int, device: str) -> None:
        changes = (f"batch_size={batch}", "epochs=1000")
        machine = Machine(device)
        order = Order(Request(spec, arguments=settings), Origin("synthetic"), Path("none"))
        order = replace(order, recipe="densenet_cifar", changes=changes, machine=machine)
        recipe = load_recipe(order.recipe, changes)
        data = synthetic(64 * batch)
        prepared = Prepared(order, recipe, data, fit(order.request, data))
        fabric = machine.fabric(recipe.precision)
        self.device, self.batch = fabric.device, batch
        self.data = data.to(fabric.device)
        self.bare = prepared.build().to(fabric.device)
        self.optimizer = torch.optim.SGD(
            self.bare.parameters(), 0.1, momentum=0.9, weight_decay=1e-4, nesterov=True
        )
        self.loops = []
        for _ in range(2):
            net = prepared.build().to(fabric.device)
            record = Record(order.out, prepared.config, "", keep=1, writes=False)
            self.loops.append(Loop(fabric, prepared.config, self.data, net, record))
        images = torch.randn(batch, 3, 32, 32, device=fabric.device)
        labels = torch.randint(0, 10, (batch,), device=fabric.device)
        self.fixed = Batch(images, labels, labels)
        augmentation = recipe.augmentation
        self.stream = (
            each
            for epoch in range(1000)
            for each in self.data.epoch(epoch, batch_size=batch, seed=0, augmentation=augmentation)
        )

    def bare_step(self) -> None:
        self.bare.train()
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.bare(self.fixed.images), self.fixed.labels)
        loss.backward()
        self.optimizer.step()

    def loop_step(self) -> None:
        self.loops[0].step(self.fixed)

    def data_step(self) -> None:
        self.loops[1].step(next(self.stream))

    def measure(self, steps: int) -> dict[str, Any]:
        """Images a second of each way, and the ratios."""
        ways = {"bare": self.bare_step, "step": self.loop_step, "data": self.data_step}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for step in range(steps + 2):
            for name, way in ways.items():
                seconds = self._time(way)
                if step >= 2:
                    times[name].append(seconds)
        rates = {name: self.batch / statistics.median(each) for name, each in times.items()}
        return {
            **{f"{name} images/s": round(rate, 1) for name, rate in rates.items()},
            "step / bare": round(rates["step"] / rates["bare"], 3),
            "data / step": round(rates["data"] / rates["step"], 3),
        }

    def _time(self, way: Callable[[], None]) -> float:
        on_cpu = self.device.type == "cpu"
        clock = time.process_time if on_cpu else time.perf_counter
        start = clock()
        way()
        if not on_cpu:
            torch.cuda.synchronize()
        return clock() - start


def name_of(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else platform.processor() or "CPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for spec, settings, batch in NETS:
        told = ", ".join(f"{name}={value}" for name, value in settings.items())
        measured = Ways(spec, settings, batch, options.device).measure(options.steps or 9)
        found[f"{spec}, {told}, batch {batch}"] = measured
        print(spec, measured, flush=True)
    if options.steps:
        return
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    report[options.device] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "device": name_of(options.device),
            "cores": os.cpu_count(),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "clock": "CPU time of the process" if options.device == "cpu" else "wall clock",
        "nets": found,
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
