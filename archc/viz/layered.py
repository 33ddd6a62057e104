"""Places a picture without graphviz: boxes in layers, every edge downwards (Sugiyama, 1981).

Boxes stand on even layers. An edge passes all layers between its ends in slots, one of which holds
its label; so no label and no line covers a box. Orders within layers come from repeated
barycentres, positions from least squares that keep the order. The same picture gives the same
numbers everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from archc.viz import style
from archc.viz.picture import Edge, Picture
from archc.viz.placement import (
    FRAME_MARGIN,
    FRAME_TITLE,
    Line,
    Placement,
    Point,
    Rectangle,
    frame_rectangles,
)

_GAP_X = 22.0
_GAP_Y = 11.0
_SWEEPS = 8
_STRAIGHT = 8.0
"""How much harder a passing line pulls to its place than a box: long edges become straight."""
_SLOTS = 20_000
"""With more slots than this, edges that pass more than one layer are drawn straight."""

_LABEL_HEIGHT = 15.0
_PORT_MARGIN = 18.0
"""How far from a box's corners edges stay."""


@dataclass(eq=False, slots=True)
class _Slot:
    """A place in a layer: a box, a label, or only a line that passes."""

    width: float
    height: float
    x: float = 0.0
    above: list["_Slot"] = field(default_factory=list)
    below: list["_Slot"] = field(default_factory=list)


def place(picture: Picture) -> Placement:
    """Where everything stands, by our own layout."""
    layers = _layers(picture)
    slots = [_Slot(*style.box_size(box)) for box in picture.boxes]
    rows: list[list[_Slot]] = [[] for _ in range(max(layers, default=0) + 1)]
    for slot, layer in zip(slots, layers, strict=True):
        rows[layer].append(slot)
    ways = _ways(picture, layers, slots, rows)
    _order(rows)
    _spread(rows)
    tops = _tops(rows, _frame_room(picture, layers, len(rows)))
    boxes = tuple(
        _rectangle(slot, tops[layer], rows[layer])
        for slot, layer in zip(slots, layers, strict=True)
    )
    bands = _bands(rows, tops)
    lines = tuple(
        _line(edge, way, boxes, layers, bands)
        for edge, way in zip(picture.edges, ways, strict=True)
    )
    return Placement(boxes, lines, frame_rectangles(picture, boxes))


def _layers(picture: Picture) -> list[int]:
    """The layer of each box: twice the length of the longest way to it."""
    layers = [0] * len(picture.boxes)
    for edge in sorted(picture.edges, key=lambda edge: edge.source):
        layers[edge.target] = max(layers[edge.target], layers[edge.source] + 2)
    return layers


def _ways(
    picture: Picture, layers: Sequence[int], slots: Sequence[_Slot], rows: list[list[_Slot]]
) -> list[list[_Slot]]:
    """The slots that each edge passes, put into their rows; the middle one has its label."""
    spans = [layers[edge.target] - layers[edge.source] - 1 for edge in picture.edges]
    crowded = sum(spans) > _SLOTS
    ways: list[list[_Slot]] = []
    for edge, span in zip(picture.edges, spans, strict=True):
        way: list[_Slot] = []
        if span == 1 or not crowded:
            width = style.text_width(edge.label, style.LABEL_SIZE)
            way = [_Slot(4.0, 0.0) for _ in range(span)]
            way[span // 2] = _Slot(width, _LABEL_HEIGHT)
        for layer, slot in enumerate(way, start=layers[edge.source] + 1):
            rows[layer].append(slot)
        chain = [slots[edge.source], *way, slots[edge.target]]
        if way:
            for upper, lower in zip(chain, chain[1:], strict=False):
                upper.below.append(lower)
                lower.above.append(upper)
        ways.append(way)
    return ways


# -------------------------------------------------------------- order, positions


def _order(rows: list[list[_Slot]]) -> None:
    """Sort each row by the mean place of what its slots are connected with, down and up."""
    for row in rows:
        _number(row)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            row.sort(key=lambda slot: _mean(slot, slot.above if down else slot.below))
            _number(row)


def _number(row: list[_Slot]) -> None:
    for i, slot in enumerate(row):
        slot.x = i / max(1, len(row) - 1) if len(row) > 1 else 0.5


def _mean(slot: _Slot, others: Sequence[_Slot]) -> float:
    return sum(other.x for other in others) / len(others) if others else slot.x


def _spread(rows: list[list[_Slot]]) -> None:
    """Give each slot a position: near the mean of its neighbours, in order, without overlap."""
    for row in rows:
        _settle(row, [0.0] * len(row))
    for sweep in range(3 * _SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            _settle(row, [_mean(slot, slot.above if down else slot.below) for slot in row])
    for row in rows:
        _settle(row, [_mean(slot, slot.above + slot.below) for slot in row])
    left = min((slot.x - slot.width / 2 for row in rows for slot in row), default=0.0)
    for row in rows:
        for slot in row:
            slot.x -= left


def _settle(row: list[_Slot], wanted: list[float]) -> None:
    """The positions nearest to the wanted ones (least squares) that keep order and distance.

    With the distances subtracted this is isotonic regression: neighbours that are in each other's
    way form a pool that stands at its mean.
    """
    offsets = [0.0] * len(row)
    for i in range(1, len(row)):
        offsets[i] = offsets[i - 1] + (row[i - 1].width + row[i].width) / 2 + _GAP_X
    pools: list[tuple[float, float, int]] = []
    for slot, want, offset in zip(row, wanted, offsets, strict=True):
        mean, weight, size = want - offset, 1.0 if slot.height else _STRAIGHT, 1
        while pools and pools[-1][0] > mean:
            before, heavy, count = pools.pop()
            mean = (before * heavy + mean * weight) / (heavy + weight)
            weight, size = weight + heavy, size + count
        pools.append((mean, weight, size))
    means = [mean for mean, _, size in pools for _ in range(size)]
    for slot, mean, offset in zip(row, means, offsets, strict=True):
        slot.x = mean + offset


# ----------------------------------------------------------------------- drawing


def _height(row: list[_Slot]) -> float:
    return max((slot.height for slot in row), default=0.0)


def _frame_room(picture: Picture, layers: Sequence[int], count: int) -> list[float]:
    """The extra room above each row, for the borders and titles of frames that begin or end there.

    Frames side by side share it; frames in one another need it each.
    """
    members: list[list[int]] = [[] for _ in picture.frames]
    depths: list[int] = []
    for frame in picture.frames:
        depths.append(0 if frame.parent is None else depths[frame.parent] + 1)
    for box, layer in zip(picture.boxes, layers, strict=True):
        around = box.frame
        while around is not None:
            members[around].append(layer)
            around = picture.frames[around].parent
    begin: list[set[int]] = [set() for _ in range(count + 1)]
    end: list[set[int]] = [set() for _ in range(count + 1)]
    for inside, depth in zip(members, depths, strict=True):
        begin[min(inside)].add(depth)
        end[max(inside) + 1].add(depth)
    return [
        len(starting) * (FRAME_MARGIN + FRAME_TITLE) + len(ending) * FRAME_MARGIN
        for starting, ending in zip(begin, end, strict=True)
    ]


def _tops(rows: list[list[_Slot]], room: Sequence[float]) -> list[float]:
    """The upper side of each row."""
    tops: list[float] = []
    y = 0.0
    for row, extra in zip(rows, room, strict=False):
        tops.append(y + extra)
        y += extra + _height(row) + _GAP_Y
    return tops


def _bands(rows: list[list[_Slot]], tops: Sequence[float]) -> list[tuple[float, float]]:
    """The upper and lower side of each row."""
    return [(top, top + _height(row)) for row, top in zip(rows, tops, strict=True)]


def _rectangle(slot: _Slot, top: float, row: list[_Slot]) -> Rectangle:
    y = top + (_height(row) - slot.height) / 2
    return slot.x - slot.width / 2, y, slot.x + slot.width / 2, y + slot.height


def _line(
    edge: Edge,
    way: list[_Slot],
    boxes: Sequence[Rectangle],
    layers: Sequence[int],
    bands: Sequence[tuple[float, float]],
) -> Line:
    """The curve through its slots: upright beside boxes, so that it touches none of them."""
    layer = layers[edge.source]
    middle: list[Point] = []
    for i, slot in enumerate(way, start=layer + 1):
        top, bottom = bands[i]
        if i % 2:
            middle.append((slot.x, top + slot.height / 2))
        else:
            middle += [(slot.x, top), (slot.x, bottom)]
    source, target = boxes[edge.source], boxes[edge.target]
    first = middle[0][0] if middle else _middle(target)
    last = middle[-1][0] if middle else _middle(source)
    start: Point = (_port(source, first), source[3])
    end: Point = (_port(target, last), target[1])
    label = None
    if way and edge.label:
        slot = way[len(way) // 2]
        label = (slot.x, bands[layer + 1 + len(way) // 2][0] + slot.height / 2)
    leaves: Point = (start[0], bands[layer][1])
    enters: Point = (end[0], bands[layers[edge.target]][0])
    through = dict.fromkeys([start, leaves, *middle, enters, end])
    return Line(_curve(list(through)), label)


def _middle(box: Rectangle) -> float:
    return (box[0] + box[2]) / 2


def _port(box: Rectangle, x: float) -> float:
    """Where an edge that comes from `x` meets a box: straight above or below it, if that can be."""
    room = (box[2] - box[0]) / 2 - _PORT_MARGIN
    return _middle(box) + max(-room, min(room, x - _middle(box)))


def _curve(through: Sequence[Point]) -> tuple[Point, ...]:
    """Bezier curves through points: upright at both ends and where a piece is upright, else with
    the neighbours' slope."""
    slopes = [0.0]
    for (x0, y0), (x, _), (x1, y1) in zip(through, through[1:], through[2:], strict=False):
        slopes.append(0.0 if x in (x0, x1) else (x1 - x0) / (y1 - y0))
    slopes.append(0.0)
    points = [through[0]]
    for i, ((x0, y0), (x1, y1)) in enumerate(zip(through, through[1:], strict=False)):
        third = (y1 - y0) / 3
        points += [
            (x0 + slopes[i] * third, y0 + third),
            (x1 - slopes[i + 1] * third, y1 - third),
            (x1, y1),
        ]
    return tuple(points)
