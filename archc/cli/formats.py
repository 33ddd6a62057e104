"""Diagnostics for programs: JSON, and the annotations of GitHub's workflows."""

import json
from typing import Any

from archc.diagnostics import Diagnostic, Span, printable, shortened


def json_line(diagnostic: Diagnostic) -> str:
    """A diagnostic as one line of JSON; docs/diagnostics.md says what its fields are."""
    primary = diagnostic.labels[0].span if diagnostic.labels else None
    value = {
        "severity": diagnostic.severity,
        "code": diagnostic.code or None,
        "message": diagnostic.message,
        "file": primary.source.path if primary else None,
        "spans": [
            {**_place(label.span), "label": label.text, "primary": label is diagnostic.labels[0]}
            for label in diagnostic.labels
        ],
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
        "fixes": [{**_place(edit.span), "text": edit.text} for edit in diagnostic.fix],
        "certain": diagnostic.certain,
    }
    return json.dumps(value)


def _place(span: Span) -> dict[str, Any]:
    """Where a span is: counted from 1, in characters, and its end is the first behind it."""
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.path,
        "line": span.line,
        "column": span.column,
        "end_line": end_line,
        "end_column": end_column,
    }


_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def github_line(diagnostic: Diagnostic) -> str:
    """A diagnostic as a workflow command, which GitHub shows beside the line in question."""
    properties = {}
    if diagnostic.labels:
        place = _place(diagnostic.labels[0].span)
        names = {"file": "file", "line": "line", "column": "col"}
        names |= {"end_line": "endLine", "end_column": "endColumn"}
        properties = {theirs: place[ours] for ours, theirs in names.items()}
    if diagnostic.code:
        properties["title"] = diagnostic.code
    listed = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    help = [] if diagnostic.help is None else [f"help: {diagnostic.help}"]
    text = "\n".join([diagnostic.message, *shortened(diagnostic.notes), *help])
    head = f"::{_COMMANDS[diagnostic.severity]}"
    return f"{head}{' ' if listed else ''}{listed}::{_data(text)}"


def _data(text: str) -> str:
    lines = text.replace("%", "%25").replace("\r", "%0D").split("\n")
    return "%0A".join(printable(line) for line in lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
