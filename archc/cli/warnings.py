"""`--deny` and `--allow`: which warnings are errors, and which are not said."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

import typer

from archc.diagnostics import Diagnostic, did_you_mean

ALL = "warnings"

Deny = Annotated[
    list[str] | None,
    typer.Option(
        "--deny", metavar="CODE", help="Make a warning an error, as `W0004`; `warnings` are all."
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="CODE", help="Do not show a warning, as `W0004`."),
]


def judged(
    diagnostics: Iterable[Diagnostic], deny: list[str] | None, allow: list[str] | None
) -> list[Diagnostic]:
    """The diagnostics without the warnings that are allowed, those that are denied as errors.

    What is both is allowed: `--deny warnings --allow W0004` denies all others. Raises
    typer.BadParameter for what is no code of a warning.
    """
    denied, allowed = _codes("--deny", deny, ALL), _codes("--allow", allow)
    found: list[Diagnostic] = []
    for diagnostic in diagnostics:
        if diagnostic.severity != "warning":
            found.append(diagnostic)
        elif diagnostic.code not in allowed:
            is_error = ALL in denied or diagnostic.code in denied
            found.append(replace(diagnostic, severity="error") if is_error else diagnostic)
    return found


def _codes(option: str, texts: list[str] | None, *also: str) -> set[str]:
    if not texts:
        return set()
    from archc.explanations import pages

    known = [*also, *(code for code in pages() if code.startswith("W"))]
    for text in texts:
        if text not in known:
            help = did_you_mean(text, known) or f"warnings are {', '.join(known)}"
            raise typer.BadParameter(f"{option}: there is no warning `{text}`: {help}")
    return set(texts)
