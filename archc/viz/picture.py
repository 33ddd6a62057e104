"""What a picture shows, before anybody draws it: boxes with lines of text, edges, frames, rows.

A box is an operator (with the elementwise ones that only it feeds), a collapsed region, or a run of
equal ones. Boxes are numbered so that an edge leads from a smaller to a larger number.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

BoxKind = Literal["input", "block", "weights", "elementwise", "resample", "join", "output", "exit"]
"""What a box is.

block: a collapsed region. weights: an operator that multiplies by weights. join: one of several
operands. resample: one that changes the shape without weights. elementwise: any other.
"""


class Layout(StrEnum):
    """How a picture is laid out: from top to bottom, or with a row for each spatial size."""

    AUTO = "auto"
    FLOW = "flow"
    GRID = "grid"


class Color(StrEnum):
    """What colours mean: the kind of a box, or what it costs."""

    KIND = "kind"
    MACS = "macs"
    PARAMS = "params"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Box:
    """Lines of text, the title first.

    `details` is what a reader sees who asks for more; `frame` the innermost frame around it; `row`
    its row in a grid, None for what hangs below all rows; `tone` its step of the colour scale.
    """

    lines: tuple[str, ...]
    kind: BoxKind
    frame: int | None = None
    row: int | None = None
    tone: int | None = None
    details: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """Values that go from one box to another, and their shapes."""

    source: int
    target: int
    label: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A region that was opened: a line around what is in it."""

    label: str
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Legend:
    """A scale of colours: what it measures, and the numbers at the ends of its steps."""

    title: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """Frames stand before the frames in them.

    `rows` are the words for the rows of a grid, the largest spatial size on top; a picture without
    rows is laid out from top to bottom. `legend` is None where colours mean kinds. `caption` is a
    line below all.
    """

    title: str
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    frames: tuple[Frame, ...] = ()
    rows: tuple[str, ...] = ()
    legend: Legend | None = None
    caption: str = ""
