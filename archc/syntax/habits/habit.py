"""A habit: what people write who think of another language, and what is said where it is refused.

Its pattern holds the mark `‸` where the parser stopped, or that may be anywhere in what is found.
The group `at` is what the carets are under (else the refused text), and `out` is what a mend
replaces (else `at`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from archc.diagnostics import Diagnostic, Edit, Fix, Label, Span
from archc.syntax.edits import indentation
from archc.syntax.habits.situation import MARK, Situation

Rule = Callable[[Situation], Diagnostic | None]
"""Words one kind of mistake; None where it is another one."""


class Found:
    """Where a pattern was found: what its groups hold, by their names.

    Further names are `refused`, the text that was refused, and `found`, how a message calls it;
    `token` and `previous`, its token and the one before; `indent`, that of its line; and `new`,
    what a mend writes.
    """

    def __init__(self, situation: Situation, match: re.Match[str]) -> None:
        self.s = situation
        self._match = match
        self.new = ""

    def __getitem__(self, name: str) -> str:
        if name in self._match.re.groupindex:
            return (self._match[name] or "").replace(MARK, "")
        further: dict[str, object] = {
            "refused": self.s.span.text,
            "found": self.s.found,
            "token": self.s.token,
            "previous": self.s.previous,
            "indent": indentation(self.s.span),
            "new": self.new,
        }
        return str(further.get(name, self.s.span.text))

    def span(self, name: str) -> Span:
        """The place of a group; that of the refused text where the pattern has none."""
        if name not in self._match.re.groupindex:
            return self.s.span
        return Span(self.s.source, *map(self._offset, self._match.span(name)))

    def _offset(self, place: int) -> int:
        text, mark = self.s.marked
        return self.s.first + place - (self._match.string is text and place > mark)

    @property
    def out(self) -> Span:
        return self.span("out" if "out" in self._match.re.groupindex else "at")


def inside(found: Found) -> bool:
    """Whether the refused text stands in ( ) or [ ]."""
    return found.s.bracket is not None


def outside(found: Found) -> bool:
    return found.s.bracket is None


def in_index(found: Found) -> bool:
    """Whether the refused text stands in [ ]."""
    return found.s.bracket is not None and found.s.bracket.type == "LSQB"


@dataclass(frozen=True)
class Habit:
    """One habit: `Habit("E0120", "there are no semicolons", r"‸;", write=",")`.

    Message, help and what is written may name what was found: `{at}`. A space at an end of what is
    written is left out where there is one already.
    """

    code: str
    message: str
    pattern: str = "‸"
    help: str | None = None
    """If there is none: to write what the mend writes."""
    write: str | Callable[[Found], str | None] | None = None
    """If this gives None, it is another mistake."""
    fix: Callable[[Found], Fix] | None = None
    """The mend, where it is more than one text."""
    certain: bool | Callable[[Found], bool] = True
    types: str = ""
    """The terminals of which the refused text is one; of any, if there are none."""
    keywords: str = ""
    """The keywords of which the statement has one."""
    accepts: str = ""
    """A terminal that could stand in the place of the refused text."""
    when: Callable[[Found], bool] = lambda _: True

    def __call__(self, s: Situation) -> Diagnostic | None:
        """What is to be said of a refused text; None if it is no case of this habit."""
        if (
            (self.types and s.type not in self.types.split())
            or (self.keywords and s.keyword not in self.keywords.split())
            or (self.accepts and self.accepts not in s.accepts)
        ):
            return None
        found = self._find(s)
        if found is None or not self.when(found):
            return None
        new = self.write(found) if callable(self.write) else self.write
        if new is None and callable(self.write):
            return None
        fix = self.fix(found) if self.fix else ()
        if new is not None:
            new = new.format_map(found) if self.write is new else new
            found.new = new.strip(" ")
            fix = (_edit(found.out, new),)
        help = "write `{new}`" if self.help is None and found.new else self.help
        certain = self.certain(found) if callable(self.certain) else self.certain
        return Diagnostic(
            self.code,
            self.message.format_map(found),
            (Label(found.span("at")),),
            help=help and help.format_map(found),
            fix=fix,
            certain=certain and bool(fix),
        )

    @cached_property
    def regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern.replace("‸", MARK), re.MULTILINE)

    def _find(self, s: Situation) -> Found | None:
        text, mark = s.marked if "‸" in self.pattern else s.unmarked
        found = self.regex.finditer(text)
        return next(
            (Found(s, match) for match in found if match.start() <= mark < match.end()), None
        )


def _edit(span: Span, new: str) -> Edit:
    """A text in the place of a span, apart from its neighbours by the spaces at its ends."""
    text = span.source.text
    if new.startswith(" ") and text[span.start - 1 : span.start] in ("", " ", "\t", "(", "["):
        new = new[1:]
    if new.endswith(" ") and text[span.end : span.end + 1] in ("", " ", "\t"):
        new = new[:-1]
    return Edit(span, new)
