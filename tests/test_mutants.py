"""Planted bugs: each is a small change of archc that the tests have to notice.

`tests/mutants/mutants.toml` lists them: a file, a text that stands in it once, what it becomes, and
the tests that fail then. The long run plants each in a copy of the tree and runs these tests.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
MUTANTS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("mutants").joinpath("mutants.toml").read_text("utf-8")
)["mutant"]
TREE = ("archc", "docs", "grammar", "specs", "tests")
FILES = ("README.md", "CONTRIBUTING.md", "Makefile", "constraints.txt", "pyproject.toml")

mutants = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["name"])


@mutants
def test_a_mutant_can_be_planted(mutant: dict[str, Any]) -> None:
    text = (ROOT / mutant["file"]).read_text("utf-8")
    assert text.count(mutant["old"]) == 1
    assert mutant["old"] != mutant["new"]
    compile(text.replace(mutant["old"], mutant["new"]), mutant["file"], "exec")
    assert all((ROOT / word).exists() for word in mutant["tests"] if word.startswith("tests/"))


def test_there_are_many_mutants_and_each_is_another() -> None:
    assert len(MUTANTS) >= 30
    assert len({mutant["name"] for mutant in MUTANTS}) == len(MUTANTS)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree once more, to plant mutants in."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__", "mutants")
    for name in TREE:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.mark.full
@mutants
def test_a_mutant_is_caught(mutant: dict[str, Any], copy: Path) -> None:
    """Tests fail; that none can be collected any more would show nothing."""
    path = copy / mutant["file"]
    text = path.read_text("utf-8")
    path.write_text(text.replace(mutant["old"], mutant["new"]), "utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
            + mutant["tests"],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        path.write_text(text, "utf-8")
    assert done.returncode == 1, f"it survives: {done.stdout[-2000:]}"
