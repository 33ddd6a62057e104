"""The verifier: what must hold of a graph after elaboration and after every pass."""

from collections.abc import Hashable

from archc.ir.graph import Graph, Node, Path
from archc.ops.op import OpError, TensorType


class VerifyError(Exception):
    """The compiler broke a graph: a bug in archc or in a pass, never in the user's spec."""


def verify(graph: Graph) -> None:
    """Check order, regions, types (each operator's rule is run again), sharing and outputs.

    Raises VerifyError, which names the node.
    """
    _check_regions(graph)
    owners: dict[Path, tuple[Node, Hashable]] = {}
    for node in graph.nodes():
        _check_node(graph, node)
        _check_weights(graph, node, owners)
    for id, unused in graph.unused.items():
        if id in graph:
            raise VerifyError(f"node {id} is set aside, and in the graph")
        _check_application(graph, unused.node, unused.types)
        _check_weights(graph, unused.node, owners)
    if not graph.outputs:
        raise VerifyError("the graph has no outputs")
    for output in graph.outputs:
        if output.node not in graph:
            raise VerifyError(f"output {output.name or 'return'} reads node {output.node}: no such")


def _check_regions(graph: Graph) -> None:
    roots = [region for region in graph.regions.values() if region.parent is None]
    if len(roots) != 1 or roots[0].path != ():
        raise VerifyError("the region tree needs one root, whose path is empty")
    for region in graph.regions.values():
        if region.parent is not None and region.parent not in graph.regions:
            raise VerifyError(f"region {region.id} lies in region {region.parent}: no such")
        if region.parent is not None and region.parent >= region.id:
            raise VerifyError(f"region {region.id} is older than its parent {region.parent}")


def _check_node(graph: Graph, node: Node) -> None:
    what = f"node {node.id} ({node.op})"
    operands = graph.operands(node.id)
    if any(operand >= node.id for operand in operands):
        raise VerifyError(f"{what} reads a node that is not older")
    if node.op.arity is not None and len(operands) != node.op.arity:
        raise VerifyError(f"{what} has {len(operands)} operands, not {node.op.arity}")
    _check_application(graph, node, graph.operand_types(node.id))


def _check_application(graph: Graph, node: Node, types: tuple[TensorType, ...]) -> None:
    what = f"node {node.id} ({node.op})"
    if node.region not in graph.regions:
        raise VerifyError(f"{what} lies in region {node.region}: no such")
    try:
        inferred = node.op.infer(*types)
    except OpError as refusal:
        raise VerifyError(f"{what}: {refusal.message}") from None
    if inferred != node.type:
        raise VerifyError(f"{what} is stored as {node.type}, but its rule gives {inferred}")


def _check_weights(graph: Graph, node: Node, owners: dict[Path, tuple[Node, Hashable]]) -> None:
    types = graph.operand_types(node.id)
    path = node.layer.path
    if path is None:
        if node.op.opaque or node.op.weights(*types):
            raise VerifyError(f"node {node.id} ({node.op}) has weights but no path")
        return
    needed = node.op.sharing_key(*types)
    first, owned = owners.setdefault(path, (node, needed))
    if first.layer != node.layer or owned != needed:
        raise VerifyError(f"nodes {first.id} and {node.id} share {'.'.join(path)} but differ")
