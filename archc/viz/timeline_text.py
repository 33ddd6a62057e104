"""A figure of memory as SVG text, or as DOT for formats that Graphviz draws.

Numbers are rounded to tenths, so that equal figures give equal bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from typing import Literal

import graphviz

from archc.diagnostics import printable
from archc.viz import style
from archc.viz.dot import label, pinned
from archc.viz.placement import Rectangle
from archc.viz.timeline import HEADLINE, Figure, Shape, Stroke, Words


def timeline_svg(figure: Figure) -> str:
    """The figure as one SVG element: shapes and escaped text, nothing else."""
    width, height = _n(figure.width), _n(figure.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" font-family="{style.FONTS}">',
        f"<title>{escape(printable(figure.title))}</title>",
        f'<rect width="{width}" height="{height}" fill="{style.PAPER}"/>',
        *map(_svg, figure.shapes),
    ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _svg(shape: Shape) -> str:
    if isinstance(shape, Words):
        return _svg_words(shape)
    if isinstance(shape, Stroke):
        (x0, y0), (x1, y1) = shape.start, shape.end
        dashes = ' stroke-dasharray="3 3"' if shape.dashed else ""
        return (
            f'<path d="M{_n(x0)} {_n(y0)}L{_n(x1)} {_n(y1)}" stroke="{shape.color}" '
            f'stroke-width="{_n(shape.width)}"{dashes}/>'
        )
    right = shape.left + shape.wide * len(shape.above)
    up = _stairs(shape.above, shape.left, shape.wide)
    down = _stairs(shape.below[::-1], right, -shape.wide)
    return (
        f'<path d="M{up}L{down}Z" fill="{shape.fill}" stroke="{shape.edge}" '
        f'stroke-width="{_n(shape.edge_width)}" stroke-linejoin="round"/>'
    )


def _svg_words(words: Words) -> str:
    bold = ' font-weight="bold"' if words.bold else ""
    turned = f' transform="rotate(-90 {_n(words.x)} {_n(words.y)})"' if words.upright else ""
    return (
        f'<text x="{_n(words.x)}" y="{_n(words.y)}" font-size="{_n(words.size)}" '
        f'text-anchor="{words.anchor}" fill="{words.fill}"{bold}{turned}>'
        f"{escape(printable(words.text))}</text>"
    )


def _stairs(heights: Sequence[float], x: float, wide: float) -> str:
    """The corners of a line that is level over each column."""
    corners = []
    for i, height in enumerate(heights):
        if i and height == heights[i - 1] and i + 1 < len(heights):
            continue
        before = heights[i - 1] if i else height
        corners.append(f"{_n(x + wide * i)} {_n(before)}")
        corners.append(f"{_n(x + wide * i)} {_n(height)}")
    corners.append(f"{_n(x + wide * len(heights))} {_n(heights[-1])}")
    return "L".join(dict.fromkeys(corners))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


# ---------------------------------------------------------------------- DOT


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


def _boxes(shape: Shape) -> Iterator[_Box]:
    """The boxes that a shape is made of."""
    if isinstance(shape, Words):
        yield _dot_words(shape)
    elif isinstance(shape, Stroke):
        (x0, y0), (x1, y1) = shape.start, shape.end
        half = shape.width / 2
        yield (x0 - half, y0 - half, x1 + half, y1 + half), {"color": shape.color}
    else:
        levels = list(zip(shape.above, shape.below, strict=True))
        starts = [i for i, level in enumerate(levels) if not i or level != levels[i - 1]]
        for first, end in zip(starts, [*starts[1:], len(levels)], strict=True):
            top, bottom = levels[first]
            left, right = (shape.left + shape.wide * i for i in (first, end))
            if bottom > top:
                yield (left, top, right, bottom), {"color": shape.fill}


_JUSTIFY: dict[str, Literal["n", "l", "r"]] = {"start": "l", "middle": "n", "end": "r"}


def _dot_words(words: Words) -> _Box:
    """A text in a box as wide as a font may be. Graphviz turns no text: one that is read from below
    stands level, on the free line above what it is about."""
    if words.upright:
        words = replace(words, x=8.0, y=HEADLINE, anchor="start", upright=False)
    width = style.text_width(words.text, words.size, bold=words.bold)
    left = words.x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[words.anchor]
    attributes = {
        "label": label([words.text], _JUSTIFY[words.anchor]),
        "style": "",
        "shape": "plaintext",
        "fontname": style.DOT_FONT,
        "fontsize": _n(words.size),
        "fontcolor": words.fill,
    }
    middle = words.y - words.size * 0.35
    return (left, middle - 9, left + width, middle + 9), attributes
