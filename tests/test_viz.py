"""Pictures: what is collapsed, what boxes say, and that drawings are inert whatever a spec holds.

No test needs Graphviz: its programs are hidden, or played by small scripts.
"""

import re
import stat
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from archc.diagnostics import ArchError
from archc.elaborate.files import find_spec, load_program
from archc.elaborate.net import elaborate
from archc.ir.graph import Graph, Layer
from archc.viz import grid, layered, style
from archc.viz.collapse import picture_of
from archc.viz.dot import dot_text
from archc.viz.draw import draw, to_dot, to_svg
from archc.viz.picture import Box, Edge, Frame, Layout, Legend, Picture
from archc.viz.svg import svg_text

HOSTILE = (
    "<b>bold</b>",
    '<TD HREF="javascript:alert(1)">x</TD>',
    "trailing backslash \\",
    "many \\\\\\",
    "n0:port:w",
    '"]; evil [label="',
    "]]><script>alert(1)</script>",
    "&lt;script&gt; &#60;",
    "\\N \\G \\E \\l \\r",
    "new\nline\ttab\x00nul\x1b[31m",
    "right-to-left \u202e here",
    "--> <!-- -->",
)

UNET = """
block Double(out)(x) { return x -> conv1: conv(out, 3) -> norm1: bn -> relu }
block Up(out)(x, skip) {
    x = x -> upsample(scale=2) -> reduce: conv(out)
    return concat(skip, x) -> conv: Double(out)
}
net UNet()(image: [3, 32, 32]) {
    a = image -> down1: Double(8)
    b = a -> max_pool(2) -> down2: Double(16)
    c = b -> max_pool(2) -> bottom: Double(32)
    x = (c, b) -> up2: Up(16)
    x = (x, a) -> up1: Up(8)
    return x -> head: conv(2)
}
"""

EXITS = """
block Head()(x) { return x -> global_avg_pool -> fc: linear(2) }
net Early()(image: [3, 8, 8]) {
    x = image -> conv1: conv(4) -> norm1: bn -> relu
    exit x -> early: Head
    return x -> conv2: conv(8) -> late: Head
}
"""


@pytest.fixture(autouse=True)
def no_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the machine's own programs: what these tests see is the same everywhere."""
    monkeypatch.setattr("shutil.which", lambda *args, **kwargs: None)


def shipped(name: str, **settings: str) -> Graph:
    return elaborate(load_program(find_spec(name)), None, settings).graph


def graph_of(tmp_path: Path, text: str) -> Graph:
    path = tmp_path / "net.arch"
    path.write_text(text)
    return elaborate(load_program(path)).graph


def titles(picture: Picture) -> list[str]:
    return [box.lines[0] for box in picture.boxes]


def hostile_picture() -> Picture:
    """A picture with the same hostile text wherever text can stand."""
    boxes = [
        Box((text, text), "block", 0 if i % 2 else None, details=text)
        for i, text in enumerate(HOSTILE)
    ]
    edges = [Edge(i, i + 1, text) for i, text in enumerate(HOSTILE[:-1])]
    return Picture(HOSTILE[0], tuple(boxes), tuple(edges), (Frame(HOSTILE[1]),))


def hostile_grid() -> Picture:
    """The same in rows, with a legend."""
    picture = hostile_picture()
    boxes = tuple(replace(box, frame=None, row=i % 3) for i, box in enumerate(picture.boxes))
    legend = Legend(HOSTILE[6], HOSTILE[:4])
    return replace(picture, boxes=boxes, frames=(), rows=HOSTILE[:3], legend=legend)


both = pytest.mark.parametrize("hostile", [hostile_picture(), hostile_grid()], ids=["flow", "grid"])


def drawn(picture: Picture) -> str:
    return svg_text(picture, grid.place(picture) if picture.rows else layered.place(picture))


# ------------------------------------------------------------------ collapsing


def test_a_block_is_one_box_with_its_repeat_and_its_channels() -> None:
    picture = picture_of(shipped("densenet"))
    assert "denseblock3 x24, 256 -> 1024" in titles(picture)
    assert "transition1: Transition, 256 -> 128" in titles(picture)
    (box,) = (box for box in picture.boxes if box.lines[0].startswith("denseblock3"))
    assert box.lines[1] == "DenseBlock, 2,837,760 params"


def test_equal_siblings_in_a_row_are_one_box() -> None:
    assert "layer3: 6 x Bottleneck, 512 -> 1024" in titles(picture_of(shipped("resnet")))


def test_blocks_that_read_something_else_too_stay_apart(tmp_path: Path) -> None:
    picture = picture_of(graph_of(tmp_path, UNET), layout=Layout.FLOW)
    assert "up2: Up, 32 -> 16" in titles(picture)
    assert "up1: Up, 16 -> 8" in titles(picture)


def test_a_block_that_is_made_of_itself_is_no_row_of_itself(tmp_path: Path) -> None:
    text = """
block Tree(depth)(x) {
    if depth == 0 { return x -> conv: conv(8, 3) -> norm: bn -> relu }
    y = x -> left: Tree(depth - 1)
    return concat(x, y) -> right: Tree(depth - 1)
}
net Forest()(image: [8, 8, 8]) { return image -> tree: Tree(2) }
"""
    assert "tree: Tree, 8 -> 8" in titles(picture_of(graph_of(tmp_path, text)))


def test_elementwise_operators_join_the_one_before_them() -> None:
    picture = picture_of(shipped("densenet"))
    (stem,) = (box for box in picture.boxes if box.lines[0].startswith("conv0"))
    assert stem.lines == ("conv0: conv(64, 7, 2)", "norm0: bn", "relu0: relu", "9,536 params")


def test_edges_carry_shapes() -> None:
    picture = picture_of(shipped("densenet"))
    assert {"[3, 224, 224]", "[64, 56, 56]", "[1024, 7, 7]"} <= {e.label for e in picture.edges}


def test_edges_lead_forward(tmp_path: Path) -> None:
    for graph in (graph_of(tmp_path, UNET), shipped("resnet")):
        assert all(edge.source < edge.target for edge in picture_of(graph).edges)


def test_exits_are_boxes_of_their_own_with_what_they_cost(tmp_path: Path) -> None:
    picture = picture_of(graph_of(tmp_path, EXITS))
    early, late = (box for box in picture.boxes if box.kind in ("exit", "output"))
    assert early.lines == ("exit early", "30 params", "776 MACs")
    assert (late.kind, late.lines[0]) == ("output", "return")


def test_a_layer_that_is_shared_counts_its_weights_in_one_box(tmp_path: Path) -> None:
    text = """
    net Shared()(image: [3, 8, 8]) {
        stem = conv(4, 3)
        return (image -> stem), (image -> max_pool(2) -> stem)
    }
    """
    picture = picture_of(graph_of(tmp_path, text), layout=Layout.FLOW)
    weights = [box.lines[1] for box in picture.boxes if box.kind == "weights"]
    assert weights == ["108 params", "shared weights"]


def test_a_region_that_is_asked_for_shows_each_child() -> None:
    picture = picture_of(shipped("resnet"), ["layer3"])
    assert [title for title in titles(picture) if "Bottleneck" in title][2:5] == [
        "0: Bottleneck, 512 -> 1024",
        "1: Bottleneck, 1024 -> 1024",
        "2: Bottleneck, 1024 -> 1024",
    ]
    assert [frame.label for frame in picture.frames] == ["layer3"]


def test_an_open_region_opens_what_is_around_it_and_nothing_beside_it() -> None:
    picture = picture_of(shipped("densenet"), ["features.denseblock1.denselayer2"])
    labels = [frame.label for frame in picture.frames]
    assert labels == ["features", "denseblock1: DenseBlock", "denselayer2: DenseLayer"]
    assert "denselayer3..6: 4 x DenseLayer, 128 -> 256" in titles(picture)
    assert "denseblock2 x12, 128 -> 512" in titles(picture)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("features.densblock1", "did you mean `features.denseblock1`?"),
        ("encoder", "its regions are `features`"),
        ("features.conv0", "is one operator"),
        ("", "has no region"),
    ],
)
def test_a_region_that_is_not_there_is_an_error_with_advice(name: str, message: str) -> None:
    with pytest.raises(ArchError, match=re.escape(message)):
        picture_of(shipped("densenet"), [name])


def test_a_picture_that_nobody_could_read_is_refused_with_advice(tmp_path: Path) -> None:
    text = """
    net Flat()(image: [3, 8, 8]) {
        for i in range(2100) { image = image -> max_pool(1) }
        return image
    }
    """
    text = text.replace("max_pool(1)", "avg_pool(3, 1, padding=1) -> pad(channels=1) -> take(3)")
    with pytest.raises(ArchError, match="more than 2,000"):
        picture_of(graph_of(tmp_path, text))


# ------------------------------------------------------------------- drawings


@both
def test_every_text_of_a_hostile_picture_is_inert_in_svg(hostile: Picture) -> None:
    root = ET.fromstring(drawn(hostile))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags == {"svg", "title", "g", "rect", "path", "polygon", "text"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not {
        name for name in names if name.startswith("on") or "href" in name or name == "style"
    }
    texts = {element.text for element in root.iter() if element.text}
    assert "<b>bold</b>" in texts
    assert "]]><script>alert(1)</script>" in texts


@both
def test_hostile_text_has_no_control_or_bidirectional_characters_in_any_form(
    hostile: Picture,
) -> None:
    for text in (drawn(hostile), dot_text(hostile)):
        assert not re.search(r"[^\n\t\x20-\x7e]", text)


@both
def test_dot_statements_are_the_same_whatever_the_labels_say(hostile: Picture) -> None:
    """With all quoted strings taken out, hostile labels leave the text of harmless ones."""
    harmless = Picture(
        "net",
        tuple(replace(box, lines=("a", "b")) for box in hostile.boxes),
        tuple(replace(edge, label="c") for edge in hostile.edges),
        tuple(Frame("d") for _ in hostile.frames),
        tuple("e" for _ in hostile.rows),
        hostile.legend and Legend("f", tuple("g" for _ in hostile.legend.marks)),
    )
    quoted = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)

    def statements(picture: Picture) -> str:
        return re.sub(r"(label|width|height)=[\w.]*", "", quoted.sub("", dot_text(picture)))

    assert statements(hostile) == statements(harmless)


@both
def test_dot_has_plain_node_names_no_html_and_no_addresses(hostile: Picture) -> None:
    text = dot_text(hostile)
    assert "label=<" not in text
    assert not re.search(r"\b(URL|href|tooltip|target)\s*=", re.sub(r'"(?:[^"\\]|\\.)*"', "", text))
    assert {int(n) for n in re.findall(r"^\s*n(\d+) \[", text, re.MULTILINE)} == set(
        range(len(HOSTILE))
    )


def test_labels_of_a_graph_reach_the_picture_only_as_text(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, EXITS)
    for node in list(graph.nodes()):
        if node.layer.path:
            layer: Layer = replace(node.layer, path=(*node.layer.path[:-1], HOSTILE[6]))
            graph.add_node(replace(node, layer=layer), graph.operands(node.id))
    assert "<script" not in to_svg(graph)
    ET.fromstring(to_svg(graph))


def test_our_own_drawing_is_the_same_each_time() -> None:
    assert to_svg(shipped("densenet")) == to_svg(shipped("densenet"))
    assert to_dot(shipped("densenet")) == to_dot(shipped("densenet"))


def test_boxes_and_labels_of_our_own_layout_do_not_overlap(tmp_path: Path) -> None:
    picture = picture_of(graph_of(tmp_path, UNET), ["up2", "down1"], Layout.FLOW)
    placement = layered.place(picture)
    rectangles = list(placement.boxes)
    for edge, line in zip(picture.edges, placement.lines, strict=True):
        assert line.label is not None
        (x, y), half = line.label, style.text_width(edge.label, style.LABEL_SIZE) / 2
        rectangles.append((x - half, y - 6, x + half, y + 6))
    for i, a in enumerate(rectangles):
        for b in rectangles[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_lines_of_our_own_layout_lead_from_box_to_box(tmp_path: Path) -> None:
    picture = picture_of(graph_of(tmp_path, UNET), layout=Layout.FLOW)
    placement = layered.place(picture)
    for edge, line in zip(picture.edges, placement.lines, strict=True):
        (x0, y0), (x1, y1) = line.points[0], line.points[-1]
        source, target = placement.boxes[edge.source], placement.boxes[edge.target]
        assert y0 == source[3]
        assert y1 == target[1]
        assert source[0] <= x0 <= source[2]
        assert target[0] <= x1 <= target[2]


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize("suffix", [".svg", ".SVG", ".dot"])
def test_svg_and_dot_need_no_graphviz(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    draw(shipped("resnet"), path)
    assert "layer3: 6 x Bottleneck" in path.read_text()


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_without_graphviz_other_formats_say_what_to_install(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    with pytest.raises(ArchError, match="needs Graphviz") as raised:
        draw(shipped("resnet"), path)
    assert "https://graphviz.org/download" in str(raised.value)
    assert ("pip install" in str(raised.value)) == (suffix == ".png")
    assert not path.exists()


def test_an_unknown_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArchError, match=r"\.svg, \.png, \.pdf, \.dot"):
        draw(shipped("resnet"), tmp_path / "net.gif")


def program(folder: Path, body: str) -> str:
    """A program that plays graphviz: `body` is Python, `sys` imported."""
    path = folder / "dot"
    path.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.skipif(sys.platform == "win32", reason="a script cannot play a program there")
def test_a_graphviz_that_fails_is_quoted_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = program(tmp_path, "sys.exit('no cairo here')")
    monkeypatch.setattr("shutil.which", lambda *args, **kwargs: fake)
    with pytest.raises(ArchError, match="no cairo here"):
        draw(shipped("resnet"), tmp_path / "net.pdf")
