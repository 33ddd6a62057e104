"""A figure of memory as DOT text, for formats that Graphviz draws."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import graphviz

from archc.viz import style
from archc.viz.dot import label, pinned
from archc.viz.marks import Mark, Stairs, Stroke, Text
from archc.viz.placement import Rectangle
from archc.viz.timeline import HEADLINE, Figure


def timeline_dot(figure: Figure) -> str:
    """The figure for graphviz, which has boxes for all of it: each stands where it is pinned."""
    dot = graphviz.Digraph("net")
    dot.attr(layout="nop2", bgcolor=style.PAPER, pad="0")
    dot.attr("node", shape="box", style="filled", fixedsize="true", margin="0")
    paper: _Box = (0.0, 0.0, figure.width, figure.height), {"color": style.PAPER}
    found = [paper, *(box for shape in figure.shapes for box in _boxes(shape))]
    for i, (rectangle, attributes) in enumerate(found):
        dot.node(f"n{i}", **{"label": "", "penwidth": "0", **attributes}, **pinned(rectangle))
    return str(dot.source)


_Box = tuple[Rectangle, dict[str, str]]
"""A rectangle, and what graphviz is to know of it."""


def _boxes(shape: Mark) -> Iterator[_Box]:
    """The boxes that a shape is made of."""
    if isinstance(shape, Text):
        yield _text_box(shape)
    elif isinstance(shape, Stroke):
        (x0, y0), (x1, y1) = shape.start, shape.end
        half = shape.width / 2
        yield (x0 - half, y0 - half, x1 + half, y1 + half), {"color": shape.color}
    elif isinstance(shape, Stairs):
        levels = list(zip(shape.above, shape.below, strict=True))
        starts = [i for i, level in enumerate(levels) if not i or level != levels[i - 1]]
        for first, end in zip(starts, [*starts[1:], len(levels)], strict=True):
            top, bottom = levels[first]
            left, right = (shape.left + shape.wide * i for i in (first, end))
            if bottom > top:
                yield (left, top, right, bottom), {"color": shape.fill}


_JUSTIFY: dict[str, Literal["n", "l", "r"]] = {"start": "l", "middle": "n", "end": "r"}


def _text_box(text: Text) -> _Box:
    """A text in a box as wide as a font may be. Graphviz turns no text: one that is read from below
    stands level, on the free line above what it is about."""
    if text.upright:
        text = replace(text, x=8.0, y=HEADLINE, anchor="start", upright=False)
    (left, _), (right, _) = text.corners()
    attributes = {
        "label": label([text.words], _JUSTIFY[text.anchor]),
        "style": "",
        "shape": "plaintext",
        "fontname": style.DOT_FONT,
        "fontsize": f"{text.size:g}",
        "fontcolor": text.fill,
    }
    middle = text.y - text.size * 0.35
    return (left, middle - 9, right, middle + 9), attributes
