"""Parameters and multiply-accumulates of the shipped nets against the original implementations.

`reference_facts.json` holds what was measured on the code of the papers' authors (`source`), or on
the best known port of it. Multiply-accumulates are those of convolutions and linear layers, for one
image; where they are a text, only the rounded figure is known, where they are null, none. Exits are
counted in the ways of `archc.analysis.cost.ExitCost`. A fact with `keys` has some of the original's
state_dict, and `entries` says how many there are; `batch_norms` is the number of such layers.
"""

import json
import re
from pathlib import Path
from typing import Any

import emitted
import pytest
import torch
from emitted import Emitted

from archc.analysis.cost import costs_of, exit_costs
from archc.ops.normalization import BatchNorm

FACTS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("reference_facts.json").read_text("utf-8")
)
SPECS = Path(__file__).parents[1] / "specs"

each_fact = pytest.mark.parametrize("fact", FACTS, ids=[fact["name"] for fact in FACTS])
each_family = pytest.mark.parametrize(
    ("spec", "net", "settings"),
    [
        ("all_cnn", "AllCNN", {}),
        ("densenet", "DenseNet121", {"blocks": [2, 2, 2, 2]}),
        ("densenet_cifar", "DenseNetBC", {"depth": 16, "growth": 4}),
        ("nin", "NIN", {}),
        ("preact_resnet_cifar", "PreActResNet164", {"depth": 20}),
        ("hardnet", "HarDNet39DS", {"layers": [4, 4, 4, 4]}),
        ("mgic", "MGIC34Tied", {"blocks": [1, 1, 1, 1]}),
        ("min_nets", "CifarMinFP", {"count": 2}),
        ("min_nets", "DenseMin", {"depth": 16, "growth": 4}),
        ("rkcnn", "RKCNNI", {"growth": [8, 8, 8], "stages": [3, 2, 2]}),
        ("xnor_net", "XnorNIN", {}),
        ("resnet", "ResNet18", {}),
        ("resnet", "ResNet50", {"blocks": [1, 1, 1, 1]}),
        ("resnet_cifar", "ResNet", {"depth": 8}),
        ("resnet_cifar", "ResNet", {"depth": 8, "projection": True, "bias": True}),
        ("vgg_cifar", "VGG11", {}),
        ("wide_resnet_cifar", "WideResNet28x10", {"depth": 10, "widen": 2, "dropout_rate": 0.3}),
    ],
)


def _compile(fact: dict[str, Any]) -> Emitted:
    return emitted.emit(fact["spec"], fact["net"], **fact["settings"])


def _rounded(value: int, like: str) -> str:
    number, unit = like.split()
    scale = {"M": 1e6, "G": 1e9}[unit]
    decimals = len(number.partition(".")[2])
    return f"{value / scale:.{decimals}f} {unit}"


@each_fact
def test_counts_equal_those_of_the_original(fact: dict[str, Any]) -> None:
    net = _compile(fact)
    macs = fact["macs"]
    assert net.parameters == fact["params"]
    if isinstance(macs, str):
        assert net.macs is not None
        assert _rounded(net.macs, macs) == macs
    elif macs is not None:
        assert net.macs == macs


@pytest.mark.parametrize(
    "fact", [pytest.param(fact, id=fact["name"]) for fact in FACTS if "exits" in fact]
)
def test_each_exit_costs_what_it_does_in_the_original(fact: dict[str, Any]) -> None:
    graph = _compile(fact).graph
    costs = exit_costs(graph, costs_of(graph))
    for way, figures in fact["exits"].items():
        for figure, expected in figures.items():
            assert [getattr(getattr(cost, way), figure) for cost in costs] == expected, way


FIRST = list({fact["spec"]: fact["name"] for fact in reversed(FACTS)}.values())
"""One fact of each spec."""


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param(fact, id=fact["name"], marks=() if fact["name"] in FIRST else pytest.mark.full)
        for fact in FACTS
    ],
)
def test_the_file_says_its_counts(fact: dict[str, Any]) -> None:
    net = _compile(fact)
    said = f"{net.parameters:,} parameters, {net.macs:,} multiply-accumulates"
    assert said in " ".join(net.source.split())


@pytest.mark.parametrize(
    "name",
    [
        "DenseNet-40-k12 (16-channel stem, Caffe)",
        "DenseNet-BC-100-k12 (cifar100)",
        "DenseNet-121 (k=32, ImageNet)",
        "ResNet-50 (ImageNet)",
        "Wide-ResNet-32 x4 (cifar10) [Snapshot, inferred]",
        "StochDepth ResNet-110 (cifar10)",
    ],
)
def test_real_modules_have_as_many_parameters(name: str) -> None:
    fact = next(fact for fact in FACTS if fact["name"] == name)
    with torch.device("meta"):
        net = _compile(fact).build()
    assert sum(p.numel() for p in net.parameters()) == fact["params"]


@pytest.mark.parametrize(
    "fact", [pytest.param(fact, id=fact["name"]) for fact in FACTS if "batch_norms" in fact]
)
def test_as_many_layers_normalise_as_in_the_original(fact: dict[str, Any]) -> None:
    norms = [node for node in _compile(fact).graph.nodes() if isinstance(node.op, BatchNorm)]
    assert len(norms) == fact["batch_norms"]


@pytest.mark.parametrize("name", [fact["name"] for fact in FACTS if "keys" in fact])
def test_the_keys_are_those_of_the_original(name: str) -> None:
    fact = next(fact for fact in FACTS if fact["name"] == name)
    with torch.device("meta"):
        state = _compile(fact).build().state_dict()
    assert len(state) == fact["entries"]
    assert not set(fact["keys"]) - set(state)


@each_family
def test_classes_and_input_channels_are_arguments(
    tmp_path: Path, spec: str, net: str, settings: dict[str, Any]
) -> None:
    """The same weights, from the same seed, as of the net that is elaborated with those numbers."""
    grey = tmp_path / f"{spec}.arch"
    text, count = re.subn(r"image: \[3,", "image: [1,", (SPECS / grey.name).read_text("utf-8"))
    assert count >= 1
    grey.write_text(text, encoding="utf-8")

    given = emitted.emit(spec, net, **settings).build(num_classes=7, in_chans=1)
    made = emitted.emit(grey, net, **settings, classes=7).build()

    assert list(given.state_dict()) == list(made.state_dict())
    assert all(map(torch.equal, given.state_dict().values(), made.state_dict().values()))
    images = torch.randn(2, 1, 32, 32)
    assert torch.equal(given.eval()(images), made.eval()(images))
    assert given(images).shape == (2, 7)
