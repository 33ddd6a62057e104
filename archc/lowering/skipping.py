"""Stochastic depth as a rewrite of a `forward`: the branch that a mini-batch may do without stands
under an `if`, with what else happens under its `else`.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence, Set
from typing import Protocol

from archc.ir.graph import Graph, Path
from archc.lowering.bindings import Binding, Branch, Let, Value, reads
from archc.ops.activation import Relu
from archc.ops.regularization import SkippedPath
from archc.program.tree import (
    Argument,
    Attribute,
    Call,
    Constant,
    Evaluate,
    Expr,
    FunctionDef,
    Name,
    Stmt,
    call,
)

_SELF = Name("self")


def skips(graph: Graph) -> bool:
    """Whether any branch of a net is skipped."""
    return any(isinstance(node.op, SkippedPath) for node in graph.nodes())


def paths_with_weights(graph: Graph) -> Set[Path]:
    """The layers that have weights, or may have some, and the modules around them."""
    nodes = (node for node in graph.nodes() if node.layer.path)
    owners = (n for n in nodes if n.op.opaque or n.op.weights(*graph.operand_types(n.id)))
    paths = (node.layer.path or () for node in owners)
    return {path[:length] for path in paths for length in range(1, len(path) + 1)}


class Asked(Protocol):
    """What is to be known of the values of a body."""

    def parts_with_weights(self, values: Set[int]) -> Sequence[Expr]:
        """What has weights of what computes some values."""

    def is_rectified(self, value: int) -> bool:
        """Whether a `relu` would leave a value as it is."""


def branched(
    bindings: Sequence[Binding], given: Collection[int], asked: Asked
) -> Sequence[Binding]:
    """Bindings in which each branch that may be skipped is one `Branch`; `given` are the values
    that `forward` gives."""
    for each in bindings:
        if isinstance(each, Let) and each.op == SkippedPath.name:
            bindings = _under_if(bindings, each, given, asked)
    return bindings


def _under_if(
    bindings: Sequence[Binding], end: Let, given: Collection[int], asked: Asked
) -> Sequence[Binding]:
    """What only the end of a branch needs, and the sum that reads it, as one binding; the other
    operand of the sum is computed before it. With it goes a `relu` of the sum that does nothing to
    that operand."""
    dropped = end.values[0]
    place = next(i for i, each in enumerate(bindings) if dropped in reads(each))
    sum_ = bindings[place]
    (shortcut,) = (value for value in reads(sum_) if value != dropped)
    left = Counter((*given, *(value for each in bindings for value in reads(each))))
    last = [sum_]
    for each in bindings[place + 1 :]:
        relu = isinstance(each, Let) and each.op == Relu.name and reads(each) == sum_.values
        if relu and left[sum_.values[0]] == 1 and asked.is_rectified(shortcut):
            last.append(each)
    left[dropped] = 0
    inside: list[Binding] = []
    for each in reversed(bindings[:place]):
        if not any(left[value] for value in each.values):
            inside.insert(0, each)
            left.subtract(reads(each))
    parts = asked.parts_with_weights({value for each in inside for value in each.values})
    assert isinstance(end.code, Call)
    keeps = Call(Attribute(end.code.func, "keeps"))
    branch = Branch((*inside, *last), keeps, call("skipped", Value(shortcut), *parts))
    before = (each for each in bindings[:place] if each not in inside)
    after = (each for each in bindings[place + 1 :] if each not in last)
    return [*before, branch, *after]


def with_gates(graph: Graph, statements: Sequence[Stmt]) -> Sequence[Stmt]:
    """The statements of a net's `forward`, before which gates are drawn."""
    return [Evaluate(call("draw_gates", _SELF)), *statements] if skips(graph) else statements


def gate_methods(graph: Graph) -> Iterator[FunctionDef]:
    """The method by which a training loop draws the gates of a step."""
    if skips(graph):
        words = "seed", "step"
        args = (Argument("self"), *(Argument(word, Name("int")) for word in words))
        drawn = Evaluate(call("draw_gates", _SELF, *map(Name, words)))
        yield FunctionDef("draw_gates", args, Constant(None), (drawn,))
