"""What each box costs, in numbers and words, and the colour scale that shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from archc.analysis.cost import Cost, Costs, total
from archc.analysis.memory import kept_bytes
from archc.ir.graph import Graph, Path
from archc.viz import labels
from archc.viz.grouping import Group
from archc.viz.picture import Color, Legend

STEPS = 6
"""The most steps of a scale: as many shades as can be told apart."""

_TITLES = {
    Color.MACS: "multiply-accumulates of one sample",
    Color.PARAMS: "parameters",
    Color.MEMORY: "memory kept for the backward pass of one sample",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """The multiply-accumulates of a box, the weights that it is the first to apply (`shared`: it
    applies others too), and the bytes that it keeps, None if they are not known."""

    cost: Cost
    shared: bool
    memory: int | None

    def value(self, color: Color) -> int | None:
        """The number that a colour shows."""
        if color is Color.MACS:
            return self.cost.macs
        if color is Color.MEMORY:
            return self.memory
        return None if self.cost.opaque else self.cost.params

    def lines(self, color: Color) -> list[str]:
        """What stands in a box: its parameters, and the number behind its colour."""
        lines = labels.weights(self.cost, shared=self.shared)
        if color is Color.MACS and self.cost.macs != 0:
            lines.append(labels.macs(self.cost))
        if color is Color.MEMORY and self.memory != 0:
            lines.append(f"{'?' if self.memory is None else _bytes(self.memory)} kept")
        return lines

    def details(self) -> list[str]:
        """All figures, exactly."""
        kept = "?" if self.memory is None else f"{self.memory:,}"
        weights = labels.weights(self.cost, shared=self.shared)
        return [*weights, labels.macs(self.cost), f"{kept} bytes kept for the backward pass"]


def figures_of(graph: Graph, groups: Sequence[Group], costs: Costs) -> list[Figures]:
    """The figures of groups in the order of execution."""
    kept = kept_bytes(graph)
    seen: set[Path] = set()
    found = []
    for group in groups:
        paths = {node.layer.path: None for node in group.nodes if node.layer.path in costs.weights}
        mine = [path for path in paths if path is not None and path not in seen]
        seen.update(mine)
        macs = total(Cost(macs=costs.macs[node.id]) for node in group.nodes)
        memory = [kept[node.id] for node in group.nodes]
        known = [value for value in memory if value is not None]
        found.append(
            Figures(
                total(costs.weights[path] for path in mine) + macs,
                len(mine) < len(paths),
                sum(known) if len(known) == len(memory) else None,
            )
        )
    return found


# ----------------------------------------------------------------------- scale


def scale(color: Color, values: Sequence[int | None]) -> tuple[list[int | None], Legend]:
    """For each value the step of a linear scale from 0 in which it lies, and the scale."""
    known = [value for value in values if value is not None]
    most = max(known, default=0)
    if not most:
        reason = "none" if len(known) == len(values) else "not known"
        return [None] * len(values), Legend(f"{_TITLES[color]}: {reason}")
    step = _binary_step(most) if color is Color.MEMORY else _decimal_step(most)
    count = -(-most // step)
    word = _bytes if color is Color.MEMORY else _short
    marks = tuple(word(i * step) for i in range(count + 1))
    steps = [None if value is None else max(0, value - 1) // step for value in values]
    return steps, Legend(_TITLES[color], marks)


def _decimal_step(most: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, ... of which STEPS reach that far."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * STEPS >= most:
                return step * factor
        step *= 10


def _binary_step(most: int) -> int:
    step = 1
    while step * STEPS < most:
        step *= 2
    return step


def _short(value: int) -> str:
    """A number with a prefix: `200 M`."""
    for size, prefix in ((10**12, " T"), (10**9, " G"), (10**6, " M"), (10**3, " k")):
        if value >= size:
            return f"{value / size:.3g}{prefix}"
    return str(value)


def _bytes(value: int) -> str:
    """A number of bytes: `1.5 MiB`."""
    for size, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value} B"
