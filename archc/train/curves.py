"""Curves of a training as SVG: losses and errors over the epochs. No other library, no script."""

from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 360, 220, 44
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")

STYLE = (
    "text{font:11px sans-serif;fill:#57606a}path{fill:none;stroke-width:1.5}"
    ".frame{stroke:#d0d7de;stroke-width:1}"
)


def curves_svg(rows: Sequence[Mapping[str, float]]) -> str:
    """Two diagrams beside each other: each column of losses, and of errors in percent."""
    names = rows[0].keys()
    losses = {name: [row[name] for row in rows] for name in names if name.endswith("_loss")}
    errors = {
        name.replace("accuracy", "error"): [100 * (1 - row[name]) for row in rows]
        for name in names
        if "_accuracy" in name
    }
    epochs = [row["epoch"] for row in rows]
    parts = [*_diagram("loss", epochs, losses, 0), *_diagram("error, %", epochs, errors, 1)]
    size = f'viewBox="0 0 {2 * WIDTH} {HEIGHT}" width="{2 * WIDTH}" height="{HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>\n"])


def _diagram(
    title: str, epochs: Sequence[float], curves: Mapping[str, Sequence[float]], place: int
) -> Iterator[str]:
    left, top = place * WIDTH + MARGIN, MARGIN / 2
    width, height = WIDTH - 1.5 * MARGIN, HEIGHT - 1.5 * MARGIN
    highest = max((value for values in curves.values() for value in values), default=1) or 1
    first, last = epochs[0], max(epochs[-1], epochs[0] + 1)
    yield f'<path class="frame" d="M{left:g} {top:g}v{height:g}h{width:g}"/>'
    yield _text(left, top - 6, title)
    yield _text(left - 6, top + 10, f"{highest:.3g}", "end")
    yield _text(left - 6, top + height, "0", "end")
    yield _text(left, top + height + 16, f"{first:g}")
    yield _text(left + width, top + height + 16, f"epoch {epochs[-1]:g}", "end")
    for index, (name, values) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        points = " ".join(
            f"{left + width * (epoch - first) / (last - first):.1f},"
            f"{top + height * (1 - value / highest):.1f}"
            for epoch, value in zip(epochs, values, strict=True)
        )
        yield f'<path stroke="{colour}" d="M{points}"/>'
        yield _text(left + width - 4, top + 12 + 13 * index, name, "end", colour)


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "") -> str:
    fill = f' style="fill:{colour}"' if colour else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{fill}>{escape(text)}</text>'
