"""`archc fmt`: specs in the one style."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.console import fail, show, write_file
from archc.cli.specs import find_targets, read_target, rewrite

if TYPE_CHECKING:
    from archc.diagnostics import Source


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

    targets, problems = find_targets(specs)
    failed = show(problems) > 0
    for path, named in targets.items():
        try:
            failed |= not _format(path, named=named, check=check, diff=diff)
        except ArchError as problem:
            show(problem.diagnostics)
            failed = True
    if failed:
        raise typer.Exit(1)


def _format(path: Path | None, *, named: bool, check: bool, diff: bool) -> bool:
    """Format one spec; whether all is well with it."""
    from archc.syntax.format import format_source

    before, source = read_target(path)
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
    return rewrite("fmt", path, after.encode(), named=named)


def _difference(source: "Source", before: bytes, after: str) -> str:
    import difflib

    old = before.decode("utf-8").splitlines(keepends=True)
    new = after.splitlines(keepends=True)
    lines = difflib.unified_diff(old, new, source.path, source.path)
    return "".join(_ended(line) for line in lines)


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
