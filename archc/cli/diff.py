"""`archc diff`: two nets compared."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.console import terminal_width, write_data, write_json
from archc.cli.options import Limit, Passes, Plain, compile_net, make_request, pairs

if TYPE_CHECKING:
    from archc.compiler import Compilation

_SPEC = typer.Argument(metavar="A", help="A path, or the name of a shipped spec.")
_Text = str | None
_Texts = list[str] | None


def diff_command(
    a: Annotated[str, _SPEC],
    b: Annotated[
        _Text, typer.Argument(metavar="B", help="The spec to compare with; A by default.")
    ] = None,
    net: Annotated[_Text, typer.Option(metavar="NAME", help="The net to take of both.")] = None,
    net_a: Annotated[_Text, typer.Option(metavar="NAME", help="The net to take of A.")] = None,
    net_b: Annotated[_Text, typer.Option(metavar="NAME", help="The net to take of B.")] = None,
    set_: Annotated[
        _Texts, typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of both.")
    ] = None,
    set_a: Annotated[
        _Texts, typer.Option(metavar="NAME=VALUE", help="Set a parameter of A.")
    ] = None,
    set_b: Annotated[
        _Texts, typer.Option(metavar="NAME=VALUE", help="Set a parameter of B.")
    ] = None,
    keys: Annotated[
        bool, typer.Option("--keys", help="Print only the keys that differ, one on a line.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail if the nets differ.")] = False,
    passes: Passes = None,
    plain: Plain = False,
    limit: Limit = None,
) -> None:
    """Compare two nets: weights, shapes, operators, parameters, multiply-accumulates.

    For example: [cyan]archc diff resnet --net-b ResNet101[/cyan]
    """
    from archc.analysis.difference import compare, to_json
    from archc.analysis.difference_table import key_lines, to_text

    if keys and as_json:
        raise typer.BadParameter("--json has all keys, so it cannot be given with --keys")
    own_a, own_b = pairs("--set-a", set_a), pairs("--set-b", set_b)
    one, other = (
        compile_net(replace(request, arguments={**request.arguments, **own}))  # own ones go before
        for request, own in (
            (make_request(a, net_a or net, set_, limit, passes, plain), own_a),
            (make_request(b or a, net_b or net, set_, limit, passes, plain), own_b),
        )
    )
    difference = compare(one.graph, other.graph)
    if as_json:
        write_json(to_json(difference))
    elif keys:
        write_data(key_lines(difference))
    else:
        write_data(to_text(difference, (_title(one), _title(other)), terminal_width()))
    if check and not difference.equal:
        raise typer.Exit(1)


def _title(compilation: "Compilation") -> str:
    words = [f"{compilation.graph.name} of {compilation.request.spec}"]
    words += [f"{name}={text}" for name, text in compilation.request.arguments.items()]
    return ", ".join(words)
