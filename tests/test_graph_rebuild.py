"""`rebuild`: a rule gives what becomes of each node, and the rest of the graph follows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest

from archc.ir.dump import dump
from archc.ir.graph import Graph, Input, Node
from archc.ir.rebuild import Visit, rebuild
from archc.ir.verify import VerifyError, verify
from archc.ops.activation import Relu, Sigmoid
from archc.ops.arithmetic import Add, Affine
from archc.ops.border import Pad
from archc.ops.convolution import Conv
from archc.ops.normalization import BatchNorm
from archc.ops.op import OpError
from archc.passes.base import Pass
from archc.testing import check_pass, graph_of, graphs

TEXT = """
block Unit(out)(x) {
    y = x -> conv: conv(out, 3) -> relu
    return y
}

net Small(classes=3)(image: [3, 8, 8]) {
    @unused
    aux = image -> aux: conv(2)
    x = image -> stem: conv(4, 3)
    twice = Unit(4)
    x = x -> twice -> twice
    exit early: x -> global_avg_pool -> head: linear(classes)
    return x -> global_max_pool -> fc: linear(classes)
}
"""
SMALL = graph_of(TEXT)


def rebuilt(rule: Callable[[Visit], Node], graph: Graph = SMALL) -> list[str]:
    """The lines of the new graph, which is verified; the given one is as it was."""
    before = dump(graph)
    result = rebuild(graph, rule)
    verify(result)
    assert dump(graph) == before
    return [line.strip() for line in dump(result).splitlines()]


def operators(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes()]


def doubled(visit: Visit) -> Node:
    """Behind each convolution and each input, twice its value."""
    value = visit.keep()
    known = isinstance(visit.node.op, Conv | Input)
    return visit.insert(Affine(2.0), value) if known else value


def test_a_graph_whose_nodes_are_kept_is_the_same() -> None:
    result = rebuild(SMALL, Visit.keep)
    assert dump(result) == dump(SMALL)
    assert list(result.nodes()) == list(SMALL.nodes())
    assert result.regions == SMALL.regions
    assert result.unused == SMALL.unused
    assert result.new_id() > max(*SMALL.regions, *(node.id for node in SMALL.nodes()))


def test_users_regions_and_outputs_read_what_is_inserted_behind_a_node() -> None:
    lines = rebuilt(doubled)
    assert lines[1:10] == [
        "%0 image: [3, 8, 8] = input()",
        "%1 image: [3, 8, 8] = affine(2.0)(%0)",
        "%2 x: [4, 8, 8] = conv(4, 3)(%1) @ stem",
        "%3 x: [4, 8, 8] = affine(2.0)(%2)",
        "twice: Unit(out=4)(%3: [4, 8, 8]) -> %6: [4, 8, 8]",
        "%4 y: [4, 8, 8] = conv(4, 3)(%3) @ twice.conv",
        "%5 y: [4, 8, 8] = affine(2.0)(%4)",
        "%6 y: [4, 8, 8] = relu(%5)",
        "twice: Unit(out=4)(%6: [4, 8, 8]) -> %9: [4, 8, 8]",
    ]
    first, second = (region for region in rebuild(SMALL, doubled).regions.values() if region.path)
    assert first.results == second.inputs[0][1:]


def test_an_output_may_be_what_was_inserted() -> None:
    result = rebuild(SMALL, lambda visit: visit.insert(Relu(), visit.keep()))
    assert {result.node(output.node).op for output in result.outputs} == {Relu()}
    assert len(result) == 2 * len(SMALL)


def test_a_node_may_read_what_is_inserted_before_it() -> None:
    def rule(visit: Visit) -> Node:
        if not isinstance(visit.node.op, Conv):
            return visit.keep()
        wide = visit.insert(Pad(spatial=1), *visit.operands)
        return visit.keep(wide, op=Conv(visit.node.op.out, 3, padding=0))

    lines = rebuilt(rule)
    assert lines[2:4] == [
        "%1 x: [3, 10, 10] = pad(spatial=1)(%0)",
        "%2 x: [4, 8, 8] = conv(4, 3, padding=0)(%1) @ stem",
    ]


def test_what_nothing_reads_any_more_goes_with_its_region() -> None:
    def rule(visit: Visit) -> Node:
        if visit.graph.regions[visit.node.region].path == ("twice",):
            return visit.operands[0]
        return visit.keep()

    result = rebuild(SMALL, rule)
    assert [region.path for region in result.regions.values()] == [()]
    assert "relu" not in operators(result)
    assert [each.node.layer.path for each in result.unused.values()] == [("aux",)]


def test_types_are_inferred_again() -> None:
    def rule(visit: Visit) -> Node:
        stem = visit.node.layer.path == ("stem",)
        return visit.keep(op=Conv(4, 3, 2) if stem else None)

    lines = rebuilt(rule)
    assert "%1 x: [4, 4, 4] = conv(4, 3, 2)(%0) @ stem" in lines
    assert "%3 y: [4, 4, 4] = relu(%2)" in lines


def test_an_inserted_layer_shares_its_weights_in_a_block_that_is_applied_twice() -> None:
    def rule(visit: Visit) -> Node:
        value, region = visit.keep(), visit.graph.regions[visit.node.region]
        if isinstance(visit.node.op, Conv) and region.block == "Unit":
            return visit.insert(BatchNorm(), value, path=(*region.path, "norm"))
        return value

    lines = rebuilt(rule)
    assert [line for line in lines if "norm" in line] == [
        "%3 y: [4, 8, 8] = bn(%2) @ twice.norm",
        "%6 y: [4, 8, 8] = bn(%5) @ twice.norm",
    ]


def test_several_nodes_may_be_inserted_and_values_be_read_again() -> None:
    """A shortcut around each ReLU."""

    def rule(visit: Visit) -> Node:
        value = visit.keep()
        if not isinstance(visit.node.op, Relu):
            return value
        gate = visit.insert(Sigmoid(), *visit.operands)
        return visit.insert(Add(), value, gate)

    lines = rebuilt(rule)
    assert "%5 y: [4, 8, 8] = add(%3, %4)" in lines


def too_wide(visit: Visit) -> Node:
    stem = visit.node.layer.path == ("stem",)
    return visit.keep(op=Conv(4, 9, padding=0) if stem else None)


def test_what_an_operator_refuses_is_told_with_the_node() -> None:
    with pytest.raises(VerifyError, match=r"node 5 \(conv\(4, 3\)\): the window of `conv`"):
        rebuild(SMALL, too_wide)


def test_a_rule_may_try() -> None:
    def rule(visit: Visit) -> Node:
        try:
            return too_wide(visit)
        except OpError:
            return visit.keep()

    assert dump(rebuild(SMALL, rule)) == dump(SMALL)


def test_a_rule_that_gives_nothing_is_told_where() -> None:
    with pytest.raises(TypeError, match="the rule gave None for `input`, not a node"):
        rebuild(SMALL, lambda visit: None)  # type: ignore[arg-type,return-value]


@dataclass(frozen=True)
class Double(Pass):
    """Double what convolutions and inputs give; halve it again."""

    name: ClassVar[str] = "double"

    def run(self, graph: Graph) -> Graph:
        return rebuild(graph, self.rule)

    def rule(self, visit: Visit) -> Node:
        value = doubled(visit)
        known = isinstance(visit.node.op, Conv | Input)
        return visit.insert(Affine(0.5), value) if known else value


def test_what_is_inserted_is_emitted() -> None:
    check_pass(Double(), graphs("conv"), examples=10)
