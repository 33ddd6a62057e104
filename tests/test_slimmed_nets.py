"""Slimmed nets compute what the masked ones do: families of nets, and generated graphs."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from slimmed import differences, drawn, graph_of, pair_of

from archc.channels.analysis import norms_of
from archc.ir.dump import dump
from archc.ir.graph import Graph
from archc.testing import graphs

HARDNET = {"stem": (4, 8), "layers": (4, 8), "growth": (4, 6), "widths": (8, 12), "halved": (0,)}
NETS: dict[str, tuple[dict[str, Any], int]] = {
    "vgg_cifar VGG11": ({"layers": (8, "M", 16, "M", 16, "M", 16, "M", 24)}, 32),
    "resnet_cifar ResNet": ({"depth": 14}, 16),
    "resnet ResNet50": ({"blocks": (2, 2), "classes": 5}, 32),
    "preact_resnet_cifar PreActResNet164": ({"depth": 20}, 16),
    "preact_resnet_cifar SlimmingResNet164": ({"depth": 20}, 16),
    "densenet_cifar DenseNet": ({"depth": 13, "growth": 4}, 16),
    "densenet_cifar DenseNetBC": ({"depth": 22, "growth": 4}, 16),
    "msdnet_cifar MSDNetAnytime": ({"exits": 2, "classes": 5}, 32),
    "hardnet HarDNet68": (HARDNET, 32),
    "hardnet HarDNet39DS": (HARDNET, 32),
    "threshnet ThreshNet79": ({**HARDNET, "dense": 1}, 32),
    "resnext_cifar ResNeXt29": ({"depth": 11, "groups": 4, "base_width": 4}, 16),
    "mobilenet_v2 MobileNetV2": ({"width": 0.25, "classes": 5}, 32),
    "se_resnet SEResNet50": ({"blocks": (1, 1), "classes": 5}, 32),
    "ghostnet GhostNet": ({"width": 0.25, "classes": 5}, 64),
    "unet UNet": ({"width": 4, "depth": 2}, 16),
    "googlenet GoogLeNetPlain": ({"classes": 5}, 32),
    "dla DLA34": ({"channels": (8, 8, 8, 16, 16, 24), "classes": 5}, 32),
    "fpn ResNet18FPN": ({"blocks": (1, 1, 1, 1), "out": 8}, 32),
}
"""Settings, and the size of the images."""


RATIOS = (0.15, 0.5, 0.85)


def some() -> Iterator[Any]:
    """Each net with one of the ratios; with the others in long runs."""
    for i, name in enumerate(NETS):
        for j, ratio in enumerate(RATIOS):
            marks = () if i % len(RATIOS) == j else pytest.mark.full
            yield pytest.param(name, ratio, marks=marks, id=f"{name} {ratio}")


@pytest.mark.parametrize(("name", "ratio"), [*some()])
def test_a_slimmed_net_computes_what_the_masked_one_does(name: str, ratio: float) -> None:
    arguments, size = NETS[name]
    graph = graph_of(name, **arguments)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    pair = pair_of(graph, drawn(graph, ratio), images=[images])
    left = sum(weight.numel() for weight in pair.narrow.parameters())
    assert left < (1 - ratio / 3) * sum(weight.numel() for weight in pair.wide.parameters())
    assert list(differences(pair, 1e-10)) == []


@pytest.mark.parametrize("name", ["densenet_cifar DenseNetBC", "resnet_cifar ResNet"])
def test_in_single_precision_too(name: str) -> None:
    arguments, size = NETS[name]
    graph = graph_of(name, **arguments)
    images = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(2))
    pair = pair_of(graph, drawn(graph, 0.5), images=[images], dtype=torch.float32)
    assert list(differences(pair, 1e-5, gradients=False)) == []


@pytest.mark.parametrize("name", ["vgg_cifar VGG11", "densenet_cifar DenseNetBC"])
def test_what_shifts_add_is_kept_where_it_can_be(name: str) -> None:
    arguments, size = NETS[name]
    graph = graph_of(name, **arguments)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    pair = pair_of(graph, drawn(graph, 0.5), images=[images], shifted=True)
    assert any(map(pair.channels.absorbed, graph.nodes()))
    assert list(differences(pair, 1e-10)) == []


def check_drawn(graph: Graph, data: st.DataObject, *, shifted: bool) -> None:
    note(dump(graph))
    widths = {node.layer.path: node.type.channels for node in norms_of(graph) if node.layer.path}
    dropped = {
        path: sum(1 << c for c in data.draw(st.sets(st.integers(0, width - 1))))
        for path, width in widths.items()
    }
    assert list(differences(pair_of(graph, dropped, shifted=shifted), 1e-10)) == []


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(graphs("bn"), st.data(), st.booleans())
def test_slimmed_generated_graphs_compute_what_masked_ones_do(
    graph: Graph, data: st.DataObject, shifted: bool
) -> None:
    check_drawn(graph, data, shifted=shifted)


@pytest.mark.full
@settings(max_examples=1000, suppress_health_check=list(HealthCheck))
@given(graphs("bn"), st.data(), st.booleans())
def test_many_slimmed_generated_graphs_do(graph: Graph, data: st.DataObject, shifted: bool) -> None:
    check_drawn(graph, data, shifted=shifted)
