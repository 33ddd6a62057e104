"""Where things stand in a drawing, in points, x to the right and y down."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from archc.viz.picture import Picture

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""

FRAME_MARGIN = 14.0
FRAME_TITLE = 17.0
"""Room around what is in a frame, and for its title on top."""


@dataclass(frozen=True, slots=True)
class Line:
    """The way of an edge: a start, then three control points for each Bezier curve; and the
    middle of its label, None where there is no room for one."""

    points: tuple[Point, ...]
    label: Point | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Boxes, lines and rows stand in the order of the picture's; a frame may be left out (None)."""

    boxes: tuple[Rectangle, ...]
    lines: tuple[Line, ...]
    frames: tuple[Rectangle | None, ...]
    rows: tuple[Rectangle, ...] = ()


def arrow_base(points: Sequence[Point], length: float) -> tuple[Point, Point]:
    """The middle of the base of an arrow head at the end of a line, and the head's direction."""
    x, y = points[-1]
    before = next((point for point in reversed(points) if point != (x, y)), (x, y - 1))
    distance = math.hypot(x - before[0], y - before[1])
    dx, dy = (x - before[0]) / distance, (y - before[1]) / distance
    return (x - dx * length, y - dy * length), (dx, dy)


def frame_rectangles(picture: Picture, boxes: Sequence[Rectangle]) -> tuple[Rectangle | None, ...]:
    """A line around the boxes of each frame, if no other box stands in its way."""
    rectangles: list[Rectangle | None] = [None] * len(picture.frames)
    members: list[set[int]] = [set() for _ in picture.frames]
    for i, box in enumerate(picture.boxes):
        frame = box.frame
        while frame is not None:
            members[frame].add(i)
            frame = picture.frames[frame].parent
    for frame in reversed(range(len(picture.frames))):  # inner frames first
        inside = [boxes[i] for i in members[frame]]
        inside += [
            inner
            for inner, declared in zip(rectangles, picture.frames, strict=True)
            if inner is not None and declared.parent == frame
        ]
        around = _around(inside)
        others = (boxes[i] for i in range(len(boxes)) if i not in members[frame])
        if not any(_overlap(around, other) for other in others):
            rectangles[frame] = around
    return tuple(rectangles)


def _around(inside: Sequence[Rectangle]) -> Rectangle:
    lefts, tops, rights, bottoms = zip(*inside, strict=True)
    return (
        min(lefts) - FRAME_MARGIN,
        min(tops) - FRAME_MARGIN - FRAME_TITLE,
        max(rights) + FRAME_MARGIN,
        max(bottoms) + FRAME_MARGIN,
    )


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
