"""`--size`: numbers for the sizes that a net leaves open."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.options import twice

if TYPE_CHECKING:
    from archc.ir.graph import Graph

_SIDE = 64
"""About how large an input is in an example of the option."""

Sizes = Annotated[
    list[str] | None,
    typer.Option("--size", metavar="NAME=N", help="A number for a size such as H."),
]


def given_sizes(graph: "Graph", texts: list[str] | None) -> dict[str, int]:
    """A number for each symbol of a net's inputs. Raises BadParameter."""
    from archc.analysis.input_sizes import symbols_of

    given = _numbers(texts)
    symbols = symbols_of(graph)
    if not given.keys() >= symbols.keys():
        example = (f"--size {name}={max(1, _SIDE // dim.a)}" for name, dim in symbols.items())
        raise typer.BadParameter(
            f"the net's inputs are of any size: give, say, {' '.join(example)}"
        )
    for name in given:
        if name not in symbols:
            raise typer.BadParameter(f"the net's inputs have no size `{name}`")
    return given


def _numbers(texts: list[str] | None) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for text in texts or ():
        name, equals, digits = text.partition("=")
        if not equals or not re.fullmatch("[1-9][0-9]{0,8}", digits):
            raise typer.BadParameter(f"--size takes NAME=N, not `{text}`")
        if name in numbers:
            raise twice("--size", name)
        numbers[name] = int(digits)
    return numbers
