"""Text that may break into lines, and its printing: a group stands on one line if it fits.

Groups are tried from the outside in; one that does not fit breaks at all of its own `Break`s.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

WIDTH = 100
STEP = 4


@dataclass(frozen=True, slots=True)
class Break:
    """A line break where the group around it is broken, else `flat`."""

    flat: str = " "


@dataclass(frozen=True, slots=True)
class Newline:
    """A line break in any case, with a blank line before it if `blank`."""

    blank: bool = False


@dataclass(frozen=True, slots=True)
class Trailing:
    """A comment at the end of a line; it does not count towards the line's width."""

    text: str


@dataclass(frozen=True, slots=True)
class IfBroken:
    """Text that stands only where the group around it is broken."""

    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One part after another. `forced` if a line break lies inside in any case."""

    parts: tuple["Layout", ...]
    forced: bool


@dataclass(frozen=True, slots=True)
class Nest:
    """What is inside continues one step deeper, or at the column where it begins (`align`)."""

    inner: "Layout"
    align: bool
    forced: bool


@dataclass(frozen=True, slots=True)
class Group:
    """What stands on one line or breaks as a whole; broken in any case if `forced`."""

    inner: "Layout"
    forced: bool


@dataclass(frozen=True, slots=True)
class Either:
    """`below` if `probe`, with which both begin, fits into the rest of its line, else `beside`."""

    probe: "Layout"
    below: "Layout"
    beside: "Layout"
    forced: bool


Layout = str | Break | Newline | Trailing | IfBroken | Row | Nest | Group | Either


def forced(layout: Layout) -> bool:
    """Whether the layout holds a line break in any case."""
    if isinstance(layout, Row | Nest | Group | Either):
        return layout.forced
    return isinstance(layout, Newline | Trailing)


def row(parts: Iterable[Layout]) -> Layout:
    """The parts one after another."""
    kept = tuple(part for part in parts if part != "")
    return kept[0] if len(kept) == 1 else Row(kept, any(map(forced, kept)))


def nest(*parts: Layout, align: bool = False) -> Layout:
    """The parts, with their line breaks one step deeper, or aligned with their start."""
    inner = row(parts)
    return Nest(inner, align, forced(inner))


def group(*parts: Layout, broken: bool = False) -> Layout:
    """The parts on one line if they fit; `broken` says that they never do."""
    inner = row(parts)
    return Group(inner, broken or forced(inner))


def either(probe: Layout, below: Layout, beside: Layout) -> Layout:
    """What follows `probe` below it, or beside its end where it is broken over lines itself.

    What is broken now is broken for certain when it is read again, so that the choice stays.
    """
    return beside if forced(probe) else Either(probe, below, beside, forced(below))


def flat_width(layout: Layout) -> int:
    """The width of a layout on one line."""
    width = 0
    todo = [layout]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            width += len(part)
        elif isinstance(part, Break):
            width += len(part.flat)
        elif isinstance(part, Row):
            todo += part.parts
        elif isinstance(part, Nest | Group):
            todo.append(part.inner)
        elif isinstance(part, Either):
            todo.append(part.below)
    return width


# ----------------------------------------------------------------- printing


class _Task(NamedTuple):
    """A layout to print, how deep its lines begin, and whether the group around it is broken."""

    # A tuple, for thousands are made: a frozen dataclass costs twice as much to make.

    indent: int
    broken: bool
    layout: Layout


def render(layout: Layout, width: int = WIDTH) -> str:
    """The text of a layout, without white space at the ends of lines."""
    printer = _Printer(width)
    printer.print(layout)
    return "".join(printer.pieces).rstrip(" ")


class _Printer:
    def __init__(self, width: int) -> None:
        self.width = width
        self.pieces: list[str] = []
        self.column = 0
        self.trailing: list[str] = []

    def print(self, layout: Layout) -> None:
        todo = [_Task(0, True, layout)]
        while todo:
            task = todo.pop()
            part = task.layout
            if isinstance(part, Group):
                todo.append(_Task(task.indent, self._breaks(task, part, todo), part.inner))
            elif isinstance(part, Nest | Row):
                todo += _inside(task, part, self.column)
            elif isinstance(part, Either):
                probe = _Task(task.indent, False, part.probe)
                fits = not task.broken or _fits(probe, [], self.width - self.column)
                todo.append(_Task(task.indent, task.broken, part.below if fits else part.beside))
            else:
                self._leaf(task, part)
        self._end_line()

    def _breaks(self, task: _Task, part: Group, after: list[_Task]) -> bool:
        """Whether a group is broken: never inside one that stands on one line."""
        if part.forced or not task.broken:
            return part.forced
        whole = _Task(task.indent, False, part.inner)
        return not _fits(whole, after, self.width - self.column)

    def _leaf(self, task: _Task, part: str | Break | Newline | Trailing | IfBroken) -> None:
        if isinstance(part, Newline) or (isinstance(part, Break) and task.broken):
            self._end_line()
            blank = isinstance(part, Newline) and part.blank
            self.pieces.append(("\n\n" if blank else "\n") + " " * task.indent)
            self.column = task.indent
        elif isinstance(part, Trailing):
            self.trailing.append(part.text)
        else:
            text = _flat_text(task, part)
            self.pieces.append(text)
            self.column += len(text)

    def _end_line(self) -> None:
        """Strip the line's end, and write the comments that waited for it."""
        while self.pieces and not self.pieces[-1].strip(" "):
            self.pieces.pop()
        if self.pieces:
            self.pieces[-1] = self.pieces[-1].rstrip(" ")
        self.pieces += [f"  {text}" for text in self.trailing]
        self.trailing.clear()


def _inside(task: _Task, part: Nest | Row, column: int) -> list[_Task]:
    """What is inside, the first part last, as a stack wants it."""
    if isinstance(part, Row):
        return [_Task(task.indent, task.broken, inner) for inner in reversed(part.parts)]
    indent = column if part.align else task.indent + STEP
    return [_Task(indent, task.broken, part.inner)]


def _flat_text(task: _Task, part: str | Break | IfBroken | Newline | Trailing) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Break):
        return part.flat
    return part.text if isinstance(part, IfBroken) and task.broken else ""


def _fits(first: _Task, after: list[_Task], room: int) -> bool:
    """Whether `first` on one line, and what follows up to a possible line break, is `room` wide."""
    todo = [first]
    rest = len(after)
    while room >= 0:
        if not todo:
            if rest == 0:
                return True
            rest -= 1
            todo.append(after[rest])
        task = todo.pop()
        part = task.layout
        if isinstance(part, Newline) or (isinstance(part, Break) and task.broken):
            return True
        if isinstance(part, Group):
            todo.append(_Task(0, task.broken or part.forced, part.inner))
        elif isinstance(part, Nest | Row):
            todo += _inside(task, part, 0)
        elif isinstance(part, Either):
            todo.append(_Task(0, task.broken, part.below))
        else:
            room -= len(_flat_text(task, part))
    return False
