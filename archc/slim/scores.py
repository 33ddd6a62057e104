"""How much each channel of each batch norm matters, by name of the measure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from archc.channels.analysis import norms_of
from archc.channels.selection import Scores
from archc.channels.slices import weight_axes
from archc.ir.graph import Graph, Node, Path

WEIGHT_MEASURES = ("scale", "l1", "l2", "random")
"""scale: the size of the norm's scale (network slimming, Liu et al., 2017). l1: the mean size of
the weights of the filter that gives the channel (Li et al., 2017); where a norm reads what several
layers gave, of the weights that read it. l2: their mean square. random: nothing, of a seed."""

MEASURES = (*WEIGHT_MEASURES, "taylor")
"""With the one that needs images (`archc.slim.taylor`)."""


def scores_of(measure: str, graph: Graph, state: Mapping[str, Tensor], seed: int = 0) -> Scores:
    """The scores of all norms that the measure says something of, [channels] each."""
    found: dict[Path, list[float]] = {}
    scorer = _Scorer(measure, graph, state, torch.Generator().manual_seed(seed))
    for node in norms_of(graph):
        assert node.layer.path is not None
        score = None if node.layer.path in found else scorer.score(node)
        if score is not None:
            found[node.layer.path] = score.double().tolist()
    return found


@dataclass(frozen=True)
class _Scorer:
    measure: str
    graph: Graph
    state: Mapping[str, Tensor]
    generator: torch.Generator

    def score(self, node: Node) -> Tensor | None:
        """The scores of one norm, [channels]; None if the measure says nothing of it."""
        if self.measure == "scale":
            return self._weight(node).abs()
        if self.measure == "random":
            return torch.rand(node.type.channels, generator=self.generator)
        power = 1 if self.measure == "l1" else 2
        parts = [part.abs().double().pow(power).mean(1) for part in self._weights(node)]
        return torch.stack(parts).mean(0) if parts else None

    def _weight(self, node: Node) -> Tensor:
        return self.state[".".join((*(node.layer.path or ()), "weight"))]

    def _weights(self, node: Node) -> list[Tensor]:
        """Weights by the channels of a norm: [channels, others]."""
        (before,) = self.graph.operands(node.id)
        made = self._along("out", self.graph.node(before))
        return list(self._reading(node)) if made is None else [made]

    def _reading(self, node: Node) -> Iterator[Tensor]:
        for user, _ in self.graph.users(node.id):
            reader = self.graph.node(user)
            weight = self._along("in", reader)
            if weight is not None:
                yield weight
            elif reader.op.channel_rule == "same" and len(self.graph.operands(user)) == 1:
                yield from self._reading(reader)

    def _along(self, axis: Literal["in", "out"], node: Node) -> Tensor | None:
        """A layer's weight by the channels that it gives, or reads, if it is by all of them."""
        if not node.op.sums or node.layer.path is None:
            return None
        types = self.graph.operand_types(node.id)
        axes = weight_axes(node.op, types)["weight"]
        weight = self._weight(node).movedim(axes.index(axis), 0).flatten(1)
        width = (types[0] if axis == "in" else node.type).channels
        return weight if len(weight) == width else None
