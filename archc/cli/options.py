"""Options that several commands share, and the request that they add up to."""

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archc.cli.console import set_error_format, show

if TYPE_CHECKING:
    from archc.compiler import Compilation, Request
    from archc.elaborate.limits import Limits

Spec = Annotated[
    str,
    typer.Argument(
        metavar="SPEC", help="A path, or the name of a shipped spec.", show_default=False
    ),
]
Net = Annotated[
    str | None,
    typer.Option("--net", metavar="NAME", help="The net to take; the file's first by default."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of the net, as `depth=40`."),
]
Limit = Annotated[
    list[str] | None,
    typer.Option("--limit", metavar="NAME=N", help="Raise a limit on what a spec may ask for."),
]
Passes = Annotated[
    str | None,
    typer.Option("--passes", metavar="PASSES", help="The passes to run, as `simplify`."),
]
Plain = Annotated[bool, typer.Option("-O0", help="Run no pass.")]


class Purpose(StrEnum):
    """What a net is compiled for."""

    TRAINING = "training"
    INFERENCE = "inference"


ForPurpose = Annotated[
    Purpose, typer.Option("--for", help="For inference alone, batch norms are folded.")
]


class ErrorFormat(StrEnum):
    """How messages are written."""

    HUMAN = "human"
    JSON = "json"
    GITHUB = "github"


_ErrorFormat = Annotated[
    ErrorFormat,
    typer.Option("--error-format", help="How to write what is wrong, on standard error."),
]


def with_error_format(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the option `--error-format`: any may have something wrong to tell."""
    signature = inspect.signature(command)
    added = inspect.Parameter(
        "error_format",
        inspect.Parameter.KEYWORD_ONLY,
        default=ErrorFormat.HUMAN,
        annotation=_ErrorFormat,
    )

    def run(*, error_format: ErrorFormat, **options: Any) -> None:
        set_error_format(error_format)
        command(**options)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {**command.__annotations__, "error_format": _ErrorFormat}
    parameters = [*signature.parameters.values(), added]
    setattr(run, "__signature__", signature.replace(parameters=parameters))  # noqa: B010
    return run


def make_request(
    spec: str,
    net: str | None = None,
    arguments: list[str] | None = None,
    limits: list[str] | None = None,
    passes: str | None = None,
    plain: bool = False,
    channels: int | None = None,
    purpose: Purpose = Purpose.TRAINING,
) -> "Request":
    """What the options ask for. Raises typer.BadParameter, or ArchError for unknown passes."""
    from archc.compiler import Request
    from archc.passes.parse import parse_passes
    from archc.passes.pipeline import DEFAULT, for_inference

    if plain and passes is not None:
        raise typer.BadParameter("-O0 runs no pass, so it cannot be given with --passes")
    if plain and purpose is Purpose.INFERENCE:
        raise typer.BadParameter("-O0 runs no pass, and `--for inference` is one")
    chosen = DEFAULT if passes is None else parse_passes(passes)
    if purpose is Purpose.INFERENCE:
        chosen = for_inference(chosen)
    return Request(
        spec,
        net,
        pairs("--set", arguments),
        () if plain else chosen,
        make_limits(limits),
        channels=channels,
    )


def compile_net(request: "Request") -> "Compilation":
    """The net that is asked for; what the compiler warns of is shown. Raises ArchError."""
    from archc.compiler import compile_spec

    compilation = compile_spec(request)
    show(compilation.warnings)
    return compilation


def make_limits(texts: list[str] | None) -> "Limits":
    """The default limits, with those replaced that `--limit` names."""
    from archc.diagnostics import did_you_mean
    from archc.elaborate.limits import Limits

    known = {item.name for item in fields(Limits)}
    limits = Limits()
    for name, text in pairs("--limit", texts).items():
        if name not in known:
            help = did_you_mean(name, known) or f"limits are {', '.join(sorted(known))}"
            raise typer.BadParameter(f"there is no limit `{name}`: {help}")
        digits = text.replace("_", "")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
            raise typer.BadParameter(f"--limit {name} takes a whole number, not `{text}`")
        limits = replace(limits, **{name: int(digits)})
    return limits


def pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    """The values of `name=value` texts by name. Raises typer.BadParameter."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or not value:
            raise typer.BadParameter(f"{option} takes NAME=VALUE, not `{text}`")
        if name in found:
            raise twice(option, name)
        found[name] = value
    return found


def twice(option: str, name: str) -> typer.BadParameter:
    """What is wrong with an option that gives a name two values."""
    return typer.BadParameter(f"{option} gives `{name}` twice: leave one of them out")
