"""Where things stand in a drawing, in points, x to the right and y down; and graphviz's answer."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from archc.viz.picture import Picture

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_POINTS = 72.0
FRAME_MARGIN = 14.0
FRAME_TITLE = 17.0
"""Room around what is in a frame, and for its title on top."""


@dataclass(frozen=True, slots=True)
class Line:
    """The way of an edge: a start, then three control points for each Bezier curve; and the
    middle of its label, None where there is no room for one."""

    points: tuple[Point, ...]
    label: Point | None


@dataclass(frozen=True, slots=True)
class Placement:
    """Boxes and lines stand in the order of the picture's; a frame may be left out (None)."""

    boxes: tuple[Rectangle, ...]
    lines: tuple[Line, ...]
    frames: tuple[Rectangle | None, ...]


def parse_plain(text: str, picture: Picture) -> Placement:
    """Read graphviz's `plain` format. Raises ValueError where it is not what was asked for."""
    height = 0.0
    boxes: dict[str, Rectangle] = {}
    lines: dict[tuple[str, str], Line] = {}
    for row in text.splitlines():
        match shlex.split(row):
            case ["graph", _, _, tall]:
                height = float(tall)
            case ["node", name, *words]:
                x, y, wide, high = (float(word) * _POINTS for word in words[:4])
                y = height * _POINTS - y
                boxes[name] = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
            case ["edge", source, target, count, *words]:
                lines[source, target] = _line(words, int(count), height)
    try:
        placed = tuple(boxes[f"n{i}"] for i in range(len(picture.boxes)))
        ways = tuple(lines[f"n{edge.source}", f"n{edge.target}"] for edge in picture.edges)
    except KeyError as missing:
        raise ValueError(f"{missing} is not in graphviz's answer") from None
    return Placement(placed, ways, frame_rectangles(picture, placed))


def _line(words: Sequence[str], count: int, height: float) -> Line:
    numbers = [float(word) * _POINTS for word in words[: 2 * count]]
    top = height * _POINTS
    points = tuple((x, top - y) for x, y in zip(numbers[::2], numbers[1::2], strict=True))
    rest = words[2 * count :]  # label, x, y, style, colour; without a label only the last two
    if len(rest) < 5:
        return Line(points, None)
    return Line(points, (float(rest[1]) * _POINTS, top - float(rest[2]) * _POINTS))


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
