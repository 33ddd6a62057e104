"""What a picture shows, before anybody draws it: boxes with lines of text, edges, frames.

A box is an operator (with the elementwise ones that only it feeds), a collapsed region, or a run of
equal ones. Boxes are numbered so that an edge leads from a smaller to a larger number.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["input", "block", "weights", "elementwise", "resample", "join", "output", "exit"]
"""What decides a box's colour.

block: a collapsed region. weights: an operator that multiplies by weights. join: one of several
operands. resample: one that changes the shape without weights. elementwise: any other.
"""


@dataclass(frozen=True, slots=True)
class Box:
    """Lines of text, the title first; `frame` is the innermost frame around it."""

    lines: tuple[str, ...]
    kind: Kind
    frame: int | None = None


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
class Picture:
    """Frames stand before the frames in them."""

    title: str
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    frames: tuple[Frame, ...] = ()
