"""Accuracy against compute as SVG: exits alone, and budgets; below, how many leave where."""

from collections.abc import Iterator, Mapping, Sequence

from archc.viz import style
from archc.viz.marks import Area, Mark, Polygon, Stroke, Text, extent, to_svg

_WIDTH, _HEIGHT, _BAR = 420.0, 240.0, 60.0
_COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")

Points = Sequence[tuple[float, float]]


def accuracy_svg(
    title: str,
    unit: str,
    series: Mapping[str, Points],
    leave: Sequence[tuple[str, Sequence[int]]] = (),
) -> str:
    """Curves of (cost, accuracy from 0 to 1), accuracy upwards in percent; `leave` has for each
    budget its label and the images that leave at each exit."""
    shapes = [*_curves(unit, series), *_bars(leave)]
    shapes.append(Text(title, 0, -18, style.TITLE_SIZE + 2, "start", bold=True))
    left, top, right, bottom = extent(shapes)
    return to_svg(title, (left - 16, top - 24, right + 24, bottom + 16), shapes)


def _curves(unit: str, series: Mapping[str, Points]) -> Iterator[Mark]:
    costs = [x for points in series.values() for x, _ in points]
    shares = [y for points in series.values() for _, y in points]
    most, low, high = max(costs), min(shares), max(shares)
    room = (high - low) * 0.1 or 0.01
    low, high = max(0.0, low - room), min(1.0, high + room)
    yield Stroke((0, 0), (0, _HEIGHT), style.EDGE)
    yield Stroke((0, _HEIGHT), (_WIDTH, _HEIGHT), style.EDGE)
    for share, y in ((high, 0.0), ((low + high) / 2, _HEIGHT / 2), (low, _HEIGHT)):
        yield Text(f"{share:.1%}", -6, y + 4, style.LABEL_SIZE, "end")
    for k in range(5):
        x = _WIDTH * k / 4
        yield Text(f"{most * k / 4:.3g}", x, _HEIGHT + 16, style.LABEL_SIZE)
    yield Text(unit, _WIDTH / 2, _HEIGHT + 32, style.LABEL_SIZE)
    yield Text("accuracy", 6, 4, style.LABEL_SIZE, "start", fill=style.FAINT)
    for i, (name, points) in enumerate(series.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        places = [
            (_WIDTH * x / most, _HEIGHT * (1 - (y - low) / (high - low))) for x, y in sorted(points)
        ]
        for a, b in zip(places, places[1:], strict=False):
            yield Stroke(a, b, colour, 1.5)
        for x, y in places:
            yield Polygon(((x - 3, y), (x, y - 3), (x + 3, y), (x, y + 3)), colour)
        yield Text(name, _WIDTH, _HEIGHT - 10 - 14 * i, style.LABEL_SIZE, "end", fill=colour)


def _bars(leave: Sequence[tuple[str, Sequence[int]]]) -> Iterator[Mark]:
    """A bar for each budget, whose parts are the exits, from the first below to the last above."""
    if not leave:
        return
    top, step = _HEIGHT + 56, _WIDTH / len(leave)
    yield Text(
        "images that leave at each exit, the first one below", 0, top - 8, style.LABEL_SIZE, "start"
    )
    for i, (label, counts) in enumerate(leave):
        bottom, total = top + _BAR, sum(counts)
        for k, count in enumerate(counts):
            height = _BAR * count / total
            fill = style.TONES[k * (len(style.TONES) - 1) // max(1, len(counts) - 1)]
            x = i * step
            box = (x, bottom - height, x + step * 0.8, bottom)
            yield Area(box, fill, style.FRAME, 0.5)
            bottom -= height
        yield Text(label, (i + 0.4) * step, top + _BAR + 14, style.LABEL_SIZE)
