"""Mends that drop what a call of PyTorch's says of its input: made without asking where it is so.

`nn.Conv2d(64, 96, 3)` on 32 channels is refused by PyTorch, and `conv(96, 3, ...)` is not.
"""

import pytest
import torch
from test_torch_mends import check_equal, results
from torch import nn

import archc
from archc.checking import CheckStage, Mended, check_of, check_with_trials, mend
from archc.diagnostics import Source
from archc.elaborate.limits import Limits

NET = "net N(n=8)(x: [8, 12, 10]) {{\n    {}\n    return x\n}}\n"


def mended(text: str) -> Mended:
    source = Source("net.arch", text)
    return mend(check_of(source, Limits()), source)


LAYERS = [
    "nn.Conv2d(8, 16, 3)",
    "nn.Conv2d(8, 8, 5, 1, 2, 1, 8, False)",
    "nn.Conv2d(in_channels=8, out_channels=4, kernel_size=(1, 3), stride=2)",
    "nn.ConvTranspose2d(8, 4, 2, 2)",
    "nn.BatchNorm2d(8, eps=1e-3)",
    "nn.GroupNorm(4, 8)",
    "nn.InstanceNorm2d(8, affine=True)",
    "nn.MaxPool2d(2)",
    "nn.AvgPool2d(3, 2, 1)",
    "nn.AdaptiveAvgPool2d((2, 2))",
    "nn.UpsamplingNearest2d(scale_factor=2)",
    "nn.ZeroPad2d(1)",
    "nn.Dropout2d(0.5)",
]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_that_fits_is_mended_to_what_computes_the_same(layer: str) -> None:
    found = mended(NET.replace("n=8", "").format(f"x = x -> m: {layer}"))
    assert found.checked.stage == CheckStage.SOUND
    torch.manual_seed(0)
    theirs = eval(layer, {"nn": nn})
    ours = archc.loads(found.text, O0=True).build()
    ours.load_state_dict({f"m.{key}": value for key, value in theirs.state_dict().items()})
    check_equal(*results(theirs, ours, (8, 12, 10)))


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("c = nn.Conv2d(n, n, 1)\n    x = x -> c", "c = conv(n, 1, padding=0, bias=true)"),
        ("x = nn.BatchNorm2d(8)(x)", "x = bn()(x)"),
        ("x = F.max_pool2d(x, 2)", "x = max_pool(x, 2)"),
        ("for i in [1, 2] { x = x -> nn.Conv2d(8 * i, 8 * i + 8, 1, bias=False) }", "conv(8 * i"),
        ("for c in [nn.BatchNorm2d(8), nn.BatchNorm2d(x.channels)] { x = x -> c }", "[bn(), bn()]"),
        ("x = x -> global_avg_pool -> nn.Linear(n, 4)", "linear(4)"),
        ("x = x -> global_avg_pool -> nn.BatchNorm1d(8)", "bn()"),
        ("if n { x = x -> nn.Conv2d(8, 4, 1) }", "if n != 0 { x = x -> conv(4, 1"),
    ],
)
def test_what_is_said_is_evaluated_where_it_stands(line: str, meant: str) -> None:
    found = mended(NET.format(line))
    assert meant in found.text
    assert not [each for each in found.checked.diagnostics if each.severity == "error"]


UNFIT = [
    "x = x -> nn.Conv2d(4, 8, 3)",
    "x = x -> nn.Conv1d(8, 8, 3)",
    "x = x -> nn.MaxPool1d(2)",
    "x = x -> nn.BatchNorm2d(2 * n)",
    "x = x -> nn.BatchNorm1d(8)",
    "x = F.max_pool3d(x, 2)",
    "for i in range(2) { x = x -> nn.Conv2d(8, 12, 1, bias=False) }",
    "c = nn.Conv2d(4, 8, 1)\n    x = x -> c",
]


@pytest.mark.parametrize("line", UNFIT)
def test_a_check_tells_of_a_layer_that_does_not_fit(line: str) -> None:
    source = Source("net.arch", NET.format(line))
    (problem,) = check_with_trials(check_of(source, Limits()), source)
    assert problem.notes[-1].startswith("`--fix` leaves it: its input has other channels or axes")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_check_does_not_doubt_a_layer_that_fits(layer: str) -> None:
    source = Source("net.arch", NET.replace("n=8", "").format(f"x = x -> m: {layer}"))
    assert not any(each.notes for each in check_with_trials(check_of(source, Limits()), source))


@pytest.mark.parametrize("line", UNFIT)
def test_a_layer_that_does_not_fit_is_left_and_the_reason_told(line: str) -> None:
    found = mended(NET.format(line))
    assert found.text == NET.format(line)
    (problem,) = found.checked.diagnostics
    assert problem.fix
    assert any(note.startswith("not mended: its input") for note in problem.notes)


@pytest.mark.parametrize(
    "text",
    [
        NET.format("if n > 9 { x = x -> nn.Conv2d(8, 8, 3) }"),
        NET.format("x = x -> nn.Conv2d(8, 8, 3)\n    if n > 9 { x = x -> nn.Conv2d(8, 8, 3) }"),
        "block B()(x) { return x -> nn.Conv2d(8, 8, 3) }\n" + NET.format("x = x -> relu"),
        "block B()(x) { return x -> nn.Conv2d(8, 8, 3) }\n",
        NET.format("x = x -> nn.Conv2d(8, 8, 3)\n    x = x -> conv(8.5, 3)"),
        NET.format("x = x -> nn.Conv2d(unknown, 8, 3)"),
    ],
)
def test_what_is_not_reached_or_not_sound_is_left(text: str) -> None:
    found = mended(text)
    assert found.text == text
    assert all(
        not note.startswith("not mended") for d in found.checked.diagnostics for note in d.notes
    )


def test_those_that_fit_are_mended_beside_one_that_does_not() -> None:
    lines = ["x = x -> a: nn.Conv2d(8, 4, 1)", "x = x -> b: nn.Conv2d(8, 4, 1, bias=False)"]
    found = mended(NET.format("\n    ".join(lines)))
    assert "a: conv(4, 1, padding=0, bias=true)" in found.text
    assert lines[1] in found.text


def test_all_nets_of_a_file_have_to_fit() -> None:
    text = NET.format("x = x -> conv(n, 1) -> nn.BatchNorm2d(8)")
    assert mended(text).text != text
    assert "bn" not in mended(text + "net Wide = N(n=16)\n").text
    assert "bn" in mended(text + "net Same = N(n=8)\n").text


def test_what_a_trial_says_is_no_word_of_the_language() -> None:
    with pytest.raises(archc.ArchError, match="has no parameter `in_channels`"):
        archc.loads(NET.format("x = x -> bn(in_channels=8)"))
