"""Small nets of each technique on Fashion-MNIST, by the commands of archc, on one thread.

    python benchmarks/fashion_mnist.py                        # all, 10 epochs, over three seeds
    python benchmarks/fashion_mnist.py --epochs 2 --seeds 1 msdnet

Each run is added to results/fashion_mnist.json as it ends, with its commands, its settings and its
time, in place of one of the same name, epochs and seed. Nothing is chosen by the test images: the
weights are those after the last epoch.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "fashion_mnist.json"
SPEC = str(HERE / "fashion_mnist.arch")

SIMPLE = ["--recipe-set", "augmentation.crop_padding=2", "--recipe-set", "augmentation.flip=true"]
CYCLES = 5
TECHNIQUES: dict[str, list[str]] = {
    "densenet": ["--net", "SmallDense", *SIMPLE],
    "constant depth": ["--net", "SmallResidual", "--set", "final_survival=1.0", *SIMPLE],
    "stochastic depth": ["--net", "SmallResidual", *SIMPLE],
    "msdnet": ["--net", "SmallMSD", "--recipe", "msdnet_cifar"],
    "sparsity": ["--net", "SmallVGG", "--recipe", "slimming"],
    "snapshots": ["--net", "SmallVGG", "--recipe", "snapshot_cifar"],
    "snapshots' baseline": ["--net", "SmallVGG", "--recipe", "snapshot_cifar"],
}
"""The arguments of each training; nets of a recipe for CIFAR take its augmentation, too."""

SCHEDULES = {
    "snapshots": f"schedule={{name: cyclic, cycles: {CYCLES}}}",
    "snapshots' baseline": "schedule={name: cosine}",
}


def archc(*arguments: str) -> str:
    command = [sys.executable, "-m", "archc", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def run(name: str, epochs: int, seed: int, folder: str) -> dict[str, Any]:
    """Train and measure; shares are percent."""
    schedule = [f"--recipe-set={SCHEDULES[name]}"] if name in SCHEDULES else []
    words = ["train", SPEC, "--data", "fashion-mnist", *TECHNIQUES[name], *schedule]
    words += ["--epochs", str(epochs), "--batch-size", "128", "--seed", str(seed)]
    start, before = time.perf_counter(), os.times()
    archc(*words, "--out", folder)
    after = os.times()
    seconds = time.perf_counter() - start
    processor = after.children_user - before.children_user
    found = json.loads(archc("eval", folder, "--json"))
    result: dict[str, Any] = {
        "technique": name,
        "epochs": epochs,
        "seed": seed,
        "command": " ".join(["archc", *words]).replace(SPEC, "benchmarks/fashion_mnist.arch"),
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "exits": [measured(each) for each in found["exits"]],
    }
    if name == "snapshots":
        ensemble = json.loads(archc("eval", folder, "--ensemble", "all", "--json"))
        result["ensemble"] = measured(ensemble["exits"][-1])
        result["members"] = [measured(each) for each in ensemble["members"]]
        result["agreements"] = ensemble["agreements"]
    if name == "sparsity":
        result["scales_below_0.01"] = small_scales(Path(folder))
    return result


def measured(each: dict[str, Any]) -> dict[str, Any]:
    """An exit or a member of `archc eval --json`, rounded."""
    return {
        "name": each.get("name", each.get("weights")),
        "top1_percent": round(100 * each["top1"], 2),
        "loss": round(each["loss"], 4),
        "calibration_error": round(each["calibration_error"], 4),
    }


def small_scales(folder: Path) -> str:
    """How many scales of batch norms the sparsity term has made small."""
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    scales = [
        value for name, value in weights.items() if name.startswith("bn") and "weight" in name
    ]
    every = torch.cat(scales).abs()
    return f"{int((every < 0.01).sum())} of {len(every)}"


def record(result: dict[str, Any]) -> None:
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"runs": []}
    key = ("technique", "epochs", "seed")
    kept = [each for each in report["runs"] if any(each[k] != result[k] for k in key)]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=HERE,
    )
    result |= {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit.stdout.strip(),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[1],
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }
    RESULTS.write_text(json.dumps({"runs": [*kept, result]}, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("techniques", nargs="*", metavar="TECHNIQUE")
    given = parser.parse_args()
    for name in given.techniques or TECHNIQUES:
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as folder:
                result = run(name, given.epochs, seed, folder)
            record(result)
            print(name, seed, result["exits"][-1], result.get("ensemble", ""), flush=True)


if __name__ == "__main__":
    main()
