"""`archc passes`: what can stand in `--passes`."""

import inspect
from dataclasses import MISSING, Field, dataclass, fields, replace
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archc.cli.console import show, write_data, write_json

if TYPE_CHECKING:
    from archc.diagnostics import Diagnostic
    from archc.passes.base import Pass
    from archc.plugins import Plugin, PluginError


def passes_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the passes in the order in which they run, with their options and promises."""
    from archc.passes.pipeline import DEFAULT, PASSES

    default = {step.name for step in DEFAULT}
    found, broken = _of_others([cls.name for cls in PASSES])
    listed = [_Listed(cls, cls.name in default) for cls in PASSES if not cls.last]
    listed += found
    listed += [_Listed(cls, cls.name in default) for cls in PASSES if cls.last]
    if as_json:
        write_json({"schema": 1, "passes": [_to_json(item) for item in listed]})
    else:
        write_data("\n".join(_to_text(item) for item in listed))
    show(broken)


@dataclass(frozen=True)
class _Listed:
    """A pass, and the distribution that it is of; None for archc's own."""

    cls: type["Pass"]
    by_default: bool = False
    distribution: str | None = None


def _of_others(own: list[str]) -> tuple[list[_Listed], list["Diagnostic"]]:
    """The passes of other distributions, and warnings of those that cannot be used."""
    from archc import plugins
    from archc.passes.parse import GROUP, load_pass

    found: list[_Listed] = []
    broken: list[Diagnostic] = []
    for plugin in plugins.offered(GROUP):
        refusal = _hidden(plugin) if plugin.name in own else None
        try:
            if refusal is None:
                plugins.find(GROUP, plugin.name)
                found.append(_Listed(load_pass(plugin), distribution=plugin.distribution))
        except plugins.PluginError as problem:
            refusal = problem
        if refusal is not None:
            broken += [replace(each, severity="warning") for each in refusal.at().diagnostics]
    return found, broken


def _hidden(plugin: "Plugin") -> "PluginError":
    from archc.plugins import PluginError

    of = f"`{plugin.name}` of the distribution `{plugin.distribution}`"
    return PluginError("E0723", f"{of} is hidden by archc's own pass of that name")


def _to_text(item: _Listed) -> str:
    cls = item.cls
    origin = f", of {item.distribution}" if item.distribution else ""
    head = f"{cls.name}{', by default' if item.by_default else ''}{origin}"
    lines = [head, indent(_promise(cls), "  ")]
    options = [_option_text(option) for option in fields(cls)]
    if options:
        lines += ["", "  options:", *(f"    {text}" for text in options)]
    return "\n".join(lines) + "\n"


def _option_text(option: Field[Any]) -> str:
    from archc.ir.dump import hyper_text

    if option.default is MISSING:
        return f"{option.name}: {_type(option)}, required"
    return f"{option.name}: {_type(option)} = {hyper_text(option.default)}"


def _to_json(item: _Listed) -> dict[str, object]:
    cls = item.cls
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
        "default": item.by_default,
        "distribution": item.distribution,
        "promise": _promise(cls),
        "options": options,
    }


def _promise(cls: type["Pass"]) -> str:
    return inspect.getdoc(cls) or ""


def _type(option: Field[Any]) -> str:
    return option.type if isinstance(option.type, str) else option.type.__name__
