"""slim: remove channels whose batch norms have none of them left, and all that only they need."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as File
from typing import ClassVar

from archc.channels.analysis import Channels, analyse
from archc.channels.masks import every, members
from archc.channels.plan import Plan, read_plan
from archc.ir.graph import Graph, Node, Path
from archc.ir.rebuild import Visit, rebuild
from archc.ops.op import Op
from archc.ops.selection import PlaceChannels, SelectChannels, digits
from archc.passes.base import Kept, Pass


@dataclass(frozen=True)
class Slim(Pass):
    """Remove the channels that a plan does not keep (network slimming, Liu et al., 2017).

    `plan` is a file that `archc slim` has written, or a mask: JSON with a list of ones and zeros
    for each batch norm, by its path. A channel that is not kept leaves the norm and all that reads
    it, and so does what nobody reads then. With the weights that are left, outputs are those of the
    net with the scales and shifts of these channels at zero, in training and in evaluation. A
    channel that cannot leave, as that of an output of the net, stays.
    """

    name: ClassVar[str] = "slim"
    keeps: ClassVar[Kept] = "nothing"

    plan: str

    def __post_init__(self) -> None:
        self.content  # noqa: B018 -- a plan that cannot be read is refused where it is named

    @classmethod
    def by(cls, plan: Plan, file: str = "plan.yaml") -> "Slim":
        """The pass by a plan that is at hand, and that will be in a file."""
        self = object.__new__(cls)
        object.__setattr__(self, "plan", file)
        object.__setattr__(self, "content", plan)
        return self

    @property
    def files(self) -> tuple[str, ...]:
        return (self.plan,)

    @cached_property
    def content(self) -> Plan:
        return read_plan(File(self.plan))

    def run(self, graph: Graph) -> Graph:
        dropped = self.content.dropped(graph)
        if not any(dropped.values()):
            return graph
        return thin(analyse(graph, dropped, shifted=self.content.shifted))


def thin(channels: Channels) -> Graph:
    """The graph whose nodes have the channels that are kept, and no others."""
    return rebuild(channels.graph, _Thinning(channels).rule)


class _Thinning:
    def __init__(self, channels: Channels) -> None:
        self.channels = channels
        graph = channels.graph
        self.taken: Counter[Path] = Counter(region.path for region in graph.regions.values())
        self.taken.update(node.layer.path for node in graph.nodes() if node.layer.path)

    def rule(self, visit: Visit) -> Node:
        node, kept = visit.node, self.channels.kept[visit.node.id]
        before = visit.graph.operands(node.id)
        if not kept:  # nothing reads it: what stands for it goes, too
            return visit.operands[0] if before else visit.keep()
        read = [self.channels.reads.get((node.id, i), 0) for i in range(len(before))]
        there = [i for i, mask in enumerate(read) if mask]
        operands = [self._adapted(visit, before[i], visit.operands[i], read[i]) for i in there]
        if len(operands) < len(before) and len(operands) == 1 and node.layer.path is None:
            return operands[0]
        op = self._op(visit, kept, read)
        if isinstance(op, SelectChannels) and op.mask == digits(range(operands[0].type.channels)):
            return operands[0]
        return visit.keep(*operands, op=None if op == node.op else op)

    def _op(self, visit: Visit, kept: int, read: list[int]) -> Op:
        node = visit.node
        reads_all = not read or read[0] == every(visit.types[0].channels)
        if reads_all and kept == every(node.type.channels):
            return node.op
        op = node.op.thinned(members(read[0]) if read else (), members(kept), *visit.types)
        assert op is not None, "what cannot be thinner keeps all channels"
        return op

    def _adapted(self, visit: Visit, operand: int, value: Node, wanted: int) -> Node:
        """An operand with the channels that are read of it: some of its own, or more, of zeros."""
        graph, has = self.channels.graph, self.channels.kept[operand]
        if graph.node(operand).type.channels == 1 or has == wanted:
            return value
        common = members(has & wanted)
        if has & ~wanted:
            chosen = [i for i, channel in enumerate(members(has)) if wanted >> channel & 1]
            op: Op = SelectChannels(digits(chosen))
            value = visit.insert(op, value, path=self._path(visit, "select"))
        if wanted & ~has:
            places = [i for i, channel in enumerate(members(wanted)) if channel in set(common)]
            op = PlaceChannels(digits(places), wanted.bit_count())
            value = visit.insert(op, value, path=self._path(visit, "place"))
        return value

    def _path(self, visit: Visit, word: str) -> Path:
        """A new name beside the node: `select_norm1`, `place`, `place2`."""
        node = visit.node
        around = visit.graph.regions[node.region].path
        label = node.layer.path[-1] if node.layer.path else ""
        stem = f"{word}_{label}" if label else word
        path, number = (*around, stem), 1
        while self.taken[path]:
            number += 1
            path = (*around, f"{stem}{number}")
        self.taken[path] += 1
        return path
