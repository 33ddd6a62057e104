"""The words of the code: what a class is called in one place, it is not called in many others."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import archc

ROOT = Path(archc.__file__).parent

FILES_OF_A_NAME = 2
"""In how many files a name may be defined: a word may mean one thing in two places."""

IN_MORE = {"Block", "Body", "Frame", "Kept", "Kind", "Layout", "Place", "Reader"}
IN_MORE |= {"Recipe", "Stage", "Step", "Value", "Written"}
"""Those that are still defined in more."""


def _defined(path: Path) -> Iterator[str]:
    """The classes of a file, and what it calls types: names in capitals are constants."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Assign):
            names = (target.id for target in statement.targets if isinstance(target, ast.Name))
            yield from (name for name in names if re.match(r"_?[A-Z]\w*[a-z]", name))


def test_no_class_is_defined_in_many_files_under_one_name() -> None:
    homes: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        for name in _defined(path):
            homes.setdefault(name.lstrip("_"), set()).add(path.relative_to(ROOT).as_posix())
    many = {name: sorted(found) for name, found in homes.items() if len(found) > FILES_OF_A_NAME}
    assert {name: found for name, found in many.items() if name not in IN_MORE} == {}
