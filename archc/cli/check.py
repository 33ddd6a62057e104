"""`archc check`: all that is wrong with specs, and the mends of it that are certain."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.console import say, show, write_file
from archc.cli.options import Limit, make_limits
from archc.cli.specs import find_targets, read_target, rewrite
from archc.cli.warnings import Allow, Deny, judged
from archc.diagnostics import ArchError

if TYPE_CHECKING:
    from archc.checking import Mended
    from archc.diagnostics import Diagnostic
    from archc.elaborate.limits import Limits


def check_command(
    specs: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC...", help="Files, folders, or names of shipped specs; `-` is stdin."
        ),
    ],
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Make the mends that are certain; of stdin, on stdout."),
    ] = False,
    deny: Deny = None,
    allow: Allow = None,
    limit: Limit = None,
) -> None:
    """Check every net of every spec, and show all that is wrong.

    For example: [cyan]archc check --fix .[/cyan]
    """
    from archc.checking import without_repeats

    limits = make_limits(limit)
    targets, found = find_targets(specs)
    for path, named in targets.items():
        found += _mended(path, limits, named=named) if fix else _checked(path, limits)
    errors = show(judged(without_repeats(found), deny, allow))
    files = f"{len(targets)} spec{'' if len(targets) == 1 else 's'}"
    if errors:
        say("check", f"{errors} error{'' if errors == 1 else 's'} in {files}")
        raise typer.Exit(1)
    say("check", f"no errors in {files}")


def _checked(path: Path | None, limits: "Limits") -> tuple["Diagnostic", ...]:
    from archc.checking import check_of, check_with_trials

    try:
        _, source = read_target(path)
    except ArchError as problem:
        return problem.diagnostics
    return check_with_trials(check_of(source, limits), source)


def _mended(path: Path | None, limits: "Limits", *, named: bool) -> tuple["Diagnostic", ...]:
    """Make the certain mends of one spec, and say which; what is left to say of it."""
    from archc.checking import check_of, mend

    try:
        data, source = read_target(path)
    except ArchError as problem:
        return problem.diagnostics
    check = check_of(source, limits)
    mended = mend(check, source)
    after = _as_before(mended.text, data)
    if path is None:
        write_file(after.decode("utf-8"))
    elif mended.mends and not rewrite("check", path, after, named=named):
        return check(source.text).diagnostics
    _tell(mended)
    return mended.checked.diagnostics


def _tell(mended: "Mended") -> None:
    """Say what was changed, where it stood in the text of its round."""
    for each in mended.mends:
        say("check", f"{each.labels[0].span}: mended {each.code}, {each.message}: {each.help}")


def _as_before(text: str, data: bytes) -> bytes:
    """A text with the byte-order mark and the line breaks that the file had."""
    mark = b"\xef\xbb\xbf"
    body = text.replace("\n", "\r\n") if b"\r\n" in data else text
    return (mark if data.startswith(mark) else b"") + body.encode()
