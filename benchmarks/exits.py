"""What early exits save: the time of `predict` beside that of its exits alone, and the accuracy.

    python benchmarks/exits.py runs/msdnet      # a run with exits; writes results/exits.json

`predict` is timed on batches of 256 images that it takes in turns with `net(x, exit=k)` for each k,
in CPU time of the process on one thread; t_k is the median of the latter for an image. The ratio is
that of `predict` to sum of n_k t_k, for n_k images that leave at exit k. Thresholds are chosen by
the images that the run held out; accuracies are those of the test images.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from archc.anytime.calibration import asked, choose, exit_costs, samples_of
from archc.train.run import load_run
from archc.train.trained import Trained, trained_run

RESULTS = Path(__file__).parent / "results" / "exits.json"
BATCH = 256


def seconds(way: Callable[[], object]) -> float:
    start = time.process_time()
    way()
    return time.process_time() - start


def measured(trained: Trained, turns: int) -> dict[str, Any]:
    """Accuracies and costs of budgets, and times of those in turns."""
    macs = exit_costs(trained, "macs")
    val, test = (samples_of(asked(trained, s), macs, "confidence") for s in ("val", "test"))
    net: Any = trained.net.eval()
    images = trained.adapt(next(trained.data.batches(trained.data.test, BATCH)).images)
    low, high = macs[0].item(), macs[-1].item()
    found: dict[str, Any] = {
        "exits": [
            {"accuracy": test.hits[k].double().mean().item(), "macs": macs[k].item()}
            for k in range(len(macs))
        ],
        "budgets": [],
    }
    for part in (0.2, 0.4, 0.6, 0.8):
        chosen = choose(val, low + part * (high - low), "macs")
        outcome, family = test.outcome(chosen.thresholds), chosen.family
        predict = partial(net.predict, images, chosen.thresholds)
        exits = predict().exit.tolist()
        ways = [predict, *(partial(net, images, exit=k) for k in range(len(macs)))]
        with torch.no_grad():
            rows = [[seconds(way) for way in ways] for _ in range(turns + 1)][1:]
        whole, *alone = map(statistics.median, zip(*rows, strict=True))
        expected = sum(alone[k] / BATCH for k in exits)
        found["budgets"].append(
            {
                "budget": chosen.budget,
                "accuracy": outcome.accuracy,
                "macs": outcome.cost,
                "family": None if family is None else test.outcome(family).accuracy,
                "leave": outcome.counts,
                "predict / sum of n_k t_k": round(whole / expected, 3),
                "predict / last exit": round(whole / alone[-1], 3),
            }
        )
        print(found["budgets"][-1], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    run = load_run(options.run)
    trained = trained_run(run)
    trained.load("model")
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "device": platform.processor() or "CPU",
            "cores": os.cpu_count(),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "net": run.config.net,
        "settings": run.config.settings,
        "data": run.config.data.name,
        "epochs": sum(1 for _ in (options.run / "metrics.csv").open()) - 1,
        **measured(trained, options.turns),
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
