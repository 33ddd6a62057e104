"""`archc fmt`: specs in the one style."""

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.console import fail, say, show, write_file

if TYPE_CHECKING:
    from archc.diagnostics import Diagnostic, Source

_STDIN = "-"


def fmt_command(
    specs: Annotated[
        list[str],
        typer.Argument(metavar="SPEC...", help="Files and folders; `-` formats stdin."),
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if a spec would change.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write no spec; print what would change.")
    ] = False,
) -> None:
    """Rewrite specs in the one style; comments and meaning stay.

    For example: [cyan]archc fmt --check .[/cyan]
    """
    from archc.diagnostics import ArchError

    targets: dict[Path | None, bool] = {}
    failed = False
    for spec in specs:
        try:
            inside, locked = _find(spec)
        except ArchError as problem:
            inside, locked = {}, list(problem.diagnostics)
        targets |= inside
        failed |= show(locked) > 0
    for path, named in targets.items():
        try:
            failed |= not _format(path, named=named, check=check, diff=diff)
        except ArchError as problem:
            show(problem.diagnostics)
            failed = True
    if failed:
        raise typer.Exit(1)


def _find(spec: str) -> tuple[dict[Path | None, bool], list["Diagnostic"]]:
    """The files that an argument means, None for stdin; whether it is their path or folder.

    Beside them, what keeps folders from being read.
    """
    from archc.elaborate.files import find_specs, is_there

    if spec == _STDIN:
        return {None: True}, []
    inside, locked = find_specs(spec)
    return dict.fromkeys(inside, is_there(Path(spec))), locked


def _format(path: Path | None, *, named: bool, check: bool, diff: bool) -> bool:
    """Format one spec; whether all is well with it."""
    from archc.syntax.format import format_source

    before, source = _read_stdin() if path is None else _read(path)
    after = format_source(source)
    changes = before != after.encode()
    if diff and changes:
        write_file(_difference(source, before, after))
    elif path is None and not (check or diff):
        write_file(after)
    if not changes:
        return True
    if check:
        fail("fmt", f"{source.path} would change", source.path)
    if check or diff or path is None:
        return not check
    return _rewrite(path, after, named=named)


def _read(path: Path) -> tuple[bytes, "Source"]:
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


def _rewrite(path: Path, text: str, *, named: bool) -> bool:
    """Replace a file; a shipped spec only if its path was `named`."""
    from archc.files import write_atomically

    if not named:
        left = f"{path} comes with archc and is left as it is; give its path to rewrite it"
        fail("fmt", left, str(path))
        return False
    target = path.resolve() if path.is_symlink() else path  # a link stays one
    write_atomically(target, text.encode())
    say("fmt", f"rewrote {path}")
    return True


def _difference(source: "Source", before: bytes, after: str) -> str:
    import difflib

    old = before.decode("utf-8").splitlines(keepends=True)
    new = after.splitlines(keepends=True)
    lines = difflib.unified_diff(old, new, source.path, source.path)
    return "".join(_ended(line) for line in lines)


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
