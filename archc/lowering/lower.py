"""From a graph to a program: the classes of its net, as data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from archc.diagnostics import error
from archc.ir.exits import has_exits
from archc.ir.graph import Graph, Path
from archc.lowering.class_names import class_names, names_taken
from archc.lowering.classes import ClassWriter
from archc.lowering.exits import open_blocks
from archc.lowering.form import Form
from archc.lowering.forms import Outliner, SharedFormError
from archc.lowering.modules import Modules
from archc.lowering.net import NetWriter
from archc.lowering.sharing import runtime_of, share
from archc.lowering.skipping import skips
from archc.lowering.symbols import Variation, find_symbols
from archc.lowering.values import Symbol
from archc.program.tree import ClassDef

Imported = Mapping[tuple[str, str], str]
"""The names of imported classes in the emitted file, by module and class."""


@dataclass(frozen=True)
class Program:
    """The classes of a net, the net's own last, and what they need from elsewhere."""

    net: str
    classes: tuple[ClassDef, ...]
    imported: Imported
    """Classes that are not torch's."""
    runtime: frozenset[str]
    """The parts of archc's runtime that the classes call."""


def lower(graph: Graph, variations: Sequence[Variation], reserved: frozenset[str]) -> Program:
    """The program of a verified graph. Raises ArchError where a net has none.

    `reserved` are names that no class may have: the runtime's.
    """
    modules = _modules(graph)
    symbols = find_symbols(modules, variations)
    outliner, forms = _outlined(modules, symbols.of)
    names = class_names(forms, graph.name, reserved)
    imported = _imported(graph, {*names_taken(forms), *reserved, *names.values()})
    writers = [
        ClassWriter(modules, outliner, form, names, imported)
        if form.module.path
        else NetWriter(modules, outliner, form, names, imported, arguments=symbols.arguments)
        for form in forms
    ]
    classes = tuple(writer.write() for writer in writers)
    return Program(graph.name, classes, imported, runtime_parts(graph))


def runtime_parts(graph: Graph) -> frozenset[str]:
    """The parts of archc's runtime that a net calls."""
    called = (name for node in graph.nodes() for name in node.op.runtime)
    gates, exits = {"gates"} if skips(graph) else set(), {"exits"} if has_exits(graph) else set()
    return frozenset(called) | runtime_of(graph) | gates | exits


def require_text(graph: Graph) -> None:
    """Raise the ArchError that `lower` raises where a net has no text."""
    modules = _modules(graph)
    _outlined(modules, {})


def _modules(graph: Graph) -> Modules:
    """The modules of a net, with what its passes have planned."""
    modules = Modules.of(graph)
    if has_exits(graph):
        open_blocks(modules)
    share(modules)
    return modules


def _outlined(
    modules: Modules, symbols: Mapping[tuple[Path | int, str], Symbol]
) -> tuple[Outliner, list[Form]]:
    """The forms of all modules. Raises ArchError where one needs more than one."""
    outliner = Outliner(modules, symbols)
    try:
        return outliner, outliner.run()
    except SharedFormError as refusal:
        region = refusal.module.region
        raise error(
            "E0701",
            f"`{'.'.join(region.path)}` is applied several times, with different bodies",
            region.span,
            help="what a block does may depend on its input only where it is applied once",
        ) from None


def _imported(graph: Graph, taken: set[str]) -> dict[tuple[str, str], str]:
    """A name for each class that a net needs and torch does not have, none of them in `taken`.

    It is the class's own name where that is free, else the spec's, else a number is added; of two
    classes of one name the one that the spec calls so keeps it.
    """
    names: dict[tuple[str, str], str] = {}
    for key, title in sorted(_foreign(graph), key=lambda pair: pair[0][1] != pair[1]):
        if key not in names:
            names[key] = _free([key[1], title], {*taken, *names.values()})
    return names


def _foreign(graph: Graph) -> Iterator[tuple[tuple[str, str], str]]:
    """Module and class of each layer that is not torch's, and what the spec calls it."""
    for node in graph.nodes():
        module = node.op.module(*graph.operand_types(node.id)) if node.layer.path else None
        if module is not None and module.source:
            yield (module.source, module.cls), node.op.name


def _free(wanted: Sequence[str], taken: set[str]) -> str:
    # Two leading underscores would be mangled inside of a class.
    for name in wanted:
        if name not in taken and not name.startswith("__"):
            return name
    stem = wanted[-1].strip("_") or "Layer"
    number = 2
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"
