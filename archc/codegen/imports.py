"""The imports of an emitted file: what its text mentions of torch, and extern layers' classes."""

import re
from collections.abc import Iterator, Mapping, Sequence

from archc.codegen.text import WIDTH
from archc.ir.graph import Graph
from archc.ops.extern import Extern

Imported = Mapping[tuple[str, str], str]
"""The names of imported classes in the emitted file, by module and class."""

ALONE = "# mypy: disable-error-code=no-any-return"
WITH_EXTERNS = (
    '# mypy: disable-error-code="no-any-return, import-untyped, import-not-found, no-untyped-call"'
)


def imported_classes(graph: Graph, taken: set[str]) -> dict[tuple[str, str], str]:
    """A name for each class that extern layers import, none of them in `taken`.

    It is the class's own name where that is free, else the spec's, else a number is added; of two
    classes of one name the one that the spec calls so keeps it.
    """
    names: dict[tuple[str, str], str] = {}
    for op in sorted(_externs(graph), key=lambda op: op.title != op.class_name):
        key = (op.module_name, op.class_name)
        if key not in names:
            names[key] = _free([op.class_name, op.title], {*taken, *names.values()})
    return names


def _externs(graph: Graph) -> Iterator[Extern]:
    for node in graph.nodes():
        if isinstance(node.op, Extern):
            yield node.op


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


def import_lines(text: str, imported: Imported) -> list[str]:
    """The import statements of a file with this text, as ruff sorts them."""
    found = []
    if re.search(r"(?<![\w.])Sequence\[", text):
        found += ["from collections.abc import Sequence", ""]
    if re.search(r"(?<![\w.])torch\.", text):
        found.append("import torch")
    statements = [("torch", "from torch import Tensor, nn")]
    if re.search(r"(?<![\w.])F\.", text):
        statements.append(("torch.nn", "from torch.nn import functional as F"))
    statements += _of_externs(imported)
    return found + [line for _, line in sorted(statements, key=_place)]


def _of_externs(imported: Imported) -> Iterator[tuple[str, str]]:
    """One statement a module for the classes that keep their names, one for each that does not."""
    plain: dict[str, list[str]] = {}
    for (module, cls), name in imported.items():
        if name == cls:
            plain.setdefault(module, []).append(cls)
        else:
            yield module, _import(module, [f"{cls} as {name}"])
    for module, classes in plain.items():
        yield module, _import(module, sorted(classes))


def _import(module: str, names: Sequence[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])


def _place(statement: tuple[str, str]) -> tuple[str, str]:
    module, line = statement
    return module.lower(), line
