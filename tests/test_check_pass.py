"""`archc.testing.check_pass`: a pass that keeps its word passes, a broken promise is seen."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st

from archc.ir.graph import Graph, Node
from archc.ir.rebuild import Visit, rebuild
from archc.ir.verify import VerifyError
from archc.ops.activation import Identity, Relu, StopGradient
from archc.ops.convolution import Conv
from archc.ops.regularization import Dropout
from archc.ops.tensor import Concat
from archc.passes.base import Kept, Pass
from archc.testing import check_pass, graph_of, graphs

FEW = 6


@pytest.fixture(autouse=True)
def no_shrinking() -> Iterator[None]:
    """A failure is what is wanted here, and not the smallest one."""
    settings.register_profile("first", settings.get_profile("same"), phases=[Phase.generate])
    settings.load_profile("first")
    yield
    settings.load_profile("archc")


def without(graph: Graph, op: type) -> Graph:
    """The graph without unlabelled operators of one tensor of a kind."""

    def rule(visit: Visit) -> Node:
        gone = isinstance(visit.node.op, op) and visit.node.layer.path is None
        return visit.operands[0] if gone else visit.keep()

    return rebuild(graph, rule)


@dataclass(frozen=True)
class RemoveDropout(Pass):
    """Honest."""

    name: ClassVar[str] = "remove-dropout"
    keeps: ClassVar[Kept] = "evaluation"

    def run(self, graph: Graph) -> Graph:
        return without(graph, Dropout)


def test_a_pass_that_keeps_its_word_passes() -> None:
    check_pass(RemoveDropout(), graphs("dropout"), examples=FEW)


@dataclass(frozen=True)
class Boasts(RemoveDropout):
    """Dropout is something in training."""

    keeps: ClassVar[Kept] = "outputs"


@dataclass(frozen=True)
class RemoveRelu(RemoveDropout):
    """Changes every output."""

    def run(self, graph: Graph) -> Graph:
        return without(graph, Relu)


@dataclass(frozen=True)
class RemoveStops(Boasts):
    """Changes gradients, and no output."""

    def run(self, graph: Graph) -> Graph:
        return without(graph, StopGradient)


@dataclass(frozen=True)
class InPlace(RemoveDropout):
    """Works on the graph that it is given."""

    def run(self, graph: Graph) -> Graph:
        for node in list(graph.nodes()):
            if isinstance(node.op, Dropout) and node.layer.path is None:
                layer = replace(node.layer, op=Identity())
                graph.add_node(replace(node, layer=layer), graph.operands(node.id))
        return graph


_numbers: Iterator[int] = count()


@dataclass(frozen=True)
class Moody(RemoveDropout):
    """Does it every other time."""

    def run(self, graph: Graph) -> Graph:
        return super().run(graph) if next(_numbers) % 2 else graph


@dataclass(frozen=True)
class Wider(RemoveDropout):
    """Gives every convolution a bias, which is a new weight."""

    def run(self, graph: Graph) -> Graph:
        def rule(visit: Visit) -> Node:
            op = visit.node.op
            return visit.keep(op=replace(op, bias=True) if isinstance(op, Conv) else None)

        return rebuild(graph, rule)


@dataclass(frozen=True)
class Idle(RemoveDropout):
    """Does nothing."""

    def run(self, graph: Graph) -> Graph:
        return graph


@pytest.mark.parametrize(
    ("step", "operator", "says"),
    [
        (Boasts(), "dropout", "keeps outputs, but output"),
        (RemoveRelu(), "relu", "keeps evaluation, but output"),
        (InPlace(), "dropout", "changed the graph that it was given"),
        (Moody(), "dropout", "gave another graph again"),
        (Wider(), "conv", "but the weight"),
        (Idle(), "dropout", "changed none of"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Pass) else "",
)
def test_a_broken_promise_is_seen(step: Pass, operator: str, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_pass(step, graphs(operator), examples=40)


def test_a_changed_gradient_is_seen_where_outputs_are_equal() -> None:
    graph = graph_of(
        "net Stop()(x: [3, 8, 8]) {\n"
        "    return x -> first: conv(4, 3) -> stop_gradient -> second: conv(4, 3)\n}\n"
    )
    with pytest.raises(AssertionError, match=r"but the gradient of `first\.weight` differs"):
        check_pass(RemoveStops(), st.just(graph), examples=1)


@pytest.mark.parametrize(
    ("operator", "says"),
    [("dropuot", "did you mean `dropout`"), ("mish", "of another distribution: see `graph_of`")],
)
def test_an_operator_that_there_is_not_cannot_be_drawn(operator: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_pass(RemoveDropout(), graphs(operator), examples=1)


@dataclass(frozen=True)
class WrongType(RemoveDropout):
    """Stores a type that the operator does not give."""

    def run(self, graph: Graph) -> Graph:
        result = graph.copy()
        for node in graph.nodes():
            if isinstance(node.op, Concat):
                wrong = replace(node.type, shape=(1,))
                result.add_node(replace(node, type=wrong), graph.operands(node.id))
        return result


def test_a_broken_graph_is_seen() -> None:
    with pytest.raises(VerifyError, match="the pass `remove-dropout` broke the graph"):
        check_pass(WrongType(), graphs("concat"), examples=FEW)


@dataclass(frozen=True)
class Nothing(RemoveRelu):
    """Says that it keeps nothing, so nothing is compared."""

    keeps: ClassVar[Kept] = "nothing"


def test_a_pass_may_keep_nothing() -> None:
    check_pass(Nothing(), graphs("relu"), examples=FEW)
