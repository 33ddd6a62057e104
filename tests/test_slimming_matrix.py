"""The table of docs/slimming.md: every shipped net, slimmed by three tenths of its channels."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from emitted import SHIPPED
from slimmed import differences, graph_of, images_of, pair_of

from archc.analysis.cost import costs_of
from archc.channels.analysis import norms_of
from archc.channels.selection import choose, widths_of
from archc.diagnostics import ArchError
from archc.ir.graph import Graph
from archc.passes.slim import thin

PAGE = Path(__file__).parents[1] / "docs" / "slimming.md"
RATIO = 0.3
NETS = [(spec, net) for spec, nets in SHIPPED.items() for net in nets]
SOME = {"resnet_cifar", "ghostnet", "nin"}


def scores(graph: Graph) -> dict[tuple[str, ...], list[float]]:
    numbers = random.Random(graph.name)
    return {path: [numbers.random() for _ in range(n)] for path, n in widths_of(graph).items()}


def row(spec: str, net: str, graph: Graph) -> str:
    """What the table says of a net."""
    try:
        choice = choose(graph, scores(graph), RATIO)
    except ArchError as refusal:
        return f"| `{spec}` | `{net}` | refused: {refusal.diagnostics[0].message} | | |"
    before, after = costs_of(graph).total(), costs_of(thin(choice.channels)).total()
    macs = "any size" if None in (before.macs, after.macs) else f"{after.macs / before.macs:.1%}"  # type: ignore[operator]
    kept = choice.channels.norms()
    widths = widths_of(graph)
    gone = 1 - sum(mask.bit_count() for mask in kept.values()) / sum(widths.values())
    return f"| `{spec}` | `{net}` | {gone:.1%} | {after.params / before.params:.1%} | {macs} |"


def written() -> Iterator[str]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    yield from (line for line in lines if re.match(r"\| `\w+` \| `\w+` \|", line))


def cases() -> Iterator[object]:
    for spec, net in NETS:
        marks = () if spec in SOME and net == SHIPPED[spec][0] else pytest.mark.full
        yield pytest.param(spec, net, marks=marks, id=f"{spec} {net}")


@pytest.mark.parametrize(("spec", "net"), [*cases()])
def test_the_table_says_what_becomes_of_a_net(spec: str, net: str) -> None:
    assert row(spec, net, graph_of(f"{spec} {net}")) in list(written())


@pytest.mark.full
@pytest.mark.parametrize("spec", SHIPPED)
def test_the_first_net_of_each_spec_computes_what_the_masked_one_does(spec: str) -> None:
    graph = graph_of(f"{spec} {SHIPPED[spec][0]}")
    if not norms_of(graph):
        return
    choice = choose(graph, scores(graph), RATIO)
    pair = pair_of(graph, choice.channels.dropped, images=images_of(spec, graph))
    assert list(differences(pair, 1e-10, gradients=False)) == []


def test_the_table_has_a_row_for_every_net() -> None:
    names = [re.findall(r"`(\w+)`", line)[:2] for line in written()]
    assert names == [[spec, net] for spec, net in NETS]
