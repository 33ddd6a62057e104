"""Whole-process times of the compiler: start, DenseNet-121, ResNet-1202, and growth with size.

    python benchmarks/compile_time.py            # prints a table, writes results/compile_time.json

Each figure is the smallest of `RUNS` runs of a new process, interpreter start included, on a
machine that should be idle; the machine is named with the results.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 5
RESULTS = Path(__file__).parent / "results" / "compile_time.json"

CHAIN = """\
net Chain(n=500)(x: [8, 8, 8]) {
    for i in range(n) {
        y = x -> "conv{i}": conv(8, 3) -> "bn{i}": bn -> relu
        x = x + y
    }
    return x
}
"""
"""Four operators a turn, none of which can be shared or rolled: the worst case for its size."""


def seconds(*arguments: str) -> float:
    """The smallest time of a run of `archc` with these arguments."""
    command = [sys.executable, "-m", "archc", *arguments]
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return round(min(times), 3)


def machine() -> dict[str, str | int | None]:
    names = [line for line in _cpuinfo() if line.startswith("model name")]
    return {
        "cpu": names[0].split(":")[1].strip() if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().split("\n") if path.exists() else []


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder) / "chain.arch"
        chain.write_text(CHAIN)
        out = str(Path(folder) / "model.py")
        times = {
            "archc --help": seconds("--help"),
            "archc compile densenet": seconds("compile", "densenet", "-o", out, "--force"),
            "archc compile resnet_cifar, depth 1202": seconds(
                "compile", "resnet_cifar", "--set", "depth=1202", "-o", out, "--force"
            ),
        }
        for n in (625, 1_250, 2_500, 5_000):
            arguments = ("compile", str(chain), "--set", f"n={n}", "-o", out, "--force")
            times[f"chain of {4 * n + 1:,} operators"] = seconds(*arguments)
    for name, value in times.items():
        print(f"{name:<42} {value:6.2f} s")
    RESULTS.parent.mkdir(exist_ok=True)
    report = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "seconds": times}
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
