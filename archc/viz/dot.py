"""Picture -> DOT text.

Nothing that a spec says becomes markup: nodes are called n0, n1, ..., labels go through graphviz's
escaping (without which `<...>` is taken for HTML), and no attribute holds an address.
"""

from collections.abc import Sequence

import graphviz

from archc.diagnostics import printable
from archc.viz import style
from archc.viz.picture import Box, Picture

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


def dot_text(picture: Picture, sizes: Sequence[tuple[float, float]] | None = None) -> str:
    """The picture for graphviz. With `sizes`, in points, boxes are exactly that large, and edges
    have no heads: then graphviz only decides where things stand."""
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
        **({} if sizes is None else {"arrowhead": "none"}),
    )
    members: dict[int | None, list[int]] = {}
    for i, box in enumerate(picture.boxes):
        members.setdefault(box.frame if has_frames(picture) else None, []).append(i)
    _add_frame(dot, picture, None, members, sizes)
    for edge in picture.edges:
        # A space on both sides keeps the label off its line.
        words = {"label": label([f"  {edge.label}  "])} if edge.label else {}
        dot.edge(f"n{edge.source}", f"n{edge.target}", **words)
    return str(dot.source)


def _add_frame(
    dot: graphviz.Digraph,
    picture: Picture,
    frame: int | None,
    members: dict[int | None, list[int]],
    sizes: Sequence[tuple[float, float]] | None,
) -> None:
    """Add the boxes of a frame (None: those in no frame), then the frames in it."""
    for i in members.get(frame, ()):
        size = None if sizes is None else sizes[i]
        dot.node(f"n{i}", label(picture.boxes[i].lines), **_attributes(picture.boxes[i], size))
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
            _add_frame(cluster, picture, inner, members, sizes)


def _attributes(box: Box, size: tuple[float, float] | None) -> dict[str, str]:
    look = style.LOOKS[box.kind]
    found = {"fillcolor": look.fill, "color": look.border, "penwidth": _number(look.width)}
    if look.pill:
        found |= {"margin": "0.25,0.11"}
    if size is not None:
        width, height = (_number(length / _POINTS) for length in size)
        found |= {"fixedsize": "true", "width": width, "height": height}
    return found


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
