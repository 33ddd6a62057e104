"""`archc passes`: what can stand in `--passes`."""

import inspect
from dataclasses import MISSING, Field, fields
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archc.cli.console import write_data, write_json

if TYPE_CHECKING:
    from archc.passes.base import Pass


def passes_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the passes in the order in which they run, with their options and promises."""
    from archc.passes.pipeline import DEFAULT, PASSES

    default = {step.name for step in DEFAULT}
    if as_json:
        listed = [_to_json(cls, by_default=cls.name in default) for cls in PASSES]
        write_json({"schema": 1, "passes": listed})
        return
    texts = [_to_text(cls, by_default=cls.name in default) for cls in PASSES]
    write_data("\n".join(texts))


def _to_text(cls: type["Pass"], *, by_default: bool) -> str:
    lines = [f"{cls.name}{', by default' if by_default else ''}", indent(_promise(cls), "  ")]
    options = [_option_text(option) for option in fields(cls)]
    if options:
        lines += ["", "  options:", *(f"    {text}" for text in options)]
    return "\n".join(lines) + "\n"


def _option_text(option: Field[Any]) -> str:
    from archc.ir.dump import hyper_text

    if option.default is MISSING:
        return f"{option.name}: {_type(option)}, required"
    return f"{option.name}: {_type(option)} = {hyper_text(option.default)}"


def _to_json(cls: type["Pass"], *, by_default: bool) -> dict[str, object]:
    options = [
        {
            "name": option.name,
            "type": _type(option),
            "required": option.default is MISSING,
            "default": None if option.default is MISSING else option.default,
        }
        for option in fields(cls)
    ]
    return {
        "name": cls.name,
        "default": by_default,
        "promise": _promise(cls),
        "options": options,
    }


def _promise(cls: type["Pass"]) -> str:
    return inspect.getdoc(cls) or ""


def _type(option: Field[Any]) -> str:
    return option.type if isinstance(option.type, str) else option.type.__name__
