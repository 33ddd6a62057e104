"""Grids: which nets become one, what stands where, and that no edge runs through a box."""

import re
import shutil
import subprocess
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archc.elaborate.files import find_spec, load_program
from archc.elaborate.net import elaborate
from archc.ir.graph import Graph
from archc.viz import grid, layered
from archc.viz.collapse import picture_of
from archc.viz.dot import dot_text
from archc.viz.picture import Box, Edge, Layout, Picture
from archc.viz.placement import Placement, Point, Rectangle

MSDNET = """
block Unit(out, stride=1)(x) { return x -> conv: conv(out, 3, stride) -> norm: bn -> relu }
block Finest()(x) { return concat(x, x -> same: Unit(4)) }
block Coarser()(finer, x) { return concat(x, finer -> down: Unit(4, 2), x -> same: Unit(4)) }
block Layer()(a, b, c) {
    d, e, f = (a -> fine: Finest), ((a, b) -> middle: Coarser), ((b, c) -> coarse: Coarser)
    return d, e, f
}
block Head()(x) { return x -> global_avg_pool -> fc: linear(10) }
net Scales(layers=4)(image: [3, 32, 32]) {
    a = image -> stem1: Unit(8)
    b = a -> stem2: Unit(16, 2)
    c = b -> stem3: Unit(32, 2)
    for i in range(layers) {
        a, b, c = (a, b, c) -> "layer{i}": Layer
        if i % 2 == 1 { exit c -> "head{i}": Head }
    }
}
"""

UNET = """
block Double(out)(x) { return x -> conv1: conv(out, 3) -> relu -> conv2: conv(out, 3) -> relu }
block Down(out)(x) { return x -> max_pool(2) -> conv: Double(out) }
block Up(out)(x, skip) {
    return concat(skip, x -> up: conv_transpose(out, 2, 2)) -> conv: Double(out)
}
net UNet()(image: [3, 32*h, 32*w]) {
    a = image -> stem: Double(8)
    b = a -> down1: Down(16)
    c = b -> down2: Down(32)
    y = (c, b) -> up1: Up(16)
    return (y, a) -> up2: Up(8) -> head: conv(2)
}
"""

PYRAMID = """
net Pyramid()(image: [3, 64, 64]) {
    a = image -> c1: conv(8, 3, 2) -> relu
    b = a -> c2: conv(16, 3, 2) -> relu
    c = b -> c3: conv(32, 3, 2) -> relu
    z = c -> l3: conv(8)
    y = (b -> l2: conv(8)) + (z -> upsample(scale=2))
    x = (a -> l1: conv(8)) + (y -> upsample(scale=2))
    return x, y, z
}
"""

PARALLEL = """
net Parallel()(image: [3, 32, 32]) {
    a = image -> a0: conv(8, 3)
    b = a -> b0: conv(8, 3, 2)
    for i in range(3) {
        b = (b -> "b{i + 1}": conv(8, 3)) + (a -> "d{i + 1}": conv(8, 3, 2))
        a = a -> "a{i + 1}": conv(8, 3)
    }
    return (b + (a -> last: conv(8, 3, 2))) -> global_avg_pool -> fc: linear(2)
}
"""

GATED = """
net Gated()(image: [3, 32, 32]) {
    x = image -> conv1: conv(16, 3)
    s = x -> global_avg_pool(keep=true) -> fc1: conv(4) -> relu -> fc2: conv(16) -> sigmoid
    y = (x * s) -> conv2: conv(32, 3, 2)
    return (y + (x -> shortcut: conv(32, 1, 2))) -> global_avg_pool -> fc: linear(10)
}
"""


def shipped(name: str) -> Graph:
    return elaborate(load_program(find_spec(name))).graph


def graph_of(tmp_path: Path, text: str) -> Graph:
    path = tmp_path / "net.arch"
    path.write_text(text)
    return elaborate(load_program(path)).graph


def place_of(picture: Picture, title: str) -> Rectangle:
    placement = grid.place(picture)
    (i,) = (i for i, box in enumerate(picture.boxes) if box.lines[0] == title)
    return placement.boxes[i]


# ---------------------------------------------------------------- what becomes a grid


@pytest.mark.parametrize("text", [MSDNET, UNET, PYRAMID, PARALLEL])
def test_nets_with_several_sizes_alive_become_grids(tmp_path: Path, text: str) -> None:
    assert picture_of(graph_of(tmp_path, text)).rows


def test_nets_with_exits_become_grids(tmp_path: Path) -> None:
    text = PARALLEL.replace("Parallel()", "Exits()").replace("return (b", "exit b\n    return (b")
    assert picture_of(graph_of(tmp_path, text)).rows
    chain = """
    net Chain()(image: [3, 8, 8]) {
        x = image -> conv1: conv(4, 3)
        exit early: x -> global_avg_pool -> fc1: linear(2)
        return x -> conv2: conv(4, 3) -> global_avg_pool -> fc2: linear(2)
    }
    """
    assert picture_of(graph_of(tmp_path, chain)).rows == ("8 x 8",)


@pytest.mark.parametrize("opened", [(), ("layer2",), ("layer2.0",), ("layer2.0", "layer3.0")])
def test_nets_whose_sizes_follow_one_another_stay_flows(opened: tuple[str, ...]) -> None:
    assert not picture_of(shipped("resnet"), opened).rows


def test_a_gate_is_no_size(tmp_path: Path) -> None:
    assert not picture_of(graph_of(tmp_path, GATED)).rows


def test_the_layout_can_be_asked_for(tmp_path: Path) -> None:
    assert not picture_of(graph_of(tmp_path, UNET), layout=Layout.FLOW).rows
    rows = picture_of(shipped("resnet"), layout=Layout.GRID).rows
    assert rows == ("224 x 224", "112 x 112", "56 x 56", "28 x 28", "14 x 14", "7 x 7")
    gated = picture_of(graph_of(tmp_path, GATED), layout=Layout.GRID)
    assert gated.rows == ("32 x 32", "16 x 16", "1 x 1")


def test_rows_are_symbolic_sizes_too(tmp_path: Path) -> None:
    rows = picture_of(graph_of(tmp_path, UNET)).rows
    assert rows == ("32*h x 32*w", "16*h x 16*w", "8*h x 8*w")


def test_a_box_of_blocks_without_numbers_names_the_first_and_the_last(tmp_path: Path) -> None:
    text = """
    block Inception(out)(x) { return x -> conv: conv(out, 3) -> relu }
    net Letters()(image: [3, 8, 8]) {
        x = image -> inception3a: Inception(4) -> inception3b: Inception(8)
        return x -> features_end: conv(4)
    }
    """
    picture = picture_of(graph_of(tmp_path, text), layout=Layout.GRID)
    assert "inception3a..inception3b" in [box.lines[0] for box in picture.boxes]


# ---------------------------------------------------------------------- where things stand


def test_scales_are_rows_layers_are_columns_and_classifiers_hang_below(tmp_path: Path) -> None:
    """As in figure 2 of MSDNet; the layers, which give several sizes, are opened by themselves."""
    picture = picture_of(graph_of(tmp_path, MSDNET))
    assert picture.rows == ("32 x 32", "16 x 16", "8 x 8")
    parts = ("fine", "middle", "coarse")
    columns = [[f"stem{i}" for i in (1, 2, 3)]]
    columns += [[f"layer{i}.{part}" for part in parts] for i in range(2)]
    places = [[place_of(picture, title) for title in column] for column in columns]
    for column in places:
        assert len({(left, right) for left, _, right, _ in column}) == 1
        assert [top for _, top, _, _ in column] == [top for _, top, _, _ in places[0]]
    below = [place_of(picture, title) for title in ("layer1.coarse", "head1", "exit head1")]
    assert len({(left, right) for left, _, right, _ in below}) == 1
    assert below[0][3] < below[1][1] < below[1][3] < below[2][1]


def test_a_block_with_an_exit_stands_in_the_row_of_its_images(tmp_path: Path) -> None:
    text = """
    block Stage(width)(x) {
        x = x -> conv: conv(width, 3, stride=2) -> relu
        exit x -> global_avg_pool -> fc: linear(10)
        return x
    }
    net Anytime()(image: [3, 32, 32]) {
        return image -> stage1: Stage(8) -> stage2: Stage(16) -> head: conv(10)
    }
    """
    picture = picture_of(graph_of(tmp_path, text))
    assert picture.rows == ("32 x 32", "16 x 16", "8 x 8")
    stage1, stage2 = (box for box in picture.boxes if box.lines[0].startswith("stage"))
    assert (stage1.row, stage2.row) == (1, 2)
    assert stage2.lines[2] == "8 -> 16"


def test_a_unet_has_two_arms(tmp_path: Path) -> None:
    picture = picture_of(graph_of(tmp_path, UNET))
    down = [place_of(picture, title) for title in ("stem", "down1", "down2")]
    up = [place_of(picture, title) for title in ("up2", "up1")]
    assert len({box[0] for box in down}) == len({box[0] for box in up}) == 1
    assert [box[1] for box in up] == [box[1] for box in down[:2]]


def sampled(points: tuple[Point, ...]) -> list[Point]:
    """Points on Bezier curves, near their ends too."""
    found = []
    for i in range(0, len(points) - 1, 3):
        a, b, c, d = points[i : i + 4]
        for t in (k / 16 for k in range(17)):
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            x, y = (
                sum(w * p[axis] for w, p in zip(weights, (a, b, c, d), strict=True))
                for axis in (0, 1)
            )
            found.append((x, y))
    return found


def is_inside(point: Point, box: Rectangle) -> bool:
    (x, y), (left, top, right, bottom) = point, box
    return left + 0.01 < x < right - 0.01 and top + 0.01 < y < bottom - 0.01


def check_placement(picture: Picture, placement: Placement) -> None:
    """Boxes stand apart and in their rows; edges lead from box to box and through none."""
    for a, b in combinations(placement.boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    for box, (_, top, _, bottom) in zip(picture.boxes, placement.boxes, strict=True):
        if box.row is not None:
            band = placement.rows[box.row]
            assert band[1] < top < bottom < band[3]
    for edge, line in zip(picture.edges, placement.lines, strict=True):
        source, target = placement.boxes[edge.source], placement.boxes[edge.target]
        (x0, y0), (x1, y1) = line.points[0], line.points[-1]
        assert x0 == source[2] or y0 in (source[1], source[3])
        assert x1 == target[0] or y1 in (target[1], target[3])
        for point in sampled(line.points):
            assert not any(is_inside(point, box) for box in placement.boxes)


@pytest.mark.parametrize("text", [MSDNET, UNET, PYRAMID, PARALLEL, GATED])
def test_no_edge_runs_through_a_box(tmp_path: Path, text: str) -> None:
    picture = picture_of(graph_of(tmp_path, text), layout=Layout.GRID)
    check_placement(picture, grid.place(picture))


def test_nothing_is_put_below_a_box_above_what_hangs_on_it() -> None:
    """What hangs on box 1 stands beside another box that it reads, on the second track; what came
    later was put on the first one, in the way of the edge."""
    boxes = (*[Box(("box",), "block", row=0)] * 2, *[Box(("hangs",), "output")] * 4)
    edges = tuple(Edge(*ends, "") for ends in ((0, 1), (0, 2), (1, 4), (2, 5), (3, 4)))
    picture = Picture("net", boxes, edges, rows=("row 0",))
    check_placement(picture, grid.place(picture))


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    """Any graph on any rows; boxes without a row lead to such boxes only."""
    count = draw(st.integers(1, 14))
    rows = draw(st.integers(1, 4))
    hanging = draw(st.integers(0, count - 1))
    boxes = [
        Box(("box",) * draw(st.integers(1, 4)), "block", row=draw(st.integers(0, rows - 1)))
        for _ in range(count - hanging)
    ] + [Box(("hangs",), "output") for _ in range(hanging)]
    pairs = [(a, b) for a, b in combinations(range(count), 2) if b - a < 5]
    chosen = draw(st.sets(st.sampled_from(pairs), max_size=2 * count)) if pairs else set()
    edges = tuple(Edge(source, target, "") for source, target in sorted(chosen))
    return Picture("net", tuple(boxes), edges, rows=tuple(f"row {i}" for i in range(rows)))


@given(pictures())
@settings(max_examples=150, deadline=None)
def test_no_edge_of_any_graph_runs_through_a_box(picture: Picture) -> None:
    check_placement(picture, grid.place(picture))


@given(pictures())
@settings(max_examples=75, deadline=None)
def test_no_edge_of_any_flow_runs_through_a_box(picture: Picture) -> None:
    placement = layered.place(replace(picture, rows=()))
    for line in placement.lines:
        for point in sampled(line.points):
            assert not any(is_inside(point, box) for box in placement.boxes)


# ----------------------------------------------------------------------------------- DOT


def test_dot_pins_every_box_and_names_every_row(tmp_path: Path) -> None:
    picture = picture_of(graph_of(tmp_path, MSDNET))
    lines = dot_text(picture).splitlines()
    boxes = [line for line in lines if re.match(r"\s*n\d+ \[", line)]
    assert sum("pos=" in line for line in boxes) == len(picture.boxes)
    assert all(any(f'label="{row}"' in line for line in lines) for row in picture.rows)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("layout", [Layout.FLOW, Layout.GRID])
def test_graphviz_takes_our_dot_without_a_word(tmp_path: Path, layout: Layout) -> None:
    text = dot_text(picture_of(graph_of(tmp_path, MSDNET), layout=layout))
    done = subprocess.run(
        ["dot", "-Tplain"], input=text, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
