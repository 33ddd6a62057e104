"""Which channels go: the scripts of the paper's authors, counts, floors, and what stays."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from slimmed import graph_of

from archc.analysis.cost import costs_of
from archc.channels.analysis import analyse, norms_of
from archc.channels.selection import Choice, Floor, Scores, choose, least_ratio, widths_of
from archc.diagnostics import ArchError
from archc.ir.graph import Graph
from archc.passes.slim import thin
from archc.testing.check import graph_of as graph_of_text

SCRIPTS = json.loads(Path(__file__).with_name("slimming_scripts.json").read_text())


def recipe(graph: Graph) -> Scores:
    """The scales for which the scripts' results were noted."""
    generator = torch.Generator().manual_seed(1234)
    found = {}
    for node in norms_of(graph):
        assert node.layer.path is not None
        found[node.layer.path] = torch.rand(node.type.channels, generator=generator).tolist()
        for draw in (torch.randn, torch.randn, torch.rand):  # shift, running statistics
            draw(node.type.channels, generator=generator)
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script["net"])
def test_the_rule_paper_is_that_of_the_scripts(script: dict[str, Any]) -> None:
    graph = graph_of(f"{script['spec']} {script['net']}")
    scores = recipe(graph)
    choice = choose(graph, scores, script["ratio"], rule="paper")
    assert choice.threshold == pytest.approx(script["threshold"], abs=1e-12)
    dropped = choice.channels.dropped
    assert sum(mask.bit_count() for mask in dropped.values()) == script["pruned"]
    widths = [width - dropped[path].bit_count() for path, width in widths_of(graph).items()]
    assert widths == script["widths"]
    # The scripts keep what a norm and its selection alone would need: producers at full width, and
    # scale and shift of the channels behind which they select.
    kept = analyse(graph, dropped, producers=False)
    beside = sum(
        node.type.channels - kept.kept[node.id].bit_count()
        for node in norms_of(graph)
        if kept.kept[graph.operands(node.id)[0]] != kept.kept[node.id]
    )
    as_scripts, all_gone = costs_of(thin(kept)).total(), costs_of(thin(choice.channels)).total()
    assert as_scripts.params + 2 * beside == script["params"]
    assert as_scripts.macs == script["macs"]
    if script["spec"] == "vgg_cifar":  # a chain has no producers that nobody reads
        assert all_gone == as_scripts
    else:
        assert all_gone.params < as_scripts.params
        assert all_gone.macs is not None
        assert all_gone.macs < script["macs"]


CHAIN = """
net Chain()(image: [3, 8, 8]) {
    return image -> conv1: conv(8, 3) -> norm1: bn -> relu -> conv2: conv(8, 3) -> norm2: bn
                 -> relu -> global_avg_pool -> fc: linear(4)
}
"""


def chain(**rules: Any) -> Choice:
    graph = graph_of_text(CHAIN)
    scores: Scores = {
        ("norm1",): [c / 8 for c in range(1, 9)],
        ("norm2",): [1.0 + c for c in range(8)],
    }
    return choose(graph, scores, **rules)


def left(choice: Choice) -> list[int]:
    return [mask.bit_count() for mask in choice.channels.norms().values()]


def test_a_count_is_exact_and_the_last_channel_stays_with_the_next_in_its_place() -> None:
    assert left(chain(ratio=0.0)) == [8, 8]
    assert left(chain(ratio=0.25)) == [4, 8]
    assert left(chain(ratio=0.5)) == [1, 7]
    choice = chain(ratio=0.5)
    assert choice.why(("norm1",), 7) == "stays: its norm would keep too few channels"
    assert choice.why(("norm1",), 0) == "goes"
    assert choice.why(("norm2",), 7) == "stays: it is above the threshold"


def test_floors_caps_and_multiples_hold() -> None:
    assert left(chain(ratio=0.5, limits=Floor(min_channels=3))) == [3, 5]
    assert left(chain(ratio=0.5, limits=Floor(max_layer_ratio=0.5))) == [4, 4]
    assert left(chain(ratio=0.5, limits=Floor(round_to=4))) == [4, 8]
    assert left(chain(ratio=0.5, limits=Floor(min_channels=0))) == [1, 7]
    stays = chain(ratio=0.5, limits=Floor(min_channels=0)).stays
    assert stays == {(("norm1",), 7): "the net needs one channel of its norm"}


def test_the_paper_takes_one_more_and_all_equal_ones() -> None:
    assert left(chain(ratio=0.25, rule="paper")) == [3, 8]
    graph = graph_of_text(CHAIN)
    scores: Scores = {("norm1",): [0.5] * 6 + [1, 2], ("norm2",): [3.0] * 8}
    assert left(choose(graph, scores, 0.1, rule="paper")) == [2, 8]
    assert left(choose(graph, scores, 0.1, rule="count")) == [7, 8]


def test_equal_scores_tell_nothing() -> None:
    graph = graph_of_text(CHAIN)
    with pytest.raises(ArchError, match=r"E0843.*all 16 scores are equal"):
        choose(graph, {("norm1",): [0.5] * 8, ("norm2",): [0.5] * 8}, 0.5)
    with pytest.raises(ArchError, match="not finite"):
        choose(graph, {("norm1",): [0.5, float("nan")]}, 0.5)


def test_a_whole_branch_goes_where_that_is_allowed_and_legal() -> None:
    graph = graph_of_text(
        """
        net Residual()(image: [4, 8, 8]) {
            x = image -> conv1: conv(4, 3) -> norm1: bn -> relu
            y = x -> conv2: conv(4, 3) -> norm2: bn -> relu -> conv3: conv(4, 3) -> norm3: bn
            return (x + y) -> global_avg_pool -> fc: linear(4)
        }
        """
    )
    scores: Scores = {("norm1",): [5.0] * 4, ("norm2",): [4.0] * 4, ("norm3",): [1, 1, 1, 1.0]}
    assert left(choose(graph, scores, 0.4, limits=Floor(min_channels=0))) == [4, 0, 0]
    assert left(choose(graph, scores, 0.34)) == [4, 3, 1]


def test_less_goes_until_an_aim_fits() -> None:
    graph = graph_of_text(CHAIN)
    scores: Scores = {
        ("norm1",): [c / 8 for c in range(1, 9)],
        ("norm2",): [1.0 + c for c in range(8)],
    }

    def params(choice: Choice) -> int:
        return costs_of(thin(choice.channels)).total().params

    whole = costs_of(graph).total().params
    choice = least_ratio(lambda one: params(one) <= whole // 2, lambda r: choose(graph, scores, r))
    assert choice is not None
    assert params(choice) <= whole // 2
    more = [params(choose(graph, scores, count / 16)) for count in range(16)]
    assert params(choice) == next(n for n in more if n <= whole // 2)
    assert all(a >= b for a, b in pairwise(more))
