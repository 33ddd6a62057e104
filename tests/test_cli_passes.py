"""`archc passes`: the passes, their options, their promises."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from command_line import run

from archc.passes.base import Pass
from archc.passes.parse import parse_passes
from archc.passes.pipeline import DEFAULT, PASSES
from archc.passes.simplify import Simplify


@dataclass(frozen=True)
class Prune(Pass):
    """Remove channels.

    More of it.
    """

    name: ClassVar[str] = "prune"
    ratio: float
    rounds: int = 2
    exact: bool = False
    by: str = "scale"


@pytest.fixture
def prune(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archc.passes.pipeline.PASSES", (Simplify, Prune))


def test_all_passes_are_listed_in_their_order(folder: Path) -> None:
    (folder / "1").write_text("norms: {}\n")  # a plan is a file
    listed = json.loads(run("passes", "--json").stdout)["passes"]
    assert [item["name"] for item in listed] == [cls.name for cls in PASSES]
    assert [item["name"] for item in listed if item["default"]] == [step.name for step in DEFAULT]
    for item in listed:
        required = [f"{option['name']}=1" for option in item["options"] if option["required"]]
        assert item["promise"]
        assert parse_passes(f"{item['name']}{{{','.join(required)}}}")


def test_the_text_has_promises_and_options(prune: None) -> None:
    result = run("passes")
    assert (result.exit_code, result.stderr) == (0, "")
    first, last = result.stdout.split("\n\nprune\n")
    assert first.startswith(
        "simplify, by default\n  Remove operators whose result is their operand"
    )
    assert last == (
        "  Remove channels.\n\n  More of it.\n\n  options:\n"
        "    ratio: float, required\n    rounds: int = 2\n"
        '    exact: bool = false\n    by: str = "scale"\n'
    )


def test_programs_get_types_and_defaults(prune: None) -> None:
    shown = json.loads(run("passes", "--json").stdout)
    assert shown["schema"] == 1
    assert shown["passes"][1] == {
        "name": "prune",
        "default": False,
        "distribution": None,
        "promise": "Remove channels.\n\nMore of it.",
        "options": [
            {"name": "ratio", "type": "float", "required": True, "default": None},
            {"name": "rounds", "type": "int", "required": False, "default": 2},
            {"name": "exact", "type": "bool", "required": False, "default": False},
            {"name": "by", "type": "str", "required": False, "default": "scale"},
        ],
    }
