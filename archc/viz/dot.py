"""Picture -> DOT text. Graphviz lays out a flow; in a grid, boxes are pinned to where ours stand.

Nothing that a spec says becomes markup: nodes are called n0, n1, ..., labels go through graphviz's
escaping (without which `<...>` is taken for HTML), and no attribute holds an address.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import graphviz

from archc.diagnostics import printable
from archc.viz import grid, style
from archc.viz.picture import Box, Legend, Picture
from archc.viz.placement import Line, Placement, Rectangle

_POINTS = 72.0
_FRAME_EDGES = 400
"""With more edges than this, frames are left out: laying out clusters would take minutes."""


def label(lines: Sequence[str]) -> str:
    """Lines of text as a label that graphviz shows as they are.

    The result is graphviz's own kind of string, which it quotes even if it looks like HTML: a copy
    as plain `str` would lose that.
    """
    escaped = (graphviz.escape(printable(line).replace("&", "&amp;")) for line in lines)
    quoted: str = graphviz.nohtml(r"\n".join(escaped))
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
    """Add boxes where they stand, the words of rows, and edges to the right or straight down."""
    dot.attr(layout="neato", splines="true")
    dot.attr("node", fixedsize="true")
    by_cost = picture.legend is not None
    for i, (box, rectangle) in enumerate(zip(picture.boxes, placement.boxes, strict=True)):
        dot.node(f"n{i}", label(box.lines), **_look(box, by_cost=by_cost), **_pinned(rectangle))
    for i, (row, (left, top, _, bottom)) in enumerate(
        zip(picture.rows, placement.rows, strict=True)
    ):
        middle, width = (top + bottom) / 2, style.box_size(Box((row,), "input"))[0]
        where = _pinned((left, middle - 10, left + width, middle + 10))
        dot.node(f"r{i}", label([row]), shape="plaintext", style="", fontcolor=style.FAINT, **where)
    for edge, line in zip(picture.edges, placement.lines, strict=True):
        dot.edge(f"n{edge.source}", f"n{edge.target}", **_sides(line))
    if picture.legend is not None:
        x, y = placement.rows[0][0], max(bottom for *_, bottom in placement.boxes) + 40
        width = style.text_width(picture.legend.title, style.TEXT_SIZE)
        title = _pinned((x, y, x + width, y + 20))
        dot.node("legend", label([picture.legend.title]), shape="plaintext", style="", **title)
        for i, attributes in enumerate(_swatches(picture.legend)):
            where = _pinned((x + 110 * i, y + 30, x + 110 * i + 100, y + 54))
            dot.node(f"s{i}", **(attributes | where))


def _sides(line: Line) -> dict[str, str]:
    """The sides of its boxes where an edge of a grid begins and ends."""
    (x0, y0), (x1, y1) = line.points[0], line.points[-1]
    if x0 != x1:
        return {"tailport": "e", "headport": "w"}
    return {"tailport": "s", "headport": "n"} if y0 < y1 else {"tailport": "n", "headport": "s"}


def _swatches(legend: Legend) -> Iterator[dict[str, str]]:
    """A node for each step of a scale."""
    for tone, (low, high) in zip(style.TONES, pairwise(legend.marks), strict=False):
        yield {"label": label([f"{low} to {high}"]), "fillcolor": tone, "style": "filled"}


def _pinned(rectangle: Rectangle) -> dict[str, str]:
    """The place and size of a node that graphviz does not move; its y leads upwards."""
    left, top, right, bottom = rectangle
    x, y = (left + right) / 2 / _POINTS, -(top + bottom) / 2 / _POINTS
    return {"pos": f"{_number(x)},{_number(y)}!"} | _size((right - left, bottom - top))


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
