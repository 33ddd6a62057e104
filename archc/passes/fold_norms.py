"""fold-norms: the form of a net in which it only infers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from archc.ir.graph import Graph, Node, Path, Region
from archc.ir.rebuild import Visit, rebuild
from archc.ir.regions import receivers
from archc.ops.arithmetic import Affine
from archc.ops.convolution import Conv, ConvTranspose
from archc.ops.linear import Linear
from archc.ops.normalization import BatchNorm
from archc.ops.op import Op
from archc.ops.regularization import DropBlock, Dropout, DropPath, MaxDropout, SpatialDropout
from archc.passes.base import Kept, Pass
from archc.passes.simplify import parts_inputs

Fold = tuple[Node, Node]
"""Of a layer and the batch norm that it takes in, an application of each."""


@dataclass(frozen=True)
class FoldNorms(Pass):
    """Make the net that only infers: what training alone needs goes.

    A batch norm directly behind a `conv`, `conv_transpose` or `linear` that nothing else reads is
    taken into its weights and bias; layers that are applied several times are, if the norm is
    behind each of these applications and nowhere else. All other batch norms stay: in evaluation
    they are a factor and a shift for each channel, which torch computes in one go. Dropout of every
    kind goes, labelled or not, and `drop_path` but for the factor that it has in evaluation.
    Outputs in evaluation are those of the net, with the weights that `archc weights --for
    inference` makes of its own.
    """

    name: ClassVar[str] = "fold-norms"
    keeps: ClassVar[Kept] = "nothing"

    def run(self, graph: Graph) -> Graph:
        graph = in_evaluation(graph)
        found = folds(graph)
        taking = {layer.layer.path for layer, _ in found}
        taken = {norm.layer.path for _, norm in found}

        def rule(visit: Visit) -> Node:
            path = visit.node.layer.path
            if path is not None and path in taking:
                return visit.keep(op=_with_bias(visit.node.op))
            return visit.operands[0] if path is not None and path in taken else visit.keep()

        return rebuild(graph, rule) if found else graph


def in_evaluation(graph: Graph) -> Graph:
    """The graph without what computes nothing in evaluation."""
    given = receivers(graph)

    def rule(visit: Visit) -> Node:
        op = visit.node.op
        if not isinstance(op, Dropout | SpatialDropout | DropBlock | MaxDropout | DropPath):
            return visit.keep()
        if isinstance(op, DropPath) and op.mode == "paper" and op.probability != 1:
            return visit.insert(Affine(op.probability), *visit.operands)
        return visit.keep() if parts_inputs(visit, given) else visit.operands[0]

    return rebuild(graph, rule)


def folds(graph: Graph) -> tuple[Fold, ...]:
    """The batch norms of a graph that are folded, each with the layer that takes it in."""
    applied: dict[Path, list[Node]] = {}
    for node in graph.nodes():
        if node.layer.path is not None:
            applied.setdefault(node.layer.path, []).append(node)
    norms = [nodes for nodes in applied.values() if isinstance(nodes[0].op, BatchNorm)]
    return tuple(_folds(graph, applied, norms))


def _folds(
    graph: Graph, applied: Mapping[Path, Sequence[Node]], norms: Sequence[Sequence[Node]]
) -> Iterator[Fold]:
    outputs = {output.node for output in graph.outputs}
    given = receivers(graph)
    for nodes in norms:
        before = [graph.node(graph.operands(norm.id)[0]) for norm in nodes]
        paths = {layer.layer.path for layer in before}
        (path, *others) = paths
        if path is None or others or not isinstance(before[0].op, Conv | ConvTranspose | Linear):
            continue
        alone = all(len(graph.users(each.id)) == 1 and each.id not in outputs for each in before)
        pairs = zip(before, nodes, strict=True)
        if alone and len(applied[path]) == len(before) and not _told_apart(graph, given, pairs):
            yield before[0], nodes[0]


def _told_apart(graph: Graph, given: Mapping[int, Sequence[Region]], pairs: Iterator[Fold]) -> bool:
    """Whether a region has both values of a pair as inputs, or as results."""
    ids = [(layer.id, norm.id) for layer, norm in pairs]
    both = any(
        layer in {n for _, n in r.inputs} for layer, norm in ids for r in given.get(norm, ())
    )
    return both or any({*pair} <= {*r.results} for pair in ids for r in graph.regions.values())


def _with_bias(op: Op) -> Op:
    assert isinstance(op, Conv | ConvTranspose | Linear)
    return replace(op, bias=True)
