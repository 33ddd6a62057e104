"""`archc new`: a spec to begin with."""

import keyword
import re
from pathlib import Path
from typing import Annotated

import typer

from archc.cli.console import say

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LONGEST = 50
"""Characters of a name: a template's variant adds some, and names of the language have 64."""

_NET = "MyNet"
"""The net of every template, and how the names of its variants begin."""


def new_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the spec, as `small_net`.")],
    template: Annotated[
        str, typer.Option(metavar="NAME", help="`residual`, `dense` or `plain`.")
    ] = "residual",
) -> None:
    """Write NAME.arch, a spec to begin with.

    For example: [cyan]archc new small_net --template dense[/cyan]
    """
    from archc.diagnostics import error
    from archc.writing import write_atomically

    text = _instance(_find_template(template), _net_name(name))
    path = Path(f"{name}.arch")
    if path.exists() or path.is_symlink():
        help = "it is left as it is; give another name"
        raise error("E0801", f"cannot write `{path}`: there is such a file", help=help)
    write_atomically(path, text.encode())
    say("new", f"wrote {path}; now try")
    for command in ("summary {0}", "compile {0} -o {1}.py", "train {0} --data digits"):
        say("new", "    archc " + command.format(path, name))


def _net_name(name: str) -> str:
    """`SmallNet` for `small_net`. Raises typer.BadParameter."""
    if not _is_name(name):
        better = re.sub(r"\W+", "_", name.removesuffix(".arch"), flags=re.ASCII).strip("_")
        help = f": did you mean `{better}`?" if _is_name(better) else ""
        raise typer.BadParameter(
            f"a name is at most {_LONGEST} letters, digits and `_`, the first a letter, "
            f"not `{name}`{help}"
        )
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST and _NAME.fullmatch(text) is not None


def _find_template(name: str) -> Path:
    """The file of a template. Raises typer.BadParameter."""
    from archc.diagnostics import did_you_mean
    from archc.resources import library_root

    known = {path.stem: path for path in sorted((library_root() / "templates").glob("*.arch"))}
    if name not in known:
        help = did_you_mean(name, known) or f"templates are {', '.join(known)}"
        raise typer.BadParameter(f"--template: there is no template `{name}`: {help}")
    return known[name]


def _instance(template: Path, net: str) -> str:
    """The template's text with its net called `net`. Raises typer.BadParameter if that is taken."""
    from archc.elaborate.files import load_program

    names = load_program(template).names
    taken = {name for name in names if not name.startswith(_NET)}
    if keyword.iskeyword(net) or net in taken:
        raise typer.BadParameter(f"the net would be called `{net}`, which means something else")
    return template.read_text(encoding="utf-8").replace(_NET, net)
