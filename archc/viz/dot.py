"""Picture -> DOT text. Graphviz lays out a flow; in a grid, boxes are pinned to where ours stand.

Nothing that a spec says becomes markup: nodes are called n0, n1, ..., labels go through graphviz's
escaping (without which `<...>` is taken for HTML), and no attribute holds an address.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import graphviz

from archc.diagnostics import printable
from archc.viz import grid, style
from archc.viz.picture import Box, Legend, Picture
from archc.viz.placement import Line, Placement, Rectangle, arrow_base

_POINTS = 72.0
_ARROW = 7.0
"""The length of an arrow head of graphviz's at the size that edges have."""
_FRAME_EDGES = 400
"""With more edges than this, frames are left out: laying out clusters would take minutes."""


def label(lines: Sequence[str], justify: Literal["n", "l", "r"] = "n") -> str:
    """Lines of text as a label that graphviz shows as they are: centred, on the left or the right.

    The result is graphviz's own kind of string, which it quotes even if it looks like HTML: a copy
    as plain `str` would lose that.
    """
    escaped = (graphviz.escape(printable(line).replace("&", "&amp;")) for line in lines)
    text = rf"\{justify}".join([*escaped, *([] if justify == "n" else [""])])
    quoted: str = graphviz.nohtml(text)
    return quoted


def has_frames(picture: Picture) -> bool:
    """Whether frames are drawn."""
    return bool(picture.frames) and len(picture.edges) <= _FRAME_EDGES


def dot_text(picture: Picture) -> str:
    """The picture for graphviz."""
    dot = graphviz.Digraph("net")
    dot.attr(rankdir="TB", nodesep="0.35", ranksep="0.3", bgcolor=style.PAPER)
    dot.attr(fontname=style.DOT_FONT, fontsize=_number(style.LABEL_SIZE + 1))
    dot.attr(
        "node",
        shape="box",
        style="filled,rounded",
        fontname=style.DOT_FONT,
        fontsize=_number(style.TEXT_SIZE),
        fontcolor=style.INK,
        margin="0.17,0.09",
        height="0.3",
    )
    dot.attr(
        "edge",
        fontname=style.DOT_FONT,
        fontsize=_number(style.LABEL_SIZE),
        fontcolor=style.FAINT,
        color=style.EDGE,
        arrowsize="0.7",
    )
    if picture.caption:
        dot.attr(label=label([picture.caption]), labelloc="b", labeljust="l")
    if picture.rows:
        _add_grid(dot, picture, grid.place(picture))
        return str(dot.source)
    members: dict[int | None, list[int]] = {}
    for i, box in enumerate(picture.boxes):
        members.setdefault(box.frame if has_frames(picture) else None, []).append(i)
    _add_frame(dot, picture, None, members)
    for edge in picture.edges:
        # A space on both sides keeps the label off its line.
        words = {"label": label([f"  {edge.label}  "])} if edge.label else {}
        dot.edge(f"n{edge.source}", f"n{edge.target}", **words)
    if picture.legend is not None:
        with dot.subgraph(name="cluster_legend") as cluster:
            cluster.attr(label=label([picture.legend.title]), color=style.PAPER)
            for i, attributes in enumerate(_swatches(picture.legend)):
                cluster.node(f"s{i}", **attributes)
                if i:
                    cluster.edge(f"s{i - 1}", f"s{i}", style="invis")
    return str(dot.source)


def _add_grid(dot: graphviz.Digraph, picture: Picture, placement: Placement) -> None:
    """Add boxes, the words of rows, and edges where they stand in our drawing.

    By itself graphviz would lead an edge around the boxes that are between its ends.
    """
    dot.attr(layout="nop2", splines="true")
    dot.attr("node", fixedsize="true")
    by_cost = picture.legend is not None
    for i, (box, rectangle) in enumerate(zip(picture.boxes, placement.boxes, strict=True)):
        dot.node(f"n{i}", label(box.lines), **_look(box, by_cost=by_cost), **pinned(rectangle))
    for i, (row, (left, top, _, bottom)) in enumerate(
        zip(picture.rows, placement.rows, strict=True)
    ):
        middle, width = (top + bottom) / 2, style.box_size(Box((row,), "input"))[0]
        where = pinned((left, middle - 10, left + width, middle + 10))
        dot.node(f"r{i}", label([row]), shape="plaintext", style="", fontcolor=style.FAINT, **where)
    for edge, line in zip(picture.edges, placement.lines, strict=True):
        dot.edge(f"n{edge.source}", f"n{edge.target}", pos=_spline(line))
    if picture.legend is not None:
        x, y = placement.rows[0][0], max(bottom for *_, bottom in placement.boxes) + 40
        width = style.text_width(picture.legend.title, style.TEXT_SIZE)
        title = pinned((x, y, x + width, y + 20))
        dot.node("legend", label([picture.legend.title]), shape="plaintext", style="", **title)
        for i, attributes in enumerate(_swatches(picture.legend)):
            where = pinned((x + 110 * i, y + 30, x + 110 * i + 100, y + 54))
            dot.node(f"s{i}", **(attributes | where))


def _spline(line: Line) -> str:
    """The way of an edge: the tip of its arrow, then the control points up to the arrow's base."""
    base, _ = arrow_base(line.points, _ARROW)
    tip, *points = (_point(x, y) for x, y in (line.points[-1], *line.points[:-1], base))
    return " ".join([f"e,{tip}", *points])


def _point(x: float, y: float) -> str:
    """A place in points; graphviz's y leads upwards."""
    return f"{x:.1f},{-y:.1f}"


def _swatches(legend: Legend) -> Iterator[dict[str, str]]:
    """A node for each step of a scale."""
    for tone, (low, high) in zip(style.TONES, pairwise(legend.marks), strict=False):
        yield {"label": label([f"{low} to {high}"]), "fillcolor": tone, "style": "filled"}


def pinned(rectangle: Rectangle) -> dict[str, str]:
    """The place and size of a node that graphviz does not move."""
    left, top, right, bottom = rectangle
    middle = _point((left + right) / 2, (top + bottom) / 2)
    return {"pos": middle} | _size((right - left, bottom - top))


def _add_frame(
    dot: graphviz.Digraph,
    picture: Picture,
    frame: int | None,
    members: dict[int | None, list[int]],
) -> None:
    """Add the boxes of a frame (None: those in no frame), then the frames in it."""
    for i in members.get(frame, ()):
        attributes = _look(picture.boxes[i], by_cost=picture.legend is not None)
        dot.node(f"n{i}", label(picture.boxes[i].lines), **attributes)
    if not has_frames(picture):
        return
    for inner, declared in enumerate(picture.frames):
        if declared.parent != frame:
            continue
        with dot.subgraph(name=f"cluster_{inner}") as cluster:
            cluster.attr(
                label=label([declared.label]),
                labeljust="l",
                style="rounded,filled",
                color=style.FRAME,
                fillcolor=style.FRAME_FILL,
                fontcolor=style.FAINT,
                margin="14",
            )
            _add_frame(cluster, picture, inner, members)


def _look(box: Box, *, by_cost: bool) -> dict[str, str]:
    look = style.look(box, by_cost=by_cost)
    found = {"fillcolor": look.fill, "color": look.border, "penwidth": _number(look.width)}
    return found | ({"margin": "0.25,0.11"} if look.pill else {})


def _size(size: tuple[float, float]) -> dict[str, str]:
    width, height = (_number(length / _POINTS) for length in size)
    return {"width": width, "height": height}


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
