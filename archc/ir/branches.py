"""Branches that stochastic depth may drop: what belongs to one, and whether it can be skipped."""

from collections.abc import Iterator, Mapping, Set
from heapq import heapify, heappop, heappush

from archc.ir.graph import Graph, Node, Path
from archc.ir.regions import chains
from archc.ops.activation import Relu
from archc.ops.arithmetic import Add, Sum
from archc.ops.border import Pad
from archc.ops.pooling import AvgPool, MaxPool
from archc.ops.regularization import DropPath


def drop_paths(graph: Graph) -> Iterator[Node]:
    """The ends of branches."""
    return (node for node in graph.nodes() if isinstance(node.op, DropPath))


def branch_of(graph: Graph, drop: int) -> frozenset[int]:
    """The nodes all of whose paths lead into a drop_path: what is dropped with it."""
    outputs = {output.node for output in graph.outputs}
    inside = {drop}
    waiting = [-operand for operand in graph.operands(drop)]  # the youngest first
    heapify(waiting)
    while waiting:
        candidate = -heappop(waiting)
        users = (user for user, _ in graph.users(candidate))
        if candidate not in inside and candidate not in outputs and inside.issuperset(users):
            inside.add(candidate)
            for operand in graph.operands(candidate):
                heappush(waiting, -operand)
    return frozenset(inside - {drop})


def is_rectified(graph: Graph, id: int) -> bool:
    """Whether a value is surely not negative, by what has made it, so that `relu` leaves it and its
    gradient as they are."""
    waiting = [id]
    while waiting:
        node = graph.node(waiting.pop())
        passes_on = isinstance(node.op, AvgPool | MaxPool) or (
            isinstance(node.op, Pad) and node.op.mode == "zeros"
        )
        if passes_on:
            waiting += graph.operands(node.id)
        elif not isinstance(node.op, Relu):
            return False
    return True


def skippable(graph: Graph) -> dict[int, str]:
    """For each drop_path why its branch is computed in any case; "" where it need not be.

    It is the same for all applications of a module.
    """
    around = chains(graph)
    applied: dict[Path, set[int]] = {}
    members: dict[int, set[int]] = {}
    for node in graph.nodes():
        for region in around[node.region]:
            members.setdefault(region, set()).add(node.id)
        if node.layer.path is not None and node.op.weights(*graph.operand_types(node.id)):
            applied.setdefault(node.layer.path, set()).add(node.id)
    branches = {drop.id: branch_of(graph, drop.id) for drop in drop_paths(graph)}
    dropped = frozenset[int]().union(*branches.values())
    texts = [(graph.regions[end.region].path, end.span) for end in map(graph.node, branches)]
    reasons = dict.fromkeys(texts, "")
    for text, (drop, branch) in zip(texts, branches.items(), strict=True):
        reasons[text] = (
            reasons[text]
            or _why(graph, graph.node(drop), branch)
            or _what_parts(graph, drop, branch, members, around)
            or _what_else(applied, branch, dropped)
        )
    return {drop: reasons[text] for drop, text in zip(branches, texts, strict=True)}


def _why(graph: Graph, drop: Node, branch: Set[int]) -> str:
    """What of a drop_path itself, and of its sum, forbids to skip."""
    op = drop.op
    assert isinstance(op, DropPath)
    if op.mode == "sample":
        return "each sample has a draw of its own"
    if not branch:
        return "nothing is in it alone"
    sums = [graph.node(user) for user, _ in graph.users(drop.id)]
    if len(sums) > 1 or sums[0].region != drop.region:
        return "its sum stands in another block, or there are several"
    (both,) = sums
    others = [graph.node(id) for id in graph.operands(both.id) if id != drop.id]
    if not isinstance(both.op, Add | Sum) or len(others) != 1:
        return "its sum has other than two operands"
    (shortcut,) = others
    if isinstance(shortcut.op, DropPath):
        return "both operands of its sum are dropped"
    return "" if shortcut.type == both.type else "its sum is larger than the shortcut"


def _what_parts(
    graph: Graph,
    drop: int,
    branch: Set[int],
    members: Mapping[int, Set[int]],
    around: Mapping[int, tuple[int, ...]],
) -> str:
    """Whether the branch is calls of the block around its drop_path, each of them whole."""
    home = around[graph.node(drop).region]
    for node in branch:
        inner = around[graph.node(node).region]
        if inner[: len(home)] != home:
            return "it begins outside of the block that drops it"
        if any(not members[region] <= branch for region in inner[len(home) :]):
            return "a block in it gives something else, too"
    return ""


def _what_else(applied: Mapping[Path, Set[int]], branch: Set[int], dropped: Set[int]) -> str:
    """Whether one of its layers is applied where nothing is dropped: then they keep their order."""
    for path, nodes in applied.items():
        if not branch.isdisjoint(nodes) and not nodes <= dropped:
            return f"`{'.'.join(path)}` is applied outside of it, too"
    return ""
