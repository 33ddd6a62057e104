"""`archc diff`: what differs between two nets, and whether weights of one load into the other."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from emitted import emit

from archc.analysis.difference import compare, to_json

pytestmark = pytest.mark.usefixtures("folder")

NET = """\
block B(w)(x) {
    y = x -> conv1: conv(w, 3) -> norm1: bn -> relu -> conv2: conv(w, 3) -> norm2: bn
    return (x + y) -> relu
}

net N(size=32)(image: [3, size, size]) {
    x = image -> stem: conv(8, 3)
    for i in range(3) { x = x -> "b{i}": B(8) }
    return x -> global_avg_pool -> fc: linear(10)
}
"""


def diff(a: str, b: str, *options: str) -> str:
    """What is said of two texts."""
    Path("a.arch").write_text(a)
    Path("b.arch").write_text(b)
    result = run("diff", "a.arch", "b.arch", *options)
    assert result.exit_code == 0, result.output
    return result.stdout


# ------------------------------------------------------------- the state_dict


@pytest.mark.parametrize(
    ("a", "b", "loads"),
    [
        ({"depth": 8}, {"depth": 8}, "strict"),
        ({"depth": 8}, {"depth": 14}, "strict=False"),
        ({"depth": 14}, {"depth": 8}, "strict=False"),
        ({"depth": 8}, {"depth": 8, "projection": True}, "strict=False"),
        ({"depth": 8}, {"depth": 8, "classes": 3}, "no"),
        ({"depth": 8, "bias": True}, {"depth": 14, "widen": 2}, "no"),
    ],
    ids=str,
)
def test_the_keys_are_those_that_torch_complains_of(
    a: dict[str, Any], b: dict[str, Any], loads: str
) -> None:
    one, other = emit("resnet_cifar", "ResNet", **a), emit("resnet_cifar", "ResNet", **b)
    found = to_json(compare(one.graph, other.graph))
    keys = found["keys"]
    assert isinstance(keys, dict)
    weights, net = one.build().state_dict(), other.build()
    reshaped = [item["key"] for item in keys["reshaped"]]
    if reshaped:
        with pytest.raises(RuntimeError) as refused:
            net.load_state_dict(weights, strict=False)
        assert sorted(reshaped) == sorted(
            line.split("size mismatch for ")[1].split(":")[0]
            for line in str(refused.value).splitlines()[1:]
        )
    kept = {key: value for key, value in weights.items() if key not in reshaped}
    missing, unexpected = net.load_state_dict(kept, strict=False)
    assert [item["key"] for item in keys["only_a"]] == unexpected
    expected = [*(item["key"] for item in keys["only_b"]), *reshaped]
    # Torch gives a batch norm that has no count of its batches a new one.
    assert sorted(key for key in expected if "num_batches" not in key) == sorted(missing)
    assert found["loads"] == loads
    assert (loads == "strict") == (not (missing or unexpected))


def test_a_net_without_common_keys_loads_nothing() -> None:
    text = run("diff", "densenet_cifar", "resnet_cifar").stdout
    assert "A checkpoint of A does not load into B" in text


def test_keys_are_printed_one_on_a_line() -> None:
    assert diff(NET, NET.replace("linear(10)", "linear(2)"), "--keys").splitlines() == [
        "~ fc.weight  [10, 8] -> [2, 8]",
        "~ fc.bias  [10] -> [2]",
    ]
    text = diff(NET, NET.replace("stem: conv", "root: conv"), "--keys")
    assert text.splitlines() == ["- stem.weight  [8, 3, 3, 3]", "+ root.weight  [8, 3, 3, 3]"]


# ------------------------------------------------------------ what is compared

DIFFERENT = [
    (("norm1: bn -> relu", "norm1: bn -> gelu"), "~   (functions)  +1 gelu, -1 relu"),
    (("(x + y)", "(y + y)"), "~   (connections)  other operands of add"),
    (("(x + y)", "(x - y)"), "~   (functions)  -1 add, +1 sub"),
    (("return x ->", "exit fc: x ->"), "output: return [10] -> exit fc [10]"),
    (("conv1: conv(w, 3)", "conv1: conv(w, 5)"), "~   conv1  3 x conv(8, 3) -> conv(8, 5)"),
    (("linear(10)", "linear(10, bias=false)"), "~ fc linear(10) -> linear(10, bias=false) -1"),
    (("range(3)", "range(5)"), "+ b3..4 2 x B [8, 32, 32] +24 +2,368"),
    (("size=32", "size=16"), "input image: [3, 32, 32] -> [3, 16, 16]"),
    (("return x ->", "exit x -> fc0: linear(10)\n    return x ->"), "output fc0: none -> [10]"),
    (("net N", '@init("he_normal")\nnet N'), '@init: none -> (scheme="he_normal")'),
]


@pytest.mark.parametrize(("change", "line"), DIFFERENT, ids=[row[1] for row in DIFFERENT])
def test_each_kind_of_difference_is_said(change: tuple[str, str], line: str) -> None:
    other = NET.replace(*change).replace("exit x -> fc0", "exit x -> global_avg_pool -> fc0")
    lines = [" ".join(text.split()) for text in diff(NET, other).splitlines()]
    assert any(text.startswith(" ".join(line.split())) for text in lines), lines
    assert "The nets are equal." not in lines
    assert run("diff", "a.arch", "b.arch", "--check").exit_code == 1


SAME = [
    ("block B", "block Other", "B(8)", "Other(8)"),
    ("y = x", "z = x", "x + y", "x + z"),
    ("size=32", "side=32", "size, size", "side, side"),
    ("(x + y) -> relu", "relu(x + y)"),
    ("-> global_avg_pool", "-> pool: global_avg_pool"),
    ("-> global_avg_pool", "-> pool: global_avg_pool(keep=true) -> flatten"),
    ("norm1: bn -> relu", "norm1: bn -> act: relu", "(x + y) -> relu", "(x + y) -> last: relu"),
    ("(x + y)", "(y + x)"),
    ("(x + y)", "sum(y, x)"),
    (
        "block B(w)(x)",
        "block B(v)(z)",
        "x + y",
        "z + y",
        "y = x ->",
        "y = z ->",
        "(w, 3)",
        "(v, 3)",
    ),
    ("-> relu -> conv2", "-> relu -> identity -> conv2"),
]


@pytest.mark.parametrize("words", SAME, ids=str)
def test_names_that_no_weight_has_are_no_difference(words: tuple[str, ...]) -> None:
    other = NET
    for before, after in zip(words[::2], words[1::2], strict=True):
        other = other.replace(before, after)
    assert other != NET
    assert diff(NET, other, "--check").endswith("The nets are equal.\n")


def test_a_change_is_said_where_it_is_and_nowhere_else() -> None:
    """Blocks read what other blocks give; only the one that differs is shown."""
    other = NET.replace('"b{i}": B(8)', '"b{i}": B(8)\n        if i == 1 { x = x -> relu6 }')
    rows = [line for line in diff(NET, other).splitlines() if line[:1] in ("~", "+", "-")]
    assert [row.split() for row in rows if not row.startswith("--")] == [
        ["~", "(functions)", "+1", "relu6"]
    ]


def test_what_a_block_does_not_read_is_no_difference() -> None:
    """Of a list of tensors a block may read a few; what only made the others is gone."""
    text = """\
block Last()(*xs) { return xs[-1] -> relu -> conv1: conv(8, 3) }

net N()(image: [3, 8, 8]) {
    a = image -> relu
    b = image -> conv2: conv(8, 3)
    return (a, b) -> last: Last -> global_avg_pool
}
"""
    assert "The nets are equal." in diff(text, text)
    assert "The nets are equal." in diff(text, text.replace("-> relu\n", "-> sigmoid\n"))
    assert "The nets are equal." not in diff(text, text.replace("(a, b)", "(b, a)"))


# -------------------------------------------------------------------- the text


def test_two_resnets_fit_on_a_screen() -> None:
    lines = run("diff", "resnet", "--net-b", "ResNet101").stdout.splitlines()
    assert lines[:2] == ["A  ResNet50 of resnet", "B  ResNet101 of resnet"]
    assert lines[3] == "  blocks: [3, 4, 6, 3] -> [3, 4, 23, 3]"
    assert "+   6..22  17 x Bottleneck    [1024, 14, 14]  +306  +18,992,128" in lines
    assert "parameters     25,557,032     44,549,160     +18,992,128  1.743" in lines
    assert lines[-2:] == [
        "state_dict: 320 keys are equal, 0 have another shape, 0 are only in A, 306 only in B",
        "A checkpoint of A loads into B with strict=False only.",
    ]
    assert len(lines) < 24


def test_two_densenets_fit_on_a_screen() -> None:
    lines = run("diff", "densenet", "--net-b", "DenseNet169").stdout.splitlines()
    words = [line.split() for line in lines]
    assert ["+", "denselayer25..32", "8", "x", "DenseLayer"] in [row[:5] for row in words]
    assert ["~", "conv1", "16", "x", "conv(128)", "~16", "+262,144"] in words
    assert len(lines) < 32
    assert max(map(len, lines)) <= 110


def test_the_options_of_a_and_b_go_before_those_of_both() -> None:
    options = ("--set", "width=2", "--set-b", "width=4", "--net", "Tiny", "--net-a", "TinyWide")
    lines = run("diff", "tiny.arch", *options).stdout.splitlines()
    assert lines[:2] == ["A  TinyWide of tiny.arch, width=2", "B  Tiny of tiny.arch, width=4"]


def test_programs_get_everything() -> None:
    found = json.loads(run("diff", "tiny.arch", "--net-b", "TinyWide", "--json").stdout)
    assert (found["schema"], found["equal"], found["loads"]) == (1, False, "no")
    assert (found["a"]["name"], found["b"]["params"]) == ("Tiny", 3 * 16 * 9 + 16 * 10 + 10)
    assert found["parameters"] == [{"name": "width", "a": "8", "b": "16"}]
    assert [item["key"] for item in found["keys"]["reshaped"]] == [
        "conv1.weight", "classifier.weight"
    ]  # fmt: skip
    assert [item["path"] for item in found["modules"]] == ["", "conv1", "classifier"]
    assert found["modules"][1]["b"]["op"] == "conv(16, 3)"


def test_check_says_by_its_status_whether_nets_differ() -> None:
    assert run("diff", "tiny.arch", "--check").exit_code == 0
    assert run("diff", "tiny.arch", "--net-b", "TinyWide", "--check").exit_code == 1
    assert run("diff", "tiny.arch", "--net-b", "TinyWide").exit_code == 0


def test_what_cannot_be_compared_is_refused() -> None:
    for arguments in (("broken.arch",), ("tiny.arch", "nowhere"), ("tiny.arch", "--net-b", "Tin")):
        result = run("diff", *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "error[E" in result.stderr
    assert run("diff", "tiny.arch", "--json", "--keys").exit_code == 2
