"""Accuracy and time of the shipped training command on real data, over three seeds.

    python benchmarks/digits.py        # prints a table, writes results/digits.json

The command is `archc train densenet_cifar --set depth=40 --data digits`; the time is that of the
whole process.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "digits.json"
COMMAND = ["train", "densenet_cifar", "--set", "depth=40", "--data", "digits"]


def train(seed: int, folder: str) -> dict[str, float]:
    """The test accuracy in percent and the seconds of one run."""
    command = [sys.executable, "-m", "archc", *COMMAND, "--seed", str(seed), "--out", folder]
    start = time.perf_counter()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - start
    accuracy = float(output.split("test accuracy:")[1].strip().rstrip("%"))
    return {"seed": seed, "test_accuracy_percent": accuracy, "seconds": round(seconds, 1)}


def main() -> None:
    runs = []
    for seed in (0, 1, 2):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(train(seed, folder))
        print(runs[-1])
    report = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "command": f"archc {' '.join(COMMAND)}",
        "runs": runs,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
