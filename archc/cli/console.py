"""What the command line says: messages and diagnostics on stderr, data on stdout."""

import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from archc.cli.formats import github_line, json_line
from archc.diagnostics import MAX_SHOWN, Diagnostic, Source, Span, error, printable, render

if TYPE_CHECKING:
    from rich.text import Text


def say(command: str, message: str) -> None:
    """A message such as `archc compile: wrote model.py`."""
    text = f"archc {command}: {message}"
    if _error_format == "json":
        text = json_line(Diagnostic("", text, severity="note"))
    print(printable(text), file=sys.stderr)


def fail(command: str, message: str, path: str) -> None:
    """A message of why the exit status is 1; for programs, an error at the start of a file."""
    if _error_format == "human":
        say(command, message)
        return
    start = Span(Source(path, ""), 0, 0)
    show(error("", f"archc {command}: {message}", start).diagnostics)


def write_data(text: str) -> None:
    """Data, such as a table, for whatever reads standard output, in the encoding that it has."""
    _stdout().write(text)


def write_file(text: str) -> None:
    """What may become a file, such as an emitted module: in UTF-8, whatever the locale says."""
    stdout = _stdout()
    stdout.flush()
    stdout.buffer.write(text.encode("utf-8", "surrogateescape"))  # as names of files are decoded


def _stdout() -> TextIO:
    """Standard output. Raises OSError where there is none."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard output")
    return sys.stdout


def terminal_width() -> int | None:
    """The columns of the terminal that reads standard output; None if none does."""
    return shutil.get_terminal_size().columns if _stdout().isatty() else None


def write_json(value: object) -> None:
    """Data as JSON, for programs."""
    write_data(json.dumps(value, indent=2) + "\n")


_error_format = "human"


def set_error_format(name: str) -> None:
    """How `show` says what it has to say, from now on: as `human`, `json` or `github`."""
    global _error_format  # noqa: PLW0603 -- as the streams that it writes to, one a process
    _error_format = name


def show(diagnostics: Iterable[Diagnostic]) -> int:
    """Write diagnostics to stderr; the number of errors."""
    found = list(diagnostics)
    errors = [diagnostic for diagnostic in found if diagnostic.severity == "error"]
    if _error_format == "human":
        _show_to_people(found, errors)
    else:
        line = json_line if _error_format == "json" else github_line
        for diagnostic in found:
            print(line(diagnostic), file=sys.stderr)
    return len(errors)


def _show_to_people(found: list[Diagnostic], errors: list[Diagnostic]) -> None:
    """Draw them, errors only up to a limit, and name the pages that say more."""
    hidden = errors[MAX_SHOWN:]
    for diagnostic in found:
        if not any(diagnostic is other for other in hidden):
            _draw(render(diagnostic))
    if hidden:
        what = "error" if len(hidden) == 1 else "errors"
        print(f"... and {len(hidden)} more {what}", file=sys.stderr)
    codes = " ".join(sorted({diagnostic.code for diagnostic in errors}))
    if codes:
        print(f"`archc explain {codes}` says more.", file=sys.stderr)


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
