"""What is said of torch's functions and methods of tensors: what a help names computes that."""

from pathlib import Path

import pytest
import torch
from test_foreign_words import said_of, spec
from test_torch_mends import compiled

from archc.elaborate.pytorch.near_names import family
from archc.elaborate.pytorch.tensor_words import _HELPS, instead

CLAIMS = [
    ("mean", "channel_mean(x)", lambda x: x.mean(1, keepdim=True)),
    ("mean", "global_avg_pool(x)", lambda x: x.mean((2, 3))),
    ("sum", "x.channels * channel_mean(x)", lambda x: x.sum(1, keepdim=True)),
    ("max", "channel_max(x)", lambda x: x.amax(1, keepdim=True)),
    ("max", "global_max_pool(x)", lambda x: x.amax((2, 3))),
    ("min", "-channel_max(-x)", lambda x: x.amin(1, keepdim=True)),
    ("min", "-global_max_pool(-x)", lambda x: x.amin((2, 3))),
    ("pow", "x * x", lambda x: x.pow(2)),
    ("clamp", "relu(x)", lambda x: x.clamp(min=0)),
    ("clamp", "relu6(x)", lambda x: x.clamp(0, 6)),
    ("repeat", "concat(x, x)", lambda x: x.repeat(1, 2, 1, 1)),
    ("flatten", "flatten(x)", lambda x: x.flatten(1)),
    ("softmax", "softmax(x)", lambda x: x.softmax(1)),
    ("detach", "stop_gradient(x)", lambda x: x.detach()),
]


@pytest.mark.parametrize(("word", "ours", "theirs"), CLAIMS, ids=[row[1] for row in CLAIMS])
def test_what_a_help_names_computes_it(
    word: str, ours: str, theirs: object, tmp_path: Path
) -> None:
    assert f"`{ours}`" in (instead(word) or "")
    image = 4 * torch.randn(3, 8, 12, 10)
    assert callable(theirs)
    torch.testing.assert_close(compiled(spec(tmp_path, ours))(image), theirs(image))


def test_the_smaller_of_a_tensor_and_a_number_is_what_a_help_says(tmp_path: Path) -> None:
    image = 8 * torch.randn(3, 8, 12, 10)
    found = compiled(spec(tmp_path, "6 - relu(6 - x)"))(image)
    torch.testing.assert_close(found, image.clamp(max=6))


def test_the_variance_that_a_help_spells_out_is_the_variance(tmp_path: Path) -> None:
    help = instead("var") or ""
    steps = [part for part in help.split("`") if "d" in part and "(" in part]
    assert steps == ["d = x - global_avg_pool(x, keep=true)", "global_avg_pool(d * d)"]
    path = spec(tmp_path, f"x\n    {steps[0]}\n    y = {steps[1]}")
    image = torch.randn(3, 8, 12, 10)
    torch.testing.assert_close(compiled(path)(image), image.var((2, 3), unbiased=False))


def test_other_bounds_are_those_of_an_extern_layer(tmp_path: Path) -> None:
    assert 'extern layer ... from "torch.nn:Hardtanh"(low, high)' in (instead("clamp") or "")
    path = spec(tmp_path, "x -> Clamp(low=-1, high=2)")
    head = (
        'extern layer Clamp(low=0, high=1): [C, *S] -> [C, *S] from "torch.nn:Hardtanh"(low, high)'
    )
    path.write_text(f"{head}\n{path.read_text()}")
    image = 4 * torch.randn(3, 8, 12, 10)
    torch.testing.assert_close(compiled(path)(image), image.clamp(-1, 2))


def test_a_word_of_torch_has_its_help(tmp_path: Path) -> None:
    for word in _HELPS:
        problem = said_of(spec(tmp_path, f"x.{word}(dim=7)"))
        assert (problem.code, problem.help, problem.fix) == ("E0212", instead(word), ())


def test_the_words_are_those_of_torch() -> None:
    spaces = (torch.Tensor, torch, torch.nn.functional)
    for word in _HELPS.keys() - {"len"}:
        assert any(hasattr(space, word) for space in spaces), word


@pytest.mark.parametrize("line", ["x.data", "x.T", "x.ndim", "x.device", "x.requires_grad"])
def test_an_attribute_of_torch_has_its_help(line: str, tmp_path: Path) -> None:
    problem = said_of(spec(tmp_path, line))
    assert (problem.code, problem.help) == ("E0212", instead(line[2:]))


@pytest.mark.parametrize("line", ["x.relu_()", "x.clamp_(0, 6)", "x.mul_(2)"])
def test_nothing_is_changed_in_place(line: str, tmp_path: Path) -> None:
    assert (said_of(spec(tmp_path, line)).help or "").startswith("no tensor is changed in place")


@pytest.mark.parametrize(
    ("line", "help"),
    [
        ("F.avg_pool2d(x, x.size()[2:])", "`global_avg_pool(x, keep=true)` is the mean"),
        ("F.max_pool2d(x, kernel_size=x.shape[2:])", "`global_max_pool(x, keep=true)` is"),
        ("F.adaptive_avg_pool2d(x, (None, 5))", "has nothing for the `None` of PyTorch"),
        ("x.chunk(2, dim=-3)", "`take(x, n)` gives the first n channels"),
        ("x.chunk(2, dim=-1)", "only channels, `dim=1`"),
        ("pad(x, back=4)", "`channels=` adds channels behind"),
        ("crop(x, front=1)", "`take` gives a part of the channels"),
        ("1 / x", "a tensor by a tensor"),
        ("mul(x, 2)", "with a number write `2 * x`"),
        ("concat(x, x, 0)", "`concat` joins channels, `dim=1`"),
        ("reshape(x, 8, 120)", "the shape is a list"),
        ("reshape(x, [-1, 960])", "no size is inferred"),
        ("layer_norm(x, 8)", "normalises the channels at each position"),
        ("channel_max(x, 2)", "it is over the channels, `dim=1`"),
        ("channel_mean(x, keepdim=false)", "`channel_mean` keeps the axis"),
        ("sum(x, 1)", "`x.channels * channel_mean(x)`"),
        ("min(x, 6)", "`n - relu(n - x)` is the smaller of x and a number n"),
        ("x.relu", "`relu(x)`"),
        ("x -> dwconv(3)", "is depthwise with `groups=x.channels`"),
        ("x -> resize(2)", "`scale=`"),
    ],
)
def test_what_there_is_instead_is_said(line: str, help: str, tmp_path: Path) -> None:
    problem = said_of(spec(tmp_path, line))
    assert help in (problem.help or "")
    assert problem.fix == ()


@pytest.mark.parametrize("line", ["x > 0", "x == 0", "0 != x", "x in [1, x]", "[x, 1] == [2, 3]"])
def test_tensors_are_not_compared(line: str, tmp_path: Path) -> None:
    problem = said_of(spec(tmp_path, f"[1 if {line} else 2]"))
    assert (problem.code, problem.help) == ("E0202", instead("where"))


# ------------------------------------------------------------------------ nets

IMPORT = 'import "{}"\n\nnet N = {}()\n'


@pytest.mark.parametrize(
    ("file", "word", "help"),
    [
        ("resnet", "ResNet", "there is no `ResNet`, but `ResNet18`, `ResNet34`, `ResNet50`"),
        ("vgg", "VGG", "there is no `VGG`, but `VGG11`, `VGG13`, `VGG16` and `VGG19`"),
        ("resnet", "resnext50_32x4d", '`import "resnext"` brings `ResNeXt50`'),
        ("resnet", "VGG", '`import "vgg"` brings `VGG11`, `VGG13`, `VGG16` and `VGG19`'),
        ("resnet", "VGG16", '`import "vgg"` brings `VGG16`; `import "vgg_cifar"` brings `VGG16`'),
        ("vgg", "ResNet", '`import "resnet_cifar"` brings `ResNet`; `import "resnet"` brings'),
        ("vgg", "mobilenet_v2", '`import "mobilenet_v2"` brings `MobileNetV2`'),
    ],
)
def test_a_family_of_nets_is_named(file: str, word: str, help: str, tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(IMPORT.format(file, word))
    problem = said_of(path)
    assert (problem.help or "").startswith(help)
    assert problem.fix == ()


@pytest.mark.parametrize("word", ["resnet50", "Resnet50", "res_net50"])
def test_a_net_in_other_case_is_mended(word: str, tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(IMPORT.format("resnet", word))
    problem = said_of(path)
    assert problem.help == "did you mean `ResNet50`?"
    assert [edit.text for edit in problem.fix] == ["ResNet50"]


@pytest.mark.parametrize("word", ["Small", "xy", "Sequential", "conv2d"])
def test_other_words_are_no_family(word: str) -> None:
    assert family(word) is None
