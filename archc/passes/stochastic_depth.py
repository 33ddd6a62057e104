"""stochastic-depth: do not compute the branches that a mini-batch does without."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import count
from typing import ClassVar

from archc.ir.branches import drop_paths, skippable
from archc.ir.graph import Graph, Node, Path
from archc.ir.rebuild import Visit, rebuild
from archc.ops.regularization import DropPath, SkippedPath
from archc.passes.base import Kept, Pass


@dataclass(frozen=True)
class StochasticDepth(Pass):
    """Skip dropped branches (Huang et al., 1603.09382): no forward, no backward, no statistics.

    A branch is what leads into a `drop_path` and nowhere else; where training drops it, its
    parameters have zero gradients. Gates are drawn before the net runs, for a whole mini-batch.
    Outputs in evaluation stay equal, and so do those in training for equal gates. A branch is
    computed in any case, and multiplied by 0 or 1 as without this pass, if each sample has a draw
    of its own; if it, its `drop_path` and a sum with one other operand do not stand in one block;
    if the sum is larger than the shortcut; and if its layers are applied elsewhere, too. A
    `drop_path` to which nothing gives a survival is removed.
    """

    name: ClassVar[str] = "stochastic-depth"
    keeps: ClassVar[Kept] = "evaluation"

    def run(self, graph: Graph) -> Graph:
        if not any(drop_paths(graph)):
            return graph
        reasons = skippable(graph)
        names = _Names(graph)

        def rule(visit: Visit) -> Node:
            op = visit.node.op
            if not isinstance(op, DropPath):
                return visit.keep()
            if op.probability == 1:
                return visit.operands[0]
            if reasons[visit.node.id]:
                return visit.keep()
            values = {each.name: getattr(op, each.name) for each in fields(op)}
            return visit.insert(SkippedPath(**values), *visit.operands, path=names.of(visit.node))

        return rebuild(graph, rule)


class _Names:
    """Free attributes for the ends of branches: `drop_path`, then `drop_path2`, ..., in a module
    that has several; the same in each of its applications."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        paths = (node.layer.path or () for node in graph.nodes())
        self.taken = {path[:length] for path in paths for length in range(1, len(path) + 1)}
        self.free: dict[int, Iterator[Path]] = {}

    def of(self, node: Node) -> Path:
        home = self.graph.regions[node.region]
        return next(self.free.setdefault(home.id, self._free(home.path)))

    def _free(self, home: Path) -> Iterator[Path]:
        words = (f"drop_path{number if number > 1 else ''}" for number in count(1))
        return (path for word in words if (path := (*home, word)) not in self.taken)
