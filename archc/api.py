"""archc from Python: `archc.load("densenet_cifar", depth=40).build()`."""

import re
import warnings
from collections.abc import Mapping
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

from archc.cache import import_source
from archc.compiler import Compilation, Request, compile_spec
from archc.diagnostics import Diagnostic, SpecWarning, error, printable, render
from archc.ir.dump import hyper_text
from archc.ir.graph import Graph
from archc.ops.extern import Extern
from archc.passes.base import Pass
from archc.passes.parse import parse_passes
from archc.passes.pipeline import DEFAULT

if TYPE_CHECKING:
    from torch import nn

    from archc.analysis.summary import Summary

ParameterValue = int | float | bool | str | list[Any]
"""What a net's parameter can be given as."""


def load(
    path_or_name: str | Path,
    /,
    net: str | None = None,
    *,
    passes: str | None = None,
    O0: bool = False,  # noqa: N803 -- the name of the command line's option
    **params: ParameterValue,
) -> "Model":
    """Compile a net of a spec: a path, or the name of a shipped spec.

    Without `net` the file's only or first net is taken; `params` are the net's parameters.
    `passes` are those to run, as the command line has them (`"simplify"`); with `O0` none does.
    What the compiler warns of is a `SpecWarning` of the line that calls. Raises
    `archc.diagnostics.ArchError`, whose text shows what is wrong with the spec and where, and
    ValueError for `passes` beside `O0`.
    """
    chosen = _passes(passes, plain=O0)
    return _compiled(Request(str(path_or_name), net, _arguments(params), chosen))


def loads(
    text: str,
    /,
    net: str | None = None,
    *,
    passes: str | None = None,
    O0: bool = False,  # noqa: N803
    **params: ParameterValue,
) -> "Model":
    """Compile a net of a spec given as text; all else is as with `load`.

    Imports are looked for in the working folder, then in the shipped library.
    """
    chosen = _passes(passes, plain=O0)
    return _compiled(Request("<text>", net, _arguments(params), chosen, text=text))


def _arguments(params: Mapping[str, ParameterValue]) -> dict[str, str]:
    return {name: hyper_text(_hyper(value)) for name, value in params.items()}


def _passes(text: str | None, *, plain: bool) -> tuple[Pass, ...]:
    if plain and text is not None:
        raise ValueError("O0 runs no pass, so it cannot be given with passes")
    if plain:
        return ()
    return DEFAULT if text is None else parse_passes(text, option="passes")


def _compiled(request: Request) -> "Model":
    """The net that is asked for; its warnings are those of the line that called our caller."""
    model = Model(compile_spec(request))
    for diagnostic in model.warnings:
        if diagnostic.severity == "warning":
            warnings.warn(render(diagnostic), SpecWarning, stacklevel=3)
    return model


def _not_imported(graph: Graph, problem: ImportError) -> Exception:
    """The extern layer whose module is missing; the problem itself, if it is none of them."""
    missing = problem.name or ""
    for node in graph.nodes():
        if isinstance(node.op, Extern) and f"{node.op.module_name}.".startswith(f"{missing}."):
            top = node.op.module_name.partition(".")[0]
            install = f"install `{top}`, or let PYTHONPATH name the folder that it is in"
            return error(
                "E0507",
                f"`{node.op.title}` is `{node.op.class_name}` of `{node.op.module_name}`, "
                f"which cannot be imported: {problem}",
                node.layer.span,
                help=install if isinstance(problem, ModuleNotFoundError) else None,
            )
    return problem


def _not_constructed(graph: Graph, problem: Exception, file: str | None) -> Exception:
    """The extern layer whose class refuses; the problem itself, if it is none of them."""
    lines = [each.line or "" for each in extract_tb(problem.__traceback__) if each.filename == file]
    called = set(re.findall(r"\w+", lines[-1])) if lines else set()
    for node in graph.nodes():
        if isinstance(node.op, Extern) and node.op.class_name.split(".")[-1] in called:
            what = f"{type(problem).__name__}: {problem}"
            return error(
                "E0508",
                f"the extern layer `{node.op.title}` cannot be constructed: {printable(what)}",
                node.layer.span,
            )
    return problem


def _hyper(value: Any) -> Any:
    """A value of the language; the numbers of numpy are numbers, too."""
    if isinstance(value, list | tuple):
        return tuple(map(_hyper, value))
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else value


class Model:
    """A compiled net: its graph, its emitted source, its figures, and instances of it."""

    def __init__(self, compilation: Compilation) -> None:
        self._compilation = compilation

    @property
    def graph(self) -> Graph:
        """The intermediate representation after all passes."""
        return self._compilation.graph

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the compiler has to say of the spec, short of errors."""
        return self._compilation.warnings

    @cached_property
    def source(self) -> str:
        """The text of `model.py`."""
        return self._compilation.source()

    @cached_property
    def _built_source(self) -> str:
        """The same, with archc's runtime imported."""
        return self._compilation.source("import")

    def summary(self) -> "Summary":
        """Shapes, parameters and multiply-accumulates, by region and by exit."""
        from archc.analysis.summary import summarize

        return summarize(self.graph)

    def build(self, **arguments: Any) -> "nn.Module":
        """An instance of the net; `arguments` go to its constructor.

        The source, with archc's runtime imported, is a file in the user's cache folder and a
        module of `archc.built`: so tracebacks, `inspect` and debuggers show its text, and the net
        can be pickled. Raises `archc.diagnostics.ArchError` if an extern layer cannot be imported
        or constructed.
        """
        try:
            module = import_source(self._built_source, self.graph.name)
        except ImportError as problem:
            raise _not_imported(self.graph, problem) from problem
        cls = getattr(module, module.__all__[0])
        try:
            model: nn.Module = cls(**arguments)
        except Exception as problem:
            raise _not_constructed(self.graph, problem, module.__file__) from problem
        return model

    def _repr_svg_(self) -> str:
        """The picture that a notebook shows."""
        from archc.viz.draw import to_svg

        return to_svg(self.graph)

    def __repr__(self) -> str:
        return f"<archc net {self.graph.name}, {len(self.graph)} operators>"
