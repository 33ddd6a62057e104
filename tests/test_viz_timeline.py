"""`archc viz --memory`: the figure is complete, inert, on one scale, and the same each time."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from archc.cli.main import app

SVG = "{http://www.w3.org/2000/svg}"
SMALL = ["densenet_cifar", "--set", "depth=22", "--memory", "--batch", "4"]


def draw(path: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["viz", *words, "-o", str(path)])
    assert result.exit_code == 0, result.output
    return path.read_text(encoding="utf-8")


def test_three_runs_stand_side_by_side(tmp_path: Path) -> None:
    text = draw(tmp_path / "memory.svg", *SMALL)
    root = ET.fromstring(text)
    assert {element.tag for element in root.iter()} == {
        SVG + tag for tag in ("svg", "title", "rect", "text", "path", "g")
    }
    words = [element.text for element in root.iter(f"{SVG}text")]
    for panel in ("torch as is", "archc, memory keep", "archc, memory recompute"):
        assert panel in words
    assert words.count("forward") == words.count("backward") == 3
    assert "memory (MiB)" in words
    assert "kept for the backward pass" in words


def test_all_that_is_drawn_lies_on_the_paper(tmp_path: Path) -> None:
    root = ET.fromstring(draw(tmp_path / "memory.svg", *SMALL))
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    for path in root.iter(f"{SVG}path"):
        numbers = [float(n) for n in re.findall(r"[-0-9.]+", path.attrib["d"])]
        assert all(0 <= n <= max(width, height) for n in numbers)


def test_equal_nets_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (draw(tmp_path / name, *SMALL) for name in ("a.svg", "b.svg"))
    assert first == second


def test_a_net_that_shares_nothing_has_one_plan(tmp_path: Path) -> None:
    text = draw(tmp_path / "memory.svg", "vgg_cifar", "--memory")
    assert "archc, memory keep" in text
    assert "archc, memory recompute" not in text


@pytest.mark.parametrize("name", ["memory.png", "memory.dot"])
def test_it_is_an_svg(name: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["viz", *SMALL, "-o", str(tmp_path / name)])
    assert result.exit_code == 2
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    "words",
    [
        "--memory --open features",
        "--memory --layout grid",
        "--memory --color macs",
        "--batch 4",
        "--size H=64",
    ],
)
def test_options_of_the_other_picture_are_wrong_usage(words: str, tmp_path: Path) -> None:
    path = tmp_path / "net.svg"
    result = CliRunner().invoke(app, ["viz", "densenet_cifar", *words.split(), "-o", str(path)])
    assert result.exit_code == 2
    option = words.removeprefix("--memory ").split()[0]
    assert f"{option} cannot be given here" in result.stderr
    assert "--memory" in result.stderr
    assert not path.exists()
