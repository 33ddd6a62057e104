"""A fuzzer: mutated specs through `check`, `compile`, `fmt`, `expand`, `summary` and `viz`.

    python benchmarks/fuzz.py --seconds 3600 --seed 0 > benchmarks/logs/fuzz.log
    python benchmarks/fuzz.py --seed 0 --only 1234      # one input again: its text and what it did

Each input must give diagnostics, or files that are what they should be: emitted Python that only
declares what it should, is imported by torch, and gives tensors of the promised shapes; inert
pictures. Each command has 10 s of processor time and 1 GiB of memory; no exception but ArchError
is let through. Most inputs are tried in one process, which calls what the command line calls; some
go to the real command. When the time is over (or on SIGTERM) the counts are printed, and findings
give exit status 1.
"""

import argparse
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import fuzz_checks
from fuzz_checks import MEMORY, SECONDS, Net, Outcome
from fuzz_inputs import ROOT, Corpus, Input, corpus, draw

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

GENERATED = 300
PROCESS_EVERY = 100
COMMANDS = (
    ("check", "spec.arch"),
    ("compile", "spec.arch"),
    ("fmt", "spec.arch", "--diff"),
    ("expand", "spec.arch"),
    ("summary", "spec.arch"),
    ("viz", "spec.arch", "-o", "spec.svg"),
    ("check", "spec.arch", "--error-format", "json"),
)


class Worker:
    """The process that tries inputs; a new one takes the place of one that died."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.connection: Connection
        self.process: BaseProcess
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=fuzz_checks.work, args=(theirs, self.folder))
        self.process.start()
        theirs.close()

    def outcome_of(self, given: Input) -> Outcome:
        try:
            self.connection.send(given)
            if self.connection.poll(60 * SECONDS):
                result: Outcome = self.connection.recv()
                return result
            self.process.kill()
            what = "hangs"
        except (EOFError, OSError):
            what = "dies"
        self.process.join()
        self.start()
        return Outcome(finding=f"the process {what}")

    def stop(self) -> None:
        self.connection.send(None)
        self.process.join()


def generated_specs(seed: int) -> list[str]:
    """Valid specs of `archc.testing`."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    from archc.testing import Spec, specs

    found: list[str] = []

    @seeded(seed)
    @settings(
        max_examples=GENERATED,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(specs())
    def collect(spec: Spec) -> None:
        found.append(spec.text)

    collect()
    return found


def run_net(net: Net) -> str:
    """Import an emitted file, and run a small net; what goes wrong, or nothing."""
    import torch

    if not net.importable:
        return ""
    module = types.ModuleType("emitted")
    try:
        exec(net.source, module.__dict__)
        if net.shapes is None:
            return ""
        inputs, outputs = net.shapes
        model = getattr(module, module.__all__[0])().eval()
        with torch.no_grad():
            result = model(*(torch.zeros(2, *shape) for shape in inputs))
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is what we look for
        return f"emitted file: {type(problem).__name__}: {problem}"
    given = [result] if isinstance(result, torch.Tensor) else list(result)
    shapes = [tuple(each.shape[1:]) for each in given]
    return "" if shapes == list(outputs) else f"emitted file gives {shapes}, not {outputs}"


def run_process(given: Input, command: tuple[str, ...], folder: Path) -> str:
    """The real command on an input; what goes wrong, or nothing."""
    fuzz_checks.write(given, folder)
    done = subprocess.run(
        [sys.executable, "-m", "archc", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        preexec_fn=_limit,
        check=False,
    )
    for name in (*given.files, "spec.svg"):
        (folder / name).unlink(missing_ok=True)
    message = done.stderr.decode(errors="replace")
    calm = done.returncode in (0, 1) and not {"\x1b", "\r", "\0"} & {*message}
    if calm and "Traceback" not in message and "internal error" not in message:
        return ""
    return f"archc {' '.join(command)}: exit status {done.returncode}\n{message}"


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def fuzz(source: Corpus, seed: int, seconds: float, start: int) -> int:
    """Try inputs until the time is over; print what happened. Gives the number of findings."""
    counts: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    began = time.monotonic()
    number = start
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        worker = Worker(folder)
        while time.monotonic() - began < seconds and not stopped.is_set():
            given = draw(source, seed, number)
            outcome = worker.outcome_of(given)
            problems = [outcome.finding, *map(run_net, outcome.nets)]
            if number % PROCESS_EVERY == 0:
                command = COMMANDS[number // PROCESS_EVERY % len(COMMANDS)]
                problems.append(run_process(given, command, Path(other)))
                counts["real commands"] += 1
            counts["inputs"] += 1
            counts["refused" if outcome.codes else "right"] += 1
            counts["nets compiled"] += len(outcome.nets)
            counts["nets imported"] += sum(net.importable for net in outcome.nets)
            counts["nets run"] += sum(bool(net.shapes and net.importable) for net in outcome.nets)
            codes.update(outcome.codes)
            for problem in filter(None, problems):
                # The last line and the place tell findings apart; each kind is shown once.
                lines = [line.strip() for line in problem.strip().split("\n")]
                kind = " | ".join(lines[-3:])
                if not findings[kind]:
                    print(f"FINDING at input {number} ({given.origin}):\n{problem}", flush=True)
                findings[kind] += 1
            number += 1
        worker.stop()
    report(counts, codes, findings, time.monotonic() - began)
    return sum(findings.values())


def report(
    counts: Counter[str], codes: Counter[str], findings: Counter[str], seconds: float
) -> None:
    print(f"\n{seconds:.0f} s")
    for name, count in counts.items():
        print(f"  {name:<20} {count:>8,}")
    print(f"  {'kinds of findings':<20} {len(findings):>8,}")
    print(f"  {'findings':<20} {sum(findings.values()):>8,}")
    print(f"\n{len(codes)} codes were given, in so many inputs:")
    rows = [f"{code} {count:>7,}" for code, count in sorted(codes.items())]
    for at in range(0, len(rows), 6):
        print("  " + "   ".join(rows[at : at + 6]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60, help="how long to try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="the first input's number")
    parser.add_argument("--only", type=int, help="show one input, and try it alone")
    options = parser.parse_args()
    source = corpus(generated_specs(options.seed))
    if options.only is not None:
        given = draw(source, options.seed, options.only)
        for name, content in given.files.items():
            print(f"--- {name}\n{content.decode('utf-8', 'backslashreplace')}")
        with tempfile.TemporaryDirectory() as folder:
            worker = Worker(folder)
            outcome = worker.outcome_of(given)
            worker.stop()
        problems = [outcome.finding, *map(run_net, outcome.nets)]
        print(f"--- {given.origin}: {', '.join(outcome.codes) or 'no errors'}")
        print("\n".join(filter(None, problems)))
        sys.exit(any(problems))
    commit = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    at = subprocess.run(commit, capture_output=True, text=True, check=True).stdout.strip()
    print(
        f"{time.strftime('%Y-%m-%d')}, commit {at}, seed {options.seed}, inputs from "
        f"{options.start}, {sum(map(len, source.groups)):,} texts to mutate, "
        f"{SECONDS} s and {MEMORY // 2**20} MiB for each command",
        flush=True,
    )
    sys.exit(bool(fuzz(source, options.seed, options.seconds, options.start)))


if __name__ == "__main__":
    main()
