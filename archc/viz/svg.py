"""Picture and placement -> SVG text that is inert: shapes and escaped text, nothing else.

No scripts, no links, no styles, no references within the file; numbers are rounded to tenths, so
equal placements give equal bytes.
"""

from collections.abc import Iterator, Sequence
from html import escape

from archc.diagnostics import printable
from archc.viz import style
from archc.viz.picture import Box, Edge, Frame, Legend, Picture
from archc.viz.placement import Line, Placement, Point, Rectangle, arrow_base

_MARGIN = 16.0
_ARROW = (7.0, 2.8)
"""Length and half width of an arrow head."""

_LEGEND_HEIGHT = 60.0
_CAPTION_HEIGHT = 28.0
_SWATCH = 46.0
_FIRST_MARK = 20.0
"""Where the numbers of a legend begin: room for half of the first one."""


def svg_text(picture: Picture, placement: Placement) -> str:
    """The drawing as one SVG element, without an XML prologue: it may stand in a page."""
    x0, y0, x1, y1 = _extent(picture, placement)
    width, height = x1 - x0, y1 - y0
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_n(width)}" '
        f'height="{_n(height)}" viewBox="{_n(x0)} {_n(y0)} {_n(width)} {_n(height)}" '
        f'font-family="{style.FONTS}" text-anchor="middle">',
        f"<title>{_escaped(picture.title)}</title>",
        f'<rect x="{_n(x0)}" y="{_n(y0)}" width="{_n(width)}" height="{_n(height)}" '
        f'fill="{style.PAPER}"/>',
    ]
    for i, (row, rectangle) in enumerate(zip(picture.rows, placement.rows, strict=True)):
        lines += _row(row, rectangle, style.BANDS[i % 2])
    frames = [
        (frame, rectangle)
        for frame, rectangle in zip(picture.frames, placement.frames, strict=True)
        if rectangle is not None
    ]
    for _, rectangle in frames:
        lines.append(_rect(rectangle, style.FRAME_FILL, style.FRAME, 1.0, 8.0))
    for edge, line in zip(picture.edges, placement.lines, strict=True):
        lines += _edge(edge, line)
    for edge, line in zip(picture.edges, placement.lines, strict=True):
        lines += _edge_label(edge, line)
    for frame, rectangle in frames:
        lines += _frame_title(frame, rectangle)
    for box, rectangle in zip(picture.boxes, placement.boxes, strict=True):
        lines += _box(box, rectangle, by_cost=picture.legend is not None)
    bottom = y1 - _MARGIN
    if picture.legend is not None:
        lines += _legend(picture.legend, x0 + _MARGIN, bottom)
        bottom -= _LEGEND_HEIGHT
    if picture.caption:
        lines.append(_caption(picture.caption, x0 + _MARGIN, bottom))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _extent(picture: Picture, placement: Placement) -> Rectangle:
    """The paper: all that is drawn, and a margin."""
    xs: list[float] = [0.0]
    ys: list[float] = [0.0]
    for rectangle in (*placement.boxes, *(item for item in placement.frames if item)):
        xs += rectangle[::2]
        ys += rectangle[1::2]
    for edge, line in zip(picture.edges, placement.lines, strict=True):
        xs += [x for x, _ in line.points]
        ys += [y for _, y in line.points]
        if line.label is not None:
            half = style.text_width(edge.label, style.LABEL_SIZE) / 2
            xs += [line.label[0] - half, line.label[0] + half]
    for rectangle in placement.rows:
        xs += rectangle[::2]
        ys += rectangle[1::2]
    if picture.caption:
        xs.append(min(xs) + style.text_width(picture.caption, style.TEXT_SIZE))
        ys.append(max(ys) + _CAPTION_HEIGHT)
    if picture.legend is not None:
        xs.append(min(xs) + _legend_width(picture.legend))
        ys.append(max(ys) + _LEGEND_HEIGHT)
    return min(xs) - _MARGIN, min(ys) - _MARGIN, max(xs) + _MARGIN, max(ys) + _MARGIN


def _frame_title(frame: Frame, rectangle: Rectangle) -> Iterator[str]:
    left, top, *_ = rectangle
    width = style.text_width(frame.label, style.TEXT_SIZE)
    yield _strip((left + 6, top + 4, left + 12 + width, top + 19))
    yield (
        f'<text x="{_n(left + 9)}" y="{_n(top + 15)}" font-size="{_n(style.TEXT_SIZE)}" '
        f'fill="{style.FAINT}" text-anchor="start">{_escaped(frame.label)}</text>'
    )


def _row(label: str, rectangle: Rectangle, fill: str) -> Iterator[str]:
    """A band with its size on the left."""
    left, top, _, bottom = rectangle
    yield _rect(rectangle, fill, fill, 0.0, 0.0)
    yield (
        f'<text x="{_n(left + 12)}" y="{_n((top + bottom) / 2 + 4)}" '
        f'font-size="{_n(style.TITLE_SIZE)}" font-weight="bold" fill="{style.FAINT}" '
        f'text-anchor="start">{_escaped(label)}</text>'
    )


def _box(box: Box, rectangle: Rectangle, *, by_cost: bool) -> Iterator[str]:
    look = style.look(box, by_cost=by_cost)
    left, top, right, bottom = rectangle
    radius = (bottom - top) / 2 if look.pill else 5.0
    yield "<g>" + (f"<title>{_escaped_lines(box.details)}</title>" if box.details else "")
    yield _rect(rectangle, look.fill, look.border, look.width, min(radius, 22.0))
    middle = (left + right) / 2
    first = (top + bottom) / 2 - style.LINE_HEIGHT * (len(box.lines) - 1) / 2 + 4
    for i, line in enumerate(box.lines):
        size = style.TEXT_SIZE if i else style.TITLE_SIZE
        weight = "" if i else ' font-weight="bold"'
        yield (
            f'<text x="{_n(middle)}" y="{_n(first + i * style.LINE_HEIGHT)}" '
            f'font-size="{_n(size)}"{weight} fill="{style.INK}">{_escaped(line)}</text>'
        )
    yield "</g>"


def _caption(caption: str, left: float, bottom: float) -> str:
    """A line of text below the picture."""
    return (
        f'<text x="{_n(left)}" y="{_n(bottom - 4)}" font-size="{_n(style.TEXT_SIZE)}" '
        f'fill="{style.INK}" text-anchor="start">{_escaped(caption)}</text>'
    )


def _legend(legend: Legend, left: float, bottom: float) -> Iterator[str]:
    """The scale below the picture: its title, its colours, the numbers at their ends."""
    top = bottom - _LEGEND_HEIGHT + 24
    text = f'fill="{style.INK}" font-size="{_n(style.LABEL_SIZE)}"'
    yield (
        f'<text x="{_n(left)}" y="{_n(top)}" {text} text-anchor="start">'
        f"{_escaped(legend.title)}</text>"
    )
    x = left + _FIRST_MARK
    for i, mark in enumerate(legend.marks):
        if i + 1 < len(legend.marks):
            swatch = (x, top + 7, x + _SWATCH, top + 19)
            yield _rect(swatch, style.TONES[i], style.INK, 0.5, 0.0)
        yield f'<text x="{_n(x)}" y="{_n(top + 31)}" {text}>{_escaped(mark)}</text>'
        x += _SWATCH


def _legend_width(legend: Legend) -> float:
    scale = 2 * _FIRST_MARK + _SWATCH * max(0, len(legend.marks) - 1)
    return max(scale, style.text_width(legend.title, style.LABEL_SIZE))


def _rect(rectangle: Rectangle, fill: str, border: str, width: float, radius: float) -> str:
    left, top, right, bottom = rectangle
    return (
        f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(right - left)}" '
        f'height="{_n(bottom - top)}" rx="{_n(radius)}" fill="{fill}" stroke="{border}" '
        f'stroke-width="{_n(width)}"/>'
    )


def _edge(edge: Edge, line: Line) -> Iterator[str]:
    """The line, ending at the base of its arrow head, and the head. An edge without a label in the
    picture has its shapes where a reader can ask for them."""
    tip = line.points[-1]
    base, sides = _arrow(line.points)
    moves = [*line.points[:-1], base]
    start, *rest = map(_point, moves)
    title = "" if line.label or not edge.label else f"<title>{_escaped(edge.label)}</title>"
    yield (
        f'<path d="M{start}C{" ".join(rest)}" fill="none" stroke="{style.EDGE}" '
        f'stroke-width="1.2"' + (f">{title}</path>" if title else "/>")
    )
    corners = " ".join(map(_point, (tip, *sides)))
    yield f'<polygon points="{corners}" fill="{style.EDGE}"/>'


def _arrow(points: Sequence[Point]) -> tuple[Point, tuple[Point, Point]]:
    """The middle and the two corners of the base of an arrow head."""
    long, half = _ARROW
    (bx, by), (dx, dy) = arrow_base(points, long)
    return (bx, by), ((bx - dy * half, by + dx * half), (bx + dy * half, by - dx * half))


def _edge_label(edge: Edge, line: Line) -> Iterator[str]:
    if line.label is None or not edge.label:
        return
    x, y = line.label
    half = style.text_width(edge.label, style.LABEL_SIZE) / 2
    yield _strip((x - half, y - 7, x + half, y + 7))
    yield (
        f'<text x="{_n(x)}" y="{_n(y + 3.5)}" font-size="{_n(style.LABEL_SIZE)}" '
        f'fill="{style.FAINT}">{_escaped(edge.label)}</text>'
    )


def _strip(rectangle: Rectangle) -> str:
    """A strip of paper under a text, so that no line runs through it."""
    left, top, right, bottom = rectangle
    return (
        f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(right - left)}" '
        f'height="{_n(bottom - top)}" fill="{style.PAPER}" fill-opacity="0.8"/>'
    )


def _escaped(text: str) -> str:
    return escape(printable(text), quote=True)


def _escaped_lines(text: str) -> str:
    return "\n".join(map(_escaped, text.splitlines()))


def _point(point: Point) -> str:
    return f"{_n(point[0])},{_n(point[1])}"


def _n(value: float) -> str:
    """A number in tenths, without a negative zero."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
