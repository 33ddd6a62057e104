"""Room in pictures: no text is wider than its box in a wide font, and no edge makes a detour."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from functools import cache

import pytest

from archc.compiler import Request, compile_spec
from archc.elaborate.files import find_spec, load_program, shipped_specs
from archc.ir.graph import Graph
from archc.viz import grid, layered
from archc.viz.collapse import picture_of
from archc.viz.dot import dot_text
from archc.viz.picture import Color, Layout, Picture
from archc.viz.placement import Placement, Rectangle
from archc.viz.svg import svg_text

SVG = "{http://www.w3.org/2000/svg}"

# The widths of DejaVu Sans and DejaVu Sans Bold, in thousandths of the font's size.
REGULAR = (
    "318 401 460 838 637 951 780 275 391 391 500 838 318 361 318 337 637 637 637 637 637 637 "
    "637 637 637 637 337 337 838 838 838 531 1000 685 687 699 771 632 576 775 752 295 295 656 "
    "558 863 749 788 604 788 695 635 611 732 685 989 686 611 686 391 337 391 838 500 500 613 "
    "635 550 635 616 353 635 634 278 278 580 278 975 634 612 635 635 412 521 393 634 592 818 "
    "592 592 525 637 337 637 838"
)
BOLD = (
    "349 457 521 838 696 1002 873 307 458 458 523 838 380 416 380 366 696 696 696 696 696 696 "
    "696 696 696 696 400 400 838 838 838 581 1000 774 763 734 831 684 684 821 837 373 373 775 "
    "638 996 837 851 733 851 771 721 683 813 774 1104 771 725 726 458 366 458 838 500 500 675 "
    "716 593 716 679 436 716 712 343 343 666 343 1042 712 688 716 716 494 596 479 712 652 924 "
    "646 652 583 712 366 712 838"
)


def advances(table: str) -> dict[str, int]:
    return dict(zip(map(chr, range(32, 127)), map(int, table.split()), strict=True))


WIDTHS = {"normal": advances(REGULAR), "bold": advances(BOLD)}

NETS = [
    (name, net.name.name) for name in shipped_specs() for net in load_program(find_spec(name)).nets
]


@cache
def graph_of(spec: str, net: str) -> Graph:
    return compile_spec(Request(spec, net)).graph


def placed(picture: Picture) -> Placement:
    return grid.place(picture) if picture.rows else layered.place(picture)


def width_of(text: ET.Element) -> float:
    """The width that a text has in a wide font."""
    widths: dict[str, int] = WIDTHS[str(text.attrib.get("font-weight", "normal"))]
    size = float(text.attrib["font-size"])
    thousandths = sum(widths[char] for char in text.text or "")
    return thousandths / 1000 * size


def assert_texts_fit(svg: str) -> None:
    """Every text of a box lies in it, every other one on the paper."""
    root = ET.fromstring(svg)
    left, _, paper, _ = map(float, root.attrib["viewBox"].split())
    boxed = set()
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if rect is None:
            continue
        for text in group.iter(f"{SVG}text"):
            boxed.add(text)
            assert width_of(text) <= float(rect.attrib["width"]) - 4, text.text
    for text in root.iter(f"{SVG}text"):
        if text in boxed or "transform" in text.attrib:
            continue
        x, width = float(text.attrib["x"]), width_of(text)
        anchor = text.attrib.get("text-anchor", root.attrib.get("text-anchor", "start"))
        start = {"start": x, "middle": x - width / 2, "end": x - width}[anchor]
        assert left <= start, text.text
        assert start + width <= left + paper, text.text


@pytest.mark.parametrize(("spec", "net"), NETS)
def test_no_text_of_a_shipped_net_is_wider_than_its_box(spec: str, net: str) -> None:
    for layout in (Layout.FLOW, Layout.GRID):
        picture = picture_of(graph_of(spec, net), layout=layout)
        assert_texts_fit(svg_text(picture, placed(picture)))


@pytest.mark.parametrize("color", [Color.MACS, Color.PARAMS, Color.MEMORY])
def test_the_scale_of_colours_fits_the_paper(color: Color) -> None:
    picture = picture_of(graph_of("vgg_cifar", "VGG16"), color=color)
    assert_texts_fit(svg_text(picture, placed(picture)))


REASON = 60.0
"""Points: a few lines side by side may pass above what stands between the boxes that they join."""


def beyond(points: Sequence[tuple[float, float]], ends: tuple[Rectangle, Rectangle]) -> float:
    """How far an edge leaves the hull of the two boxes that it joins."""
    a, b = ends
    xs, ys = [x for x, _ in points], [y for _, y in points]
    over = max(min(a[0], b[0]) - min(xs), min(a[1], b[1]) - min(ys))
    return max(over, max(xs) - max(a[2], b[2]), max(ys) - max(a[3], b[3]))


@pytest.mark.parametrize(("spec", "net"), NETS)
def test_no_edge_of_a_shipped_net_makes_a_detour(spec: str, net: str) -> None:
    picture = picture_of(graph_of(spec, net))
    placement = placed(picture)
    for edge, line in zip(picture.edges, placement.lines, strict=True):
        ends = placement.boxes[edge.source], placement.boxes[edge.target]
        assert beyond(line.points, ends) <= REASON, edge


def splines(dot: str) -> Iterator[list[tuple[float, float]]]:
    """The control points of the edges in DOT text, the tip of the arrow last, y downwards."""
    for found in re.findall(r'-> \w+ \[pos="e,([^"]*)"\]', dot):
        tip, *points = ([float(n) for n in pair.split(",")] for pair in found.split())
        yield [(x, -y) for x, y in (*points, tip)]


@pytest.mark.parametrize("name", ["fpn", "msdnet_cifar", "unet", "googlenet"])
def test_graphviz_draws_the_edges_of_a_grid_where_we_do(name: str) -> None:
    """By itself it leads one around the boxes that stand between its ends."""
    (net, *_) = load_program(find_spec(name)).nets
    picture = picture_of(graph_of(name, net.name.name))
    placement = placed(picture)
    text = dot_text(picture)
    assert "layout=nop2" in text
    found = list(splines(text))
    assert len(found) == len(picture.edges)
    for line, points in zip(placement.lines, found, strict=True):
        assert len(points) % 3 == 2  # one start, three points for each curve, and the tip
        for ours, theirs in zip(
            (line.points[0], line.points[-1]), (points[0], points[-1]), strict=True
        ):
            assert theirs == pytest.approx(ours, abs=0.06)
        assert points[1:-2] == [pytest.approx(point, abs=0.06) for point in line.points[1:-1]]


@pytest.mark.parametrize(
    ("spec", "net"), [("msdnet_cifar", "MSDNetAnytime"), ("fpn", "ResNet50FPN")]
)
def test_a_net_of_several_outputs_has_its_total_below(spec: str, net: str) -> None:
    graph = graph_of(spec, net)
    total = sum(
        weight.elements for _, weights in graph.weights() for weight in weights if weight.trained
    )
    picture = picture_of(graph)
    assert picture.caption.startswith(f"{total:,} params in all")
    assert picture.caption in svg_text(picture, placed(picture))
    assert picture.caption in dot_text(picture)
    legend = picture_of(graph, color=Color.PARAMS)
    assert_texts_fit(svg_text(legend, placed(legend)))


def test_a_net_of_one_output_has_its_total_there_and_no_caption() -> None:
    assert picture_of(graph_of("resnet", "ResNet50")).caption == ""
