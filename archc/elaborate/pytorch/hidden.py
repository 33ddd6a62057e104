"""Variables that hide an operator, a function or a block, and where they were bound."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Set
from dataclasses import dataclass

from archc.diagnostics import Fix, Label
from archc.elaborate.builtins import BUILTINS
from archc.elaborate.walk import loop_names, walk_statements
from archc.ops.registry import OPS
from archc.syntax import ast


@dataclass(frozen=True, slots=True)
class Hidden:
    """What to say of a use that finds a variable in the place of what was meant; or nothing."""

    labels: tuple[Label, ...] = ()
    help: str | None = None


def hidden_by(use: ast.Name, file: ast.File, known: Collection[str]) -> Hidden:
    """For a name that a variable has, and something that is `known` under it."""
    if use.name not in known:
        return Hidden()
    bound = [name for name in _bindings(use, file) if name.span.start < use.span.start]
    labels = tuple(Label(name.span, f"`{use.name}` is bound here") for name in bound[-1:])
    what = f"the variable `{use.name}` hides what is called so: give it another name"
    return Hidden(labels, what)


def _bindings(use: ast.Name, file: ast.File) -> Iterator[ast.Name]:
    """Where the block around a name binds it, in the order of the text."""
    for block in file.declarations:
        inside = block.span.start <= use.span.start < block.span.end
        if isinstance(block, ast.Block) and inside:
            names = (name for name in _names(block) if name.name == use.name)
            yield from sorted(names, key=lambda name: name.span.start)


def _names(block: ast.Block) -> Iterator[ast.Name]:
    yield from (item.name for item in block.parameters)
    yield from (item.name for item in block.inputs)
    for statement in walk_statements(block.body):
        match statement:
            case ast.Assign():
                yield from statement.targets
            case ast.For():
                yield from loop_names(statement.names)


_MENTIONED = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?!\w|\s*=[^=])")
"""Names that a text uses: no attributes, and none of arguments."""


def hidden_in(fix: Fix, own: Set[str]) -> str | None:
    """An operator or function that a mend brings in and that the spec's `own` names hide."""
    for edit in fix:
        brought: Counter[str] = Counter(_MENTIONED.findall(edit.text))
        brought.subtract(_MENTIONED.findall(edit.span.text))
        for name, count in brought.items():
            if count > 0 and name in own and (name in OPS or name in BUILTINS):
                return name
    return None
