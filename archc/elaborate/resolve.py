"""A check of all names before anything runs: one report for every unknown name of a file."""

from collections.abc import Iterator
from functools import lru_cache

from archc.diagnostics import MAX_SHOWN, ArchError, Diagnostic, Label, Span, error
from archc.elaborate.builtins import BUILTINS
from archc.elaborate.files import FileScope
from archc.elaborate.frame import operator_at, unknown_name
from archc.elaborate.pytorch.translation import Use, uses_in
from archc.elaborate.walk import bound_names, loop_names, parts_of, used_names
from archc.ops.registry import OPS
from archc.syntax import ast
from archc.syntax.messages import FOREIGN


@lru_cache(maxsize=1)  # all nets of a file share it
def check_names(program: FileScope) -> None:
    """Raise ArchError with each name that nothing in its block or file could ever bind.

    What was meant takes long to find: it is looked for as long as errors are shown."""
    known = {*program.names, *OPS, *BUILTINS}
    diagnostics: list[Diagnostic] = []
    mended: list[Span] = []
    for declaration in program.own:
        if isinstance(declaration, ast.Block):
            diagnostics += _twice(declaration)
            own = {*program.names} | _bound(declaration)
            inner = known | own
            for use in _used(declaration):
                known_here = use.name.name in inner or use.name.name in FOREIGN
                if not known_here and not any(map(use.place.is_within, mended)):
                    shown = len(diagnostics) < MAX_SHOWN
                    found = _unknown(use, inner if shown else set(), own)
                    mended += [edit.span for diagnostic in found for edit in diagnostic.fix]
                    diagnostics += found
    for value in program.foreign:
        if not any(map(value.labels[0].span.is_within, mended)):
            diagnostics.append(value)
    if diagnostics:
        if program.foreign:
            diagnostics.sort(key=lambda diagnostic: diagnostic.labels[0].span.start)
        raise ArchError(tuple(diagnostics))


def _unknown(use: Use, known: set[str], own: set[str]) -> tuple[Diagnostic, ...]:
    """What is wrong with a name that the file does not bind, unless it is an operator's."""
    try:
        known_operator = operator_at(use.name) is not None
    except ArchError as refusal:
        return refusal.diagnostics
    return () if known_operator else unknown_name(use, known, own).diagnostics


def _twice(block: ast.Block) -> Iterator[Diagnostic]:
    """Parameters and tensors of one name."""
    first: dict[str, ast.Name] = {}
    parameters = [item.name for item in block.parameters]
    for name in (*parameters, *(item.name for item in block.inputs)):
        other = first.setdefault(name.name, name)
        if other is not name:
            yield from error(
                "E0317",
                f"`{block.name.name}` has two parameters called `{name.name}`",
                Label(name.span, "again here"),
                Label(other.span, "first here"),
                help="rename one of them",
            ).diagnostics


def _bound(block: ast.Block) -> set[str]:
    """All that a block binds anywhere: parameters, tensors, symbolic sizes, variables."""
    parameters = [item.name for item in block.parameters]
    sizes = used_names(tuple(item.shape for item in block.inputs))
    written = (*(item.default for item in block.parameters), block.body)
    comprehensions = (part for part in parts_of(written) if isinstance(part, ast.Comprehension))
    comprehended = (name for part in comprehensions for name in loop_names(part.names))
    inputs = [item.name for item in block.inputs]
    bound = (*parameters, *inputs, *sizes, *bound_names(block.body), *comprehended)
    return {name.name for name in bound}


def _used(block: ast.Block) -> Iterator[Use]:
    """Names in expressions; targets and labels are names of another kind."""
    return uses_in([*(item.default for item in block.parameters if item.default), *block.body])
