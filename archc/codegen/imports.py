"""The imports of an emitted file: what its text mentions of torch, and extern layers' classes."""

import ast
import sys
from collections.abc import Iterator, Sequence

from archc.codegen.runtime import Delivery, Part
from archc.layout import WIDTH
from archc.lowering.lower import Program
from archc.program.tree import names

ALONE = "# mypy: disable-error-code=no-any-return"
WITH_EXTERNS = (
    '# mypy: disable-error-code="no-any-return, import-untyped, import-not-found, no-untyped-call"'
)


def import_lines(program: Program, runtime: Sequence[Part], delivery: Delivery) -> list[str]:
    """The import statements of a file, as ruff sorts them: what its classes mention, the classes of
    extern layers, and what its parts of the runtime import, or these themselves."""
    found = _Imports()
    found.add("from torch import Tensor, nn")
    mentioned = names(program.classes)
    for name, statement in _MENTIONED.items():
        if name in mentioned:
            found.add(statement)
    for (module, cls), name in program.imported.items():
        found.add(f"from {module} import {cls}" + (f" as {name}" if name != cls else ""))
    for each in runtime:
        for statement in each.imports if delivery == "inline" else each.statements(mentioned):
            found.add(statement)
    return list(found.lines())


_MENTIONED = {
    "Sequence": "from collections.abc import Sequence",
    "torch": "import torch",
    "F": "from torch.nn import functional as F",
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
