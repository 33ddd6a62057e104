"""Which nodes become one box.

Three rules make a picture small. A region that is not open is one box. Consecutive applications of
one block are one box, if each reads nothing but the one before, nothing else reads that, and all
give the same spatial size. An operator that keeps the shape of
its only operand joins the operator before it if nothing else reads that.
"""

from dataclasses import dataclass, field

from archc.ir.graph import Graph, Input, Node, Region
from archc.ops.extern import Result
from archc.viz.spatial import given_value, leaving, size_of
from archc.viz.view import View


@dataclass(eq=False, slots=True)
class Group:
    """The nodes of one box; `regions` are the collapsed ones, none for operators.

    `tail` are the nodes of the last region of a run.
    """

    parent: Region
    regions: list[Region] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    tail: list[Node] = field(default_factory=list)


def groups_of(view: View) -> list[Group]:
    """The groups of a graph, in the order of execution."""
    return _join(view.graph, _fold(view, _apart(view)))


def _apart(view: View) -> list[Group]:
    """One group for each operator and each collapsed region, in the order of execution."""
    groups: dict[tuple[str, int], Group] = {}
    for node in view.graph.nodes():
        parent, hidden = view.place(node)
        key = ("region", hidden.id) if hidden else ("node", node.id)
        group = groups.setdefault(key, Group(parent, [hidden] if hidden else []))
        group.nodes.append(node)
    return list(groups.values())


def _fold(view: View, groups: list[Group]) -> list[Group]:
    """Put consecutive applications of one block into one group, unless each was asked for."""
    folded: list[Group] = []
    for group in groups:
        last = folded[-1] if folded else None
        if last is not None and _continues(view, last, group):
            last.regions += group.regions
            last.nodes += group.nodes
            last.tail = group.nodes
        else:
            group.tail = list(group.nodes)
            folded.append(group)
    return folded


def _continues(view: View, last: Group, group: Group) -> bool:
    """Whether a group is one more application of the block before it, and reads only that."""
    if last.parent is not group.parent or group.parent.id in view.asked:
        return False
    if not last.regions or not group.regions:
        return False
    block = group.regions[0].block
    if block is None or block != last.regions[-1].block:
        return False
    before, nodes = [node.id for node in last.tail], [node.id for node in group.nodes]
    read = {operand for node in nodes for operand in view.graph.operands(node)} - set(nodes)
    if not read or not read <= set(before):
        return False
    if set(leaving(view.graph, [*before, *nodes])) & set(before):
        return False
    first, second = (given_value(view.graph, ids).type for ids in (before, nodes))
    return size_of(first) == size_of(second)


def _join(graph: Graph, groups: list[Group]) -> list[Group]:
    """Put elementwise operators into the group of the operator before them."""
    at = {group.nodes[0].id: group for group in groups if not group.regions}
    given = {output.node for output in graph.outputs}
    kept: list[Group] = []
    for group in groups:
        node = group.nodes[0]
        operands = () if group.regions else graph.operands(node.id)
        before = at.get(operands[0]) if len(operands) == 1 else None
        if before is None or not _joins(graph, before, group, given):
            kept.append(group)
            continue
        before.nodes.append(node)
        at[node.id] = before
    return kept


def _joins(graph: Graph, before: Group, group: Group, given: set[int]) -> bool:
    """An extern layer and its several results are one box."""
    (node,) = group.nodes
    producer = before.nodes[-1]
    if isinstance(node.op, Result):
        return True
    return (
        before.parent is group.parent
        and not isinstance(producer.op, Input | Result)
        and producer.id not in given
        and len(graph.users(producer.id)) == 1
        and node.op.channel_rule == "same"
        and node.type == producer.type
    )
