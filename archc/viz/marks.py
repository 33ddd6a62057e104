"""Marks on paper, and the SVG text of them, which is inert: escaped text, and nothing to follow.

No scripts, no links, no styles, no references within the file; numbers are rounded to tenths, so
equal marks give equal bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from archc.diagnostics import printable
from archc.viz import style
from archc.viz.placement import Point, Rectangle


@dataclass(frozen=True, slots=True)
class Text:
    """Words that begin, have their middle or end at a place; `upright` is read from below."""

    words: str
    x: float
    y: float
    size: float
    anchor: Literal["start", "middle", "end"] = "middle"
    bold: bool = False
    fill: str = style.INK
    upright: bool = False

    def svg(self) -> str:
        bold = ' font-weight="bold"' if self.bold else ""
        anchor = "" if self.anchor == "middle" else f' text-anchor="{self.anchor}"'
        place = f"{_n(self.x)} {_n(self.y)}"
        turned = f' transform="rotate(-90 {place})"' if self.upright else ""
        return (
            f'<text x="{_n(self.x)}" y="{_n(self.y)}" font-size="{_n(self.size)}"{bold} '
            f'fill="{self.fill}"{anchor}{turned}>{_escaped(self.words)}</text>'
        )

    def corners(self) -> Iterator[Point]:
        """Where it begins and ends, as wide as a font may be; nothing of one read from below."""
        if not self.upright:
            width = style.text_width(self.words, self.size, bold=self.bold)
            left = self.x - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor]
            yield from ((left, self.y), (left + width, self.y))


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle with rounded corners, and a border if it has a colour for one."""

    rectangle: Rectangle
    fill: str
    border: str = ""
    width: float = 0.0
    radius: float = 0.0
    opacity: float = 1.0

    def svg(self) -> str:
        left, top, right, bottom = self.rectangle
        look = f'fill="{self.fill}"'
        if self.border:
            look = f'rx="{_n(self.radius)}" {look} stroke="{self.border}" '
            look += f'stroke-width="{_n(self.width)}"'
        if self.opacity < 1:
            look += f' fill-opacity="{self.opacity}"'
        return (
            f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(right - left)}" '
            f'height="{_n(bottom - top)}" {look}/>'
        )

    def corners(self) -> Iterator[Point]:
        left, top, right, bottom = self.rectangle
        yield from ((left, top), (right, bottom))


@dataclass(frozen=True, slots=True)
class Curve:
    """Bezier curves: a start, then three control points for each; `title` is shown on request."""

    points: tuple[Point, ...]
    color: str
    width: float
    title: str = ""

    def svg(self) -> str:
        start, *rest = map(_point, self.points)
        title = f"<title>{_escaped(self.title)}</title>" if self.title else ""
        return (
            f'<path d="M{start}C{" ".join(rest)}" fill="none" stroke="{self.color}" '
            f'stroke-width="{_n(self.width)}"' + (f">{title}</path>" if title else "/>")
        )

    def corners(self) -> Iterator[Point]:
        yield from self.points


@dataclass(frozen=True, slots=True)
class Polygon:
    """What straight lines enclose."""

    points: tuple[Point, ...]
    fill: str

    def svg(self) -> str:
        return f'<polygon points="{" ".join(map(_point, self.points))}" fill="{self.fill}"/>'

    def corners(self) -> Iterator[Point]:
        yield from self.points


@dataclass(frozen=True, slots=True)
class Stroke:
    """A straight line."""

    start: Point
    end: Point
    color: str
    width: float = 1.0
    dashed: bool = False

    def svg(self) -> str:
        dashes = ' stroke-dasharray="3 3"' if self.dashed else ""
        way = f"M{_point(self.start)}L{_point(self.end)}"
        return f'<path d="{way}" stroke="{self.color}" stroke-width="{_n(self.width)}"{dashes}/>'

    def corners(self) -> Iterator[Point]:
        yield from (self.start, self.end)


@dataclass(frozen=True, slots=True)
class Stairs:
    """What lies between two lines that are level over columns of one width, from `left` on."""

    left: float
    wide: float
    above: tuple[float, ...]
    below: tuple[float, ...]
    fill: str
    edge: str
    edge_width: float

    def svg(self) -> str:
        return (
            f'<path d="M{"L".join(map(_point, self.corners()))}Z" fill="{self.fill}" '
            f'stroke="{self.edge}" stroke-width="{_n(self.edge_width)}" stroke-linejoin="round"/>'
        )

    def corners(self) -> Iterator[Point]:
        right = self.left + self.wide * len(self.above)
        yield from _level(self.above, self.left, self.wide)
        yield from _level(self.below[::-1], right, -self.wide)


def _level(heights: Sequence[float], x: float, wide: float) -> Iterator[Point]:
    """The corners of a line that is level over each column, from the left or from the right."""
    for i, height in enumerate(heights):
        if not i or height != heights[i - 1]:
            if i:
                yield x + wide * i, heights[i - 1]
            yield x + wide * i, height
    yield x + wide * len(heights), heights[-1]


@dataclass(frozen=True, slots=True)
class Titled:
    """Shapes that are one thing, with what a reader sees who asks for more."""

    shapes: tuple["Mark", ...]
    title: str = ""

    def svg(self) -> str:
        title = "\n".join(map(_escaped, self.title.splitlines()))
        parts = ["<g>" + (f"<title>{title}</title>" if title else "")]
        return "\n".join([*parts, *(shape.svg() for shape in self.shapes), "</g>"])

    def corners(self) -> Iterator[Point]:
        for shape in self.shapes:
            yield from shape.corners()


Mark = Text | Area | Curve | Polygon | Stroke | Stairs | Titled


def extent(shapes: Iterable[Mark]) -> Rectangle:
    """The rectangle in which all of them lie, and the origin."""
    corners = [(0.0, 0.0), *(corner for shape in shapes for corner in shape.corners())]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def to_svg(title: str, paper: Rectangle, shapes: Iterable[Mark]) -> str:
    """A drawing as one SVG element, without an XML prologue: it may stand in a page.

    Shapes behind others come first.
    """
    left, top, right, bottom = paper
    width, height = _n(right - left), _n(bottom - top)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
        f'viewBox="{_n(left)} {_n(top)} {width} {height}" font-family="{style.FONTS}" '
        f'text-anchor="middle">',
        f"<title>{_escaped(title)}</title>",
        Area(paper, style.PAPER).svg(),
        *(shape.svg() for shape in shapes),
    ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _escaped(text: str) -> str:
    return escape(printable(text), quote=True)


def _point(point: Point) -> str:
    return f"{_n(point[0])},{_n(point[1])}"


def _n(value: float) -> str:
    """A number in tenths, without a negative zero."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
