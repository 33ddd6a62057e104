"""Emitted nets against torchvision's, bit for bit: weights, outputs, gradients, statistics.

Equality is `torch.equal` throughout, gradients included. torchvision's dense layers concatenate a
list of all earlier features, ours concatenate pairs; but both add the gradients of a feature from
the last layer that reads it to the first, so that not even their rounding differs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import emitted
import pytest
import torch
from torch import Tensor, nn


@dataclass
class Pair:
    """torchvision's net and ours, from the same seed."""

    reference: nn.Module
    ours: nn.Module


NAMES = {
    "densenet121": ("densenet", "DenseNet121"),
    "densenet161": ("densenet", "DenseNet161"),
    "densenet169": ("densenet", "DenseNet169"),
    "densenet201": ("densenet", "DenseNet201"),
    "mobilenet_v2": ("mobilenet_v2", "MobileNetV2"),
    "regnet_x_400mf": ("regnet", "RegNetX400MF"),
    "regnet_y_400mf": ("regnet", "RegNetY400MF"),
    "resnet18": ("resnet", "ResNet18"),
    "resnet34": ("resnet", "ResNet34"),
    "resnet50": ("resnet", "ResNet50"),
    "resnet101": ("resnet", "ResNet101"),
    "resnet152": ("resnet", "ResNet152"),
    "resnext50_32x4d": ("resnext", "ResNeXt50"),
    "vgg16_bn": ("vgg", "VGG16"),
    "wide_resnet50_2": ("wide_resnet", "WideResNet50"),
}

LARGER = {
    "efficientnet_b4": ("efficientnet", "EfficientNetB4"),
    "regnet_x_800mf": ("regnet", "RegNetX800MF"),
    "regnet_x_1_6gf": ("regnet", "RegNetX1600MF"),
    "regnet_x_3_2gf": ("regnet", "RegNetX3200MF"),
    "regnet_x_8gf": ("regnet", "RegNetX8GF"),
    "regnet_x_16gf": ("regnet", "RegNetX16GF"),
    "regnet_x_32gf": ("regnet", "RegNetX32GF"),
    "regnet_y_800mf": ("regnet", "RegNetY800MF"),
    "regnet_y_1_6gf": ("regnet", "RegNetY1600MF"),
    "regnet_y_3_2gf": ("regnet", "RegNetY3200MF"),
    "regnet_y_8gf": ("regnet", "RegNetY8GF"),
    "regnet_y_16gf": ("regnet", "RegNetY16GF"),
    "regnet_y_32gf": ("regnet", "RegNetY32GF"),
    "regnet_y_128gf": ("regnet", "RegNetY128GF"),
    "resnext101_32x8d": ("resnext", "ResNeXt101"),
    "resnext101_64x4d": ("resnext", "ResNeXt101x64"),
    "vgg11_bn": ("vgg", "VGG11"),
    "vgg13_bn": ("vgg", "VGG13"),
    "vgg19_bn": ("vgg", "VGG19"),
    "wide_resnet101_2": ("wide_resnet", "WideResNet101"),
}
"""Built of the same blocks as those above: only their keys and shapes are compared."""


@pytest.fixture(scope="module", params=list(NAMES))
def pair(request: pytest.FixtureRequest, torchvision: Any) -> Pair:
    spec, net = NAMES[request.param]
    torch.manual_seed(3)
    reference = getattr(torchvision.models, request.param)()
    return Pair(reference, emitted.emit(spec, net, emitted.O0).build(seed=3))


def _images(height: int = 64, width: int = 80) -> Tensor:
    """Small, and neither square nor of even statistics."""
    generator = torch.Generator().manual_seed(5)
    return torch.randn(2, 3, height, width, generator=generator) * 1.5 + 0.25


def _same(ours: dict[str, Tensor], reference: dict[str, Tensor]) -> bool:
    assert list(ours) == list(reference)
    different = [name for name in ours if not torch.equal(ours[name], reference[name])]
    assert not different, f"{len(different)} of {len(ours)} tensors differ, first {different[0]}"
    return True


def _run(net: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """The output, all gradients, and the state that the step leaves behind."""
    net.zero_grad()
    torch.manual_seed(9)  # of dropout
    images = images.clone().requires_grad_()
    output = net(images)
    (output * torch.linspace(-1, 1, output.shape[1])).sum().backward()
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    assert len(gradients) == len(list(net.parameters()))
    assert images.grad is not None
    return output.detach(), {"images": images.grad, **gradients}, net.state_dict()


def test_the_same_seed_gives_the_same_weights_under_the_same_keys(pair: Pair) -> None:
    assert _same(pair.ours.state_dict(), pair.reference.state_dict())
    assert [n for n, _ in pair.ours.named_parameters()] == [
        n for n, _ in pair.reference.named_parameters()
    ]
    assert [n for n, _ in pair.ours.named_buffers()] == [
        n for n, _ in pair.reference.named_buffers()
    ]


def test_the_modules_are_torchvisions(pair: Pair) -> None:
    """Also those without weights: what goes by names of modules finds what it finds there."""
    ours, reference = dict(pair.ours.named_modules()), dict(pair.reference.named_modules())
    assert set(ours) == set(reference)
    assert list(dict(pair.ours.named_children())) == list(dict(pair.reference.named_children()))
    for name, module in reference.items():
        if isinstance(module, nn.ReLU | nn.MaxPool2d | nn.AdaptiveAvgPool2d):
            assert type(ours[name]) is type(module), name


def test_the_results_of_children_are_torchvisions(pair: Pair, torchvision: Any) -> None:
    pair.ours.load_state_dict(pair.reference.state_dict())
    pair.ours.eval(), pair.reference.eval()
    images = _images()
    with torch.no_grad():
        for name, *_ in list(pair.reference.named_children())[:-1]:
            getter = torchvision.models._utils.IntermediateLayerGetter
            ours, reference = (
                getter(net, {name: "found"})(images)["found"] for net in (pair.ours, pair.reference)
            )
            assert torch.equal(ours, reference), name
        shorter = [nn.Sequential(*list(net.children())[:-1]) for net in (pair.ours, pair.reference)]
        assert torch.equal(shorter[0](images), shorter[1](images))
        if hasattr(pair.reference, "features"):  # ours may be a class of its own, and not be sliced
            ours, reference = (nn.Sequential(*net.features.children())[:-1] for net in _both(pair))
            assert torch.equal(ours(images), reference(images))


def _both(pair: Pair) -> tuple[Any, Any]:
    return pair.ours, pair.reference


def test_training_and_then_evaluation_are_bit_equal(pair: Pair) -> None:
    _perturb(pair.reference)
    pair.ours.load_state_dict(pair.reference.state_dict(), strict=True)
    for mode in (nn.Module.train, nn.Module.eval):
        _compare(pair, mode)


def _compare(pair: Pair, mode: Callable[[nn.Module], nn.Module]) -> None:
    images = _images()
    reference, gradients, state = _run(mode(pair.reference), images)
    ours, our_gradients, our_state = _run(mode(pair.ours), images)
    assert reference.std() > 0
    assert torch.equal(ours, reference)
    assert _same(our_gradients, gradients)
    assert _same(our_state, state)


def _perturb(net: nn.Module) -> None:
    """Weights and statistics away from the round numbers of a fresh net, each its own."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.uniform_(-0.2, 0.2, generator=generator)
                module.running_mean.uniform_(-0.2, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)


def test_other_numbers_of_classes_give_the_same_weights_too(torchvision: Any) -> None:
    torch.manual_seed(4)
    reference = torchvision.models.densenet121(num_classes=7)
    ours = emitted.emit("densenet", "DenseNet121", emitted.O0).build(seed=4, num_classes=7)
    assert _same(ours.state_dict(), reference.state_dict())


@pytest.mark.parametrize("name", LARGER)
def test_keys_and_shapes_are_equal(
    name: str, torchvision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, net = LARGER[name]
    parameters = torchvision.models.regnet.BlockParams
    given = parameters.from_init_params

    def on_cpu(*args: Any, **kwargs: Any) -> Any:
        with torch.device("cpu"):  # the widths are computed by tensors
            return given(*args, **kwargs)

    monkeypatch.setattr(parameters, "from_init_params", on_cpu)
    with torch.device("meta"):
        reference = getattr(torchvision.models, name)()
        ours = emitted.emit(spec, net).build()
    shapes = [(key, tensor.shape) for key, tensor in ours.state_dict().items()]
    assert shapes == [(key, tensor.shape) for key, tensor in reference.state_dict().items()]


def test_googlenet_and_its_auxiliary_classifiers_are_bit_equal(torchvision: Any) -> None:
    reference = torchvision.models.googlenet(init_weights=False)
    ours = emitted.emit("googlenet", "GoogLeNet", emitted.O0).build()
    assert set(dict(ours.named_modules())) == set(dict(reference.named_modules()))
    _perturb(reference)
    ours.load_state_dict(reference.state_dict(), strict=True)
    torch.manual_seed(9)  # of dropout
    logits, second, first = reference(_images())
    torch.manual_seed(9)
    found = ours(_images())
    assert all(map(torch.equal, found, (first, second, logits)))
    for outputs in (found, (first, second, logits)):
        sum(output.square().sum() for output in outputs).backward()
    gradients, theirs = (
        {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
        for net in (ours, reference)
    )
    assert gradients.keys() == dict(ours.named_parameters()).keys() == theirs.keys()
    assert all(torch.equal(gradients[name], theirs[name]) for name in theirs)
    plain = emitted.emit("googlenet", "GoogLeNetPlain", emitted.O0).build().eval()
    kept = {k: v for k, v in reference.state_dict().items() if not k.startswith("aux")}
    plain.load_state_dict(kept, strict=True)
    assert torch.equal(plain(_images()), reference.eval()(_images()))


def test_efficientnet_is_bit_equal_where_no_branch_is_dropped(torchvision: Any) -> None:
    reference = torchvision.models.efficientnet_b0(stochastic_depth_prob=0.0)
    ours = emitted.emit("efficientnet", "EfficientNetB0", emitted.O0).build()
    modules = {n for n, _ in reference.named_modules() if not n.endswith(".stochastic_depth")}
    assert set(dict(ours.named_modules())) == modules
    _perturb(reference)
    ours.load_state_dict(reference.state_dict(), strict=True)
    _compare(Pair(reference, ours), nn.Module.train)


def test_convnext_computes_the_same_with_convolutions_as_linear_layers(torchvision: Any) -> None:
    """The same weights in the same order, under other names and with other axes of size 1."""
    reference = torchvision.models.convnext_tiny().double().eval()
    ours = emitted.emit("convnext", "ConvNeXtTiny", emitted.O0).build().double().eval()
    state = reference.state_dict()
    with torch.no_grad():
        for name, weight in state.items():
            weight.uniform_(0.5, 1.5) if "layer_scale" in name else weight.add_(0.01)
    pairs = zip(ours.state_dict().items(), state.values(), strict=True)
    ours.load_state_dict({name: value.reshape(own.shape) for (name, own), value in pairs})
    images = _images().double()
    torch.testing.assert_close(ours(images), reference(images))
