"""Colours by cost: the numbers behind them, the scale, and what a reader without colours sees."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from archc.analysis.memory import kept_bytes
from archc.analysis.summary import summarize
from archc.elaborate.files import find_spec, load_program
from archc.elaborate.net import elaborate
from archc.ir.graph import Graph
from archc.viz import grid, layered, style
from archc.viz.collapse import picture_of
from archc.viz.dot import dot_text
from archc.viz.figures import scale
from archc.viz.picture import Color, Layout, Picture
from archc.viz.svg import svg_text

COSTS = (Color.MACS, Color.PARAMS, Color.MEMORY)

SYMBOLIC = """
net Symbolic()(image: [3, 8*h, 8*w]) {
    return image -> conv1: conv(8, 3) -> relu -> global_avg_pool -> fc: linear(10)
}
"""


def shipped(name: str) -> Graph:
    return elaborate(load_program(find_spec(name))).graph


def drawn(picture: Picture) -> str:
    return svg_text(picture, grid.place(picture) if picture.rows else layered.place(picture))


def numbers(picture: Picture, pattern: str) -> list[int]:
    """The first number of each box whose details fit."""
    found = (re.search(pattern, box.details) for box in picture.boxes)
    return [int(match[1].replace(",", "")) for match in found if match]


@pytest.mark.parametrize("layout", [Layout.FLOW, Layout.GRID])
@pytest.mark.parametrize("opened", [(), ("features.denseblock2",)])
def test_figures_of_boxes_add_up_to_those_of_the_net(
    layout: Layout, opened: tuple[str, ...]
) -> None:
    graph = shipped("densenet")
    picture = picture_of(graph, opened, layout, Color.MACS)
    summary = summarize(graph)
    assert sum(numbers(picture, r"([\d,]+) params")) == summary.params
    assert sum(numbers(picture, r"([\d,]+) MACs")) == summary.macs
    kept = [value for value in kept_bytes(graph).values() if value is not None]
    assert sum(numbers(picture, r"([\d,]+) bytes")) == sum(kept)


@pytest.mark.parametrize("color", COSTS)
def test_more_is_never_lighter_and_the_number_is_in_the_box(color: Color) -> None:
    picture = picture_of(shipped("resnet"), color=color)
    pattern, word = {
        Color.MACS: (r"([\d,]+) MACs", "MACs"),
        Color.PARAMS: (r"([\d,]+) params", "params"),
        Color.MEMORY: (r"([\d,]+) bytes", "kept"),
    }[color]
    ranked = []
    for box in picture.boxes:
        match = re.search(pattern, box.details)
        if match and int(match[1].replace(",", "")):
            assert any(word in line for line in box.lines)
            ranked.append((int(match[1].replace(",", "")), box.tone))
    tones = [tone for _, tone in sorted(ranked, key=lambda pair: pair[0])]
    assert len(set(tones)) > 2
    assert tones == sorted(tones, key=lambda tone: tone or 0)


def test_a_scale_has_round_marks_that_reach_the_largest_value() -> None:
    steps, legend = scale(Color.MACS, [0, 200_000_000, 200_000_001, 1_040_449_536])
    assert legend.marks == ("0", "200 M", "400 M", "600 M", "800 M", "1 G", "1.2 G")
    assert steps == [0, 0, 1, 5]
    steps, legend = scale(Color.MEMORY, [3 * 2**20, 1])
    assert legend.marks == ("0 B", "512 KiB", "1 MiB", "1.5 MiB", "2 MiB", "2.5 MiB", "3 MiB")
    assert steps == [5, 0]
    assert scale(Color.PARAMS, [1, 7])[1].marks == ("0", "2", "4", "6", "8")


def test_what_is_not_known_has_no_colour(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(SYMBOLIC)
    graph = elaborate(load_program(path)).graph
    picture = picture_of(graph, color=Color.MACS)
    assert picture.boxes[1].tone is None
    assert "MACs depend on the size" in picture.boxes[1].lines
    assert picture.legend is not None
    assert picture.legend.marks[-1] == "80"
    picture = picture_of(graph, color=Color.PARAMS)
    assert [box.tone for box in picture.boxes[1:3]] == [4, 0]


def test_kinds_need_no_legend() -> None:
    assert picture_of(shipped("resnet")).legend is None


@pytest.mark.parametrize("layout", [Layout.FLOW, Layout.GRID])
def test_the_legend_is_drawn_with_its_numbers(layout: Layout) -> None:
    picture = picture_of(shipped("densenet"), layout=layout, color=Color.MACS)
    assert picture.legend is not None
    texts = [element.text for element in ET.fromstring(drawn(picture)).iter()]
    assert {picture.legend.title, *picture.legend.marks} <= set(texts)
    text = dot_text(picture)
    assert all(f'label="{mark} to' in text for mark in picture.legend.marks[:-1])


# --------------------------------------------------------------------------- contrast


def linear(color: str) -> list[float]:
    """Red, green and blue of a colour, as amounts of light (IEC 61966-2-1)."""
    parts = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(color: str) -> float:
    red, green, blue = linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    """As WCAG 2 defines it."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_is_readable_on_every_fill() -> None:
    fills = [look.fill for look in style.LOOKS.values()]
    for fill in (*fills, *style.TONES, style.PAPER):
        assert contrast(style.INK, fill) >= 4.5, fill
    for fill in (*style.BANDS, style.FRAME_FILL, style.PAPER):
        assert contrast(style.FAINT, fill) >= 4.5, fill


def test_tones_darken_in_equal_steps() -> None:
    lightness = [116 * luminance(tone) ** (1 / 3) - 16 for tone in style.TONES]
    steps = [a - b for a, b in zip(lightness, lightness[1:], strict=False)]
    assert max(steps) - min(steps) < 1
    assert min(steps) > 7
