"""Fuzzes the limits: small programs over values must end within the steps and bytes allowed.

    python benchmarks/fuzz_values.py --seconds 600 --seed 1

Each program is elaborated with the default limits in this process, whose memory is bounded. Prints
the numbers of the programs with the most steps, seconds and bytes, and every program that takes too
long or breaks. The same seed on the same commit gives the same programs.
"""

import argparse
import platform
import resource
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from archc.diagnostics import ArchError
from archc.elaborate.files import load_program
from archc.elaborate.limits import Budget, Limits
from archc.elaborate.net import elaborate
from archc.testing.values import program

MEMORY = 512 * 2**20
TOO_LONG = 10.0
"""Seconds of processor time: twice what is promised, for a busy machine."""


@dataclass(frozen=True)
class Run:
    """What one program took."""

    code: str
    steps: int
    bytes: int
    seconds: float


def run(text: str, path: Path) -> Run:
    path.write_text(text)
    budget = Budget(Limits())
    start = time.process_time()
    code = "compiled"
    try:
        elaborate(load_program(path), budget=budget)
    except ArchError as problem:
        code = problem.diagnostics[-1].code
        path.write_text(str(problem))  # the message is made, too
    return Run(code, budget.steps, budget.bytes, time.process_time() - start)


def peak() -> float:
    """The most memory that the process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    started, count = time.monotonic(), 0
    worst: dict[str, tuple[float, int]] = {}
    codes: Counter[str] = Counter()
    failed = []
    before = peak()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.arch"
        while time.monotonic() - started < args.seconds:
            text = program(Random(f"{args.seed} {count}"))
            try:
                done = run(text, path)
            except Exception:  # noqa: BLE001 - what breaks is what is looked for
                failed.append(count)
                print(f"program {count} broke:\n{text}\n{traceback.format_exc()}", flush=True)
            else:
                codes[done.code] += 1
                for name, value in (("steps", done.steps), ("seconds", done.seconds)):
                    worst[name] = max(worst.get(name, (0, 0)), (value, count))
                worst["bytes"] = max(worst.get("bytes", (0, 0)), (done.bytes, count))
                if done.seconds > TOO_LONG:
                    failed.append(count)
                    print(f"program {count} took {done.seconds:.1f} s:\n{text}", flush=True)
            count += 1
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    print(f"seed {args.seed}: {count:,} programs in {args.seconds:.0f} s, {machine}")
    print(", ".join(f"{number:,} {code}" for code, number in codes.most_common()))
    for name, (value, number) in worst.items():
        print(f"most {name}: {value:,.2f} (program {number})")
    print(f"most memory: {peak():.0f} MiB, of which {before:.0f} before the first program")
    print(f"failed: {failed or 'none'}")


if __name__ == "__main__":
    main()
