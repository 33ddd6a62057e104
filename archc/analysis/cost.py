"""What nodes and layers cost: parameters, buffers, multiply-accumulates; and what each exit costs.

A layer's weights count once, however often it is applied; its multiply-accumulates count for each
application. One rule for every sum: None, "not a number", as soon as one summand depends on a
symbolic size, or is not known because it belongs to an extern layer that does not declare it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate

from archc.ir.branches import branch_of, drop_paths, skippable
from archc.ir.exits import needed_by
from archc.ir.graph import Graph, Path
from archc.ops.extern import Extern
from archc.ops.regularization import DropPath


@dataclass(frozen=True, slots=True)
class Cost:
    """Trained parameters, elements of buffers, and multiply-accumulates of one sample.

    `opaque` counts the extern layers that do not declare their costs, which are not counted then.
    """

    params: int = 0
    buffers: int = 0
    macs: int | None = 0
    opaque: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        macs = None if self.macs is None or other.macs is None else self.macs + other.macs
        return Cost(
            self.params + other.params,
            self.buffers + other.buffers,
            macs,
            self.opaque + other.opaque,
        )


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of costs."""
    result = Cost()
    for cost in costs:
        result += cost
    return result


@dataclass(frozen=True, slots=True)
class Costs:
    """Multiply-accumulates by node; parameters and buffers by the layer that owns them."""

    macs: dict[int, int | None]
    weights: dict[Path, Cost]

    def total(self) -> Cost:
        """What the whole net costs."""
        return total((*self.weights.values(), *(Cost(macs=macs) for macs in self.macs.values())))


def costs_of(graph: Graph) -> Costs:
    """The costs of a graph's nodes and layers."""
    weights = {}
    for node, entries in graph.weights():
        assert node.layer.path is not None
        trained = sum(entry.elements for entry in entries if entry.trained)
        whole = sum(entry.elements for entry in entries)
        weights[node.layer.path] = Cost(trained, whole - trained)
    for node in (*graph.nodes(), *(each.node for each in graph.unused.values())):
        if isinstance(node.op, Extern) and node.layer.path is not None:
            declared = node.op.params(*graph.operand_types(node.id))
            weights[node.layer.path] = Cost(opaque=1) if declared is None else Cost(declared)
    macs = {
        node.id: node.op.macs(graph.operand_types(node.id), node.type) for node in graph.nodes()
    }
    return Costs(macs, weights)


def expected_macs(graph: Graph, costs: Costs) -> float | None:
    """What a sample costs on average in training, where stochastic depth skips branches; None, as
    all costs, where it is not known."""
    computed = skippable(graph)
    share: dict[int, float] = {}
    for end in drop_paths(graph):
        if isinstance(end.op, DropPath) and not computed[end.id]:
            share |= dict.fromkeys(branch_of(graph, end.id), end.op.probability)
    known = [macs * share.get(id, 1) for id, macs in costs.macs.items() if macs is not None]
    return sum(known) if len(known) == len(costs.macs) else None


def params_text(cost: Cost) -> str:
    """The parameters for people: `1,234`, `1,234 + ?` with extern layers among them, or `?`."""
    if not cost.opaque:
        return f"{cost.params:,}"
    return f"{cost.params:,} + ?" if cost.params else "?"


def macs_text(cost: Cost) -> str:
    """The multiply-accumulates for people."""
    if cost.macs is not None:
        return f"{cost.macs:,}"
    return "?" if cost.opaque else "symbolic"


@dataclass(frozen=True, slots=True)
class ExitCost:
    """What a result of the net costs, four ways; they differ where a net has several exits.

    `cumulative` is all that the spec computes up to it, the classifiers of earlier exits included;
    `own` is the same without what only earlier exits need: with its own classifier alone;
    `lazy` is what it depends on itself, and nothing else;
    `anytime` is what it or an earlier exit depends on: lazy evaluation of all exits up to it.
    """

    cumulative: Cost
    own: Cost
    lazy: Cost
    anytime: Cost


@dataclass(frozen=True, slots=True)
class _Use:
    """When a node is computed: `since` which exit, and bit i of `needed` if exit i needs it."""

    since: int
    needed: int

    def cumulative(self, exit: int) -> bool:
        return self.since <= exit

    def own(self, exit: int) -> bool:
        return self.since <= exit and (self.needed >> exit != 0 or not self.needed)

    def lazy(self, exit: int) -> bool:
        return self.needed >> exit & 1 != 0

    def anytime(self, exit: int) -> bool:
        return self.needed & ((2 << exit) - 1) != 0


def exit_costs(graph: Graph, costs: Costs) -> tuple[ExitCost, ...]:
    """What each output costs. A layer's weights count as soon as one application of it does.

    Nodes of equal use are summed once, so that many exits on a large net cost no more than a few.
    """
    uses = _uses(graph)
    groups: dict[frozenset[_Use], Cost] = {}
    layers: dict[Path, frozenset[_Use]] = {}
    for node in graph.nodes():
        use = frozenset([uses[node.id]])
        groups[use] = groups.get(use, Cost()) + Cost(macs=costs.macs[node.id])
        if node.layer.path in costs.weights:
            layers[node.layer.path] = layers.get(node.layer.path, frozenset()) | use
    for path, use in layers.items():
        groups[use] = groups.get(use, Cost()) + costs.weights[path]

    def spent(counts: Callable[[_Use, int], bool], exit: int) -> Cost:
        return total(c for g, c in groups.items() if any(counts(use, exit) for use in g))

    return tuple(
        ExitCost(
            spent(_Use.cumulative, i),
            spent(_Use.own, i),
            spent(_Use.lazy, i),
            spent(_Use.anytime, i),
        )
        for i in range(len(graph.outputs))
    )


def _uses(graph: Graph) -> dict[int, _Use]:
    """For each node, the first exit before which it is computed, and the exits that need it."""
    reached = list(accumulate((output.node for output in graph.outputs), max))
    needed = needed_by(graph)
    return {
        node.id: _Use(bisect_left(reached, node.id), needed.get(node.id, 0))
        for node in graph.nodes()
    }
