"""`archc viz --memory`: the figure is complete, inert, on one scale, and the same each time."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from test_viz_room import assert_texts_fit
from typer.testing import CliRunner

from archc.cli.main import app
from archc.viz.marks import Stairs
from archc.viz.renderer import find_renderers
from archc.viz.timeline import Figure
from archc.viz.timeline_dot import timeline_dot

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
        SVG + tag for tag in ("svg", "title", "rect", "text", "path")
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


def test_its_dot_has_every_word_and_stands_where_the_svg_does(tmp_path: Path) -> None:
    root = ET.fromstring(draw(tmp_path / "memory.svg", *SMALL))
    dot = draw(tmp_path / "memory.dot", *SMALL)
    assert "layout=nop2" in dot
    assert "->" not in dot
    words = {element.text for element in root.iter(f"{SVG}text")}
    labels = re.findall(r'label=("[^"]*"|\w+)', dot)
    assert words <= {re.sub(r"\\[lr]$", "", text.strip('"')) for text in labels}
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    places = re.findall(r'pos="([-0-9.]+),([-0-9.]+)"', dot)
    assert all(0 <= float(x) <= width and 0 <= -float(y) <= height for x, y in places)
    fills = {path.attrib["fill"] for path in root.iter(f"{SVG}path") if "fill" in path.attrib}
    assert all(f'color="{fill}"' in dot for fill in fills)


def test_its_boxes_have_the_area_of_the_bands() -> None:
    above, below = (10.0, 10.0, 4.0, 4.0, 8.0), (12.0, 12.0, 12.0, 12.0, 8.0)
    stairs = Stairs(100.0, 2.0, above, below, "#102030", "#000000", 1.0)
    dot = timeline_dot(Figure("t", 200.0, 100.0, (stairs,)))
    sizes = [
        [72 * float(value) for value in re.findall(r" (?:width|height)=([0-9.]+)", line)]
        for line in dot.splitlines()
        if "#102030" in line
    ]
    assert sorted(round(a * b) for a, b in sizes) == [8, 32]


@pytest.mark.skipif(not find_renderers("png"), reason="no program here draws a PNG")
def test_graphviz_draws_it(tmp_path: Path) -> None:
    path = tmp_path / "memory.png"
    result = CliRunner().invoke(app, ["viz", *SMALL, "-o", str(path)])
    assert result.exit_code == 0, result.output
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_graphviz_a_pdf_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *args, **kwargs: None)
    result = CliRunner().invoke(app, ["viz", *SMALL, "-o", str(tmp_path / "memory.pdf")])
    assert result.exit_code == 1
    assert "E0814" in str(result.exception) + result.stderr
    assert not (tmp_path / "memory.pdf").exists()


def test_every_text_has_room_in_a_wide_font(tmp_path: Path) -> None:
    assert_texts_fit(draw(tmp_path / "memory.svg", *SMALL))
    assert_texts_fit(draw(tmp_path / "one.svg", "vgg_cifar", "--memory"))


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
