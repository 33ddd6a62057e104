"""Values taken apart: one for each name that they are bound to."""

import re
from collections.abc import Iterator, Mapping, Sequence

from archc.diagnostics import Fix, Span, error
from archc.elaborate.loops import Loop
from archc.elaborate.values import Datum, TensorShape, describe
from archc.syntax import ast
from archc.syntax.edits import appended, replaced, without_arguments


def unpack(
    names: Sequence[ast.Target], value: Datum, span: Span, *, inner: bool = False
) -> list[Datum]:
    """A value as one value for each name; `inner` names stand in parentheses among others."""
    if len(names) == 1:
        return [value]
    if isinstance(value, list | tuple) and _fits(names, value):
        return list(value)
    count = len(value) if isinstance(value, list | tuple) else 1
    help, fix = _fitting(names, count, span, is_shape=isinstance(value, TensorShape))
    fix = () if inner else fix  # rather the outer names are not those of this list
    raise error("E0208", _mismatch(names, value), span, help=help, fix=fix)


def unpack_turns(loop: Loop, written: ast.Expr) -> Iterator[Mapping[str, Datum]]:
    """The values of a loop's names, turn by turn. `written` is what it runs over."""
    if len(loop.targets) == 1 and isinstance(loop.targets[0], ast.Name):
        name = loop.targets[0].name
        yield from ({name: item} for item in loop.items)
        return
    rows = written.items if isinstance(written, ast.List) else ()
    told = len(rows) == len(loop.items)
    misfits = [_misfit(loop.targets, item) for item in loop.items]
    some_fit = None in misfits
    for number, (item, misfit) in enumerate(zip(loop.items, misfits, strict=True)):
        at_row = told and (some_fit or _fits(loop.targets, item))
        span = rows[number].span if at_row else written.span
        if some_fit and misfit is not None:
            names, value = misfit
            help = f"there are others with {len(names)} values"
            raise error("E0208", _mismatch(names, value), span, help=help)
        if misfit is not None and _is_enumerated(loop.targets, loop.items):
            help = f"`enumerate({written.span.text})` counts them"
            fix = replaced(written.span, f"enumerate({written.span.text})")
            raise error("E0208", _mismatch(*misfit), span, help=help, fix=fix)
        yield dict(_spread(loop.targets, item, span))


def _is_enumerated(targets: Sequence[ast.Target], items: Sequence[Datum]) -> bool:
    """`for i, (w, n) in rows`, where the rows are as the second name has it."""
    inner = targets[1] if len(targets) == 2 else None
    if not isinstance(targets[0], ast.Name) or not isinstance(inner, ast.TupleTarget):
        return False
    return all(_misfit(inner.items, item) is None for item in items)


def _spread(
    targets: Sequence[ast.Target], value: Datum, span: Span, *, inner: bool = False
) -> Iterator[tuple[str, Datum]]:
    for target, part in zip(targets, unpack(targets, value, span, inner=inner), strict=True):
        if isinstance(target, ast.Name):
            yield target.name, part
        else:
            yield from _spread(target.items, part, span, inner=True)


def _fits(names: Sequence[ast.Target], value: Datum) -> bool:
    return len(names) == 1 or (isinstance(value, list | tuple) and len(value) == len(names))


def _misfit(names: Sequence[ast.Target], value: Datum) -> tuple[Sequence[ast.Target], Datum] | None:
    """The names that cannot be bound to their value, outermost first; None if all can."""
    if not _fits(names, value):
        return names, value
    parts = value if len(names) > 1 and isinstance(value, list | tuple) else [value]
    inner = (
        _misfit(target.items, part)
        for target, part in zip(names, parts, strict=True)
        if isinstance(target, ast.TupleTarget)
    )
    return next((each for each in inner if each is not None), None)


def _mismatch(names: Sequence[ast.Target], value: Datum) -> str:
    if isinstance(value, list | tuple):
        values = "one value" if len(value) == 1 else f"{len(value)} values"
        return f"{len(names)} names are bound to {values}"
    return f"{len(names)} names cannot be bound to {describe(value)}"


def _fitting(
    names: Sequence[ast.Target], count: int, span: Span, *, is_shape: bool
) -> tuple[str | None, Fix]:
    """As many names as there are values."""
    if is_shape and len(names) == count + 1:
        help = f"a shape has no batch axis: leave out `{names[0].span.text}`"
        return _left_out(help, names, names[:1])
    part = _PART_OF_SHAPE.fullmatch(span.text)
    if part is not None and len(names) == count + 1:
        first, stop = int(part[2]) - 1, part[3]
        whole = int(stop) - 1 if stop else ""
        meant = f"{part[1]}[{first or ''}:{whole}]" if first or stop else part[1]
        return f"a shape has no batch axis: write `{meant}`", replaced(span, meant)
    if len(names) > count:
        return _fewer(names, count)
    help = "give each value a name; `_` is one for what is not used"
    return help, appended(names[-1].span, ", _" * (count - len(names)))


_PART_OF_SHAPE = re.compile(r"(.*\.shape)\[([1-4]):([1-5]?)\]")


def _fewer(names: Sequence[ast.Target], count: int) -> tuple[str | None, Fix]:
    """The names behind the first `count` go."""
    if not count:
        return None, ()
    left_out = " and ".join(f"`{name.span.text}`" for name in names[count:])
    return _left_out(f"leave out {left_out}", names, names[count:])


_DECLARATION = re.compile(r"^(?:net|block|extern|const|import|@)\b|^@", re.MULTILINE)
_COMMENT = re.compile(r"#[^\n]*")


def _left_out(
    help: str, names: Sequence[ast.Target], without: Sequence[ast.Target]
) -> tuple[str, Fix]:
    """Names that go, unless the block around them mentions them elsewhere."""
    source = names[0].span.source
    starts = [found.start() for found in _DECLARATION.finditer(source.text)]
    first, last = names[0].span.start, names[-1].span.end
    begin = max((start for start in starts if start <= first), default=0)
    end = min((start for start in starts if start > first), default=len(source.text))
    rest = f"{source.text[begin:first]}\n{source.text[last:end]}"
    words = {word for target in without for word in re.findall(r"\w+", target.span.text)} - {"_"}
    if not words.isdisjoint(_USED.findall(_COMMENT.sub("", rest))):
        return f"{help}, here and where it is used", ()
    return help, without_arguments(without[0].span, without[-1].span)


_USED = re.compile(r"(?<![\w.])[A-Za-z_]\w*\b(?!\s*=[^=])")
"""Names that are not attributes, and are not bound."""
