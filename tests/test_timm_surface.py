"""The emitted net as a timm user meets it: features, head, classifier, `feature_info`."""

from pathlib import Path
from typing import Any

import emitted
import pytest
import torch
from torch import Tensor, nn

each_small = pytest.mark.parametrize(("spec", "net", "settings"), emitted.SMALL)


def _images(size: int = 32) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def _small(spec: str, net: str, settings: dict[str, Any]) -> nn.Module:
    return emitted.emit(spec, net, **settings).build().eval()


@each_small
def test_forward_is_the_head_of_the_features(spec: str, net: str, settings: dict[str, Any]) -> None:
    model: Any = _small(spec, net, settings)
    images = _images()
    features = model.forward_features(images)
    pooled = model.forward_head(features, pre_logits=True)
    assert features.shape[:2] == pooled.shape == (2, model.num_features)
    assert torch.equal(pooled, features.mean((2, 3)))
    assert torch.equal(model.get_classifier()(pooled), model(images))
    assert torch.equal(model.forward_head(features), model(images))


@each_small
def test_the_classifier_can_be_replaced(spec: str, net: str, settings: dict[str, Any]) -> None:
    model: Any = _small(spec, net, settings)
    images = _images()
    features = model.forward_features(images)
    keys = list(model.state_dict())

    model.reset_classifier(5)
    assert isinstance(model.get_classifier(), nn.Linear)
    assert model.get_classifier().in_features == model.num_features
    assert model(images).shape == (2, 5)
    assert list(model.state_dict()) == keys

    model.reset_classifier(0)
    assert torch.equal(model(images), model.forward_head(features, pre_logits=True))
    model.reset_classifier(10)
    assert model(images).shape == (2, 10)


@each_small
def test_feature_info_is_true(spec: str, net: str, settings: dict[str, Any]) -> None:
    """Each named module gives, once per image, what `feature_info` promises of it."""
    model: Any = _small(spec, net, settings)
    found: dict[str, list[torch.Size]] = {}
    for info in model.feature_info:
        name = info["module"]
        seen = found.setdefault(name, [])
        model.get_submodule(name).register_forward_hook(
            lambda _module, _args, output, seen=seen: seen.append(output.shape)
        )
    model(_images(64))
    assert len(found) == len(model.feature_info)
    for info in model.feature_info:
        side = 64 // info["reduction"]
        assert found[info["module"]] == [(2, info["num_chs"], side, side)]
    reductions = [info["reduction"] for info in model.feature_info]
    assert reductions == sorted(set(reductions))
    assert model.feature_info[-1]["num_chs"] == model.num_features


def test_channels_that_follow_an_argument_are_written_as_it() -> None:
    case = Path(__file__).parent / "cases" / "codegen" / "arguments.arch"
    net: Any = emitted.emit(case).build(in_chans=1, num_classes=7)
    images = torch.randn(2, 1, 32, 32)
    assert net.num_features == net.forward_features(images).shape[1] == 6
    assert [info["num_chs"] for info in net.feature_info] == [6, 6]
    net.reset_classifier(4)
    assert net(images).shape == (2, 4)
    net.reset_classifier(0)
    assert net(images).shape == (2, 6)


def test_channels_may_be_a_multiple_of_an_argument(tmp_path: Path) -> None:
    spec = tmp_path / "double.arch"
    spec.write_text(
        "net Double(classes=10)(x: [3, 8, 8]) {\n"
        "    return concat(x, x) -> a: conv(4) -> global_avg_pool -> fc: linear(2 * classes)\n}\n"
    )
    net: Any = emitted.emit(spec).build(in_chans=5, num_classes=7)
    assert net(torch.randn(2, 5, 8, 8)).shape == (2, 14)


@pytest.mark.parametrize("size", [9, 10, 28, 33])
def test_reductions_are_those_of_the_strides_where_sizes_do_not_divide(size: int) -> None:
    net: Any = emitted.emit("densenet_cifar", depth=10, growth=4, size=size).build()
    assert [info["reduction"] for info in net.feature_info] == [1, 2, 4]


@pytest.mark.parametrize(
    ("net", "modules"),
    [
        ("DenseNet121", ["relu0", "denseblock1", "denseblock2", "denseblock3", "norm5"]),
        ("ResNet50", ["relu", "layer1", "layer2", "layer3", "layer4"]),
    ],
)
def test_feature_info_names_one_module_for_each_scale(net: str, modules: list[str]) -> None:
    spec = "densenet" if net.startswith("Dense") else "resnet"
    with torch.device("meta"):
        model: Any = emitted.emit(spec, net).build()
    assert [info["module"].split(".")[-1] for info in model.feature_info] == modules
    assert [info["reduction"] for info in model.feature_info] == [2, 4, 8, 16, 32]
