"""Specs that a command reads and may rewrite: files, folders, and standard input."""

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from archc.cli.console import fail, say

if TYPE_CHECKING:
    from archc.diagnostics import Diagnostic, Source

STDIN = "-"


def find_targets(specs: list[str]) -> tuple[dict[Path | None, bool], list["Diagnostic"]]:
    """The files that arguments mean, None for stdin; whether one is their path or folder.

    Beside them, what keeps specs from being found and folders from being read.
    """
    from archc.diagnostics import ArchError
    from archc.elaborate.files import find_specs, is_there

    targets: dict[Path | None, bool] = {}
    problems: list[Diagnostic] = []
    for spec in specs:
        if spec == STDIN:
            targets[None] = True
            continue
        try:
            inside, locked = find_specs(spec)
        except ArchError as problem:
            inside, locked = [], list(problem.diagnostics)
        targets |= dict.fromkeys(inside, is_there(Path(spec)))
        problems += locked
    return targets, problems


def read_target(path: Path | None) -> tuple[bytes, "Source"]:
    """The bytes of a file or of stdin, and the source that they are. Raises ArchError."""
    if path is None:
        return _read_stdin()
    from archc.syntax.source import read_source

    source = read_source(path, display=str(path), name=path.name)
    return path.read_bytes(), source


def _read_stdin() -> tuple[bytes, "Source"]:
    from archc.syntax.source import MAX_BYTES, source_from_text

    if sys.stdin is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard input")
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    # Bytes that are no UTF-8 become characters that no spec may hold, and are refused as such.
    return data, source_from_text(data.decode("utf-8", "surrogateescape"), "<stdin>")


def rewrite(command: str, path: Path, data: bytes, *, named: bool) -> bool:
    """Replace a file, in one step, and say so; a shipped spec only if its path was `named`."""
    from archc.writing import write_atomically

    if not named:
        left = f"{path} comes with archc and is left as it is; give its path to rewrite it"
        fail(command, left, str(path))
        return False
    target = path.resolve() if path.is_symlink() else path  # a link stays one
    write_atomically(target, data)
    say(command, f"rewrote {path}")
    return True
