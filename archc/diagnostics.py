"""What archc tells its users: sources, spans, and diagnostics as data, and their drawing as text.

Phases raise `ArchError` with a tuple of diagnostics; only the command line renders them.
"""

import difflib
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

MAX_SHOWN = 20
"""Errors rendered in one run; the rest are counted."""


@dataclass(frozen=True, eq=False)
class Source:
    """The text of one file: decoded, without a byte-order mark, with `\\n` as its only line break.

    `path` is how the user sees it in a message; `name` is its place in the project (relative to
    the folder of the spec, or to the shipped library), which is all that emitted files may show.
    """

    path: str
    text: str
    name: str = ""
    file: Path | None = None

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(i + 1 for i, char in enumerate(self.text) if char == "\n")]

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column of an offset, both counted from 1."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its line break."""
        start = self._line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]


@dataclass(frozen=True, slots=True)
class Span:
    """The characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: "Span") -> "Span":
        """From the start of this span to the end of another one of the same source."""
        return Span(self.source, self.start, max(self.end, other.end))

    def is_within(self, other: "Span") -> bool:
        """Whether it lies in another one."""
        return self.source is other.source and other.start <= self.start and self.end <= other.end

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{printable(self.source.path)}:{line}:{column}"


@dataclass(frozen=True, slots=True)
class Label:
    """A span and what is to be said of it; the first label of a diagnostic is the primary one."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """A text to put in the place of a span."""

    span: Span
    text: str


Fix = tuple[Edit, ...]
"""Edits of one source that belong together; none overlaps another."""

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing to say: a stable code, one sentence, the places, the circumstances, the mend.

    `fix` is what `help` says as edits of the text, where it can be said so: made together, they
    mend the mistake. It is `certain` where nothing else can have been meant, and then made without
    asking (`archc check --fix`); else it is likely. Where `trial` has edits, it is certain if the
    spec that they make fits: they are those of `fix`, and say beside what has to hold.
    """

    code: str
    message: str
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    severity: Severity = "error"
    fix: Fix = ()
    certain: bool = False
    trial: Fix = ()

    def with_note(self, note: str) -> "Diagnostic":
        return replace(self, notes=(*self.notes, note))


@dataclass
class ArchError(Exception):
    """The input is wrong, and this is how."""

    diagnostics: tuple[Diagnostic, ...] = field(default=())

    def __str__(self) -> str:
        return "\n\n".join(render(diagnostic) for diagnostic in self.diagnostics)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: IPython asks an exception for the lines of its traceback."""
        return str(self).splitlines()


class SpecWarning(UserWarning):
    """What the compiler has to say of a spec, short of errors, to Python's `warnings`."""


def error(
    code: str,
    message: str,
    *labels: Label | Span,
    help: str | None = None,
    notes: Iterable[str] = (),
    fix: Iterable[Edit] = (),
    certain: bool = False,
    trial: Fix = (),
) -> ArchError:
    """An `ArchError` of one diagnostic."""
    found = _diagnostic("error", code, message, labels, help, notes, fix, certain=certain)
    return ArchError((replace(found, trial=trial),))


def warning(
    code: str,
    message: str,
    *labels: Label | Span,
    help: str | None = None,
    fix: Iterable[Edit] = (),
    certain: bool = False,
) -> Diagnostic:
    """Something to say that does not stop a compile."""
    return _diagnostic("warning", code, message, labels, help, (), fix, certain=certain)


def _diagnostic(
    severity: Severity,
    code: str,
    message: str,
    labels: Iterable[Label | Span],
    help: str | None,
    notes: Iterable[str],
    fix: Iterable[Edit],
    *,
    certain: bool,
) -> Diagnostic:
    places = tuple(Label(label) if isinstance(label, Span) else label for label in labels)
    edits = tuple(fix)
    sure = certain and bool(edits)
    return Diagnostic(code, message, places, tuple(notes), help, severity, edits, sure)


_MOST_COMPARED = 2_000
"""Words, more than any spec has: each takes some hundredth of a millisecond to compare."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The nearest of the known words, if one is near and they are not too many to compare."""
    known = set(known)
    if len(known) > _MOST_COMPARED:
        return None
    folded = {name.lower(): name for name in sorted(known, reverse=True)}
    near = difflib.get_close_matches(word.lower(), sorted(folded), n=1, cutoff=0.6)
    return folded[near[0]] if near else None


_AS_NEAR = 0.1
"""Words whose similarities (0 to 1) differ by less are as near to a third one as each other."""


def only_near(word: str, near: str, known: Iterable[str]) -> bool:
    """Whether `near` is nearer to a word than all others that are known, and another number is not
    all that parts them: `y3` may stand for `y1` as well as for `y2`."""
    if re.sub(r"[0-9]+", "", word) == re.sub(r"[0-9]+", "", near):
        return False
    others = [name for name in known if name.lower() not in (near.lower(), word.lower())]
    best = difflib.SequenceMatcher(None, word.lower(), near.lower()).ratio()
    cutoff = max(0.0, best - _AS_NEAR)
    return not difflib.get_close_matches(word.lower(), map(str.lower, others), n=1, cutoff=cutoff)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """`did you mean ...?` for the nearest of the known words, if one is near."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else None


def edited(text: str, edits: Iterable[Edit]) -> str:
    """A text with edits made, none of which overlaps another."""
    for edit in sorted(edits, key=lambda edit: edit.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


def printable(text: str) -> str:
    """The text with control, invisible and bidirectional characters made visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text
    )


# ------------------------------------------------------------------ drawing


def render(diagnostic: Diagnostic) -> str:
    """A diagnostic as text: headline, source lines with carets, notes, help."""
    code = f"[{diagnostic.code}]" if diagnostic.code else ""
    lines = [f"{diagnostic.severity}{code}: {printable(diagnostic.message)}"]
    gutter = 0
    if diagnostic.labels:
        gutter = max(len(str(label.span.line)) for label in diagnostic.labels)
        lines += _places(diagnostic.labels, gutter)
    lines += [f"{'':{gutter}} = {printable(note)}" for note in shortened(diagnostic.notes)]
    if diagnostic.help is not None:
        first, *rest = diagnostic.help.split("\n")
        lines.append(f"{'':{gutter}} = help: {printable(first)}")
        lines += [f"{'':{gutter}}         {printable(line)}" for line in rest]
    lines += _fixed_lines(diagnostic.fix, gutter)
    return "\n".join(lines)


_MAX_FIXED_LINES = 4


def _fixed_lines(fix: Fix, gutter: int) -> Iterator[str]:
    """`7 + ...`: the lines that the fix changes or adds, as they then read."""
    if not fix:
        return
    after = Source("", edited(fix[0].span.source.text, fix))
    changed: dict[int, None] = {}
    shift = 0
    for edit in sorted(fix, key=lambda edit: edit.span.start):
        start = edit.span.start + shift
        shift += len(edit.text) - (edit.span.end - edit.span.start)
        if edit.text or not edit.span.text.endswith("\n"):  # else a line has gone
            last = after.position(start + len(edit.text.rstrip("\n")))[0]
            changed |= dict.fromkeys(range(after.position(start)[0], last + 1))
    for number in list(changed)[:_MAX_FIXED_LINES]:
        text = printable(after.line(number).replace("\t", " "))
        yield f"{number:>{gutter}} + {_clip(text)}".rstrip()


def shortened(notes: tuple[str, ...]) -> Iterator[str]:
    """The notes; of a long trace, both ends."""
    if len(notes) <= 8:
        yield from notes
        return
    yield from notes[:4]
    yield f"... {len(notes) - 6} more ..."
    yield from notes[-2:]


def _places(labels: tuple[Label, ...], gutter: int) -> Iterator[str]:
    """The labels' source lines, file by file, the primary label's file first."""
    sources = list(dict.fromkeys(label.span.source for label in labels))
    for source in sources:
        here = sorted(
            ((label, i == 0) for i, label in enumerate(labels) if label.span.source is source),
            key=lambda pair: pair[0].span.start,
        )
        arrow = "-->" if source is sources[0] else ":::"
        first = next((label for label, primary in here if primary), here[0][0])
        yield f"{'':{gutter}}{arrow} {first.span}"
        yield f"{'':{gutter}} |"
        shown = 0
        for label, primary in here:
            number, column = source.position(label.span.start)
            if number != shown:
                text = printable(source.line(number).replace("\t", " "))
                yield f"{number:>{gutter}} | {_clip(text)}".rstrip()
                shown = number
            yield f"{'':{gutter}} | {_underline(label, column, '^' if primary else '-')}"


_MAX_WIDTH = 200


def _clip(text: str) -> str:
    return text if len(text) <= _MAX_WIDTH else text[: _MAX_WIDTH - 4] + " ..."


def _underline(label: Label, column: int, mark: str) -> str:
    """Carets below a label's first line; a span over several lines is marked to that line's end."""
    line_end = len(label.span.source.line(label.span.line))
    length = max(1, min(label.span.end - label.span.start, line_end - column + 1))
    start = min(column - 1, _MAX_WIDTH)
    marks = mark * min(length, max(1, _MAX_WIDTH - start))
    return f"{'':{start}}{marks} {printable(label.text)}".rstrip()
