"""Shapes, which begin with the batch in PyTorch: what reads them otherwise than meant is told."""

import pytest
import torch
from test_doubtful_mends import said
from test_tried_mends import mended
from torch.nn import functional as F

import archc
from archc.checking import CheckStage, check_of
from archc.diagnostics import Diagnostic, Source, edited
from archc.elaborate.limits import Limits

NET = "net N()(x: [8, 12, 10]) {{\n    {}\n    return x -> y: conv(n, 1)\n}}\n"


def doubts(text: str) -> list[Diagnostic]:
    found = check_of(Source("net.arch", text), Limits())(text).diagnostics
    return [each for each in found if each.code == "W0011"]


TOLD = [
    ("b, n = x.shape[:2]", "the channels and the height", "the batch and the channels"),
    ("n, h = x.shape[1:3]", "the height and the width", "the channels and the height"),
    ("s = x.shape\n    n = s[1]", "the height", "the channels"),
    ("s = x.shape\n    n = s[0]", "the channels", "the batch"),
    ("s = x.shape\n    b, n = s[:2]", "the channels and the height", "the batch and the channels"),
    ("n = x.shape[1:][0]", "the height and the width", "the channels, the height and the width"),
    ("n = x.shape[:-1][1]", "the channels and the height", "the batch, the channels and the"),
    ("n = len(x.shape)", "is 3", "it is 4"),
    ("s = x.shape\n    n = len(s)", "is 3", "it is 4"),
    ("n = 8 if len(x.shape) == 4 else 9", "is 3", "it is 4"),
]


@pytest.mark.parametrize(("line", "here", "there"), TOLD)
def test_axes_of_a_shape_that_pytorch_counts_otherwise_are_told(
    line: str, here: str, there: str
) -> None:
    (told,) = doubts(NET.format(line))
    assert here in told.message
    assert there in (told.help or "")


PLAIN = [
    "n, h, w = x.shape",
    "h, n = x.shape[-2:]",
    "h, n = x.shape[1:]",
    "n = x.shape[-1]",
    "s = x.shape\n    n = s[-3]",
    "xs = [8, 9, 9]\n    n = xs[1] + len(xs) + xs[:2][1]",
    "n = x.channels",
]


@pytest.mark.parametrize("line", PLAIN)
def test_axes_that_can_be_meant_in_one_way_only_are_not_told(line: str) -> None:
    assert not doubts(NET.format(line))


def test_the_shape_of_a_learned_tensor_is_counted_as_in_pytorch() -> None:
    assert not doubts(NET.format("g = param([8, 1, 1])\n    x = x * g\n    n = len(g.shape[:2])"))


def test_an_assertion_that_fails_tells_what_its_axes_are() -> None:
    problem = said(NET.format('n = 8\n    assert x.shape[1] == 8, "eight channels"'))
    assert problem.code == "E0601"
    assert "`x.shape[1]` is `x.height`: axes count without the batch" in problem.notes


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("b, n, h, w = x.shape", "n, h, w = x.shape"),
        ("s = x.shape\n    b, n, h, w = s", "s = x.shape\n    n, h, w = s"),
        ("h, n = x.shape[2:]", "h, n = x.shape[1:]"),
        ("h, n = x.shape[2:4]", "h, n = x.shape[1:3]"),
        ("n, h, w = x.shape[1:4]", "n, h, w = x.shape[:3]"),
        ("n, h, w = x.shape[1:]", "n, h, w = x.shape"),
        ("b, n, h, w = x.size()", "n, h, w = x.shape"),
    ],
)
def test_what_is_unpacked_is_mended_towards_the_axes_without_the_batch(
    line: str, meant: str
) -> None:
    text = NET.format(line)
    while text != NET.format(meant):
        problem = said(text)
        assert problem.fix
        text = edited(text, problem.fix)
    assert check_of(Source("net.arch", text), Limits())(text).stage == CheckStage.SOUND


SIZES = [
    "x.shape[2:]",
    "x.shape[-2:]",
    "x.size()[2:]",
    "x.size()[-2:]",
    "(x.shape[2], x.shape[3])",
    "(x.size(2), x.size(3))",
    "[x.shape[-2], x.size(-1)]",
]
WAYS = [
    "",
    ', mode="nearest"',
    ', mode="bilinear", align_corners=False',
    ", None, 'bicubic', True",
    ', mode="bilinear", align_corners=True',
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", WAYS)
def test_an_image_is_resized_to_that_of_a_tensor(size: str, way: str) -> None:
    line = f"F.interpolate(y, {'' if 'None' in way else 'size='}{size}{way})"
    text = f"net N()(x: [8, 12, 10]) {{\n    y = x -> max_pool(2)\n    return {line}\n}}\n"
    found = mended(text)
    assert found.checked.stage == CheckStage.SOUND
    assert "upsample(y, like=x" in found.text
    x = torch.randn(2, 8, 12, 10)
    theirs = eval(line, {"F": F, "x": x, "y": F.max_pool2d(x, 2)})
    torch.testing.assert_close(archc.loads(found.text, O0=True).build()(x), theirs)
