"""`%%arch`: the cell of a notebook that is a spec.

    %load_ext archc

    %%arch wide --net Wide --set width=4
    net Wide(width=8)(image: [3, 32, 32]) { ... }

The words are those of the command line. The result, shown as a picture, is what `archc.loads`
gives; a name before the options is bound to it.
"""

import argparse
import keyword
import shlex
import sys
from typing import Any, NoReturn

from archc.api import Model
from archc.compiler import Request, compile_spec
from archc.diagnostics import ArchError, Diagnostic, render
from archc.passes.parse import parse_passes
from archc.passes.pipeline import DEFAULT

CELL = "<cell>"
"""What messages call the text of a cell."""


def arch(shell: Any, line: str, cell: str) -> Model:
    """Compile a cell; `line` is what stands behind `%%arch`. Raises ArchError.

    `shell` is IPython's, of which only `push` is asked. Warnings go to stderr, as messages do.
    """
    options = _parse(line)
    passes = DEFAULT if options.passes is None else parse_passes(options.passes)
    chosen = () if options.O0 else passes
    # The line of the magic is the first of the cell: so lines are counted as the notebook does.
    text = f"\n{cell}"
    request = Request(CELL, options.net, _arguments(options.set), chosen, text=text)
    model = Model(compile_spec(request))
    for diagnostic in model.warnings:
        sys.stderr.write(f"{render(diagnostic)}\n\n")
    if options.name is not None:
        shell.push({options.name: model})
    return model


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _misused(message, self.format_usage().strip())


def _misused(message: str, help: str | None = None) -> ArchError:
    return ArchError((Diagnostic("", f"%%arch: {message}", help=help),))


def _parse(line: str) -> argparse.Namespace:
    parser = _Parser(prog="%%arch", add_help=False, allow_abbrev=False)
    parser.add_argument("name", nargs="?")
    parser.add_argument("--net", metavar="NAME")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[])
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--passes")
    either.add_argument("-O0", action="store_true")
    try:
        words = shlex.split(line)
    except ValueError as problem:  # a quotation mark without its other one
        raise _misused(str(problem).lower()) from None
    options = parser.parse_args(words)
    if options.name is not None and not _is_name(options.name):
        parser.error(f"`{options.name}` is no name of a variable")
    return options


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _arguments(texts: list[str]) -> dict[str, str]:
    """The values of `name=value` texts by name. Raises ArchError."""
    found: dict[str, str] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value:
            raise _misused(f"--set takes NAME=VALUE, not `{text}`")
        if name in found:
            raise _misused(f"--set gives `{name}` twice: leave one of them out")
        found[name] = value
    return found
