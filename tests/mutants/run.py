"""Plant one bug after the other in a copy of archc, and see that its tests fail.

    python tests/mutants/run.py [WORD...]      only the mutants whose names have one of the words

Prints a line for each mutant; the exit status is 1 if one survives. `make mutants` runs all.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
COPIED = (
    "archc",
    "grammar",
    "specs",
    "tests",
    "docs",
    "benchmarks",
    "README.md",
    "CONTRIBUTING.md",
)
QUICK = {"ARCHC_EXAMPLES": "250", "OMP_NUM_THREADS": "1"}
LIMIT = 1200
"""Seconds for the tests of one mutant."""


@dataclass(frozen=True)
class Mutant:
    """A planted bug, and the test files that must notice it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, root: Path) -> None:
        """Plant it under a root."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.name}: the text is not there once"
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def mutants() -> list[Mutant]:
    """All of `mutants.yaml`."""
    text = (Path(__file__).parent / "mutants.yaml").read_text(encoding="utf-8")
    entries = yaml.safe_load(text)
    return [Mutant(**{**entry, "tests": tuple(entry["tests"].split())}) for entry in entries]


def copy(folder: Path) -> Path:
    """What the tests need, in a folder of its own."""
    target = folder / "archc-copy"
    target.mkdir()
    for name in (*COPIED, "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / name)
    return target


def failure(root: Path, tests: tuple[str, ...]) -> str:
    """The first test that fails under a root; empty if none does."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, **QUICK, "PYTHONPATH": str(root)}
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=LIMIT,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "does not come to an end"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].partition(" - ")[0] if lines else f"pytest ends with {done.returncode}"


def caught_by(mutant: Mutant) -> str:
    """The test that notices a mutant, and nothing else: without it, that test passes."""
    with tempfile.TemporaryDirectory(prefix="archc-mutant-") as folder:
        root = copy(Path(folder))
        clean = (root / mutant.file).read_text(encoding="utf-8")
        mutant.apply(root)
        caught = failure(root, mutant.tests)
        (root / mutant.file).write_text(clean, encoding="utf-8")
        if caught.startswith("FAILED ") and failure(root, (caught.removeprefix("FAILED "),)):
            raise SystemExit(f"{caught} without the mutant, too: {mutant.name}")
    return caught


def survivors(chosen: list[Mutant]) -> list[Mutant]:
    """The mutants that their tests do not notice."""
    found = []
    for mutant in chosen:
        began = time.monotonic()
        caught = caught_by(mutant)
        seconds = time.monotonic() - began
        print(f"{caught or 'SURVIVES':70} {seconds:5.0f} s  {mutant.name}", flush=True)
        if not caught:
            found.append(mutant)
    return found


def main(words: list[str]) -> int:
    chosen = [m for m in mutants() if not words or any(word in m.name for word in words)]
    alive = survivors(chosen)
    print(f"{len(chosen)} mutants, {len(alive)} survive")
    return 1 if alive or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
