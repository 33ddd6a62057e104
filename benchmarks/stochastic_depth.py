"""What skipping saves: time of a ResNet-110, bytes of a ResNet-1202, with stochastic depth.

    python benchmarks/stochastic_depth.py             # writes results/stochastic_depth.json
    python benchmarks/stochastic_depth.py --batch 8   # the bytes of a smaller batch, not written

Time is that of the processor, on one thread, in turns with the same net at constant depth: of each
step the share that is saved, by the share of branches that it skips. Bytes are every allocation of
torch above what lives before the step, as in `memory.py`.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch
from memory import _changes, _most, emitted
from torch import Tensor, nn

from archc.passes.pipeline import DEFAULT
from archc.passes.share_memory import ShareMemory
from archc.passes.simplify import Simplify
from archc.passes.stochastic_depth import StochasticDepth

RESULTS = Path(__file__).parent / "results" / "stochastic_depth.json"
AGAIN = (Simplify(), StochasticDepth(), ShareMemory(recompute=True))
MIB = 2**20


def batch_of(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (size,), generator=generator)
    return torch.randn(size, 3, 32, 32, generator=generator), labels


def trainer(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Callable[[], Tensor]:
    """One step of SGD, which gives its loss."""
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(batch[0]), batch[1])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.detach()

    return step


def times(batch: int, steps: int) -> dict[str, Any]:
    """The time that skipping saves, as a share of the compute that it skips."""
    nets = [emitted("resnet_cifar", DEFAULT, final_survival=final) for final in ("1", "0.5")]
    ways = [trainer(net, batch_of(batch)) for net in nets]
    branches: list[Any] = [block for n in (1, 2, 3) for block in getattr(nets[1], f"layer{n}")]
    taken: list[list[float]] = [[], []]
    skipped = []
    for number in range(steps + 1):
        nets[1].draw_gates(0, number)
        skipped.append(1 - sum(block.drop_path.gate for block in branches) / len(branches))
        for way, found in zip(ways, taken, strict=True):
            start = time.process_time()
            way()
            found.append(time.process_time() - start)
    whole, part = (found[1:] for found in taken)
    saved = [1 - less / more for less, more in zip(part, whole, strict=True)]
    ratios = [each / share for each, share in zip(saved, skipped[1:], strict=True)]
    return {
        "batch": batch,
        "steps": steps,
        "seconds a step, constant depth": round(median(whole), 3),
        "seconds a step, stochastic depth": round(median(part), 3),
        "share of branches skipped": round(sum(skipped[1:]) / steps, 4),
        "time saved / share skipped, median": round(median(ratios), 3),
        "time saved / share skipped, each": [round(ratio, 3) for ratio in ratios],
    }


def bytes_of(batch: int, steps: int = 5) -> dict[str, Any]:
    """Kept and peak bytes of steps of a ResNet-1202, and its losses."""
    net = emitted("resnet_cifar", AGAIN, depth="1202")
    images, labels = batch_of(batch)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    rows = []
    for number in range(steps):
        net.draw_gates(0, number)
        losses: list[Tensor] = []

        def forward(losses: list[Tensor] = losses) -> None:
            losses.append(nn.functional.cross_entropy(net(images), labels))

        start = time.process_time()
        first = _changes(forward)
        loss = losses[0].item()
        second = _changes(lambda losses=losses: losses.pop().backward())
        optimiser.step()
        optimiser.zero_grad(set_to_none=False)
        peak = max(_most(first), sum(first) + _most(second))
        rows.append(
            {
                "loss": round(loss, 4),
                "saved MiB": round(sum(first) / MIB, 1),
                "peak MiB": round(peak / MIB, 1),
                "seconds": round(time.process_time() - start, 1),
            }
        )
        print(rows[-1], flush=True)
    return {"batch": batch, "steps": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64, help="of the ResNet-1202")
    parser.add_argument("--steps", type=int, default=12, help="of the ResNet-110")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, torch {torch.__version__}",
        "resnet110": times(64, given.steps) if given.steps else None,
        "resnet1202": bytes_of(given.batch),
    }
    print(json.dumps(found, indent=2))
    if given.batch == 64 and given.steps:
        RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
