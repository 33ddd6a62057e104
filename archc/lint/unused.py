"""Warnings of what a file declares or computes and never uses or runs, read off its text.

A name that begins with `_` is meant to be unused. The blocks and constants of a file without nets
are for the files that import it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

from archc.diagnostics import Diagnostic, Label, Span, warning
from archc.elaborate.files import Declared, FileScope
from archc.elaborate.net import Elaboration
from archc.elaborate.walk import parts_of, used_names, walk_statements
from archc.ir.annotations import UnusedLayers
from archc.syntax import ast
from archc.syntax.edits import without_line


@lru_cache(maxsize=1)  # all nets of a file share it
def unused(program: FileScope) -> tuple[Diagnostic, ...]:
    """What is to be said of one file; of those that it imports, nothing."""
    found = [*_imports(program), *_declarations(program)]
    for declaration in program.own:
        if isinstance(declaration, ast.Block):
            found += [
                *_parameters(declaration),
                *_variables(declaration),
                *_unreached(declaration),
                *_single_turns(declaration),
            ]
        elif isinstance(declaration, ast.ExternLayer):
            found += _parameters(declaration)
    return tuple(sorted(found, key=lambda each: each.labels[0].span.start))


# ------------------------------------------------------------- declarations


def _mentioned(declaration: Declared) -> set[str]:
    return {name.name for name in used_names(declaration)}


def _imports(program: FileScope) -> Iterator[Diagnostic]:
    mentioned = {name for declaration in program.own for name in _mentioned(declaration)}
    for item, imported in program.imports:
        names = {declaration.name.name for declaration in imported.own}
        if not names & mentioned:
            yield warning(
                "W0005",
                f'nothing of "{item.path}" is used',
                item.span,
                help="remove the import",
                fix=without_line(item.span),
                certain=True,
            )


def _declarations(program: FileScope) -> Iterator[Diagnostic]:
    """What no other declaration mentions, in a file with nets; the nets are what it is for."""
    if not program.nets:
        return
    nets = {id(net) for net in program.nets}
    mentioned = [(each, _mentioned(each)) for each in program.own]
    mentions = Counter(name for _, names in mentioned for name in names)
    for declaration, own in mentioned:
        name = declaration.name.name
        others = mentions[name] - (name in own)
        if id(declaration) in nets or others or name.startswith("_"):
            continue
        kind = "extern layer" if isinstance(declaration, ast.ExternLayer) else "block"
        kind = "constant" if isinstance(declaration, ast.Const) else kind
        yield warning(
            "W0005",
            f"the {kind} `{name}` is never used",
            declaration.name.span,
            help=f"remove it, or call it `_{name}`",
            fix=without_line(declaration.span),
        )


# --------------------------------------------------------------- parameters


def _parameters(owner: ast.Block | ast.ExternLayer) -> Iterator[Diagnostic]:
    names = [item.name for item in owner.parameters]
    reading: tuple[object, ...]
    if isinstance(owner, ast.Block):
        names += [item.name for item in owner.inputs]
        reading = (owner.body, owner.inputs)
    elif owner.arguments is None:  # then all are given to the constructor
        return
    else:
        reading = (owner.arguments, owner.inputs, owner.outputs)
    defaults = tuple(item.default for item in owner.parameters)
    read = {name.name for name in used_names((*reading, owner.annotations, defaults))}
    for name in names:
        if name.name not in read and not name.name.startswith("_"):
            message = f"`{name.name}` of `{owner.name.name}` is never read"
            yield warning("W0006", message, name.span, help=f"remove it, or call it `_{name.name}`")


# ---------------------------------------------------------------- variables


def _variables(block: ast.Block) -> Iterator[Diagnostic]:
    """Values that nothing reads: the name is nowhere read, or bound again first."""
    read = {name.name for name in used_names(block.body)}
    for body in _bodies(block.body):
        for target, overwritten in _targets(_reached(body)):
            if target.name.startswith("_") or (target.name in read and not overwritten):
                continue
            yield warning(
                "W0007",
                f"the value of `{target.name}` is never used",
                target.span,
                help=f"remove the statement, or call it `_{target.name}`",
            )


def _bodies(body: Sequence[ast.Statement]) -> Iterator[Sequence[ast.Statement]]:
    """A body, and the bodies inside it that are reached."""
    yield body
    for statement in _reached(body):
        match statement:
            case ast.For() | ast.Scope():
                yield from _bodies(statement.body)
            case ast.If():
                for _, branch in statement.branches:
                    yield from _bodies(branch)
                yield from _bodies(statement.otherwise)


def _targets(body: Sequence[ast.Statement]) -> Iterator[tuple[ast.Name, bool]]:
    """What a body's own statements bind, and whether it is bound again before it is read."""
    bound_next: set[str] = set()
    for statement in reversed(body):
        targets = statement.targets if isinstance(statement, ast.Assign) else ()
        if not _is_set_aside(statement):
            yield from ((target, target.name in bound_next) for target in targets)
        bound_next |= {target.name for target in targets}
        bound_next -= {name.name for name in used_names(statement)}
        bound_next -= {name.name for name in _changed(statement)}


def _is_set_aside(statement: ast.Statement) -> bool:
    """Whether its value is not meant to be used."""
    annotations = statement.annotations if isinstance(statement, ast.Assign) else ()
    return any(annotation.name == UnusedLayers.name for annotation in annotations)


def _changed(statement: ast.Statement) -> Iterator[ast.Name]:
    """`xs += [x]` and `xs[0] = x` need the value that was there."""
    for part in parts_of(statement):
        if isinstance(part, ast.Update | ast.AssignItem):
            yield part.target


# ----------------------------------------------------------- what never runs


def _unreached(block: ast.Block) -> Iterator[Diagnostic]:
    """What stands behind a `return`, which ends its body whatever the values are."""
    for body in _bodies(block.body):
        count = len(_reached(body))
        if count < len(body):
            yield warning(
                "W0009",
                "this is never reached",
                body[count].span.to(body[-1].span),
                Label(body[count - 1].span, "its body ends here"),
                help="remove it, or put it before the `return`",
            )


def _single_turns(block: ast.Block) -> Iterator[Diagnostic]:
    """Loops that end in their first turn whatever the values are, by a `return`."""
    loops = (item for item in walk_statements(block.body) if isinstance(item, ast.For))
    for loop in loops:
        end = next(filter(_returns, loop.body), None)
        if end is not None:
            yield warning(
                "W0010",
                "this ends the loop in its first turn",
                end.span,
                Label(Span(loop.span.source, loop.span.start, loop.items.span.end), "the loop"),
                help="put it behind the loop, or into an `if`",
            )


def _reached(body: Sequence[ast.Statement]) -> Sequence[ast.Statement]:
    """A body up to the statement with which it always ends."""
    for count, statement in enumerate(body, start=1):
        if _returns(statement):
            return body[:count]
    return body


def _returns(statement: ast.Statement) -> bool:
    """Whether a body always ends with this statement."""
    match statement:
        case ast.Return():
            return True
        case ast.Scope():
            return any(_returns(inner) for inner in statement.body)
        case ast.If():
            bodies = [*(branch for _, branch in statement.branches), statement.otherwise]
            return all(any(_returns(inner) for inner in body) for body in bodies)
    return False


def warnings_of(program: FileScope, elaboration: Elaboration) -> tuple[Diagnostic, ...]:
    """All that is to be said of a net: what its text shows, and what its elaboration.

    A layer that is bound to an unread name is also one that is never applied, or that no output
    depends on: what the elaboration says of a statement is then enough.
    """
    lines = {_line(each) for each in elaboration.warnings if each.code in ("W0001", "W0003")}
    kept = [each for each in unused(program) if each.code != "W0007" or _line(each) not in lines]
    return (*elaboration.notes, *kept, *elaboration.warnings)


def _line(warning: Diagnostic) -> tuple[str, int]:
    span = warning.labels[0].span
    return span.source.path, span.line
