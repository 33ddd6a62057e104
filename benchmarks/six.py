"""What each step of examples/six.sh did: accuracy, multiply-accumulates, bytes and time.

    examples/six.sh runs/six && python benchmarks/six.py runs/six      # writes results/six.json

All accuracies are those of the test images. Times are milliseconds an image at a batch of 256 on
one thread, medians of runs in turns; onnxruntime takes one image at a time. Under the budget
images leave by the thresholds that `archc calibrate` found on the images that were held out.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor

from archc.anytime.calibration import asked, exit_costs, load_calibration, samples_of
from archc.anytime.costs import BATCH
from archc.train.ensemble import members_of, trained_ensemble
from archc.train.run import load_run
from archc.train.trained import Trained, trained_run

RESULTS = Path(__file__).parent / "results" / "six.json"
TURNS = 7


def whole(trained: Trained, name: str, file: Path, parts: int = 1) -> dict[str, Any]:
    """A net at its last exit."""
    last = asked(trained, "test").measures()[-1]
    macs = exit_costs(trained, "macs")[-1].item()
    bytes = parts * file.stat().st_size
    return {"step": name, "accuracy": last.top1, "macs": macs, "bytes": bytes}


def leaving(trained: Trained, folder: Path) -> tuple[dict[str, Any], Callable[[Tensor], object]]:
    """The ensemble under its budget, and what predicts with it."""
    saved = load_calibration(folder)
    assert saved is not None
    costs = exit_costs(trained, "macs")
    outcome = samples_of(asked(trained, "test"), costs, saved.criterion).outcome(saved.thresholds)
    found = {"accuracy": outcome.accuracy, "macs": outcome.cost, "leave": outcome.counts}
    net: Any = trained.net
    return found, lambda x: net.predict(x, saved.thresholds, saved.criterion)


def in_onnxruntime(file: Path, images: Tensor, labels: Tensor) -> dict[str, Any]:
    """Accuracy and milliseconds of images, one after the other."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options)
    name = session.get_inputs()[0].name
    right, start = 0, time.process_time()
    for image, label in zip(images, labels, strict=True):
        (scores,) = session.run(["scores"], {name: image[None].numpy()})
        right += int(scores.argmax() == label)
    elapsed = time.process_time() - start
    return {"accuracy": right / len(labels), "milliseconds": 1000 * elapsed / len(labels)}


def timed(ways: dict[str, Callable[[Tensor], object]], images: Tensor) -> dict[str, float]:
    """Milliseconds an image of each way, in turns, in CPU time of the process."""
    rows: dict[str, list[float]] = {name: [] for name in ways}
    with torch.no_grad():
        for _ in range(TURNS + 1):
            for name, way in ways.items():
                start = time.process_time()
                way(images)
                rows[name].append(time.process_time() - start)
    return {name: 1000 * statistics.median(row[1:]) / len(images) for name, row in rows.items()}


def measured(runs: Path) -> list[dict[str, Any]]:
    """A row for each step."""
    rows: list[dict[str, Any]] = []
    ways: dict[str, Callable[[Tensor], object]] = {}
    steps = ("wide", "trained"), ("thin", "slimmed"), ("tuned", "trained further")
    for folder, step in steps:
        trained = trained_run(load_run(runs / folder))
        trained.load("model")
        rows.append(whole(trained, step, runs / folder / "model.safetensors"))
        ways[step] = trained.net.eval()
    tuned = load_run(runs / "tuned")
    members = members_of(tuned, "all")
    together = trained_ensemble(tuned, members, tuned.data())
    snapshot = runs / "tuned" / f"{members[-1]}.safetensors"
    rows.append(whole(together, "ensemble", snapshot, len(members)))
    ways["ensemble"] = together.net.eval()
    found, predict = leaving(together, runs / "tuned")
    rows.append({"step": "under the budget", **found, "bytes": rows[-1]["bytes"]})
    ways["under the budget"] = predict
    (batch,) = together.data.batches(together.data.test, len(together.data.test.labels))
    images = together.adapt(batch.images)
    for name, milliseconds in timed(ways, images[:BATCH]).items():
        next(row for row in rows if row["step"] == name)["milliseconds"] = milliseconds
    file = runs / "ensemble.onnx"
    exported = in_onnxruntime(file, images, batch.labels)
    macs = rows[-1]["macs"]
    rows.append({"step": "exported", **exported, "macs": macs, "bytes": file.stat().st_size})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = load_run(options.runs / "tuned").config
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "device": platform.processor() or "CPU",
            "cores": os.cpu_count(),
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
            "python": platform.python_version(),
        },
        "net": config.net,
        "settings": config.settings,
        "data": config.data.name,
        "steps": measured(options.runs),
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    for row in report["steps"]:
        print(row)


if __name__ == "__main__":
    main()
