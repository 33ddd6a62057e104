"""Nets that cut, pad and fit feature maps, beside plain modules of torch with the same weights."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from emitted import O0
from plain_modules import PASSES, assert_equal, built
from planned import MODES, compare_generated
from torch import Tensor, nn
from torch.nn import functional as F

from archc.compiler import Request, compile_spec
from archc.diagnostics import ArchError, edited
from archc.passes.base import Pass
from archc.passes.pipeline import DEFAULT
from archc.testing import Spec

# ------------------------------------------------------------------ the first U-Net

UNET = """
block Twice(out)(x) {
    return x -> conv1: conv(out, 3, padding=0, bias=true) -> relu
             -> conv2: conv(out, 3, padding=0, bias=true) -> relu
}

block Up(out)(x, skip) {
    x = x -> up: conv_transpose(out, 2, 2, bias=true)
    rows, columns = skip.height - x.height, skip.width - x.width
    cut = skip -> crop(top=rows // 2, bottom=rows - rows // 2,
                       left=columns // 2, right=columns - columns // 2)
    return concat(cut, x) -> conv: Twice(out)
}

net UNet(width=8, depth=2, classes=2)(image: [1, SIZES]) {
    features = [image -> stem: Twice(width)]
    for i in range(1, depth + 1) {
        features += [features[-1] -> max_pool(2) -> "down{i}": Twice(width * 2 ** i)]
    }
    x = features[-1]
    for i, skip in enumerate(reversed(features[:-1]), start=1) {
        x = (x, skip) -> "up{i}": Up(skip.channels)
    }
    return x -> head: conv(classes, 1, bias=true)
}
"""


class Twice(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3)
        self.conv2 = nn.Conv2d(out, out, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(x))))


class Up(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, out, 2, 2)
        self.conv = Twice(2 * out, out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        top, left = ((n - m) // 2 for n, m in zip(skip.shape[2:], x.shape[2:], strict=True))
        cut = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
        return self.conv(torch.cat([cut, x], 1))  # type: ignore[no-any-return]


class UNet(nn.Module):
    """Ronneberger et al., 2015: convolutions without padding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down1, self.down2 = Twice(1, 8), Twice(8, 16), Twice(16, 32)
        self.up1, self.up2 = Up(32, 16), Up(16, 8)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        first = self.stem(image)
        second = self.down1(F.max_pool2d(first, 2))
        third = self.down2(F.max_pool2d(second, 2))
        return self.head(self.up2(self.up1(third, second), first))  # type: ignore[no-any-return]


@pytest.mark.parametrize("sizes", ["60, 44", "4*h, 4*w"])
@pytest.mark.parametrize("passes", PASSES)
def test_the_first_unet_crops_what_it_joins(
    tmp_path: Path, passes: Sequence[Pass], sizes: str
) -> None:
    net = built(tmp_path, UNET.replace("SIZES", sizes), passes)
    torch.manual_seed(0)
    images = [torch.randn(2, 1, 60, 44, dtype=torch.float64)]
    images += [torch.randn(1, 1, 48, 52, dtype=torch.float64)] if "h" in sizes else []
    assert_equal(net, UNet(), *images)
    assert net(images[0]).shape == (2, 2, 20, 4)


# ------------------------------------------------------------------ padding as in TensorFlow

SAME = """
net Same(classes=4)(image: [8, SIZES]) {
    x = image -> pad(right=1, bottom=1) -> stem: conv(16, 3, stride=2, padding=0) -> relu
    x = x -> pad(left=1, right=2, top=1, bottom=2, mode="reflect") -> wide: conv(8, 4, padding=0)
    x = x -> border: pad(top=2, mode="replicate") -> max_pool(3, 2)
    return x -> head: conv(classes, 1)
}
"""


class Same(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(8, 16, 3, 2, bias=False)
        self.wide = nn.Conv2d(16, 8, 4, bias=False)
        self.head = nn.Conv2d(8, 4, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(F.conv2d(F.pad(image, (0, 1, 0, 1)), self.stem.weight, stride=2))
        x = self.wide(F.pad(x, (1, 2, 1, 2), mode="reflect"))
        return self.head(F.max_pool2d(F.pad(x, (0, 0, 2, 0), mode="replicate"), 3, 2))  # type: ignore[no-any-return]


@pytest.mark.parametrize("sizes", ["16, 20", "H, W"])
@pytest.mark.parametrize("passes", PASSES)
def test_single_sides_are_padded(tmp_path: Path, passes: Sequence[Pass], sizes: str) -> None:
    net = built(tmp_path, SAME.replace("SIZES", sizes), passes)
    torch.manual_seed(0)
    images = [torch.randn(2, 8, 16, 20, dtype=torch.float64)]
    images += [torch.randn(2, 8, 13, 11, dtype=torch.float64)] if "H" in sizes else []
    assert_equal(net, Same(), *images)


# ------------------------------------------------------------------ DeepLabV3

DEEPLAB = """
block ConvNorm(out, kernel=1, dilation=1)(x) {
    return x -> conv: conv(out, kernel, dilation=dilation) -> norm: bn -> relu
}

block ImagePooling(out)(x) {
    y = x -> global_avg_pool(keep=true) -> project: ConvNorm(out)
    return y -> upsample(like=x, mode="bilinear")
}

block ASPP(out, rates)(x) {
    ys = [x -> "branch0": ConvNorm(out)]
    for i, rate in enumerate(rates, start=1) {
        ys += [x -> "branch{i}": ConvNorm(out, 3, dilation=rate)]
    }
    ys += [x -> pooling: ImagePooling(out)]
    return concat(ys) -> project: ConvNorm(out)
}

net DeepLab(width=8, classes=3)(image: [8, SIZES]) {
    low = image -> stem: ConvNorm(width, 3) -> down1: conv(width, 3, stride=2)
    x = low -> relu -> down2: conv(2 * width, 3, stride=2) -> aspp: ASPP(width, [2, 3])
    x = concat(x -> upsample(like=low, mode="bilinear", align_corners=true), low)
    return x -> classifier: conv(classes, 1, bias=true) -> upsample(like=image, mode="bicubic")
}
"""


def conv_norm(channels: int, out: int, kernel: int = 1, dilation: int = 1) -> nn.Module:
    padding = dilation * (kernel // 2)
    net = nn.Sequential()
    net.add_module("conv", nn.Conv2d(channels, out, kernel, 1, padding, dilation, bias=False))
    net.add_module("norm", nn.BatchNorm2d(out))
    net.add_module("relu", nn.ReLU())
    return net


class ImagePooling(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.project = conv_norm(channels, out)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(F.adaptive_avg_pool2d(x, 1))
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)


class ASPP(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.branch0 = conv_norm(channels, out)
        self.branch1 = conv_norm(channels, out, 3, 2)
        self.branch2 = conv_norm(channels, out, 3, 3)
        self.pooling = ImagePooling(channels, out)
        self.project = conv_norm(4 * out, out)

    def forward(self, x: Tensor) -> Tensor:
        ys = [self.branch0(x), self.branch1(x), self.branch2(x), self.pooling(x)]
        return self.project(torch.cat(ys, 1))  # type: ignore[no-any-return]


class DeepLab(nn.Module):
    """Chen et al., 2017, in small."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_norm(8, 8, 3)
        self.down1 = nn.Conv2d(8, 8, 3, 2, 1, bias=False)
        self.down2 = nn.Conv2d(8, 16, 3, 2, 1, bias=False)
        self.aspp = ASPP(16, 8)
        self.classifier = nn.Conv2d(16, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        low = self.down1(self.stem(image))
        x = self.aspp(self.down2(F.relu(low)))
        x = F.interpolate(x, size=low.shape[-2:], mode="bilinear", align_corners=True)
        x = self.classifier(torch.cat([x, low], 1))
        return F.interpolate(x, size=image.shape[-2:], mode="bicubic", align_corners=False)


@pytest.mark.parametrize("sizes", ["21, 30", "H, W"])
@pytest.mark.parametrize("passes", PASSES)
def test_pooled_images_take_the_size_of_the_map(
    tmp_path: Path, passes: Sequence[Pass], sizes: str
) -> None:
    net = built(tmp_path, DEEPLAB.replace("SIZES", sizes), passes)
    torch.manual_seed(0)
    images = [torch.randn(2, 8, 21, 30, dtype=torch.float64)]
    images += [torch.randn(3, 8, 17, 16, dtype=torch.float64)] if "H" in sizes else []
    assert_equal(net, DeepLab(), *images)


def test_the_size_of_a_tensor_may_come_from_outside_of_the_block(tmp_path: Path) -> None:
    """The tensor is read where the layer is applied, in whatever block that is."""
    spec = """
block Apply(layer)(x) { return x -> conv: conv(8, 3) -> layer }

net Outside()(image: [8, H, W], small: [8, 4, 4]) {
    layer = upsample(like=image)
    return concat(small -> first: Apply(layer), small -> second: Apply(layer)) -> mix: conv(8, 1)
}
"""
    net = built(tmp_path, spec, DEFAULT)
    image, small = torch.randn(2, 8, 9, 7).double(), torch.randn(2, 8, 4, 4).double()
    weights = net.state_dict()
    parts = [
        F.conv2d(small, weights[f"{name}.conv.weight"], padding=1) for name in ("first", "second")
    ]
    wanted = F.conv2d(
        torch.cat([F.interpolate(part, size=(9, 7)) for part in parts], 1), weights["mix.weight"]
    )
    torch.testing.assert_close(net(image, small), wanted)


# ------------------------------------------------------------------ memory

PIPES = {
    "crop": "image -> a: conv(8, 3) -> crop(top=1, left=2) -> b: conv(8, 3)",
    "crop of rows": "image -> a: conv(8, 3) -> crop(top=1) -> n: bn -> relu -> b: conv(8, 3)",
    "crop and join": "concat(image -> a: conv(8, 3) -> crop(spatial=1), image -> crop(spatial=1))",
    "like": "image -> a: conv(8, 3, stride=2) -> upsample(like=image -> b: conv(3, 1))",
    "like bilinear": 'image -> a: conv(8, 3, stride=2) -> upsample(like=image, mode="bilinear")',
    "bicubic": 'image -> a: conv(8, 3) -> upsample(size=[20, 17], mode="bicubic") -> b: conv(8, 3)',
    "zeros": "image -> a: conv(8, 3) -> pad(bottom=1, right=1) -> b: conv(8, 3, padding=0)",
    "reflect": 'image -> a: conv(8, 3) -> relu -> pad(top=1, mode="reflect") -> b: conv(8, 1)',
    "replicate": 'image -> a: conv(8, 3) -> pad(spatial=2, mode="replicate") -> b: conv(8, 1)',
}


@pytest.mark.parametrize("mode", ["-O0", "inference"])
@pytest.mark.parametrize("pipe", PIPES)
def test_what_changes_sizes_needs_what_is_planned(pipe: str, mode: str, tmp_path: Path) -> None:
    net = f"""
net Net()(image: [8, 12, 12]) {{
    x = {PIPES[pipe]}
    return x -> global_avg_pool -> fc: linear(10)
}}
"""
    compared = compare_generated(Spec(net, ((8, 12, 12),)), MODES[mode], tmp_path)
    assert all(abs(ratio - 1) < 0.001 for ratio in compared.ratios), compared


# ------------------------------------------------------------------ torch's own words

PADS = [
    ("nn.ZeroPad2d((0, 1, 0, 1))", "[8, 6, 5]"),
    ("nn.ZeroPad2d(1)", "[8, 6, 5]"),
    ("nn.ZeroPad1d((2, 0))", "[8, 6]"),
    ("nn.ZeroPad3d((1, 0, 2, 1, 0, 3))", "[8, 4, 3, 5]"),
    ("nn.ReflectionPad2d((1, 2, 3, 4))", "[8, 6, 5]"),
    ("nn.ReflectionPad1d(2)", "[8, 6]"),
    ("nn.ReplicationPad2d(padding=(1, 1, 2, 2))", "[8, 6, 5]"),
    ("nn.ReplicationPad3d(1)", "[8, 3, 3, 3]"),
    ("nn.Upsample(size=(7, 3), mode='bilinear', align_corners=True)", "[8, 6, 5]"),
    ("nn.Upsample(scale_factor=2, mode='bicubic')", "[8, 6, 5]"),
    ("nn.Upsample(size=9)", "[8, 6]"),
]


@pytest.mark.parametrize(("call", "shape"), PADS)
def test_a_module_of_torch_is_mended_to_what_computes_the_same(
    tmp_path: Path, call: str, shape: str
) -> None:
    path = tmp_path / "spec.arch"
    text = f"net Net()(image: {shape}) {{\n    return image -> {call}\n}}\n"
    path.write_text(text, encoding="utf-8")
    for _ in range(5):  # words of Python are mended first
        try:
            compile_spec(Request(str(path)))
        except ArchError as problem:
            text = edited(text, problem.diagnostics[0].fix)
            path.write_text(text, encoding="utf-8")
    net = built(tmp_path, text, O0)
    theirs = eval(call, {"nn": nn})
    image = torch.randn(2, *json.loads(shape), dtype=torch.float64)
    assert torch.equal(net(image), theirs(image))


@pytest.mark.parametrize(
    "call", ["nn.ZeroPad2d((0, -1, 0, 1))", "nn.ReflectionPad2d((1, 2))", "nn.ZeroPad2d(-1)"]
)
def test_a_module_that_pad_cannot_be_is_not_mended(tmp_path: Path, call: str) -> None:
    path = tmp_path / "spec.arch"
    path.write_text(f"net Net()(image: [8, 6, 5]) {{ return image -> {call} }}\n")
    with pytest.raises(ArchError) as caught:
        compile_spec(Request(str(path)))
    assert not caught.value.diagnostics[0].fix
