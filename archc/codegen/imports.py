"""The imports of an emitted file: what its text mentions of torch, and extern layers' classes."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence

from archc.codegen.runtime import Delivery, Part
from archc.codegen.text import WIDTH
from archc.ir.graph import Graph

Imported = Mapping[tuple[str, str], str]
"""The names of imported classes in the emitted file, by module and class."""

ALONE = "# mypy: disable-error-code=no-any-return"
WITH_EXTERNS = (
    '# mypy: disable-error-code="no-any-return, import-untyped, import-not-found, no-untyped-call"'
)


def imported_classes(graph: Graph, taken: set[str]) -> dict[tuple[str, str], str]:
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


def import_lines(
    text: str, imported: Imported, runtime: Sequence[Part], delivery: Delivery
) -> list[str]:
    """The import statements of a file, as ruff sorts them: what its classes' text mentions, the
    classes of extern layers, and what its parts of the runtime import, or these themselves."""
    found = _Imports()
    found.add("from torch import Tensor, nn")
    for pattern, statement in _MENTIONED.items():
        if re.search(pattern, text):
            found.add(statement)
    for (module, cls), name in imported.items():
        found.add(f"from {module} import {cls}" + (f" as {name}" if name != cls else ""))
    for each in runtime:
        for statement in each.imports if delivery == "inline" else each.statements(text):
            found.add(statement)
    return list(found.lines())


_MENTIONED = {
    r"(?<![\w.])Sequence\[": "from collections.abc import Sequence",
    r"(?<![\w.])torch\.": "import torch",
    r"(?<![\w.])F\.": "from torch.nn import functional as F",
}


class _Imports:
    """Import statements, merged: the standard library's, then others; modules before names."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.names: dict[str, set[str]] = {}

    def add(self, statement: str) -> None:
        """One statement, `import x` or `from x import a, b`."""
        (tree,) = ast.parse(statement).body
        if isinstance(tree, ast.Import):
            self.modules.update(map(ast.unparse, tree.names))
        elif isinstance(tree, ast.ImportFrom) and tree.module:
            self.names.setdefault(tree.module, set()).update(map(ast.unparse, tree.names))

    def lines(self) -> Iterator[str]:
        """All of them, with an empty line between the two groups."""
        standard, others = list(self._group(standard=True)), list(self._group(standard=False))
        yield from [*standard, ""] if standard else []
        yield from others

    def _group(self, *, standard: bool) -> Iterator[str]:
        for module in sorted(self.modules):
            if _is_standard(module) == standard:
                yield f"import {module}"
        for module in sorted(self.names, key=lambda name: (name.lower(), name)):
            if _is_standard(module) == standard:
                yield from self._from(module)

    def _from(self, module: str) -> Iterator[str]:
        """One statement for the names that stay, one for each that is called something else."""
        plain = [name for name in self.names[module] if " as " not in name]
        renamed = self.names[module] - set(plain)
        if plain:
            yield _import(module, sorted(plain, key=_rank))
        for name in sorted(renamed):
            yield _import(module, [name])


def _is_standard(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in sys.stdlib_module_names


def _rank(name: str) -> tuple[int, str]:
    """Constants, classes, the rest: isort's order."""
    word = name.split(maxsplit=1)[0]
    return (0 if word.isupper() and len(word) > 1 else 1 if word[0].isupper() else 2, name)


def _import(module: str, names: Sequence[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])
