"""`archc expand`: the canonical text of a graph, whole or in part."""

from pathlib import Path

import pytest
from command_line import run

from archc.compiler import Request, compile_spec
from archc.ir.dump import dump
from archc.ir.regions import natural

pytestmark = pytest.mark.usefixtures("folder")

DENSENET = compile_spec(Request("densenet_cifar", arguments={"depth": "16"})).graph


def test_the_whole_graph_is_what_dump_after_shows() -> None:
    result = run("expand", "tiny.arch")
    dumped = run("compile", "tiny.arch", "--dump-after", "elaborate", "-o", "/dev/null").stderr
    assert result.exit_code == 0
    assert result.stdout in dumped
    assert result.stdout == (
        "net Tiny(width=8, classes=10)\n"
        "  %0 image: [3, 8, 8] = input()\n"
        "  %1 x: [8, 8, 8] = conv(8, 3)(%0) @ conv1\n"
        "  %2 x: [8, 8, 8] = identity(%1)\n"
        "  %3 x: [8, 8, 8] = relu(%2)\n"
        "  %4 x: [8] = global_avg_pool(%3)\n"
        "  %5 x: [10] = linear(10)(%4) @ classifier\n"
        "return %5\n"
    )


def test_the_net_its_parameters_and_the_passes_are_chosen() -> None:
    options = ("--net", "TinyWide", "--set", "classes=3", "--passes", "simplify")
    text = run("expand", "tiny.arch", *options).stdout
    assert text.startswith("net TinyWide(width=16, classes=3)\n")
    assert "identity" not in text


def test_closed_regions_are_one_line_with_what_they_read_and_give() -> None:
    text = run("expand", "densenet_cifar", "--set", "depth=16", "--depth", "1").stdout
    assert (
        "    features.denseblock1: DenseBlock(layers=2, growth=12, bottleneck=4, dropout_rate=0.0)"
        "(%1: [24, 32, 32]) -> %15: [48, 32, 32], 14 operators\n"
        "    features.transition1: Transition(compression=0.5, dropout_rate=0.0)"
        "(%15: [48, 32, 32]) -> %19: [24, 16, 16], 4 operators\n"
    ) in text
    assert "denselayer" not in text


@pytest.mark.parametrize("path", ["", "features", "features.denseblock2"])
def test_what_is_closed_changes_nothing_else(path: str) -> None:
    whole = dump(DENSENET, path=path).splitlines()
    sizes = []
    for depth in range(4):
        lines = dump(DENSENET, depth=depth, path=path).splitlines()
        closed = [line.rpartition(", ") for line in lines if line.endswith(" operators")]
        opened = [line for line in lines if not line.endswith(" operators")]
        assert {*opened, *(heading for heading, _, _ in closed)} <= set(whole)
        hidden = sum(int(count.removesuffix(" operators")) for _, _, count in closed)
        assert values(opened) + hidden == values(whole)
        sizes.append(len(lines))
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] == len(whole)


def values(lines: list[str]) -> int:
    return sum(line.lstrip().startswith("%") for line in lines)


def test_one_region_keeps_the_numbers_of_the_whole() -> None:
    whole = dump(DENSENET).splitlines()
    first, *lines = dump(DENSENET, path="features.transition1").splitlines()
    assert first == whole[0]
    assert [line.strip() for line in lines] == [
        line.strip() for line in whole if "features.transition1" in line or "%17 " in line
    ]


def test_each_application_of_a_shared_block_is_shown() -> None:
    spec = "block B()(x) { return x -> conv: conv(3) -> relu }\n"
    net = "net N()(x: [3, 8, 8]) {\n    b = B()\n    return x -> b -> b\n}\n"
    Path("shared.arch").write_text(spec + net)
    assert run("expand", "shared.arch", "--path", "b").stdout == (
        "net N()\n"
        "  b: B()(%0: [3, 8, 8]) -> %2: [3, 8, 8]\n"
        "    %1 x: [3, 8, 8] = conv(3)(%0) @ b.conv\n"
        "    %2 x: [3, 8, 8] = relu(%1)\n"
        "  b: B()(%2: [3, 8, 8]) -> %4: [3, 8, 8]\n"
        "    %3 x: [3, 8, 8] = conv(3)(%2) @ b.conv\n"
        "    %4 x: [3, 8, 8] = relu(%3)\n"
    )


@pytest.mark.parametrize(
    ("path", "help"),
    [
        ("features.denseblock", "did you mean `features.denseblock"),
        ("features.conv0", "`features.conv0` is one operator"),
    ],
)
def test_a_path_that_is_no_region_is_refused(path: str, help: str) -> None:
    result = run("expand", "densenet", "--path", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[E0811]" in result.stderr
    assert help in result.stderr


def test_a_negative_depth_is_wrong_usage() -> None:
    assert run("expand", "tiny.arch", "--depth", "-1").exit_code == 2


def test_regions_are_named_in_the_order_in_which_people_count() -> None:
    scopes = "".join(f'    scope "two{i}" {{ x = x -> c: conv(4) }}\n' for i in range(12))
    Path("scopes.arch").write_text(f"net N()(x: [3, 8, 8]) {{\n{scopes}    return x\n}}\n")
    said = run("expand", "scopes.arch", "--path", "elsewhere").stderr
    assert "its regions are `two0`, `two1`, `two2`, `two3`, `two4`, and those in them" in said
    paths = [f"two.{i}.{word}" for i in (2, 10, 33) for word in ("a", "b1", "b02", "b10")]
    backwards = paths[::-1]
    assert sorted(backwards, key=natural) == paths
