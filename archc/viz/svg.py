"""Picture and placement -> SVG text."""

from collections.abc import Iterator, Sequence

from archc.viz import style
from archc.viz.marks import Area, Curve, Mark, Polygon, Text, Titled, extent, to_svg
from archc.viz.picture import Box, Edge, Legend, Picture
from archc.viz.placement import Line, Placement, Point, Rectangle, arrow_base

_MARGIN = 16.0
_ARROW = (7.0, 2.8)
"""Length and half width of an arrow head."""

_SWATCH = 46.0
_FIRST_MARK = 20.0
"""Where the numbers of a legend begin: room for half of the first one."""


def svg_text(picture: Picture, placement: Placement) -> str:
    """The drawing as one SVG element."""
    shapes = list(_shapes(picture, placement))
    left, _, _, bottom = extent(shapes)
    if picture.caption:
        shapes.append(Text(picture.caption, left, bottom + 24, style.TEXT_SIZE, "start"))
        bottom += 28
    if picture.legend is not None:
        shapes += _legend(picture.legend, left, bottom + 24)
    left, top, right, bottom = extent(shapes)
    paper = left - _MARGIN, top - _MARGIN, right + _MARGIN, bottom + _MARGIN
    return to_svg(picture.title, paper, shapes)


def _shapes(picture: Picture, placement: Placement) -> Iterator[Mark]:
    """The drawing without what stands below it, from back to front."""
    for i, (row, rectangle) in enumerate(zip(picture.rows, placement.rows, strict=True)):
        yield from _row(row, rectangle, style.BANDS[i % 2])
    frames = [
        (frame.label, rectangle)
        for frame, rectangle in zip(picture.frames, placement.frames, strict=True)
        if rectangle is not None
    ]
    for _, rectangle in frames:
        yield Area(rectangle, style.FRAME_FILL, style.FRAME, 1.0, 8.0)
    edges = list(zip(picture.edges, placement.lines, strict=True))
    for edge, line in edges:
        yield from _edge(edge, line)
    for edge, line in edges:
        if line.label is not None and edge.label:
            yield from _edge_label(edge.label, line.label)
    for label, rectangle in frames:
        yield from _frame_title(label, rectangle)
    for box, rectangle in zip(picture.boxes, placement.boxes, strict=True):
        yield _box(box, rectangle, by_cost=picture.legend is not None)


def _row(label: str, rectangle: Rectangle, fill: str) -> Iterator[Mark]:
    """A band with its size on the left."""
    left, top, _, bottom = rectangle
    yield Area(rectangle, fill, fill)
    x, y = left + 12, (top + bottom) / 2 + 4
    yield Text(label, x, y, style.TITLE_SIZE, "start", bold=True, fill=style.FAINT)


def _frame_title(label: str, rectangle: Rectangle) -> Iterator[Mark]:
    left, top, *_ = rectangle
    width = style.text_width(label, style.TEXT_SIZE)
    yield _strip((left + 6, top + 4, left + 12 + width, top + 19))
    yield Text(label, left + 9, top + 15, style.TEXT_SIZE, "start", fill=style.FAINT)


def _box(box: Box, rectangle: Rectangle, *, by_cost: bool) -> Mark:
    look = style.look(box, by_cost=by_cost)
    left, top, right, bottom = rectangle
    radius = min((bottom - top) / 2, 22.0) if look.pill else 5.0
    middle = (left + right) / 2
    first = (top + bottom) / 2 - style.LINE_HEIGHT * (len(box.lines) - 1) / 2 + 4
    sizes = (style.TITLE_SIZE, *[style.TEXT_SIZE] * (len(box.lines) - 1))
    lines = (
        Text(line, middle, first + i * style.LINE_HEIGHT, size, bold=not i)
        for i, (line, size) in enumerate(zip(box.lines, sizes, strict=True))
    )
    area = Area(rectangle, look.fill, look.border, look.width, radius)
    return Titled((area, *lines), box.details)


def _edge(edge: Edge, line: Line) -> Iterator[Mark]:
    """The line, ending at the base of its arrow head, and the head. An edge without a label in the
    picture has its shapes where a reader can ask for them."""
    long, half = _ARROW
    base, (dx, dy) = arrow_base(line.points, long)
    sides: Sequence[Point] = (
        (base[0] - dy * half, base[1] + dx * half),
        (base[0] + dy * half, base[1] - dx * half),
    )
    title = "" if line.label else edge.label
    yield Curve((*line.points[:-1], base), style.EDGE, 1.2, title)
    yield Polygon((line.points[-1], *sides), style.EDGE)


def _edge_label(label: str, place: Point) -> Iterator[Mark]:
    x, y = place
    half = style.text_width(label, style.LABEL_SIZE) / 2
    yield _strip((x - half, y - 7, x + half, y + 7))
    yield Text(label, x, y + 3.5, style.LABEL_SIZE, fill=style.FAINT)


def _strip(rectangle: Rectangle) -> Mark:
    """A strip of paper under a text, so that no line runs through it."""
    return Area(rectangle, style.PAPER, opacity=0.8)


def _legend(legend: Legend, left: float, top: float) -> Iterator[Mark]:
    """The scale below the picture: its title, its colours, the numbers at their ends."""
    yield Text(legend.title, left, top, style.LABEL_SIZE, "start")
    for i, mark in enumerate(legend.marks):
        x = left + _FIRST_MARK + i * _SWATCH
        if i + 1 < len(legend.marks):
            swatch = (x, top + 7, x + _SWATCH, top + 19)
            yield Area(swatch, style.TONES[i], style.INK, 0.5)
        yield Text(mark, x, top + 31, style.LABEL_SIZE)
