"""What nodes and layers cost: parameters, buffers, multiply-accumulates; and what each exit costs.

A layer's weights count once, however often it is applied; its multiply-accumulates count for each
application. One rule for every sum: None, "not a number", as soon as one summand depends on a
symbolic size, or is not known because it belongs to an extern layer.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from archc.ir.graph import Graph, Output, Path


@dataclass(frozen=True, slots=True)
class Cost:
    """Trained parameters, elements of buffers, and multiply-accumulates of one sample.

    `opaque` counts the extern layers, whose weights archc does not know and does not count.
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
    for node in graph.nodes():
        if node.op.opaque and node.layer.path is not None:
            weights[node.layer.path] = Cost(opaque=1)
    macs = {
        node.id: node.op.macs(graph.operand_types(node.id), node.type) for node in graph.nodes()
    }
    return Costs(macs, weights)


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


def output_names(outputs: tuple[Output, ...]) -> tuple[str, ...]:
    """The exits' own names; what the net returns is `return`, several values `return[0]`, ..."""
    returned = [output for output in outputs if output.name is None]
    if len(returned) == 1:
        return tuple(output.name or "return" for output in outputs)
    numbers = iter(range(len(returned)))
    return tuple(output.name or f"return[{next(numbers)}]" for output in outputs)


def exit_costs(graph: Graph, costs: Costs) -> tuple[Cost, ...]:
    """What each output costs on its own: the nodes that it depends on, and no others.

    This is lazy evaluation of one exit. It is not what is spent up to that exit when the exits are
    computed one after the other: classifiers of earlier exits, and branches that only later exits
    read, are not in it.

    The outputs that need a node are the bits of a number; nodes that share it are summed once, so
    that many exits on a large net cost no more than a few.
    """
    needed = _needed_by(graph)
    groups: dict[int, Cost] = {}
    layers: dict[Path, int] = {}
    for node in graph.nodes():
        bits = needed.get(node.id, 0)
        groups[bits] = groups.get(bits, Cost()) + Cost(macs=costs.macs[node.id])
        if node.layer.path in costs.weights:
            layers[node.layer.path] = layers.get(node.layer.path, 0) | bits
    for path, bits in layers.items():
        groups[bits] = groups.get(bits, Cost()) + costs.weights[path]
    return tuple(
        total(cost for bits, cost in groups.items() if bits >> i & 1)
        for i in range(len(graph.outputs))
    )


def _needed_by(graph: Graph) -> dict[int, int]:
    """For each node, the outputs that depend on it: bit i for output i."""
    needed: dict[int, int] = {}
    for i, output in enumerate(graph.outputs):
        needed[output.node] = needed.get(output.node, 0) | 1 << i
    for node in reversed(list(graph.nodes())):
        bits = needed.get(node.id, 0)
        for operand in graph.operands(node.id):
            needed[operand] = needed.get(operand, 0) | bits
    return needed
