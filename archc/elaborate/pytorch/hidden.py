"""Variables that hide an operator, a function or a block, and where they were bound."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Set
from dataclasses import dataclass

from archc.diagnostics import Fix, Label
from archc.elaborate.builtins import BUILTINS
from archc.elaborate.walk import bound_names
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
        if isinstance(block, ast.Block) and use.span.is_within(block.span):
            parameters = (item.name for item in block.parameters)
            inputs = (item.name for item in block.inputs)
            names = (*parameters, *inputs, *bound_names(block.body))
            yield from sorted(
                (name for name in names if name.name == use.name), key=lambda name: name.span.start
            )


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
