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


def import_lines(
    program: Program, runtime: Sequence[Part], delivery: Delivery
) -> tuple[list[str], list[str]]:
    """The import statements of a file, as ruff sorts them.

    Above its classes stands what these mention: of torch, the classes of extern layers, and parts
    of the runtime that are not in the file; behind them, what those in the file import besides.
    """
    above, below = _Imports(), _Imports()
    above.add("from torch import Tensor, nn")
    mentioned = names(program.classes)
    for name, statement in _MENTIONED.items():
        if name in mentioned:
            above.add(statement)
    for (module, cls), name in program.imported.items():
        above.add(f"from {module} import {cls}" + (f" as {name}" if name != cls else ""))
    for each in runtime:
        if delivery == "inline":
            below.add(*each.imports)
        else:
            above.add(*each.statements(mentioned))
    return list(above.lines()), list(below.without(above).lines())


_MENTIONED = {
    "Iterator": "from collections.abc import Iterator",
    "Sequence": "from collections.abc import Sequence",
    "torch": "import torch",
    "F": "from torch.nn import functional as F",
}


class _Imports:
    """Import statements, merged: the standard library's, then others; modules before names."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.names: dict[str, set[str]] = {}

    def add(self, *statements: str) -> None:
        """Statements like `import x` or `from x import a, b`."""
        for tree in ast.parse("\n".join(statements)).body:
            if isinstance(tree, ast.Import):
                self.modules.update(map(ast.unparse, tree.names))
            elif isinstance(tree, ast.ImportFrom) and tree.module:
                self.names.setdefault(tree.module, set()).update(map(ast.unparse, tree.names))

    def without(self, others: "_Imports") -> "_Imports":
        """What is not imported already."""
        left = _Imports()
        left.modules = self.modules - others.modules
        for module, words in self.names.items():
            left.names[module] = words - others.names.get(module, set())
        return left

    def lines(self) -> Iterator[str]:
        """All of them, with an empty line between the two groups."""
        standard, others = list(self._group(standard=True)), list(self._group(standard=False))
        yield from [*standard, ""] if standard and others else standard
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
