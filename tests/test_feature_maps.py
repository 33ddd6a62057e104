"""Nets that give images, of many sizes: U-Net and feature pyramids, against plain torch."""

import re
from pathlib import Path
from typing import Any

import emitted
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

import archc

UNET: dict[str, Any] = {"width": 4, "depth": 2}
FPN: dict[str, Any] = {"blocks": [1, 1, 1, 1], "out": 8}


class PlainUNet(nn.Module):
    """U-Net as one writes it by hand; its weights are in the order of the paper's figure."""

    def __init__(self, width: int, depth: int, classes: int) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(depth + 1)]
        self.encoders = nn.ModuleList(map(_double, [3, *widths], widths))
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(2 * out, out, 2, stride=2) for out in widths[-2::-1]
        )
        self.decoders = nn.ModuleList(_double(2 * out, out) for out in widths[-2::-1])
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        features: list[Tensor] = []
        for encoder in self.encoders:
            x = encoder(nn.functional.max_pool2d(x, 2) if features else x)
            features.append(x)
        features.pop()
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(torch.cat([features.pop(), up(x)], 1))
        result: Tensor = self.head(x)
        return result


def _double(channels: int, out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source in (channels, out):
        layers += [nn.Conv2d(source, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
    return nn.Sequential(*layers)


def _unet_key(key: str, depth: int) -> str:
    """The key of `PlainUNet` for one of the spec's."""
    block, _, rest = key.partition(".")
    layers = {"conv1": "0", "norm1": "1", "conv2": "3", "norm2": "4"}
    number = int(block[-1]) if block[-1].isdigit() else 0
    if block == "head":
        return key
    if rest.startswith("up."):
        return f"ups.{number - 1}.{rest.removeprefix('up.')}"
    layer, _, name = rest.removeprefix("conv.").partition(".")
    kind, index = ("decoders", number - 1) if block.startswith("up") else ("encoders", number)
    return f"{kind}.{index}.{layers[layer]}.{name}"


def test_unet_is_the_one_that_is_written_by_hand() -> None:
    ours = emitted.emit("unet", "UNet", **UNET).build()
    theirs = PlainUNet(**UNET, classes=2)
    theirs.load_state_dict({_unet_key(k, UNET["depth"]): v for k, v in ours.state_dict().items()})
    for height, width in ((8, 12), (16, 4), (20, 20)):
        image = torch.randn(2, 3, height, width)
        assert torch.equal(ours(image), theirs(image))
        assert torch.equal(ours.eval()(image), theirs.eval()(image))


def test_a_whole_unet_has_as_many_parameters() -> None:
    with torch.device("meta"):
        net = PlainUNet(64, 4, classes=2)
    wanted = sum(p.numel() for p in net.parameters())
    graph = emitted.emit("unet", "UNet").graph
    assert wanted == sum(w.elements for _, ws in graph.weights() for w in ws if w.trained)


def test_a_pyramid_is_that_of_torchvision(torchvision: Any) -> None:
    """Bit by bit, in training and evaluation."""
    ours = emitted.emit("fpn", "ResNet18FPN", **FPN).build()
    body = torchvision.models.resnet.ResNet(
        torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=1
    )
    pyramid = torchvision.ops.FeaturePyramidNetwork([64, 128, 256, 512], 8)
    state = ours.state_dict()
    missing = body.load_state_dict(_below(state, "body."), strict=False)
    assert missing.missing_keys == ["fc.weight", "fc.bias"]
    assert not missing.unexpected_keys
    names = {"lateral": "inner_blocks", "output": "layer_blocks"}
    pyramid.load_state_dict(
        {
            re.sub(r"(\w+)\.(\d)", lambda m: f"{names[m[1]]}.{m[2]}.0", key, count=1): value
            for key, value in _below(state, "fpn.").items()
        }
    )

    def theirs(image: Tensor) -> list[Tensor]:
        x = body.maxpool(body.relu(body.bn1(body.conv1(image))))
        features = {}
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = features[name] = getattr(body, name)(x)
        return list(pyramid(features).values())

    for training in (True, False):
        ours.train(training)
        body.train(training)
        image = torch.randn(2, 3, 64, 96)
        results = ours(image)
        assert isinstance(results, tuple)
        assert len(results) == 4
        for own, other in zip(results, theirs(image), strict=True):
            assert torch.equal(own, other)


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v.clone() for k, v in state.items() if k.startswith(prefix)}


@pytest.mark.parametrize(
    ("spec", "net", "settings", "multiple", "words"),
    [
        ("unet", "UNet", UNET, 4, "image must be [3, 4*h, 4*w], not (3, 8, 10)"),
        ("fpn", "ResNet18FPN", FPN, 32, "image must be [3, 32*h, 32*w], not (3, 64, 66)"),
    ],
)
def test_sizes_are_checked_and_may_vary_in_an_exported_program(
    spec: str, net: str, settings: dict[str, Any], multiple: int, words: str
) -> None:
    model = emitted.emit(spec, net, **settings).build().eval()
    with pytest.raises(ValueError, match=re.escape(words)):
        model(torch.zeros(1, 3, 2 * multiple, 2 * multiple + 2))
    h, w = Dim("h", min=2, max=8), Dim("w", min=2, max=8)
    exported = torch.export.export(
        model,
        (torch.zeros(1, 3, 3 * multiple, 4 * multiple),),
        dynamic_shapes=({2: multiple * h, 3: multiple * w},),
    )
    image = torch.randn(1, 3, 2 * multiple, 5 * multiple)
    ours, theirs = model(image), exported.module()(image)
    pairs = [(ours, theirs)] if isinstance(ours, Tensor) else zip(ours, theirs, strict=True)
    for own, other in pairs:
        torch.testing.assert_close(own, other)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 5), (4, 5)])
def test_a_size_that_must_be_odd_is_checked(tmp_path: Path, height: int, width: int) -> None:
    spec = tmp_path / "odd.arch"
    spec.write_text("net Odd()(image: [3, 2*h + 1, 2*w]) { return image -> conv: conv(4) }\n")
    model = archc.load(spec).build()
    assert model(torch.zeros(1, 3, 5, 4)).shape == (1, 4, 5, 4)
    with pytest.raises(ValueError, match=re.escape(f"not (3, {height}, {width})")):
        model(torch.zeros(1, 3, height, width))


def test_what_is_no_classifier_has_no_classifier() -> None:
    pyramid = emitted.emit("fpn", "ResNet18FPN", **FPN).build(in_chans=1)
    segmenter = emitted.emit("unet", "UNet", **UNET).build(num_classes=5, in_chans=1)
    assert segmenter(torch.zeros(1, 1, 8, 8)).shape == (1, 5, 8, 8)
    assert pyramid(torch.zeros(2, 1, 32, 32))[0].shape == (2, 8, 8, 8)
    for net in (pyramid, segmenter):
        for name in ("get_classifier", "reset_classifier", "forward_head", "num_features"):
            assert not hasattr(net, name)
