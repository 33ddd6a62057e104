"""`archc compile`: a spec in, `model.py` out."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.console import fail, say, show, write_file
from archc.cli.options import (
    ForPurpose,
    Limit,
    Net,
    Passes,
    Plain,
    Purpose,
    Set,
    Spec,
    make_request,
)
from archc.cli.warnings import Allow, Deny, judged
from archc.timing import Phases

if TYPE_CHECKING:
    from collections.abc import Callable

    from archc.compiler import Compilation, Request
    from archc.ir.graph import Graph


class Runtime(StrEnum):
    """How the file comes to archc's runtime."""

    INLINE = "inline"
    IMPORT = "import"


def compile_command(
    spec: Spec,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where to write; stdout by default."),
    ] = None,
    net: Net = None,
    set_: Set = None,
    in_chans: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65_536,
            help="Channels of the image, in place of those declared.",
            show_default=False,
        ),
    ] = None,
    passes: Passes = None,
    plain: Plain = False,
    purpose: ForPurpose = Purpose.TRAINING,
    runtime: Annotated[
        Runtime,
        typer.Option(
            help="Write the runtime that the net needs into the file, or import it from archc."
        ),
    ] = Runtime.INLINE,
    dump_after: Annotated[
        str | None,
        typer.Option(metavar="NAME|all", help="Print the graph after a pass, on stderr."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if FILE is not up to date.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite FILE even if it was edited by hand.")
    ] = False,
    time_passes: Annotated[
        bool, typer.Option("--time-passes", help="Print the time of each phase, on stderr.")
    ] = False,
    deny: Deny = None,
    allow: Allow = None,
    limit: Limit = None,
) -> None:
    """Compile a spec to PyTorch code.

    For example: [cyan]archc compile densenet_cifar --set depth=40 -o model.py[/cyan]
    """
    phases = Phases()
    with phases.measure("import"):
        from archc.compiler import compile_spec

    if output == Path("-"):
        output = None
    if check and output is None:
        raise typer.BadParameter("--check needs the FILE to compare with: -o FILE")
    request = make_request(spec, net, set_, limit, passes, plain, in_chans, purpose)
    compilation = compile_spec(request, dump_after=_dumper(dump_after, request), phases=phases)
    if show(judged(compilation.warnings, deny, allow)):
        raise typer.Exit(1)
    source = compilation.source(runtime.value)
    up_to_date = True
    with phases.measure("write"):
        if output is None:
            write_file(source)
        elif check:
            up_to_date = _compare(compilation, source, output)
        else:
            write_source(source, output, force)
    if time_passes:
        print(phases, file=sys.stderr)
    if not up_to_date:
        raise typer.Exit(1)


def _dumper(wanted: str | None, request: "Request") -> "Callable[[str, Graph], None] | None":
    """What prints graphs for `--dump-after`. Raises typer.BadParameter for an unknown name."""
    if wanted is None:
        return None
    from archc.diagnostics import did_you_mean
    from archc.ir.dump import dump
    from archc.passes.pipeline import BEFORE

    known = ["all", BEFORE, *(step.name for step in request.passes)]
    if wanted not in known:
        help = did_you_mean(wanted, known) or f"give one of {', '.join(known)}"
        raise typer.BadParameter(f"--dump-after: no pass `{wanted}` runs here: {help}")

    def print_graph(name: str, graph: "Graph") -> None:
        if wanted in ("all", name):
            print(f"# after {name}\n{dump(graph)}", file=sys.stderr)

    return print_graph


def _compare(compilation: "Compilation", source: str, output: Path) -> bool:
    """Whether the file is what the spec compiles to; says so."""
    spec = compilation.request.spec
    if _text_of(output) == source:
        say("compile", f"{output} is what {spec} compiles to")
        return True
    state = f"is not what {spec} compiles to" if output.exists() else "does not exist"
    fail("compile", f"{output} {state}", str(output))
    return False


def write_source(source: str, output: Path, force: bool, command: str = "compile") -> None:
    """Write an emitted file, as `command` says, unless it was edited. Raises ArchError."""
    from archc.writing import write_atomically

    if not force:
        present = _text_of(output)
        if present == source:
            say(command, f"{output} is up to date")
            return
        _refuse_edited(output, present)
    write_atomically(output, source.encode())
    say(command, f"wrote {output}")


def _refuse_edited(output: Path, present: str | None) -> None:
    """Somebody's work is not overwritten: a file that archc did not write as it stands."""
    from archc.codegen.emit import is_untouched
    from archc.diagnostics import error

    if not present and not (output.is_file() and output.stat().st_size):
        return
    if present is None or not is_untouched(present):
        raise error(
            "E0803",
            f"`{output}` was edited by hand, or is not by archc; it is left as it is",
            help="`--force` overwrites it; `-o` can name another file",
        )


def _text_of(path: Path) -> str | None:
    """The text of a regular file; None if there is none, or if it is no text."""
    if not path.is_file():
        return None
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        return None
    except OSError as problem:
        raise OSError(problem.errno, f"cannot read: {problem.strerror}", str(path)) from None
