"""How deep a DenseNet-BC with growth 12 trains at batch 64 in 16 GiB: planned, and run.

    python benchmarks/depth.py        # prints a table, writes results/depth.json

What has to fit are the planned peak, the parameters and their gradients. Nets are run at depths and
batches that this machine has the time for, and their measured bytes stand beside the planned ones.
"""

import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from archc.compiler import Compilation, Request, compile_spec

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import emitted
from planned import MODES, Mode, compare

RESULTS = Path(__file__).parent / "results" / "depth.json"
GIB = 2**30
ROOM = 16 * GIB
BATCH = 64
MOST = 700
"""The layers of a block at most that the search goes to: a plan of as many takes minutes."""

RUNS = (("-O0", 316, 2), ("keep", 316, 64), ("keep", 1204, 2), ("recompute", 1204, 2))
"""Mode, depth and batch of the nets that are run."""


def depth_of(layers: int) -> int:
    """The depth of a net of three blocks of so many layers, two convolutions each."""
    return 6 * layers + 4


def bytes_of(mode: Mode, layers: int) -> int:
    """The peak of a training step at batch 64, the parameters and their gradients included."""
    depth = {"depth": str(depth_of(layers))}
    compilation = compile_spec(Request("densenet_cifar", None, depth, passes=mode.passes))
    return mode.plan(compilation, {}, BATCH).planned.peak + 2 * _parameters(compilation)


def _parameters(compilation: Compilation) -> int:
    weights = (each for _, found in compilation.graph.weights() for each in found)
    return sum(4 * weight.elements for weight in weights if weight.trained)


def deepest(mode: Mode) -> int | None:
    """The most layers of a block that fit; None if all do that are tried.

    The next depth to try is where a line through the ends of what is left meets the room.
    """
    low, high = 16, MOST
    least, most = bytes_of(mode, low), bytes_of(mode, high)
    if most <= ROOM:
        return None
    while high - low > 1:
        guess = low + round((high - low) * (ROOM - least) / (most - least))
        middle = min(max(guess, low + 1), high - 1)
        found = bytes_of(mode, middle)
        if found <= ROOM:
            low, least = middle, found
        else:
            high, most = middle, found
    return low


def run(mode: str, depth: int, batch: int) -> dict[str, Any]:
    """One net that is planned and measured."""
    net = emitted.emit("densenet_cifar", None, MODES[mode].passes, depth=depth)
    compared = compare(net.compilation, net.path, MODES[mode], [(3, 32, 32)], batch)
    names = ("saved", "peak")
    pairs = zip(compared.planned, compared.measured, strict=True)
    found = {n: {"planned": p, "measured": m} for n, (p, m) in zip(names, pairs, strict=True)}
    ratios = [round(ratio, 4) for ratio in compared.ratios]
    print(f"{mode:<12}depth {depth:>5}, batch {batch:>3}", found, ratios, flush=True)
    return {"mode": mode, "depth": depth, "batch": batch, **found, "ratios": ratios}


def main() -> None:
    torch.set_num_threads(1)
    runs = [run(*each) for each in RUNS]
    depths: dict[str, int | None] = {}
    for name in ("-O0", "keep", "recompute"):
        layers = deepest(MODES[name])
        depths[name] = None if layers is None else depth_of(layers)
        print(f"{name:<12}deepest {depths[name] or f'more than {depth_of(MOST)}'}", flush=True)
    machine = {"system": platform.system(), "machine": platform.machine()}
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {**machine, "python": platform.python_version(), "torch": torch.__version__},
        "unit": "bytes",
        "room": ROOM,
        "batch": BATCH,
        "deepest": depths,
        "tried up to": depth_of(MOST),
        "runs": runs,
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
