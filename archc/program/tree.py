"""Python as data: the expressions and statements that emitted code is made of, in Python's own
words. All are immutable, and equal where they say the same.

A `Hole` is a place that is filled before a program is printed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import is_


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, or what a module imports or defines."""

    id: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a string, True, False or None."""

    value: int | float | bool | str | None


@dataclass(frozen=True, slots=True)
class Attribute:
    """`value.attr`."""

    value: "Expr"
    attr: str


@dataclass(frozen=True, slots=True)
class Slice:
    """`lower:upper`, inside of a subscript."""

    lower: "Expr | None" = None
    upper: "Expr | None" = None


@dataclass(frozen=True, slots=True)
class Subscript:
    """`value[index]`; an index of several axes is a tuple."""

    value: "Expr"
    index: "Expr"


@dataclass(frozen=True, slots=True)
class Keyword:
    """`name=value`, in a call."""

    name: str
    value: "Expr"


@dataclass(frozen=True, slots=True)
class Call:
    """`func(*args, **keywords)`."""

    func: "Expr"
    args: "tuple[Expr, ...]" = ()
    keywords: tuple[Keyword, ...] = ()


@dataclass(frozen=True, slots=True)
class BinOp:
    """Two or more operands with one operator between them, from left to right: `a + b + c`."""

    op: str
    operands: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True)
class UnaryOp:
    """`-operand`."""

    op: str
    operand: "Expr"


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`."""

    left: "Expr"
    op: str
    right: "Expr"


@dataclass(frozen=True, slots=True)
class BoolOp:
    """Values with `and` or `or` between them."""

    op: str
    values: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True)
class IfExp:
    """`body if test else orelse`."""

    test: "Expr"
    body: "Expr"
    orelse: "Expr"


@dataclass(frozen=True, slots=True)
class Tuple:
    """`(a, b)`, without brackets where a statement or a subscript needs none."""

    elts: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True)
class List:
    """`[a, b]`."""

    elts: "tuple[Expr, ...]"


@dataclass(frozen=True, slots=True)
class Dict:
    """`{key: value}`."""

    items: "tuple[tuple[Expr, Expr], ...]"


@dataclass(frozen=True, slots=True)
class GeneratorExp:
    """`(elt for target in iter)`."""

    elt: "Expr"
    target: "Expr"
    iter: "Expr"


@dataclass(frozen=True, slots=True)
class Starred:
    """`*value`."""

    value: "Expr"


@dataclass(frozen=True, slots=True)
class JoinedStr:
    """`f"text{value}"`: text, and values between it."""

    values: "tuple[str | Expr, ...]"


@dataclass(frozen=True, slots=True)
class Yield:
    """`yield value`."""

    value: "Expr"


@dataclass(frozen=True)
class Hole:
    """The base of what stands for an expression that is not known yet."""


Expr = (
    Name | Constant | Attribute | Slice | Subscript | Call | BinOp | UnaryOp | Compare | BoolOp
    | IfExp | Tuple | List | Dict | GeneratorExp | Starred | JoinedStr | Yield | Hole
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Assign:
    """`target = value`; with an annotation, `target: annotation = value`."""

    target: Expr
    value: Expr
    annotation: Expr | None = None


@dataclass(frozen=True, slots=True)
class Evaluate:
    """A statement that is an expression."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Return:
    """`return value`."""

    value: Expr
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Raise:
    """`raise exc`."""

    exc: Expr


@dataclass(frozen=True, slots=True)
class Comment:
    """A line of its own, without its `# `."""

    text: str


@dataclass(frozen=True, slots=True)
class If:
    """`if test:`, then `elif` and `else` as an `If` or other statements in `orelse`."""

    test: Expr
    body: "tuple[Stmt, ...]"
    orelse: "tuple[Stmt, ...]" = ()


@dataclass(frozen=True, slots=True)
class For:
    """`for target in iter:`."""

    target: Expr
    iter: Expr
    body: "tuple[Stmt, ...]"


@dataclass(frozen=True, slots=True)
class With:
    """`with context:`."""

    context: Expr
    body: "tuple[Stmt, ...]"


@dataclass(frozen=True, slots=True)
class Argument:
    """`name: annotation = default` in the head of a function."""

    name: str
    annotation: Expr | None = None
    default: Expr | None = None


@dataclass(frozen=True, slots=True)
class FunctionDef:
    """`def name(args) -> returns:`, with a docstring by lines."""

    name: str
    args: tuple[Argument, ...]
    returns: Expr
    body: "tuple[Stmt, ...]"
    doc: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassDef:
    """A class of methods: its docstring by lines, and a comment on the line of its head."""

    name: str
    base: Expr
    comment: str
    doc: tuple[str, ...]
    body: tuple[FunctionDef, ...]


Stmt = Assign | Evaluate | Return | Raise | Comment | If | For | With | FunctionDef | ClassDef
Tree = Expr | Stmt | Keyword | Argument


def call(function: str, *args: Expr, **keywords: Expr) -> Call:
    """A call of a function by its name, which may have dots."""
    return Call(dotted(function), args, tuple(Keyword(*each) for each in keywords.items()))


def dotted(text: str) -> Name | Attribute:
    """A name with dots: `nn.Conv2d`."""
    first, *others = text.split(".")
    found: Name | Attribute = Name(first)
    for word in others:
        found = Attribute(found, word)
    return found


def walk(tree: object) -> Iterator[object]:
    """A tree and all that is inside of it, each before its parts."""
    todo = [tree]
    while todo:
        part = todo.pop()
        if isinstance(part, tuple):
            todo += reversed(part)
        elif hasattr(part, "__match_args__"):
            yield part
            todo += [getattr(part, name) for name in reversed(_fields(part))]


def _fields(part: object) -> tuple[str, ...]:
    """The names of the fields of a part, in the order in which its class takes them."""
    # `dataclasses.fields` says the same at ten times the cost, and is called for each leaf.
    found: tuple[str, ...] = type(part).__match_args__  # type: ignore[attr-defined]
    return found


def names(tree: object) -> set[str]:
    """The names that a tree reads or binds."""
    return {part.id for part in walk(tree) if isinstance(part, Name)}


def holes(tree: object) -> Iterator[Hole]:
    """The holes of a tree, in their order."""
    return (part for part in walk(tree) if isinstance(part, Hole))


Fill = Callable[[Hole | Name], Expr | None]
"""What stands in the place of a leaf; None where an argument is left out."""

_Inner = Expr | Keyword | str | int | float | tuple["_Inner", ...] | None


def filled(tree: Expr, fill: Fill) -> Expr:
    """An expression with each hole and each name replaced by what `fill` gives for it."""
    found = _filled(tree, fill)
    assert isinstance(found, Expr)
    return found


def _filled(part: _Inner, fill: Fill) -> _Inner:
    if isinstance(part, Hole | Name):
        return fill(part)
    if isinstance(part, tuple):
        parts = [_filled(each, fill) for each in part]
        if len(parts) == len(part) and all(map(is_, part, parts)):
            return part
        return tuple(new for old, new in zip(part, parts, strict=True) if new is not None)
    if not isinstance(part, Expr | Keyword) or isinstance(part, Constant):
        return part
    old = [getattr(part, name) for name in _fields(part)]
    new = [_filled(value, fill) for value in old]
    if isinstance(part, Keyword) and new[1] is None:
        return None
    make: Callable[..., Expr | Keyword] = type(part)
    return part if all(map(is_, old, new)) else make(*new)
