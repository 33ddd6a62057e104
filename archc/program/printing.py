"""From a program to its text, laid out as ruff does it: at most 100 columns, broken from the
outside in. Whatever comes from a spec is a `Constant`, a docstring or a comment here."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch
from itertools import groupby
from textwrap import wrap

from archc.layout import (
    WIDTH,
    Break,
    IfBroken,
    Layout,
    Newline,
    flat_width,
    group,
    nest,
    render,
    row,
)
from archc.program.tree import (
    Argument,
    Assign,
    Attribute,
    BinOp,
    BoolOp,
    Call,
    ClassDef,
    Comment,
    Compare,
    Constant,
    Dict,
    Evaluate,
    Expr,
    For,
    FunctionDef,
    GeneratorExp,
    If,
    IfExp,
    JoinedStr,
    Keyword,
    List,
    Name,
    Raise,
    Return,
    Slice,
    Starred,
    Stmt,
    Subscript,
    Tuple,
    UnaryOp,
    With,
    Yield,
)

_CHOICE, _SUM, _PRODUCT, _UNARY, _ATOM = 0, 4, 5, 6, 7
_TIGHT = {"or": 1, "and": 2, "|": 3, "+": _SUM, "-": _SUM}
"""How tightly operators bind; products and quotients are the rest."""


def text_of(class_: ClassDef) -> str:
    """A class as text, with a line break at its end."""
    return render(_layout(class_), WIDTH) + "\n"


def width(tree: Expr) -> int:
    """The columns that an expression takes on one line."""
    return flat_width(_layout(tree))


def fits(statement: Stmt, depth: int) -> bool:
    """Whether a simple statement stands on one line, `depth` columns in."""
    return depth + flat_width(_layout(statement)) <= WIDTH


def comment(text: str) -> str:
    """Spec text for a comment or docstring: one line of printable ASCII, quotes escaped."""
    escaped = text.encode("ascii", "backslashreplace").decode()
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in escaped)
    return shown.replace("\\", "\\\\").replace('"""', "'''")


# --------------------------------------------------------------- statements


@singledispatch
def _layout(tree: object) -> Layout:
    """The layout of an expression or a statement; a hole has none."""
    raise TypeError(f"{type(tree).__name__} is not printed")


@_layout.register
def _(tree: Assign) -> Layout:
    typed = row([": ", _layout(tree.annotation)]) if tree.annotation else ""
    return row([_value(tree.target), typed, " = ", _value(tree.value)])


@_layout.register
def _(tree: Evaluate) -> Layout:
    return _layout(tree.value)


@_layout.register
def _(tree: Return) -> Layout:
    return row(["return ", _value(tree.value), f"  # {tree.comment}" if tree.comment else ""])


@_layout.register
def _(tree: Raise) -> Layout:
    return row(["raise ", _layout(tree.exc)])


@_layout.register
def _(tree: Comment) -> Layout:
    return f"# {tree.text}"


@_layout.register
def _(tree: If) -> Layout:
    return row(["if ", _layout(tree.test), ":", _body(tree.body), *_orelse(tree.orelse)])


@_layout.register
def _(tree: For) -> Layout:
    return row(["for ", _bare(tree.target), " in ", _layout(tree.iter), ":", _body(tree.body)])


@_layout.register
def _(tree: With) -> Layout:
    return row(["with ", _layout(tree.context), ":", _body(tree.body)])


@_layout.register
def _(tree: Argument) -> Layout:
    typed = [": ", _layout(tree.annotation)] if tree.annotation else []
    given = [" = ", _layout(tree.default)] if tree.default else []
    return row([tree.name, *typed, *given])


@_layout.register
def _(tree: FunctionDef) -> Layout:
    after = f") -> {_flat(tree.returns)}:"  # a line breaks between arguments, not in a type
    head = _bracketed(f"def {tree.name}(", list(map(_layout, tree.args)), after)
    doc = [row([Newline(), line]) for line in docstring(tree.doc, 8)]
    return row([head, nest(*doc), _body(tree.body)])


@_layout.register
def _(tree: ClassDef) -> Layout:
    head = row([f"class {tree.name}(", _layout(tree.base), f"):  # {tree.comment}"])
    doc = list(docstring(tree.doc))
    parts: list[Layout] = [part for line in doc for part in (Newline(), line)]
    for i, method in enumerate(tree.body):
        parts += [Newline(blank=bool(doc) or i > 0), _layout(method)]
    return row([head, nest(*parts)])


def _body(statements: Sequence[Stmt]) -> Layout:
    return nest(*(part for each in statements for part in (Newline(), _layout(each))))


def _orelse(statements: Sequence[Stmt]) -> list[Layout]:
    if not statements:
        return []
    if len(statements) == 1 and isinstance(statements[0], If):
        return [Newline(), "el", _layout(statements[0])]
    return [Newline(), "else:", _body(statements)]


def _value(tree: Expr) -> Layout:
    """An expression at the end of a statement: it gets brackets where it is broken."""
    match tree:
        case Tuple(elts) if len(elts) > 1:
            items = _separated(map(_layout, elts))
            return group(
                IfBroken("("), nest(Break(""), *items), IfBroken(","), Break(""), IfBroken(")")
            )
        case BinOp() | IfExp() | Compare() | BoolOp():
            inner = _layout(tree)
            return group(IfBroken("("), nest(Break(""), inner), Break(""), IfBroken(")"))
    return _layout(tree)


def docstring(text: Sequence[str], indent: int = 4) -> Iterator[str]:
    """The lines of a docstring at an indentation; a paragraph of too long ones is filled anew."""
    shown: list[str] = []
    room = WIDTH - indent - 6
    for blank, paragraph in groupby(map(comment, text), lambda line: not line.strip()):
        found = list(paragraph)
        if not blank and max(map(len, found)) > room:
            found = wrap(" ".join(found), room, break_on_hyphens=False)
        shown += found
    while shown and not shown[-1]:
        shown.pop()
    if not shown:
        return
    if shown[-1].endswith('"'):
        shown[-1] += "."
    *others, last = shown
    lines = [*others, last + '"""'] if not others else [*others, last, '"""']
    yield f'"""{lines[0]}'
    yield from (line.rstrip() for line in lines[1:])


# -------------------------------------------------------------- expressions


@_layout.register
def _(tree: Name) -> Layout:
    return tree.id


@_layout.register
def _(tree: Constant) -> Layout:
    return constant(tree.value)


@_layout.register
def _(tree: Attribute) -> Layout:
    return row([_operand(tree.value, _ATOM), f".{tree.attr}"])


@_layout.register
def _(tree: Keyword) -> Layout:
    return row([f"{tree.name}=", _layout(tree.value)])


@_layout.register
def _(tree: Call) -> Layout:
    before = row([_operand(tree.func, _ATOM), "("])
    if len(tree.args) == 1 and isinstance(tree.args[0], GeneratorExp):
        return _around(before, _generator(tree.args[0]), ")")
    return _bracketed(before, list(map(_layout, (*tree.args, *tree.keywords))), ")")


@_layout.register
def _(tree: Subscript) -> Layout:
    return row([_operand(tree.value, _ATOM), _around("[", _bare(tree.index), "]")])


@_layout.register
def _(tree: Slice) -> Layout:
    lower, upper = ("" if end is None else _layout(end) for end in (tree.lower, tree.upper))
    return row([lower, ":", upper])


@_layout.register
def _(tree: BinOp) -> Layout:
    return _chain(tree.op, tree.operands)


@_layout.register
def _(tree: BoolOp) -> Layout:
    return _chain(tree.op, tree.values)


@_layout.register
def _(tree: UnaryOp) -> Layout:
    return row([tree.op, _operand(tree.operand, _UNARY)])


@_layout.register
def _(tree: Compare) -> Layout:
    return row([_operand(tree.left, _SUM), f" {tree.op} ", _operand(tree.right, _SUM)])


@_layout.register
def _(tree: IfExp) -> Layout:
    body, test = _operand(tree.body, _CHOICE + 1), _operand(tree.test, _CHOICE + 1)
    return group(body, Break(), "if ", test, Break(), "else ", _layout(tree.orelse))


@_layout.register
def _(tree: Tuple) -> Layout:
    last = "," if len(tree.elts) == 1 else IfBroken(",")
    return _literal("(", map(_layout, tree.elts), ")", last)


@_layout.register
def _(tree: List) -> Layout:
    return _literal("[", map(_layout, tree.elts), "]", IfBroken(","))


@_layout.register
def _(tree: Dict) -> Layout:
    pairs = (row([_layout(key), ": ", _layout(value)]) for key, value in tree.items)
    return _literal("{", pairs, "}", IfBroken(","))


@_layout.register
def _(tree: GeneratorExp) -> Layout:
    return _around("(", _generator(tree), ")")


@_layout.register
def _(tree: Starred) -> Layout:
    return row(["*", _operand(tree.value, _UNARY)])


@_layout.register
def _(tree: JoinedStr) -> Layout:
    parts: list[Layout] = []
    for value in tree.values:
        if isinstance(value, str):
            parts.append(value.replace("{", "{{").replace("}", "}}"))
        else:
            parts += ["{", _layout(value), "}"]
    return row(['f"', *parts, '"'])


@_layout.register
def _(tree: Yield) -> Layout:
    return row(["yield ", _value(tree.value)])


def _operand(tree: Expr, least: int) -> Layout:
    """An operand, in brackets where it binds less tightly than `least`."""
    inner = _layout(tree)
    return inner if _binds(tree) >= least else _around("(", inner, ")")


def _binds(tree: Expr) -> int:
    match tree:
        case BinOp() | BoolOp():
            return _TIGHT.get(tree.op, _PRODUCT)
        case UnaryOp():
            return _UNARY
        case Compare():
            return _SUM - 1
        case IfExp():
            return _CHOICE
    return _ATOM


def _chain(op: str, operands: Sequence[Expr]) -> Layout:
    """Operands with an operator between them; broken lines begin with it."""
    tight = _TIGHT.get(op, _PRODUCT)
    first, *others = operands
    parts = [_operand(first, tight)]
    for operand in others:
        parts += [Break(), f"{op} ", _operand(operand, tight + 1)]
    return group(*parts)


def _bare(tree: Expr) -> Layout:
    """A tuple without its brackets, as where it is unpacked or an index of several axes."""
    if isinstance(tree, Tuple) and len(tree.elts) > 1:
        return ", ".join(map(_flat, tree.elts))
    return _layout(tree)


def _flat(tree: Expr) -> str:
    """An expression on one line, however long."""
    return render(_layout(tree), sys.maxsize)


def _generator(tree: GeneratorExp) -> Layout:
    clause = row(["for ", _bare(tree.target), " in ", _layout(tree.iter)])
    return group(_layout(tree.elt), Break(), clause)


def _separated(items: Iterable[Layout]) -> list[Layout]:
    parts: list[Layout] = []
    for item in items:
        parts += [",", Break(), item] if parts else [item]
    return parts


def _bracketed(before: Layout, items: Sequence[Layout], after: str) -> Layout:
    """What a call is given: broken, it stands on one line still if it fits, else one a line."""
    if not items:
        return row([before, after])
    return _around(before, group(*_separated(items), IfBroken(",")), after)


def _around(before: Layout, inner: Layout, after: str) -> Layout:
    return group(before, nest(Break(""), inner), Break(""), after)


def _literal(before: str, items: Iterable[Layout], after: str, last: Layout) -> Layout:
    """A tuple, list or dictionary that breaks has one item a line."""
    parts = _separated(items)
    if not parts:
        return before + after
    return group(before, nest(Break(""), *parts, last), Break(""), after)


def constant(value: object) -> str:
    """A value as Python source: the one filter between a spec and emitted code."""
    if isinstance(value, str):
        text = repr(value)
        return text if "'" in value or '"' in value else f'"{text[1:-1]}"'
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise TypeError(f"{type(value).__name__} has no place in emitted code")
