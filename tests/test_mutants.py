"""The planted bugs of `tests/mutants` fit the sources; `make mutants` runs the tests on them."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def _run() -> Any:
    path = ROOT / "tests" / "mutants" / "run.py"
    spec = importlib.util.spec_from_file_location("mutants_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants_run"] = module
    spec.loader.exec_module(module)
    return module


MUTANTS = _run().mutants()


def test_there_are_many_in_every_part() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 30
    parts = {Path(mutant.file).parts[1] for mutant in MUTANTS}
    assert parts >= {"ops", "elaborate", "passes", "codegen", "runtime", "viz", "analysis"}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_changes_one_place_of_a_source(mutant: Any) -> None:
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    assert mutant.new != mutant.old
    compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")
    assert all((ROOT / test).is_file() for test in mutant.tests)
