"""The loops around a statement, and how they tell apart what is made in each of their turns."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from archc.elaborate.values import Datum
from archc.syntax import ast

_WORD = re.compile(r"[A-Za-z0-9_]+")


@dataclass
class Loop:
    """A loop that runs: its names, what it runs over, and the values of the names in this turn."""

    targets: Sequence[ast.Target]
    items: Sequence[Datum]
    values: Mapping[str, Datum] = field(default_factory=dict)

    @cached_property
    def counter(self) -> str | None:
        """A name with another value in each turn, which can stand in a label."""
        width = len(self.targets)
        rows = self.items if width > 1 else [(item,) for item in self.items]
        fitting = [row for row in rows if isinstance(row, list | tuple) and len(row) == width]
        if len(fitting) < len(rows):  # which is an error, later
            return None
        for target, column in zip(self.targets, zip(*fitting, strict=True), strict=True):
            words = {str(value) for value in column if _fits(value)}
            if isinstance(target, ast.Name) and len(words) == len(self.items):
                return target.name
        return None


def _fits(value: Datum) -> bool:
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def numbered(name: str, written: str, loops: Sequence[Loop], taken: Collection[str]) -> str | None:
    """A label that differs in each turn of the loops: `"conv{i}"`; None if there is none.

    `name` is the label that is wanted, `written` what stands there now, maybe with holes.
    """
    counters = [loop.counter for loop in loops]
    if not counters or None in counters:
        return None
    if "{" not in written:
        alone = len(counters) == 1 and not name[-1].isdigit()
        alone &= not any(re.fullmatch(rf"{re.escape(name)}\d+", other) for other in taken)
        return f'"{name}{"" if alone else "_"}{"_".join(f"{{{each}}}" for each in counters)}"'
    holes = " ".join(re.findall(r"\{[^}]*\}", written))
    missing = [each for each in counters if not re.search(rf"\b{each}\b", holes)]
    if not missing:
        return None
    return f'{written[:-1]}{"".join(f"_{{{each}}}" for each in missing)}"'
