"""The parts of archc's runtime that a net needs, as they stand in its tested source."""

import ast
import builtins
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

_PACKAGE = "archc.runtime"

_BUILTINS = frozenset(dir(builtins))
_WORD = re.compile(r"[A-Za-z]\w*")

Delivery = Literal["inline", "import"]
"""How a file comes to the runtime: it stands in the file, or is imported from archc."""


@dataclass(frozen=True)
class Part:
    """A module of the runtime: the modules it builds on, what it imports of others, its text, what
    it defines, and all names that mean something in it: no class of the emitted file has one of
    these."""

    name: str
    needs: tuple[str, ...]
    imports: tuple[str, ...]
    text: str
    defines: frozenset[str]
    names: frozenset[str]

    def statements(self, mentioned: Set[str]) -> list[str]:
        """What imports from archc the names of it that a program mentions."""
        called = sorted(self.defines & mentioned)
        return [f"from {_PACKAGE}.{self.name} import {each}" for each in called]


@cache
def part(name: str) -> Part:
    """One module of the runtime, without its docstring and its imports."""
    source = files(_PACKAGE).joinpath(f"{name}.py").read_text("utf-8")
    tree = ast.parse(source)
    heads = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    own = [node for node in heads if (getattr(node, "module", None) or "").startswith(_PACKAGE)]
    needs = tuple(
        node.module.rpartition(".")[2]
        for node in own
        if isinstance(node, ast.ImportFrom) and node.module
    )
    imports = tuple(ast.unparse(node) for node in heads if node not in own)
    end = max((node.end_lineno or 0 for node in heads), default=0)
    text = "".join(source.splitlines(keepends=True)[end:]).strip()
    defines = frozenset(_defined(tree))
    return Part(name, needs, imports, text, defines, defines.union(_meaningful(heads, source)))


def _meaningful(heads: Iterable[ast.Import | ast.ImportFrom], source: str) -> Iterator[str]:
    """What the module imports, and the builtins that it speaks of."""
    for node in heads:
        yield from (alias.asname or alias.name for alias in node.names)
    # Words in comments are among them: no class needs the name of a builtin.
    yield from _BUILTINS.intersection(_WORD.findall(source))


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def closure(names: Iterable[str]) -> tuple[str, ...]:
    """The modules of the runtime and those that they need, each behind those."""
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        for need in part(name).needs:
            visit(need)
        found.setdefault(name)

    for name in sorted(names):
        visit(name)
    return tuple(found)
