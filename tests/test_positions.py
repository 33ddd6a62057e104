"""Positional arguments of operators mean the same in PyTorch; what is said of others."""

from itertools import dropwhile
from pathlib import Path

import pytest

from archc.diagnostics import ArchError, Diagnostic, edited
from archc.elaborate.files import load_program
from archc.elaborate.net import elaborate
from archc.elaborate.pytorch.signatures import INFERRED, RENAMED, SIGNATURES
from archc.ir.dump import dump
from archc.ops.registry import OPS, parameters


def spec(folder: Path, layer: str, image: str = "[64, 32, 32]") -> Path:
    path = folder / "net.arch"
    text = f"net N()(image: {image}) {{\n    x = image -> {layer}\n    return x\n}}\n"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> Diagnostic:
    with pytest.raises(ArchError) as caught:
        elaborate(load_program(path))
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


@pytest.mark.parametrize("word", SIGNATURES)
def test_the_place_of_a_positional_argument_is_that_in_pytorch(word: str) -> None:
    signature = SIGNATURES[word]
    ours = [item.name for item in parameters(OPS[signature.operator]) if not item.keyword]
    theirs = [item.name for item in signature.parameters]
    without_channels = [*dropwhile(lambda name: name in INFERRED, theirs)]
    assert ours == [RENAMED.get(name, name) for name in without_channels[: len(ours)]]


@pytest.mark.parametrize(
    ("layer", "caret", "meant"),
    [
        ("conv(96, 5, 1, 2)", "2", "conv(96, 5, 1, padding=2)"),
        ("c: conv(96, 5, 2, 2, 1, 8)", "2", "c: conv(96, 5, 2, padding=2, groups=8)"),
        ("conv(96, 3, 1, 2, 2, 1, true)", "2", "conv(96, 3, padding=2, dilation=2, bias=true)"),
        ("conv(96, 3, 1, 0, groups=4)", "0", "conv(96, 3, padding=0, groups=4)"),
        ("conv(96, [1, 7], 1, [0, 3])", "[0, 3]", "conv(96, [1, 7], padding=[0, 3])"),
        (
            "conv_transpose(32, 3, 2, 1, 1, 4, true, 1)",
            "1",
            "conv_transpose(32, 3, 2, padding=1, output_padding=1, groups=4, bias=true)",
        ),
        ("max_pool(3, 2, 1)", "1", "max_pool(3, 2, padding=1)"),
        ("max_pool(3, 2, 1, 1, false, true)", "1", "max_pool(3, 2, padding=1, ceil_mode=true)"),
        ("avg_pool(3, 2, 1, true)", "1", "avg_pool(3, 2, padding=1, ceil_mode=true)"),
        (
            "avg_pool(3, 2, 1, false, false)",
            "1",
            "avg_pool(3, 2, padding=1, count_include_pad=false)",
        ),
        ("bn(64)", "64", "bn()"),
        ("bn(64, 1e-3, 0.01)", "64", "bn(eps=1e-3, momentum=0.01)"),
        ("instance_norm(64, affine=true)", "64", "instance_norm(affine=true)"),
        ("group_norm(8, 64)", "64", "group_norm(8)"),
        ("group_norm(8, 64, 1e-3)", "64", "group_norm(8, eps=1e-3)"),
        ("global_avg_pool -> linear(64, 10)", "10", "global_avg_pool -> linear(10)"),
        (
            "global_avg_pool -> linear(10, false)",
            "false",
            "global_avg_pool -> linear(10, bias=false)",
        ),
        ("pad(1)", "1", "pad(spatial=1)"),
        ("pad([0, 1, 0, 1])", "[0, 1, 0, 1]", "pad(right=1, bottom=1)"),
        ("pad([1, 1])", "[1, 1]", "pad(spatial=[0, 1])"),
        ('pad((1, 0), mode="reflect")', "(1, 0)", 'pad(left=1, mode="reflect")'),
        ("pad([1, 1, 2, 2])", "[1, 1, 2, 2]", "pad(spatial=[2, 1])"),
        ("softmax(1)", "1", "softmax"),
        ("relu(true)", "true", "relu"),
    ],
)
def test_the_only_meaning_in_pytorch_is_the_mend(
    layer: str, caret: str, meant: str, tmp_path: Path
) -> None:
    path = spec(tmp_path, layer)
    problem = refused(path)
    assert problem.labels[0].span.text == caret
    path.write_text(edited(path.read_text(encoding="utf-8"), problem.fix), encoding="utf-8")
    mended = dump(elaborate(load_program(path)).graph)
    assert mended == dump(elaborate(load_program(spec(tmp_path, meant))).graph)


@pytest.mark.parametrize(
    ("layer", "help"),
    [
        ("conv(64, 64, 3, 1)", "`conv(64, 64, 3, padding=1)` or `conv(64, 3)`"),
        ("conv(64, 3, 1, 1)", "`conv(64, 3, padding=1)` or `conv(3, 1)`"),
        ("conv(96, 5, 1, true)", "`padding=`"),
        ("max_pool(3, 2, 1, 2)", "`max_pool` has no dilation"),
        ("max_pool(3, 2, 1, padding=1)", "`padding=`"),
        ("bn(0.001)", "`eps=`"),
        ("bn(32)", "`eps=`"),
        ("upsample(2)", "`scale=`"),
        ("pad([1, 1, 1])", "`spatial=`"),
        ("pad([1, -1, 0, 0])", "`crop` cuts off"),
        ("take(8, 8)", "`start=`"),
        ("global_avg_pool(1)", "`keep=`"),
        ("drop_path(0.1)", "`survival=`"),
        ("scale(64)", "`init=`"),
        ("softmax(2)", "`softmax` is over the channels"),
        ("dropout(0.5, 0.5)", "leave it out"),
    ],
)
def test_what_may_mean_something_else_has_a_help_and_no_mend(
    layer: str, help: str, tmp_path: Path
) -> None:
    problem = refused(spec(tmp_path, layer))
    assert problem.code in ("E0311", "E0318")
    assert problem.help is not None
    assert help in problem.help
    assert not problem.fix


def test_without_the_tensor_both_orders_are_possible(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(
        "net N()(image: [64, 32, 32]) {\n    c = conv(96, 5, 1, 2)\n    return image -> c\n}\n",
        encoding="utf-8",
    )
    assert not refused(path).fix


def test_applied_as_a_function_the_tensor_is_known(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(
        "net N()(image: [64, 32, 32]) {\n    return conv(image, 96, 5, 1, 2)\n}\n", encoding="utf-8"
    )
    fixed = edited(path.read_text(encoding="utf-8"), refused(path).fix)
    assert "conv(image, 96, 5, padding=2)" in fixed


@pytest.mark.parametrize(
    ("layer", "readings"),
    [
        ("conv(64, 96, 3)", ["`conv(96, 3)`", "`conv(96, 3, padding=0, bias=true)`"]),
        ("conv(64, 96, 3, bias=true)", ["`conv(96, 3, bias=true, padding=0)`"]),
        ("conv(64, 96, 3, padding=1)", ["`conv(96, 3, padding=1, bias=true)`"]),
        ("conv_transpose(64, 33, 2, groups=3)", ["`conv_transpose(33, 2, groups=3, bias=true)`"]),
    ],
)
def test_pytorchs_order_may_mean_its_defaults_too(
    layer: str, readings: list[str], tmp_path: Path
) -> None:
    problem = refused(spec(tmp_path, layer, "[64, 32, 32]"))
    assert problem.help is not None
    assert not problem.fix
    assert all(reading in problem.help for reading in readings)


@pytest.mark.parametrize(
    ("layer", "meant"),
    [
        ("conv(64, 96, 3, padding=1, bias=false)", "conv(96, 3, padding=1, bias=false)"),
        (
            "conv(in_channels=64, out_channels=96, kernel_size=3)",
            "conv(96, 3, padding=0, bias=true)",
        ),
        (
            "conv(in_channels=64, out_channels=96, kernel_size=3, padding=1, bias=false)",
            "conv(96, 3, padding=1)",
        ),
        (
            "conv(kernel_size=5, stride=2, out_channels=96, in_channels=64, groups=2)",
            "conv(96, 5, 2, padding=0, groups=2, bias=true)",
        ),
        ("bn(num_features=64, eps=1e-3)", "bn(eps=1e-3)"),
        ("group_norm(num_groups=8, num_channels=64)", "group_norm(8)"),
        (
            "global_avg_pool -> linear(in_features=64, out_features=10, bias=false)",
            "global_avg_pool -> linear(10, bias=false)",
        ),
    ],
)
def test_a_call_in_pytorchs_words_is_mended_in_one_round(
    layer: str, meant: str, tmp_path: Path
) -> None:
    path = spec(tmp_path, layer)
    problem = refused(path)
    path.write_text(edited(path.read_text("utf-8"), problem.fix), "utf-8")
    found = dump(elaborate(load_program(path)).graph)
    assert found == dump(elaborate(load_program(spec(tmp_path, meant))).graph)


def test_a_wrong_number_of_input_channels_is_not_left_out_with_the_rest(tmp_path: Path) -> None:
    problem = refused(spec(tmp_path, "conv(in_channels=3, out_channels=96, kernel_size=3)"))
    assert "padding" not in "".join(edit.text for edit in problem.fix)


@pytest.mark.parametrize(
    ("layer", "meant"),
    [
        ("c: conv(64, 15, 3)", "conv(15, 3)"),
        ("c: conv(64, 1, 3)", "conv(1, 3)"),
        ("c: conv(64, 255, 1)", "conv(255, 1)"),
        ("c: conv(64, 16, 3, padding=1)", "conv(16, 3)"),
        ("c: conv(64, 32, [1, 7], padding=[0, 3])", "conv(32, [1, 7])"),
        ("c: conv_transpose(64, 32, 3)", "conv_transpose(32, 3)"),
        ("c: conv_transpose(64, 4, 2)", "conv_transpose(4, 2)"),
        ("c: conv_transpose(64, 32, 2, bias=true)", "conv_transpose(32, 2)"),
    ],
)
def test_a_kernel_that_may_be_meant_as_channels_is_told(
    tmp_path: Path, layer: str, meant: str
) -> None:
    (told,) = elaborate(load_program(spec(tmp_path, layer))).warnings
    assert told.code == "W0012"
    assert told.labels[0].span.text == layer.removeprefix("c: ")
    assert told.help is not None
    assert f"`{meant}`: archc infers" in told.help


@pytest.mark.parametrize(
    "layer",
    [
        "c: conv(64, 3, 2)",
        "c: conv(64, 3, 3)",
        "c: conv(64, 7, 1)",
        "c: conv(63, 15, 3)",
        "c: conv(64, 15, stride=3)",
        "c: conv(64, 31, 1, groups=64)",
        "c: conv(image.channels, 5, 3)",
        "c: conv_transpose(64, 4, 2, padding=1)",
        "c: conv_transpose(64, 2, 2)",
        "c: conv_transpose(64, 4, stride=2)",
        "c: conv_transpose(32, 4, 2)",
        "c: conv_transpose(64, 3, 2, output_padding=1)",
        "max_pool(5, 3)",
    ],
)
def test_a_kernel_that_is_meant_is_not_told(tmp_path: Path, layer: str) -> None:
    assert not elaborate(load_program(spec(tmp_path, layer))).warnings


@pytest.mark.parametrize(
    ("layer", "mended", "help"),
    [
        (
            "conv(64, 96, 3, stride=2, padding=1, bias=false)",
            "conv(96, 3, stride=2, padding=1, bias=false)",
            "infers",
        ),
        (
            "conv(64, 96, kernel=3, padding=1, bias=true)",
            "conv(96, kernel=3, padding=1, bias=true)",
            "infers",
        ),
        ("conv(64, 96, 3, stride=2)", None, "`conv(96, 3, stride=2, padding=0, bias=true)`"),
        ("conv(32, 96, 3, stride=2)", None, "leave one of them out"),  # not the input's channels
        ("conv(96, 3, 1, stride=2)", None, "leave one of them out"),
    ],
)
def test_the_channels_of_the_input_before_arguments_with_names(
    layer: str, mended: str | None, help: str, tmp_path: Path
) -> None:
    """PyTorch's order, in which the third is the kernel, and not what has its name behind it."""
    found = refused(spec(tmp_path, layer))
    assert found.code == "E0313"
    assert help in (found.help or "")
    assert bool(found.fix) == (mended is not None)
    if mended is not None:
        assert f"-> {mended}\n" in edited((tmp_path / "net.arch").read_text("utf-8"), found.fix)


@pytest.mark.parametrize(
    ("momentum", "meant"), [("0.99", "0.01"), ("0.9", "0.1"), ("1 - 1 / 1000", "0.001")]
)
def test_a_momentum_of_keras_is_told(tmp_path: Path, momentum: str, meant: str) -> None:
    (told,) = elaborate(load_program(spec(tmp_path, f"c: bn(momentum={momentum})"))).warnings
    assert told.code == "W0013"
    assert (told.help or "").endswith(f"is `momentum={meant}`")


@pytest.mark.parametrize("momentum", ["0.1", "0.5", "0.001", "0", "1"])
def test_a_momentum_of_pytorch_is_not_told(tmp_path: Path, momentum: str) -> None:
    assert not elaborate(load_program(spec(tmp_path, f"c: bn(momentum={momentum})"))).warnings
