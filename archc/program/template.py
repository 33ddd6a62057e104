"""How an operator is written in torch: a line of Python with places in braces, read as a tree.

`{0}`, `{1}` are operands and `{operands}` all of them; `{name}` is the value of an argument, and
`{args}` are the arguments that differ from torch's defaults; `{layer}` is the layer itself.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, singledispatch
from string import Formatter

from archc.program.tree import (
    Attribute,
    BinOp,
    Call,
    Constant,
    Expr,
    Hole,
    Keyword,
    List,
    Name,
    Slice,
    Subscript,
    Tuple,
    UnaryOp,
    filled,
)


@dataclass(frozen=True, slots=True)
class Place(Hole):
    """A place of a template, by what stands in its braces."""

    word: str


@dataclass(frozen=True, slots=True)
class Slot(Hole):
    """The value of an argument. An `optional` one is left out where it is torch's default."""

    name: str
    optional: bool = False


_PREFIX = "place_"


@cache
def read(template: str) -> Expr:
    """The tree of a template. Raises ValueError where it is no expression of Python that a
    template may have."""
    pieces = []
    for text, word, format_, conversion in Formatter().parse(template):
        if format_ or conversion:
            raise ValueError(f"`{{{word}}}` has a format")
        pieces.append(text + (f"{_PREFIX}{word}" if word is not None else ""))
    try:
        return _tree(ast.parse("".join(pieces), mode="eval").body)
    except SyntaxError as problem:
        raise ValueError(f"no expression of Python: {problem.msg}") from None


def places(template: str) -> Iterator[str]:
    """What stands in the braces of a template."""
    return (word for _, word, _, _ in Formatter().parse(template) if word is not None)


def written(
    template: str,
    operands: Sequence[Expr],
    args: Sequence[tuple[str, bool]] = (),
    layer: Expr | None = None,
) -> Expr:
    """A template with its operands and its layer; `args` are names of arguments, and whether they
    are given by position: their values stay `Slot`s."""
    positional = tuple(Slot(name, optional=True) for name, given in args if given)
    keywords = tuple(Keyword(name, Slot(name, optional=True)) for name, given in args if not given)

    def fill(leaf: Hole | Name) -> Expr:
        if not isinstance(leaf, Place):
            return leaf
        if leaf.word == "layer" and layer is not None:
            return layer
        return operands[int(leaf.word)] if leaf.word.isdigit() else Slot(leaf.word)

    def spliced(tree: Expr) -> Expr:
        """`{operands}` and `{args}` stand for several expressions, in a call or a list."""
        if isinstance(tree, List):
            return List(_splice(tree.elts, operands, ()))
        if not isinstance(tree, Call):
            return tree
        more = keywords if Place("args") in tree.args else ()
        return Call(tree.func, _splice(tree.args, operands, positional), (*tree.keywords, *more))

    return filled(_mapped(read(template), spliced), fill)


def folded(template: str, operands: Sequence[Expr]) -> Expr:
    """All operands joined from the left by a template of two."""
    pair = read(template)
    if isinstance(pair, BinOp):
        return BinOp(pair.op, tuple(operands))
    code = operands[0]
    for operand in operands[1:]:
        code = written(template, [code, operand])
    return code


def _splice(
    parts: tuple[Expr, ...], operands: Sequence[Expr], args: Sequence[Expr]
) -> tuple[Expr, ...]:
    several = {Place("operands"): operands, Place("args"): args}
    return tuple(
        each
        for part in parts
        for each in (several.get(part, (part,)) if isinstance(part, Place) else (part,))
    )


def _mapped(tree: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The calls and lists of a template changed, the inner ones first."""
    match tree:
        case Call(func, args, keywords):
            inner = tuple(_mapped(each, change) for each in args)
            return change(Call(_mapped(func, change), inner, keywords))
        case List(elts):
            return change(List(tuple(_mapped(each, change) for each in elts)))
        case Attribute(value, attr):
            return Attribute(_mapped(value, change), attr)
        case Subscript(value, index):
            return Subscript(_mapped(value, change), index)
        case BinOp(op, operands):
            return BinOp(op, tuple(_mapped(each, change) for each in operands))
    return tree


_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
}


@singledispatch
def _tree(node: ast.expr) -> Expr:
    raise ValueError(f"`{ast.unparse(node)}` has no place in a template")


@_tree.register
def _(node: ast.Name) -> Expr:
    place = node.id.startswith(_PREFIX)
    return Place(node.id.removeprefix(_PREFIX)) if place else Name(node.id)


@_tree.register
def _(node: ast.Constant) -> Expr:
    assert isinstance(node.value, bool | int | float | str | None)
    return Constant(node.value)


@_tree.register
def _(node: ast.Attribute) -> Expr:
    return Attribute(_tree(node.value), node.attr)


@_tree.register
def _(node: ast.Subscript) -> Expr:
    return Subscript(_tree(node.value), _tree(node.slice))


@_tree.register
def _(node: ast.Slice) -> Expr:
    lower, upper = (None if end is None else _tree(end) for end in (node.lower, node.upper))
    return Slice(lower, upper)


@_tree.register
def _(node: ast.Tuple) -> Expr:
    return Tuple(tuple(map(_tree, node.elts)))


@_tree.register
def _(node: ast.List) -> Expr:
    return List(tuple(map(_tree, node.elts)))


@_tree.register
def _(node: ast.BinOp) -> Expr:
    return BinOp(_OPERATORS[type(node.op)], (_tree(node.left), _tree(node.right)))


@_tree.register
def _(node: ast.UnaryOp) -> Expr:
    operand = _tree(node.operand)
    if isinstance(operand, Constant) and isinstance(operand.value, int | float):
        return Constant(-operand.value)
    return UnaryOp("-", operand)


@_tree.register
def _(node: ast.Call) -> Expr:
    named = tuple(Keyword(each.arg or "", _tree(each.value)) for each in node.keywords)
    return Call(_tree(node.func), tuple(map(_tree, node.args)), named)
