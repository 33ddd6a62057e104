"""Which results of a net need which of its nodes, and the order in which these are computed."""

from archc.ir.graph import Graph, Node
from archc.ops.extern import Result


def has_exits(graph: Graph) -> bool:
    """Whether a net gives several results, one after another."""
    return len(graph.outputs) > 1 and any(output.name is not None for output in graph.outputs)


def needed_by(graph: Graph) -> dict[int, int]:
    """For each node that an output depends on, all that do: bit i for output i."""
    needed: dict[int, int] = {}
    for i, output in enumerate(graph.outputs):
        needed[output.node] = needed.get(output.node, 0) | 1 << i
    for node in reversed(list(graph.nodes())):
        bits = needed.get(node.id, 0)
        for operand in graph.operands(node.id) if bits else ():
            needed[operand] = needed.get(operand, 0) | bits
    return needed


def first_of(exits: int) -> int:
    """The first of the exits that a number has the bits of."""
    return (exits & -exits).bit_length() - 1


def turn_of(exits: int) -> tuple[int, int, int]:
    """What is needed by some exits comes with the first of them, before what fewer need."""
    return first_of(exits), -exits.bit_count(), exits


def computed(graph: Graph) -> list[Node]:
    """The nodes in the order in which a net computes them: the spec's, and with exits, what each of
    them is the first to need, and nothing that none needs."""
    nodes = list(graph.nodes())
    if not has_exits(graph):
        return nodes
    needed = needed_by(graph)
    for node in nodes:
        if isinstance(node.op, Result):  # comes with the call of its layer
            needed[node.id] = needed.get(graph.operands(node.id)[0], 0)
    found = [node for node in nodes if needed.get(node.id) or node.op.name == "input"]
    return sorted(found, key=lambda node: (turn_of(needed.get(node.id, 0)), node.id))
