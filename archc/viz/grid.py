"""Places a picture with rows: a band for each spatial size, columns from left to right.

Boxes fill their column's width. An edge leaves a box on the right, changes its height only in the
gaps between columns, and passes columns on tracks that hold no box there; so no edge runs through a
box. What stands straight below or above is reached there. The same picture gives the same
numbers everywhere.
"""

from collections.abc import Sequence
from itertools import pairwise

from archc.viz import style
from archc.viz.cells import Cells, Track, assign
from archc.viz.picture import Picture
from archc.viz.placement import Line, Placement, Point, Rectangle

_GAP = (36.0, 110.0)
"""The least and the most room between columns."""
_SLOPE = 0.2
"""The room that an edge wants for each point of height."""
_BEND = 5.0
"""The room for each edge that leads up or down."""
_TRACK_GAP = 12.0
_HANGING_GAP = 26.0
"""Room between tracks; below the rows, edges lead from one to the next."""
_WIRE = 4.0
"""The height of a track without boxes."""
_BAND = 13.0
"""Room above and below the tracks of a row."""
_LABEL = 18.0
"""Room on both sides of a row's label."""
_PORT = 8.0
"""The distance of edges that enter a box side by side."""


def place(picture: Picture) -> Placement:
    """Where everything stands in a grid."""
    cells = assign(picture)
    sizes = [style.box_size(box) for box in picture.boxes]
    middles, bands = _heights(cells, sizes)
    lefts, rights = _widths(picture, cells, sizes, middles)
    boxes = tuple(
        (lefts[column], middles[track] - height / 2, rights[column], middles[track] + height / 2)
        for (_, height), track, column in zip(sizes, cells.tracks, cells.columns, strict=True)
    )
    ports = _ports(picture, cells, boxes, middles)
    lines = []
    for i, (edge, way) in enumerate(zip(picture.edges, cells.ways, strict=True)):
        source, target = boxes[edge.source], boxes[edge.target]
        first, last = cells.columns[edge.source], cells.columns[edge.target]
        if first == last:
            lines.append(_upright(source, target))
            continue
        points = [(source[2], (source[1] + source[3]) / 2)]
        end = (target[0], ports[i])
        if way is None:
            lines.append(Line(_straight(points[0], end)))
            continue
        points += [(lefts[first + 1], middles[way]), (rights[last - 1], middles[way])]
        lines.append(Line(_through([*points, end])))
    width = max(rights, default=0.0) + _LABEL
    rows = tuple((0.0, top, width, bottom) for top, bottom in bands[: len(picture.rows)])
    return Placement(boxes, tuple(lines), (None,) * len(picture.frames), rows)


def _heights(
    cells: Cells, sizes: Sequence[tuple[float, float]]
) -> tuple[dict[Track, float], list[tuple[float, float]]]:
    """The middle of each track, and the top and bottom of each lane."""
    heights: dict[Track, float] = {}
    for (_, height), track in zip(sizes, cells.tracks, strict=True):
        heights[track] = max(height, heights.get(track, 0.0))
    middles: dict[Track, float] = {}
    bands = []
    y = 0.0
    for lane in cells.lanes:
        gap = _HANGING_GAP if lane is cells.lanes[-1] else _TRACK_GAP
        top = y
        y += _BAND
        for i, track in enumerate(lane.downwards()):
            y += gap if i else 0.0
            height = heights.get(track, _WIRE)
            middles[track] = y + height / 2
            y += height
        y += _BAND
        bands.append((top, y))
    return middles, bands


def _widths(
    picture: Picture,
    cells: Cells,
    sizes: Sequence[tuple[float, float]],
    middles: dict[Track, float],
) -> tuple[list[float], list[float]]:
    """The left and right side of each column, behind the labels of the rows."""
    count = max(cells.columns, default=-1) + 1
    widths = [0.0] * count
    for (width, _), column in zip(sizes, cells.columns, strict=True):
        widths[column] = max(widths[column], width)
    heights = [0.0] * count
    bends = [0] * count
    for edge, way in zip(picture.edges, cells.ways, strict=True):
        first, last = cells.columns[edge.source], cells.columns[edge.target]
        if first == last:
            continue
        passed = [middles[cells.tracks[edge.source]], middles[cells.tracks[edge.target]]]
        if way is not None:
            passed.insert(1, middles[way])
        ends = [first] if way is None else [first, last - 1]
        for column, (y0, y1) in zip(ends, pairwise(passed), strict=True):
            heights[column] = max(heights[column], abs(y1 - y0))
            bends[column] += y0 != y1
    gaps = (
        min(_GAP[1], max(_GAP[0], _SLOPE * height, _BEND * bent))
        for height, bent in zip(heights, bends, strict=True)
    )
    x = max((style.text_width(row, style.TITLE_SIZE, bold=True) for row in picture.rows), default=0)
    x += 2 * _LABEL
    lefts, rights = [], []
    for width, gap in zip(widths, gaps, strict=True):
        lefts.append(x)
        rights.append(x + width)
        x += width + gap
    return lefts, rights


def _ports(
    picture: Picture, cells: Cells, boxes: Sequence[Rectangle], middles: dict[Track, float]
) -> list[float]:
    """The height at which each edge enters its box on the left: side by side in the order in which
    they come, and in the middle if one comes straight."""
    entering: dict[int, list[tuple[float, int]]] = {}
    for i, (edge, way) in enumerate(zip(picture.edges, cells.ways, strict=True)):
        if cells.columns[edge.source] != cells.columns[edge.target]:
            comes = middles[way or cells.tracks[edge.source]]
            entering.setdefault(edge.target, []).append((comes, i))
    ports = [0.0] * len(picture.edges)
    for target, edges in entering.items():
        edges.sort()
        _, top, _, bottom = boxes[target]
        middle = (top + bottom) / 2
        straight = next((k for k, (y, _) in enumerate(edges) if y == middle), (len(edges) - 1) / 2)
        step = min(_PORT, (bottom - top - 12) / (2 * len(edges)))
        for k, (_, i) in enumerate(edges):
            ports[i] = middle + (k - straight) * step
    return ports


def _upright(source: Rectangle, target: Rectangle) -> Line:
    """An edge straight down or up."""
    x = (source[0] + source[2]) / 2
    down = source[1] < target[1]
    return Line(_straight((x, source[3 if down else 1]), (x, target[1 if down else 3])))


def _straight(start: Point, end: Point) -> tuple[Point, ...]:
    (x0, y0), (x1, y1) = start, end
    third, two = (x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3), (x1 - (x1 - x0) / 3, y1 - (y1 - y0) / 3)
    return start, third, two, end


def _through(points: Sequence[Point]) -> tuple[Point, ...]:
    """Bezier curves through points, level at each of them."""
    found = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        half = (x0 + x1) / 2
        found += [(half, y0), (half, y1), (x1, y1)]
    return tuple(found)
