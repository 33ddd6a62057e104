"""Walks over the syntax tree: what statements bind, and what expressions mention."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from archc.syntax import ast


class Remembered:
    """The names that a walk finds, each once; a loop or block does not walk its text again."""

    def __init__(self, walk: Callable[[Any], Iterable[ast.Name]]) -> None:
        self._walk = walk
        self._found: dict[int, tuple[ast.Syntax, tuple[str, ...]]] = {}

    def names(self, tree: ast.Syntax) -> tuple[str, ...]:
        if id(tree) not in self._found:
            names = (name.name for name in self._walk(tree))
            self._found[id(tree)] = tree, tuple(dict.fromkeys(names))
        return self._found[id(tree)][1]


def bound_names(body: Sequence[ast.Statement]) -> Iterator[ast.Name]:
    """The variables that statements would bind, inner ones included."""
    for statement in walk_statements(body):
        match statement:
            case ast.Assign():
                yield from statement.targets
            case ast.AssignItem() | ast.Update():
                yield statement.target
            case ast.For():
                yield from loop_names(statement.names)


def loop_names(targets: Sequence[ast.Target]) -> Iterator[ast.Name]:
    """The names of a loop, those in parentheses included."""
    for target in targets:
        if isinstance(target, ast.Name):
            yield target
        else:
            yield from loop_names(target.items)


def walk_statements(body: Sequence[ast.Statement]) -> Iterator[ast.Statement]:
    """Statements and the statements inside them, in the order of the text."""
    for statement in body:
        yield statement
        match statement:
            case ast.For() | ast.Scope():
                yield from walk_statements(statement.body)
            case ast.If():
                for _, branch in statement.branches:
                    yield from walk_statements(branch)
                yield from walk_statements(statement.otherwise)


def certain_stages(loop: ast.For) -> Iterator[ast.Name]:
    """The names of layers that every turn of a loop applies by `->`, whatever is true."""
    if any(isinstance(each, ast.Return) for each in walk_statements(loop.body)):
        return
    bound = {name.name for name in bound_names((loop,))}
    for statement in loop.body:
        value = statement.value if isinstance(statement, ast.Assign) else None
        for stage in value.stages if isinstance(value, ast.Pipe) else ():
            layer = stage.layer.callee if isinstance(stage.layer, ast.Call) else stage.layer
            if isinstance(layer, ast.Name) and layer.name not in bound:
                yield layer


def used_names(tree: object) -> Iterator[ast.Name]:
    """The names that a tree reads; labels and targets are names of another kind."""
    for part in parts_of(tree):
        if isinstance(part, ast.Name):
            yield part


def parts_of(tree: object) -> Iterator[ast.Syntax]:
    """All nodes below, the fields that hold labels and targets left out."""
    if isinstance(tree, tuple):
        for item in tree:
            yield from parts_of(item)
        return
    if not isinstance(tree, ast.Syntax):
        return
    yield tree
    skipped = {"span", "targets", "target", "names", "name"}
    for field in tree.__dataclass_fields__:
        value = getattr(tree, field)
        if field in skipped or (field == "label" and isinstance(value, ast.Name)):
            continue
        yield from parts_of(value)
