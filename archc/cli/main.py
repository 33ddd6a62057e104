"""The command `archc`: its subcommands, and what its exit status means.

0 done, 1 errors in the input, 2 wrong usage, 3 a bug in archc, 130 interrupted.
"""

import errno
import gc
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from archc.cli.calibrate import calibrate_command
from archc.cli.check import check_command
from archc.cli.compile import compile_command
from archc.cli.diff import diff_command
from archc.cli.evaluate import eval_command
from archc.cli.explain import explain_command
from archc.cli.export import export_command
from archc.cli.fmt import fmt_command
from archc.cli.inspect import (
    expand_command,
    list_command,
    summary_command,
    viz_command,
)
from archc.cli.new import new_command
from archc.cli.options import with_error_format
from archc.cli.passes import passes_command
from archc.cli.plan import plan_command
from archc.cli.slim import slim_command
from archc.cli.train import train_command
from archc.cli.weights import weights_command
from archc.diagnostics import ArchError
from archc.version import __version__

WRONG_INPUT, INTERNAL, INTERRUPTED = 1, 3, 130


class _Commands(TyperGroup):
    """The one place where what goes wrong in a command becomes a message and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
            return result
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except ArchError as problem:
            raise _refuse(problem) from None
        except OSError as problem:
            raise _system_error(problem, ctx.params["debug"]) from None
        except Exception as problem:
            if hasattr(problem, "exit_code"):  # wrong usage, or a command's own exit
                raise
            raise _internal_error(problem, ctx.params["debug"]) from None


def _refuse(problem: ArchError) -> typer.Exit:
    from archc.cli.console import show

    show(problem.diagnostics)
    return typer.Exit(WRONG_INPUT)


def _system_error(problem: OSError, debug: bool) -> typer.Exit:
    """The system refuses something: a folder is missing or locked, the disk is full."""
    from archc.cli.console import reason, show
    from archc.diagnostics import error

    if problem.errno == errno.EPIPE:
        raise problem  # whoever read our output has seen enough: typer ends quietly
    if debug:
        _print_traceback(problem)
    show(error("E0802", reason(problem)).diagnostics)
    return typer.Exit(WRONG_INPUT)


def _internal_error(problem: Exception, debug: bool) -> typer.Exit:
    from archc.diagnostics import printable

    lines = str(problem).splitlines()
    what = f"{type(problem).__name__}: {lines[0]}" if lines else type(problem).__name__
    print(f"archc: internal error: {printable(what)}", file=sys.stderr)
    print(
        "This is a bug in archc, not in your spec: please report it, with the spec.",
        file=sys.stderr,
    )
    if debug:
        _print_traceback(problem)
    else:
        print("`archc --debug ...` shows where it happened.", file=sys.stderr)
    return typer.Exit(INTERNAL)


def _print_traceback(problem: Exception) -> None:
    import traceback

    traceback.print_exception(problem)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"archc {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=_Commands,
    name="archc",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def archc(
    debug: Annotated[bool, typer.Option(help="Show tracebacks of internal errors.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Compile declarative network architectures ([bold].arch[/bold]) to PyTorch code.

    For example: [cyan]archc compile densenet -o model.py[/cyan]
    """


for _name, _command in (
    ("new", new_command),
    ("compile", compile_command),
    ("check", check_command),
    ("fmt", fmt_command),
    ("summary", summary_command),
    ("plan", plan_command),
    ("expand", expand_command),
    ("diff", diff_command),
    ("viz", viz_command),
    ("list", list_command),
    ("passes", passes_command),
    ("slim", slim_command),
    ("weights", weights_command),
    ("train", train_command),
    ("eval", eval_command),
    ("calibrate", calibrate_command),
    ("export", export_command),
    ("explain", explain_command),
):
    app.command(_name)(with_error_format(_command))


def main() -> None:
    """The entry point of the installed script and of `python -m archc`."""
    _prepare_streams()
    collect_seldom()
    try:
        app(prog_name="archc")
    finally:
        _close_stdout()


def collect_seldom() -> None:
    """Collect garbage less often: a net is many objects in few cycles, and looking for these again
    and again takes a quarter of the time of compiling a net of 10,000 operators."""
    gc.set_threshold(50_000, 20, 100)


def _prepare_streams() -> None:
    """Let no character of a spec, and no stream that is closed, break off what archc says."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stderr is None:  # `print` would write messages to standard output
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- stays open


def _close_stdout() -> None:
    """Flush, and let a reader that has left cause no message when Python shuts down."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
