"""Words of other libraries: each row of the tables means the same here, or has no mend."""

from pathlib import Path

import pytest
import torch
from test_torch_mends import compiled, mended, said
from torch import nn
from torch.nn import functional

from archc.diagnostics import ArchError, Diagnostic, edited
from archc.elaborate.files import load_program
from archc.elaborate.net import elaborate
from archc.elaborate.pytorch.signatures import FIXED, FUNCTIONS, KERAS, RENAMED
from archc.elaborate.pytorch.vocabulary import ALIASES, PARAMETERS, UNLIKE
from archc.ir.dump import dump
from archc.ops.registry import OPS, parameters


def spec(folder: Path, line: str, shape: str = "[8, 12, 10]") -> Path:
    path = folder / "net.arch"
    path.write_text(f"net N()(x: {shape}) {{\n    y = {line}\n    return y\n}}\n", "utf-8")
    return path


def mend_of(folder: Path, line: str, shape: str = "[8, 12, 10]") -> str | None:
    """The line after its one mend; None if it has none."""
    path = spec(folder, line, shape)
    problem = said_of(path)
    if not problem.fix:
        return None
    path.write_text(edited(path.read_text("utf-8"), problem.fix), "utf-8")
    elaborate(load_program(path))
    return path.read_text("utf-8").splitlines()[1].removeprefix("    y = ")


def said_of(path: Path) -> Diagnostic:
    with pytest.raises(ArchError) as caught:
        elaborate(load_program(path))
    return caught.value.diagnostics[0]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("nn.Conv2d(64, 96, 5, 1, 2)", "conv(96, 5, padding=2, bias=true)"),
        ("nn.Conv2d(96, 96, 3, 1, 1, 1, 96)", "conv(96, 3, padding=1, groups=96, bias=true)"),
        ("nn.Conv2d(64, 96, 3)", "conv(96, 3, padding=0, bias=true)"),
        (
            "nn.Conv2d(64, 64, (1, 7), 1, (0, 3))",
            "conv(64, [1, 7], padding=[0, 3], bias=true)",
        ),
        (
            "nn.Conv2d(64, 64, 3, padding='same', padding_mode='zeros', bias=False)",
            'conv(64, 3, padding="same")',
        ),
        ("nn.Conv2d(64, 64, 3, 2, padding=1, bias=False)", "conv(64, 3, 2, padding=1)"),
        ("nn.BatchNorm2d(96, affine=False, track_running_stats=True)", "bn(affine=false)"),
        ("nn.MaxPool2d(2, stride=None, ceil_mode=True)", "max_pool(2, ceil_mode=true)"),
        ("nn.Dropout2d(0.1)", "spatial_dropout(0.1)"),
        ("nn.Dropout()", "dropout(0.5)"),
        ("nn.ReLU(inplace=True)", "relu()"),
        ("nn.ReLU", "relu"),
        (
            "nn.Sequential(nn.Conv2d(64, 8, 1), nn.BatchNorm2d(8), nn.ReLU(True))",
            "conv(8, 1, padding=0, bias=true) -> bn() -> relu()",
        ),
    ],
)
def test_a_layer_of_torch_is_mended_in_one_round(theirs: str, ours: str, tmp_path: Path) -> None:
    shape = "[96, 32, 32]" if "96, 96" in theirs else "[64, 32, 32]"
    line = mend_of(tmp_path, f"x -> {theirs}", shape)
    assert line == f"x -> {ours}"


@pytest.mark.parametrize(
    ("layer", "argument"),
    [
        ('nn.Conv2d(8, 8, 3, padding_mode="reflect")', "padding_mode"),
        ('nn.Conv2d(8, 8, 4, padding="same")', "even kernel"),
        ("nn.Conv2d(8, 8)", "kernel_size"),
        ("nn.Conv2d(8, 8, 3, foo=1)", "foo=1"),
        ("nn.MaxPool2d(2, dilation=2)", "dilation=2"),
        ("nn.Softmax(dim=-1)", "dim=-1"),
        ("nn.AdaptiveAvgPool2d((None, 7))", "(None, 7)"),
        ("nn.Dropout(1.0)", "1.0"),
    ],
)
def test_what_archc_cannot_express_is_named(layer: str, argument: str, tmp_path: Path) -> None:
    problem = said(spec(tmp_path, f"x -> {layer}"))
    assert not problem.fix
    assert problem.help is not None
    assert argument in problem.help


def test_a_sequence_behind_a_label_has_keys_of_its_own(tmp_path: Path) -> None:
    assert not said(spec(tmp_path, "x -> stem: nn.Sequential(nn.ReLU(), nn.Tanh())")).fix


def test_values_of_python_outside_of_calls_are_mended_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(
        "net N()(x: [8, 4, 4]) {\n    a = x -> conv(8, 3, bias=True)\n"
        "    return a -> 'last': conv(8, 3, bias=False)\n}\n",
        "utf-8",
    )
    with pytest.raises(ArchError) as caught:
        elaborate(load_program(path))
    assert [problem.code for problem in caught.value.diagnostics] == ["E0131", "E0127", "E0131"]
    edits = [edit for problem in caught.value.diagnostics for edit in problem.fix]
    path.write_text(edited(path.read_text("utf-8"), edits), "utf-8")
    elaborate(load_program(path))


# ------------------------------------------------------------------- each row


@pytest.mark.parametrize("word", UNLIKE)
def test_what_is_only_like_an_operator_has_no_mend(word: str, tmp_path: Path) -> None:
    lines = [f"x -> {word}", f"x -> {word}(8)", f"{word}(x)", f"F.{word}(x, 1)"]
    for line in lines[: 3 if word in FUNCTIONS else 4]:
        path = spec(tmp_path, line)
        try:
            elaborate(load_program(path))
        except ArchError as problem:
            assert not problem.diagnostics[0].fix
        else:
            assert word in OPS  # `layer_norm`, which is archc's own word, too
    assert UNLIKE[word][0] in OPS


ARGUMENTS = {
    "linear": "(8)",
    "max_pool": "(2)",
    "avg_pool": "(2)",
    "adaptive_avg_pool": "(2)",
    "space_to_depth": "(2)",
    "spatial_dropout": "(0.1)",
}


@pytest.mark.parametrize("word", ALIASES)
def test_another_word_for_an_operator_is_that_operator(word: str, tmp_path: Path) -> None:
    ours = ALIASES[word]
    before = "global_avg_pool -> " if ours == "linear" else ""
    arguments = ARGUMENTS.get(ours, "")
    line = f"{word}(x, x)" if ours in ("min", "max") else f"x -> {before}{word}{arguments}"
    meant = line.replace(word, ours, 1) if not before else f"x -> {before}{ours}{arguments}"
    assert mend_of(tmp_path, line) == meant


OTHERS = [
    "log_softmax",
    "hardtanh",
    "hard_tanh",
    "Hardtanh",
    "prelu",
    "elu",
    "celu",
    "selu",
    "rrelu",
    "mish",
    "rms_norm",
    "alpha_dropout",
    "adaptive_max_pool",
    "adaptive_max_pool2d",
    "lp_pool2d",
    "matmul",
    "bmm",
    "stack",
    "lrn",
    "geglu",
    "reglu",
    "atanh",
    "tan",
    "min_pool",
    "channel_min",
    "global_sum_pool",
    "dropout3d",
    "dropout1d",
    "gn",
    "ln",
    "convt",
    "tconv",
    "conv7x1(8)",
    "conv3x3",
    "conv3x3(8,16)",
    "conv_relu",
    "abn",
    "softmax_",
    "relu_",
    "ibn",
    "min_poool",
]
"""Words of operations that are no operators; those that have become one are left out."""


@pytest.mark.parametrize("layer", [word for word in OTHERS if word not in OPS])
def test_no_operator_is_offered_for_another_operation(layer: str, tmp_path: Path) -> None:
    assert not said_of(spec(tmp_path, f"x -> {layer}")).fix


ABSENT = ["prelu", "elu", "selu", "rms_norm", "AlphaDrop_out", "matmul"]


@pytest.mark.parametrize("word", [word for word in ABSENT if word not in OPS])
def test_an_operation_that_archc_has_not_is_said_to_be_absent(word: str, tmp_path: Path) -> None:
    help = said_of(spec(tmp_path, f"x -> {word}(1)")).help or ""
    assert f"archc has no operator `{word}`" in help


def test_a_word_of_an_operation_that_is_no_layer_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text("net N()(x: [8, 4, 4]) {\n    stacks = 2\n    return x * stack\n}\n", "utf-8")
    assert said_of(path).help == "did you mean `stacks`?"


def test_a_block_of_ones_own_is_found_by_the_word_of_an_operation(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(
        "block Mish()(x) {\n    return x -> tanh\n}\n\n"
        "net N()(x: [8, 4, 4]) {\n    return x -> mish()\n}\n",
        "utf-8",
    )
    assert said_of(path).fix[0].text == "Mish"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("x -> conv3x3(16)", "x -> conv(16, 3)"),
        ("x -> conv1x1(16, stride=2)", "x -> conv(16, 1, stride=2)"),
        ("x -> cnov(16, 3)", "x -> conv(16, 3)"),
        ("x -> convv(16, 3)", "x -> conv(16, 3)"),
        ("x -> sigmiod", "x -> sigmoid"),
        ("x -> soft_max", "x -> softmax"),
        ("x * nn.Parameter(torch.zeros(8, 1, 1))", 'x * param([8, 1, 1], "zeros")'),
        ("nn.Parameter(torch.ones((8, 12, 10))) + x", 'param([8, 12, 10], "ones") + x'),
        ("x + nn.Parameter(torch.randn(8, 1, 1))", 'x + param([8, 1, 1], "normal")'),
        ("F.pad(x, (1, 0, 2, 3))", "pad(x, left=1, top=2, bottom=3)"),
        ('x -> conv(8, 3, act="swish")', "x -> conv(8, 3) -> silu"),
        ("x -> conv(8, 3, activation=leaky_relu(0.2))", "x -> conv(8, 3) -> leaky_relu(0.2)"),
        ('x -> conv(8, 3) -> "ReLU"', "x -> conv(8, 3) -> relu"),
        ("x -> laeky_relu(0.1)", "x -> leaky_relu(0.1)"),
    ],
)
def test_a_slip_in_the_word_of_an_operator_is_mended(line: str, meant: str, tmp_path: Path) -> None:
    assert mend_of(tmp_path, line) == meant


KERAS_MEANT = {
    "Dense": ("(10)", "linear(10)"),
    "MaxPooling2D": ("()", "max_pool([2, 2])"),
    "AveragePooling2D": ("(3, strides=2)", "avg_pool(3, 2)"),
    "GlobalAveragePooling2D": ("(keepdims=True)", "global_avg_pool(keep=true)"),
    "GlobalMaxPooling2D": ("()", "global_max_pool()"),
}


@pytest.mark.parametrize("word", KERAS)
def test_a_layer_of_keras_has_its_defaults(word: str, tmp_path: Path) -> None:
    arguments, ours = KERAS_MEANT[word]
    before = "global_avg_pool -> " if word == "Dense" else ""
    assert mend_of(tmp_path, f"x -> {before}{word}{arguments}") == f"x -> {before}{ours}"


@pytest.mark.parametrize(
    "layer", ["Dense(10, activation='relu')", "MaxPooling2D(2, padding='same')"]
)
def test_a_layer_of_keras_that_does_more_has_no_mend(layer: str, tmp_path: Path) -> None:
    assert not said_of(spec(tmp_path, f"x -> {layer}")).fix


def test_each_renamed_parameter_is_one_of_an_operator() -> None:
    known = {item.name for cls in OPS.values() for item in parameters(cls)}
    assert {*PARAMETERS.values()} <= known
    assert {*RENAMED.values()} <= known
    assert {operator for operator, _ in FIXED} <= {*OPS}


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("x -> conv(8, kernel_size=3)", "x -> conv(8, kernel=3)"),
        ('x -> conv(8, 3, padding_mode="zeros")', "x -> conv(8, 3)"),
        ('x -> conv(8, 3, padding_mode="reflect")', None),
        ("x -> conv(8, 3, in_channels=8)", "x -> conv(8, 3)"),
        ("x -> conv(4, out_channels=8)", None),
        ("x -> softmax(dim=1)", "x -> softmax()"),
        ("x -> softmax(dim=2)", None),
        ("x -> softmax(axis=1)", "x -> softmax()"),
        ("x -> relu(inplace=true)", "x -> relu()"),
        ("x -> relu(dim=1)", None),
        ("x -> bn(track_running_stats=false)", None),
        ("concat(x, x, dim=1)", "concat(x, x)"),
        ("concat(x, x, dim=2)", None),
        ("x -> flatten(start_dim=2)", None),
        ("x -> dropout(0.5, training=true)", None),
    ],
)
def test_a_parameter_of_torch_goes_only_where_it_changes_nothing(
    line: str, meant: str | None, tmp_path: Path
) -> None:
    assert mend_of(tmp_path, line) == meant


# --------------------------------------------------------- functions, methods


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("x.detach()", "stop_gradient(x)"),
        ("x.relu()", "relu(x)"),
        ("x.softmax(1)", "softmax(x)"),
        ("x.softmax(dim=-3)", "softmax(x)"),
        ("x.flatten(1)", "flatten(x)"),
        ("x.view(-1, 960)", "flatten(x)"),
        ("x.view(3, 960)", "flatten(x)"),
        ("x.view(x.size(0), -1)", "flatten(x)"),
        ("x.view(x.shape[0], -1)", "flatten(x)"),
        ("x.reshape(-1, 16, 60)", "reshape(x, [16, 60])"),
        ("x.mean((2, 3))", "global_avg_pool(x)"),
        ("x.mean([-2, -1], keepdim=true)", "global_avg_pool(x, keep=true)"),
        ("x.mean(1, keepdim=true)", "channel_mean(x)"),
        ("x.add(x)", "(x + x)"),
        ("x.mul(1 - x)", "(x * (1 - x))"),
        ("x.sub(x + 1)", "(x - (x + 1))"),
        ("x.sub((x + 1) * (x - 1))", "(x - ((x + 1) * (x - 1)))"),
        ("x.mul(-x)", "(x * (-x))"),
        ("x.contiguous()", "x"),
        ("x.pow(2)", "(x * x)"),
        ("x.square()", "(x * x)"),
        ("x ** 2", "(x * x)"),
        ("x / (3 + x ** 2)", "x / (3 + (x * x))"),
        ("x * 3 / x ** 2", "x * 3 / (x * x)"),
        ("torch.pow(x, 2)", "(x * x)"),
        ("x / torch.square(x)", "x / (x * x)"),
        ("x.abs()", "abs(x)"),
        ("x.neg()", "(-x)"),
        ("(x + 1).neg()", "(-(x + 1))"),
        ("x.div(4)", "(x / 4)"),
        ("x.amax(1, keepdim=true)", "channel_max(x)"),
        ("x.amax(-3, true)", "channel_max(x)"),
        ("x.mean((2, 3), true)", "global_avg_pool(x, keep=true)"),
        ("x.unsqueeze(1)", "reshape(x, [1, 8, 12, 10])"),
        ("x.unsqueeze(-1)", "reshape(x, [8, 12, 10, 1])"),
        ("x.unsqueeze(2)", "reshape(x, [8, 1, 12, 10])"),
        ("x.squeeze(-2)", "x"),
        ("x.view(x.size(0), x.size(1), -1)", "reshape(x, [8, 120])"),
        ("x.reshape(x.shape[0], 2, -1, 12, 10)", "reshape(x, [2, 4, 12, 10])"),
        ("x.view(-1, x.shape[1], 120)", "reshape(x, [8, 120])"),
        ("torch.max(x, x)", "max(x, x)"),
        ("torch.min(x, x)", "min(x, x)"),
    ],
)
def test_a_method_is_mended_to_what_computes_the_same(
    line: str, meant: str, tmp_path: Path
) -> None:
    assert mend_of(tmp_path, line) == meant
    image = torch.randn(3, 8, 12, 10)
    net = compiled(spec(tmp_path, "x -> identity" if meant == "x" else meant))
    theirs = eval(line.replace("true", "True"), {"x": image, "torch": torch})
    torch.testing.assert_close(net(image), theirs)


@pytest.mark.parametrize(
    "line",
    [
        "x.relu_()",
        "x.softmax(-1)",
        "x.softmax(2)",
        "x.flatten()",
        "x.flatten(2)",
        "x.view(-1, 480)",
        "x.view(1, -1)",
        "x.view(3, -1)",
        "x.view(-1, 8, 60)",
        "x.view(8, 12, 10)",
        "x.mean()",
        "x.mean(2)",
        "x.mean(1)",
        "x.add(x, alpha=2)",
        "x.to(7)",
        "x.size(0)",
        "x.size()",
        "torch.cat([x, x])",
        "torch.cat([x, x], 2)",
        "torch.sum(x, 1)",
        "x.view(-1, 8, -1)",
        "x.view(x.size(0), 7, -1)",
        "x.view(x.size(0), x.size(7), -1)",
        "F.avg_pool2d(x, x.size()[2:])",
        "F.max_pool2d(x, x.shape[2:])",
        "F.adaptive_avg_pool2d(x, (None, 5))",
        "1 / x",
        "torch.max(x, 1)",
        "torch.max(x, dim=1)",
        "torch.min(x)",
        "torch.pow(x, 3)",
        "x ** 3",
        "x ** 0.5",
        "(x + 1) ** 2",
        "(x + x).pow(2)",
        "x.pow(x)",
        "x.clamp(0, 6)",
        "x.clamp(min=0)",
        "x.permute(0, 2, 3, 1)",
        "x.transpose(1, 2)",
        "x.sum(1)",
        "x.max(1)",
        "x.amax(1)",
        "x.amax((2, 3))",
        "x.squeeze()",
        "x.squeeze(0)",
        "x.unsqueeze(0)",
        "x.mul_(2)",
        "x.div(x, rounding_mode=1)",
        "x == x",
        "[x] == [x, x][1:]",
        "x in [x]",
        "sqrt(x)",
        "torch.flatten(x)",
        "torch.sign(x)",
        "F.dropout(x, 0.5)",
        "F.linear(x, x)",
        "F.layer_norm(x, 8)",
        "tf.concat(x, x)",
        "keras.layers.LeakyReLU()(x)",
        "layers.Flatten()(x)",
        "layers.Conv2D(8, 3)(x)",
        "nn.Dense(8)(x)",
    ],
)
def test_what_computes_something_else_has_no_mend(line: str, tmp_path: Path) -> None:
    assert not said_of(spec(tmp_path, line)).fix


def test_a_dropout_in_training_only_is_one(tmp_path: Path) -> None:
    line = "F.dropout(F.relu(x), 0.3, training=self.training)"
    assert mend_of(tmp_path, line) == "dropout(relu(x), 0.3)"


def test_a_convolution_by_a_weight_has_torchs_padding(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    head = 'net N()(x: [8, 12, 10]) {\n    w = param([4, 8, 3, 3], "normal")\n    y = '
    path.write_text(head + "F.conv2d(x, w, None, 2)\n    return y\n}\n", "utf-8")
    net = mended(path, said_of(path))
    image = torch.randn(2, 8, 12, 10)
    weight = next(net.parameters())
    torch.testing.assert_close(net(image), functional.conv2d(image, weight, None, 2))


def test_spatial_dropout_drops_whole_channels(tmp_path: Path) -> None:
    net = compiled(spec(tmp_path, "x -> drop: spatial_dropout(0.5)"))
    assert isinstance(net.get_submodule("drop"), nn.Dropout2d)
    torch.manual_seed(0)
    dropped = net(torch.ones(16, 8, 12, 10))
    assert {*dropped.unique().tolist()} == {0.0, 2.0}
    assert torch.equal(dropped, dropped[..., :1, :1].expand_as(dropped))
    assert torch.equal(net.eval()(dropped), dropped)


def test_spatial_dropout_needs_an_image(tmp_path: Path) -> None:
    problem = said_of(spec(tmp_path, "x -> spatial_dropout(0.5)", "[8]"))
    assert problem.code == "E0204"


def test_what_was_meant_stays(tmp_path: Path) -> None:
    """A dump is that of the spec written by hand."""
    first = spec(tmp_path, "x -> nn.Conv2d(8, 16, 3, 2, 1, bias=False)")
    first.write_text(edited(first.read_text("utf-8"), said(first).fix), "utf-8")
    found = dump(elaborate(load_program(first)).graph)
    assert found == dump(
        elaborate(load_program(spec(tmp_path, "x -> conv(16, 3, 2, padding=1)"))).graph
    )


# ------------------------------------------------------- the spec's own names


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("block bn()(x) { return x -> relu }\n", "x -> nn.BatchNorm2d(8)"),
        ("block bn()(x) { return x -> relu }\n", "x -> BatchNorm"),
        ("block bn()(x) { return x -> relu }\n", "x -> nn.Sequential(bn, nn.BatchNorm2d(8))"),
        ("const relu = 2\n", "F.relu(x)"),
        ("const relu = 2\n", "x.relu()"),
        ("block global_avg_pool()(x) { return x }\n", "x.mean([2, 3])"),
        ("block take()(x) { return x }\n", "x.chunk(2, 1)"),
    ],
)
def test_no_mend_brings_in_what_the_spec_calls_otherwise(
    before: str, line: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.arch"
    path.write_text(f"{before}net N()(x: [8, 12, 10]) {{\n    y = {line}\n    return y\n}}\n")
    assert not said_of(path).fix


def test_a_name_of_its_own_that_the_spec_passes_on_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    text = "net N(scale=16)(x: [8, 12, 10]) {{\n    return x -> {}\n}}\n"
    path.write_text(text.format("nn.Conv2d(8, scale, 1)"))
    problem = said_of(path)
    assert edited(path.read_text(), problem.fix) == text.format(
        "conv(scale, 1, padding=0, bias=true)"
    )


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        (
            "x -> nn.Conv2d(x.shape[1], 2 * x.shape[1], 1)",
            "x -> conv(2 * x.channels, 1, padding=0, bias=true)",
        ),
        (
            "F.interpolate(x -> relu, size=(x.shape[2], x.shape[3]))",
            "upsample(x -> relu, like=x)",
        ),
        ("x -> nn.Linear(8, x.shape[-1])", "x -> linear(x.shape[-1])"),
        (
            "x -> nn.Sequential(nn.Conv2d(8, x.shape[1], 1, bias=False), nn.ReLU())",
            "x -> conv(x.channels, 1, padding=0) -> relu()",
        ),
        ("x -> nn.Conv2d(8, x.shape[0], 1)", None),
        ("x -> nn.Conv2d(8, x.shape[i], 1)", None),
        ("F.interpolate(x, size=x.shape[2:])", "upsample(x, like=x)"),
        (
            "F.interpolate(x, size=(x.shape[3], x.size(2)))",
            "upsample(x, size=[x.shape[2], x.shape[1]])",
        ),
        ("x -> nn.Conv2d(8, x.size(-1), 1)", None),
        ("x -> nn.Conv2d(8, 2 * len(x.shape), 1)", None),
    ],
)
def test_axes_of_a_shape_are_counted_without_the_batch(
    line: str, ours: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "net.arch"
    text = "net N(i=1)(x: [8, 12, 10]) {{\n    y = {}\n    return y\n}}\n"
    path.write_text(text.format(line))
    problem = said_of(path)
    assert ours or not problem.certain
    assert (edited(path.read_text(), problem.fix) == text.format(ours)) == bool(ours)
    assert problem.fix or not ours


def test_the_shape_of_a_learned_tensor_has_no_mend(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(
        "net N()(x: [8, 12, 10]) {\n    w = param([8, 4])\n"
        "    return x -> nn.Conv2d(8, w.shape[1], 1)\n}\n"
    )
    assert not said_of(path).fix


def test_one_axis_alone_is_not_moved(tmp_path: Path) -> None:
    line = "upsample(x, size=[x.shape[2], x.shape[3]])"
    assert not said_of(spec(tmp_path, line)).fix


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x.chunk(2)", "the first axis is the batch"),
        ("x.split(4, dim=2)", "only channels, `dim=1`"),
        ("x.chunk(16, 1)", "the first n channels"),
        ("x -> drop_path(0.1)", "1 minus the rate"),
        ("x -> nn.BatchNorm2d(8, momentum=None)", "nothing for the `None`"),
        ("torch.cat([x, x], axis=2)", "joins channels"),
        ("x -> nn.PReLU()", "archc has no operator `PReLU`"),
        ("x -> nn.LSTM", '"torch.nn:LSTM"'),
        ("x -> F.one_hot(1)", "archc has no operator `one_hot`"),
        ("torch.matmul(x, x)", "a product of two tensors is for a class of Python"),
        ("F.pad(x, (1, 1), value=0.5)", "`pad` pads with zeros"),
        ("F.pad(x, (-1, 0))", "`crop` cuts off"),
        ("F.pad(x, (1, 1, 1))", "a number for each side"),
        ("x + torch.zeros(8, 1, 1)", "`param([8, 1, 1]"),
        ("x + torch.randn_like(x)", "`param([8, 1, 1]"),
        ("x * nn.Parameter(torch.ones(1, 8, 1, 1))", "`param([8, 1, 1]"),
    ],
)
def test_a_help_says_what_is_true_of_pytorch(line: str, words: str, tmp_path: Path) -> None:
    problem = said_of(spec(tmp_path, line))
    assert words in (problem.help or "")
    assert not problem.fix


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("torch.cat([x, x], axis=1)", "concat([x, x])"),
        ("x -> nn.Identity(54, unused=2)", "x -> identity()"),
    ],
)
def test_arguments_that_pytorch_takes_are_understood(line: str, meant: str, tmp_path: Path) -> None:
    assert mend_of(tmp_path, line) == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [("relu", "act=relu"), ("SiLU", "act=silu"), ("swish", "act=silu"), ("other", "act=relu")],
)
def test_an_activation_by_its_name_in_quotes_is_told_to_be_an_operator(
    text: str, words: str, tmp_path: Path
) -> None:
    path = spec(tmp_path, f'x -> Unit(8, act="{text}")')
    block = "block Unit(out, act=relu)(x) {\n    return x -> conv(out, 3) -> act\n}\n"
    path.write_text(block + path.read_text("utf-8"), "utf-8")
    problem = said_of(path)
    assert f"without quotes: `{words}`" in (problem.help or "")
    assert not problem.fix


@pytest.mark.parametrize("layer", ['conv(8, 3, act="linear")', 'conv(8, 3, act="other")'])
def test_an_activation_that_is_none_has_no_mend(layer: str, tmp_path: Path) -> None:
    assert not said_of(spec(tmp_path, f"x -> {layer}")).fix


def test_a_net_that_lacks_an_argument_is_told_what_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text("net Part(width)(x: [8, 4, 4]) {\n    return x -> conv(width, 3)\n}\n")
    help = said_of(path).help or ""
    assert "give `width` a default" in help
    assert "is a `block`" in help
