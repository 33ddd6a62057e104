"""What the command line says: messages and diagnostics on stderr, data on stdout."""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from archc.diagnostics import MAX_SHOWN, Diagnostic, printable, render

if TYPE_CHECKING:
    from rich.text import Text


def say(command: str, message: str) -> None:
    """A message such as `archc compile: wrote model.py`."""
    print(f"archc {command}: {printable(message)}", file=sys.stderr)


def write_data(text: str) -> None:
    """Data, such as an emitted module, for whatever reads standard output."""
    sys.stdout.write(text)


def write_json(value: object) -> None:
    """Data as JSON, for programs."""
    write_data(json.dumps(value, indent=2) + "\n")


def show(diagnostics: Iterable[Diagnostic]) -> int:
    """Draw diagnostics on stderr, errors only up to a limit; the number of errors."""
    errors = 0
    for diagnostic in diagnostics:
        errors += diagnostic.severity == "error"
        if diagnostic.severity != "error" or errors <= MAX_SHOWN:
            _draw(render(diagnostic))
    if errors > MAX_SHOWN:
        hidden = errors - MAX_SHOWN
        print(f"... and {hidden} more error{'' if hidden == 1 else 's'}", file=sys.stderr)
    return errors


def _draw(text: str) -> None:
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
    console.print(colored(text))
    console.print()


_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_HEADLINE = re.compile(r"(error|warning|note)(\[\w+\])?:")
_GUTTER = re.compile(r" *\d* (?=\||=)[|=]| *(-->|:::)")
_CARETS = re.compile(r" *\| +(\^+.*)")
_UNDERLINE = re.compile(r" *\| +(-+.*)")


def colored(text: str) -> "Text":
    """A rendered diagnostic with its severity, its gutter, its carets and `help` in colour."""
    from rich.text import Text

    result = Text(text)
    start = 0
    for line in text.split("\n"):
        for (begin, end), style in _styles(line):
            result.stylize(style, start + begin, start + end)
        start += len(line) + 1
    return result


def _styles(line: str) -> Iterable[tuple[tuple[int, int], str]]:
    if headline := _HEADLINE.match(line):
        yield headline.span(), _STYLES[headline[1]]
        yield (headline.end(), len(line)), "bold"
        return
    if gutter := _GUTTER.match(line):
        yield gutter.span(), "blue"
        if line.startswith(" = help:", gutter.end() - 2):
            yield (gutter.end(), gutter.end() + len(" help:")), "bold green"
    if carets := _CARETS.match(line):
        yield carets.span(1), "bold red"
    elif underline := _UNDERLINE.match(line):
        yield underline.span(1), "blue"


def reason(problem: OSError, path: Path | None = None) -> str:
    """Why the system refused, with the file it is about: `model.py: Permission denied`."""
    name = problem.filename if path is None else path
    why = problem.strerror or str(problem)
    return f"{name}: {why}" if name is not None else why
