"""The whole way from a spec's name to a graph, and from there to the text of `model.py`.

The command line and the Python interface both go this way.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from archc.codegen.emit import Header, emit
from archc.codegen.runtime import Delivery
from archc.diagnostics import Diagnostic
from archc.elaborate.files import FileScope, find_spec, load_program, load_text
from archc.elaborate.limits import Budget, Limits
from archc.elaborate.net import Elaboration, Variation, elaborate, variations
from archc.ir.dump import hyper_text
from archc.ir.graph import Graph
from archc.ir.sharing import Sharing
from archc.lint.unused import warnings_of
from archc.passes.base import Pass
from archc.passes.pipeline import DEFAULT, run_pipeline
from archc.resources import library_root
from archc.timing import Phases
from archc.version import __version__


@dataclass(frozen=True)
class Request:
    """What is to be compiled, and how.

    `spec` is a path or the name of a shipped spec; `net` is None for the file's first net;
    `arguments` are the net's parameters, as texts of the language; `channels` replaces those of
    its image. With a `text` that is the spec, and `spec` is only what messages call it.
    """

    spec: str
    net: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    passes: tuple[Pass, ...] = DEFAULT
    limits: Limits = field(default_factory=Limits)
    text: str | None = None
    channels: int | None = None

    def load(self) -> FileScope:
        """The spec with all that it imports. Raises ArchError."""
        if self.text is not None:
            return load_text(self.text, self.spec)
        return load_program(find_spec(self.spec))


_FIXED = (
    "the emitted file has no arguments `num_classes` and `in_chans`: to look whether it can have "
    "them takes five times the steps of this net, or its bytes; `--limit steps=N --limit bytes=N` "
    "admits that"
)


@dataclass(frozen=True)
class Compilation:
    """A spec compiled up to the last pass; `source` goes on to the text.

    `phases` has the times of what was done, and gets those of what `source` does.
    """

    request: Request
    program: FileScope
    elaboration: Elaboration
    graph: Graph
    phases: Phases = field(compare=False)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """Warnings and notes of the spec."""
        found = warnings_of(self.program, self.elaboration)
        if self.elaboration.affords_variations:
            return found
        return (*found, Diagnostic("", _FIXED, severity="note"))

    def source(self, runtime: Delivery = "inline") -> str:
        """The text of `model.py`. Raises ArchError."""
        varied = self._variations
        with self.phases.measure("codegen"):
            return emit(self.graph, varied, self.header(runtime), runtime)

    def plain_source(self) -> str:
        """The text of the net without what `share-memory` found: it runs as torch runs it.

        Its arguments are fixed. Raises ArchError.
        """
        plain = self.graph.copy()
        plain.sharing = Sharing()
        return emit(plain, (), self.header())

    @cached_property
    def _variations(self) -> tuple[Variation, ...]:
        """The net with other arguments, after the passes that change nodes."""
        request = self.request
        passes = tuple(step for step in request.passes if not step.last)
        with self.phases.measure("variations"):
            return tuple(
                replace(variation, graph=run_pipeline(variation.graph, passes, check=False))
                for variation in variations(
                    self.program, request.net, request.arguments, self.elaboration
                )
            )

    def header(self, runtime: Delivery = "inline") -> Header:
        """What the emitted file says of its origin: the same wherever it is compiled."""
        name = self.program.source.name
        passes = tuple(map(str, self.request.passes))
        command = self._command(name, runtime) if self.request.text is None else self._call(runtime)
        files = tuple(file for step in self.request.passes for file in step.files)
        return Header(name, command, passes, __version__, files)

    def _call(self, runtime: Delivery) -> str:
        """The call in Python that makes this text again, of a spec that is no file."""
        words = ["text"]
        if len(self.program.nets) > 1:
            words.append(f"net={self.graph.name!r}")
        given = dict(self.graph.info.given)
        words += [f"{name}={given[name]!r}" for name in self.request.arguments]
        if not self.request.passes:
            words.append("O0=True")
        elif self.request.passes != DEFAULT:
            words.append(f"passes={','.join(map(str, self.request.passes))!r}")
        return f"archc.loads({', '.join(words)}).{'source' if runtime == 'inline' else 'build()'}"

    def _command(self, name: str, runtime: Delivery) -> str:
        """The command that makes this text again, run in the spec's folder."""
        words = ["archc", "compile", self._spec_word(name)]
        if len(self.program.nets) > 1:
            words += ["--net", self.graph.name]
        given = dict(self.graph.info.given)
        for parameter, text in self.request.arguments.items():
            shown = hyper_text(given[parameter]) if parameter in given else text.strip()
            words += ["--set", f"{parameter}={shown}"]
        if self.request.channels is not None:
            words += ["--in-chans", str(self.request.channels)]
        if not self.request.passes:
            words.append("-O0")
        elif self.request.passes != DEFAULT:
            words += ["--passes", ",".join(map(str, self.request.passes))]
        if runtime != "inline":
            words += ["--runtime", runtime]
        return shlex.join(words)

    def _spec_word(self, name: str) -> str:
        """How to name the spec: a shipped one needs no path."""
        file = self.program.source.file
        shipped = file is not None and file.resolve().parent == library_root().resolve()
        return name.removesuffix(".arch") if shipped else name


def compile_spec(
    request: Request,
    *,
    dump_after: Callable[[str, Graph], None] | None = None,
    phases: Phases | None = None,
) -> Compilation:
    """Elaborate one net of a spec and run the passes. Raises ArchError."""
    phases = phases or Phases()
    with phases.measure("parse"):
        program = request.load()
    with phases.measure("elaborate"):
        budget = Budget(request.limits)
        elaboration = elaborate(program, request.net, request.arguments, budget, request.channels)
    graph = run_pipeline(elaboration.graph, request.passes, dump_after=dump_after, phases=phases)
    return Compilation(request, program, elaboration, graph, phases)
