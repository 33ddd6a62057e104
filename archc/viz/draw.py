"""Graph -> a picture in a file, or its text.

SVG and DOT are ours, and the same bytes everywhere. PNG and PDF are drawn by graphviz.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from archc.diagnostics import ArchError, error
from archc.ir.graph import Graph
from archc.viz import grid, layered
from archc.viz.collapse import picture_of
from archc.viz.dot import dot_text
from archc.viz.picture import Color, Layout, Picture
from archc.viz.renderer import RenderError, find_renderers, render
from archc.viz.svg import svg_text
from archc.viz.timeline import Figure
from archc.viz.timeline_dot import timeline_dot
from archc.writing import write_atomically

SUFFIXES = (".svg", ".png", ".pdf", ".dot")


def draw(
    graph: Graph,
    path: Path,
    open_regions: Sequence[str] = (),
    layout: Layout = Layout.AUTO,
    color: Color = Color.KIND,
) -> None:
    """Draw a graph into a file, in the format of its suffix. Raises ArchError.

    `open_regions` are paths of modules whose contents are shown, as `features.denseblock1`.
    """
    suffix = _suffix(path)
    picture = picture_of(graph, open_regions, layout, color)
    _write(path, _svg(picture) if suffix == ".svg" else dot_text(picture))


def draw_figure(figure: Figure, path: Path) -> None:
    """Draw a figure of memory into a file, in the format of its suffix. Raises ArchError."""
    suffix = _suffix(path)
    _write(path, figure.svg() if suffix == ".svg" else timeline_dot(figure))


def _suffix(path: Path) -> str:
    """The format of a file. Raises ArchError for one that there is none of."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise error(
            "E0813",
            f"cannot draw `{path}`: its name ends in none of {', '.join(SUFFIXES)}",
        )
    return suffix


def _write(path: Path, text: str) -> None:
    """Write SVG, DOT, or what graphviz makes of DOT."""
    suffix = _suffix(path)
    content = text.encode()
    if suffix in (".png", ".pdf"):
        content = _rendered(text, "png" if suffix == ".png" else "pdf")
    write_atomically(path, content)


def to_svg(graph: Graph, open_regions: Sequence[str] = ()) -> str:
    """A graph as one SVG element. Raises ArchError."""
    return _svg(picture_of(graph, open_regions))


def to_dot(graph: Graph, open_regions: Sequence[str] = ()) -> str:
    """A graph as DOT text. Raises ArchError."""
    return dot_text(picture_of(graph, open_regions))


def _svg(picture: Picture) -> str:
    return svg_text(picture, grid.place(picture) if picture.rows else layered.place(picture))


def _rendered(dot: str, format: Literal["png", "pdf"]) -> bytes:
    try:
        return render(dot, format)
    except RenderError as problem:
        raise _no_picture(format, str(problem)) from None


def _no_picture(format: Literal["png", "pdf"], problem: str) -> ArchError:
    """What is missing, or what went wrong, and what works in any case."""
    kind = format.upper()
    install = "install Graphviz (https://graphviz.org/download)"
    if format == "png":
        install += ", or `pip install archc-compiler[viz]`"
    help = f"{install}; an SVG needs nothing: `-o NAME.svg`"
    if not find_renderers(format):
        return error("E0814", f"a {kind} picture needs Graphviz, and there is none", help=help)
    return error("E0814", f"Graphviz made no {kind} picture: {problem}", help=help)
