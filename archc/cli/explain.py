"""`archc explain`: the pages of the diagnostics' codes."""

import re
from textwrap import indent
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.console import write_data

if TYPE_CHECKING:
    from archc.explanations import Page


def explain_command(
    codes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CODE...]", help="As `E0204`; all are listed without.", show_default=False
        ),
    ] = None,
) -> None:
    """Say what a diagnostic's code means, with an example; without a code, list them all.

    For example: [cyan]archc explain E0204[/cyan]
    """
    from archc.explanations import pages

    known = pages()
    if not codes:
        write_data("".join(f"{page.code}  {_plain(page.title)}\n" for page in known.values()))
        return
    found = [_page(code, known) for code in codes]
    write_data("\n".join(_to_text(page) for page in found))


def _page(code: str, known: dict[str, "Page"]) -> "Page":
    from archc.diagnostics import did_you_mean, error

    page = known.get(code.upper())
    if page is None:
        help = did_you_mean(code, known) or "`archc explain` lists the codes"
        raise error("E0821", f"there is no code `{code}`", help=help)
    return page


_FENCED = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)


def _to_text(page: "Page") -> str:
    """A page for the terminal: its examples are indented."""
    text = _FENCED.sub(lambda block: indent(block[2], "    "), page.text)
    return f"{page.code}: {_plain(page.title)}\n\n{text}"


def _plain(title: str) -> str:
    return title.replace("`", "")
