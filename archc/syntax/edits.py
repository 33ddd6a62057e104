"""Fix of the text that several mistakes need: an argument or a line goes, a word is replaced."""

import re
from collections.abc import Iterable

from archc.diagnostics import Edit, Fix, Source, Span

_NAMED = re.compile(r"\w+\s*=(?!=)\s*")
_BEFORE = re.compile(r",\s*$")
_AFTER = re.compile(r"\s*,\s*")
_NEAR = 200  # characters: an error may be met in every iteration of a loop
_IMPORTS = re.compile(r"(?:.*^import\b[^\n]*\n)", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"(?:(?:#(?!#)[^\n]*)?\n)*(?:arch\b[^\n]*\n\n?)?")
_AFTER_LABEL = re.compile(r":\s*$")
_AFTER_ARROW = re.compile(r"->\s*(?:(?:\w+|\"[^\"\n]*\")\s*:\s*)?$")


def replaced(span: Span, text: str) -> Fix:
    """Another text in the place of a span."""
    return (Edit(span, text),)


def inserted(span: Span, text: str) -> Fix:
    """A text before a span."""
    return (Edit(Span(span.source, span.start, span.start), text),)


def appended(span: Span, text: str) -> Fix:
    """A text behind a span."""
    return (Edit(Span(span.source, span.end, span.end), text),)


def without_arguments(first: Span, last: Span | None = None) -> Fix:
    """An argument goes (or those from the first to the last), with the comma that joins it."""
    text, start, end = first.source.text, first.start, (last or first).end
    before = _BEFORE.search(text, max(0, start - _NEAR), start)
    after = _AFTER.match(text, end)
    if before:
        start = before.start()
    elif after:
        end = after.end()
    return (Edit(Span(first.source, start, end), ""),)


def without_line(span: Span) -> Fix:
    """All lines of a span go, if nothing else is on them; else the span."""
    text = span.source.text
    start = text.rfind("\n", 0, span.start) + 1
    end = text.find("\n", span.end) + 1 or len(text)
    if text[start : span.start].strip() or text[span.end : end].split("#")[0].strip():
        return (Edit(span, ""),)
    return (Edit(Span(span.source, start, end), ""),)


def importing(source: Source, path: str) -> Fix:
    """An import more: behind the others, else below the comments and the version of the file."""
    imports = _IMPORTS.match(source.text)
    line = f'import "{path}"\n'
    if imports:
        return inserted(Span(source, imports.end(), imports.end()), line)
    start = _HEADING.match(source.text).end()  # type: ignore[union-attr]  # matches always
    return inserted(Span(source, start, start), f"{line}\n")


def renamed_argument(argument: Span, name: str) -> Fix:
    """`old=value` under another name."""
    length = len(re.match(r"\w*", argument.text)[0])  # type: ignore[index]  # matches always
    return (Edit(Span(argument.source, argument.start, argument.start + length), name),)


def without_label(label: Span) -> Fix:
    """A label goes, with its colon."""
    colon = re.compile(r"\s*:\s*").match(label.source.text, label.end)
    end = colon.end() if colon else label.end
    return (Edit(Span(label.source, label.start, end), ""),)


def value_of(argument: Span) -> Span:
    """The value of an argument, whether it is named or not."""
    named = _NAMED.match(argument.text)
    start = argument.start + (named.end() if named else 0)
    return Span(argument.source, start, argument.end)


def edited_span(span: Span, edits: Iterable[Edit]) -> str:
    """The text of a span with edits made that lie in it, none of which overlaps another."""
    text = span.text
    for edit in sorted(edits, key=lambda edit: edit.span.start, reverse=True):
        start, end = edit.span.start - span.start, edit.span.end - span.start
        text = text[:start] + edit.text + text[end:]
    return text


def indentation(span: Span) -> str:
    """The white space at the beginning of a span's first line."""
    line = span.source.line(span.line)
    return line[: len(line) - len(line.lstrip())]


def is_rebound(name: str, span: Span) -> bool:
    """Whether a name is bound to what a span begins, or that is returned: what the name had before
    is of no matter then."""
    line = span.source.text[span.source.text.rfind("\n", 0, span.start) + 1 : span.start]
    return re.search(rf"(?:^|[{{\s]){name}\s*=\s*$|\breturn\s+$", line) is not None


def is_labelled(span: Span) -> bool:
    """Whether a span is a layer behind its label."""
    start = span.start
    return _AFTER_LABEL.search(span.source.text, max(0, start - _NEAR), start) is not None


def is_stage(span: Span) -> bool:
    """Whether a span is the layer behind an `->`, with its label or without."""
    start = span.start
    return _AFTER_ARROW.search(span.source.text, max(0, start - _NEAR), start) is not None
