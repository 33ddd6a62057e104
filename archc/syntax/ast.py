"""The syntax tree of `.arch` files: frozen dataclasses whose fields follow the grammar's rules.

Every node carries its span. Chains (`a + b - c`, `x -> f -> g`) are flat tuples, not nested pairs,
so that a long chain is no deeper than a short one.
"""

from dataclasses import dataclass

from archc.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Syntax:
    """Anything with a place in the text."""

    span: Span


# -------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Name(Syntax):
    name: str


@dataclass(frozen=True, slots=True)
class Number(Syntax):
    value: int | float


@dataclass(frozen=True, slots=True)
class Bool(Syntax):
    value: bool


@dataclass(frozen=True, slots=True)
class String(Syntax):
    """A string with `{expression}` holes: text and expressions in turn; escapes are resolved."""

    parts: tuple["str | Expr", ...]


@dataclass(frozen=True, slots=True)
class Paren(Syntax):
    """A parenthesised expression; kept because `(x + y) -> relu` differs from `x + y -> relu`."""

    value: "Expr"


@dataclass(frozen=True, slots=True)
class Tuple(Syntax):
    items: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class List(Syntax):
    items: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class TupleTarget(Syntax):
    """`(width, count)` among the names of a loop: what they are bound to is unpacked."""

    items: tuple["Target", ...]


Target = Name | TupleTarget


@dataclass(frozen=True, slots=True)
class Comprehension(Syntax):
    """`[value for names in items if condition]`."""

    value: "Expr"
    names: tuple["Target", ...]
    items: "Expr"
    condition: "Expr | None"


@dataclass(frozen=True, slots=True)
class Unary(Syntax):
    """`-x`, `+x` or `not x`."""

    op: str
    operand: "Expr"


@dataclass(frozen=True, slots=True)
class Arithmetic(Syntax):
    """Operators of one precedence, from left to right: `first (op operand)*`. `**` has one pair."""

    first: "Expr"
    rest: tuple[tuple[str, "Expr"], ...]


@dataclass(frozen=True, slots=True)
class Compare(Syntax):
    """A chained comparison: `a < b <= c`; operators `== != < <= > >= in` and `not in`."""

    first: "Expr"
    rest: tuple[tuple[str, "Expr"], ...]


@dataclass(frozen=True, slots=True)
class Logical(Syntax):
    """`a and b and c`, or `a or b`: `op` is `and` or `or`."""

    op: str
    operands: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Choice(Syntax):
    """`then if condition else otherwise`; only the chosen side is elaborated."""

    then: "Expr"
    condition: "Expr"
    otherwise: "Expr"


@dataclass(frozen=True, slots=True)
class Argument(Syntax):
    """One argument of a call; `name` is None for a positional one."""

    name: str | None
    value: "Expr"


@dataclass(frozen=True, slots=True)
class Call(Syntax):
    callee: "Expr"
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Index(Syntax):
    value: "Expr"
    index: "Expr"


@dataclass(frozen=True, slots=True)
class Slice(Syntax):
    """`value[start:stop:step]`, each part optional."""

    value: "Expr"
    start: "Expr | None"
    stop: "Expr | None"
    step: "Expr | None"


@dataclass(frozen=True, slots=True)
class Attribute(Syntax):
    value: "Expr"
    name: str


@dataclass(frozen=True, slots=True)
class Stage(Syntax):
    """One stage of a pipe: `[label:] layer`."""

    label: "Name | String | None"
    layer: "Expr"


@dataclass(frozen=True, slots=True)
class Pipe(Syntax):
    """`head -> stage -> stage`; no stage and no head is an unparenthesised operator."""

    head: "Expr"
    stages: tuple[Stage, ...]


Expr = (
    Name
    | Number
    | Bool
    | String
    | Paren
    | Tuple
    | List
    | Comprehension
    | Unary
    | Arithmetic
    | Compare
    | Logical
    | Choice
    | Call
    | Index
    | Slice
    | Attribute
    | Pipe
)


# --------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Annotation(Syntax):
    """`@name(arguments)` before a net, a block or an assignment."""

    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Assign(Syntax):
    """`name = value`, or `a, b = value`."""

    targets: tuple[Name, ...]
    value: Expr
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class AssignItem(Syntax):
    """`name[index] = value`, which rebinds the name to a changed copy."""

    target: Name
    index: Expr
    value: Expr


@dataclass(frozen=True, slots=True)
class Update(Syntax):
    """`name += value`: the same as `name = name + value`."""

    target: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class For(Syntax):
    names: tuple[Target, ...]
    items: Expr
    body: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class If(Syntax):
    """`if ... { } else if ... { } else { }`, flat: one pair a condition, then the else."""

    branches: tuple[tuple[Expr, tuple["Statement", ...]], ...]
    otherwise: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class Scope(Syntax):
    """`scope label { ... }`: a submodule, not a variable scope."""

    label: Name | String
    body: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class Return(Syntax):
    value: Expr


@dataclass(frozen=True, slots=True)
class Exit(Syntax):
    label: Name | String | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Assert(Syntax):
    condition: Expr
    message: Expr


Statement = Assign | AssignItem | Update | For | If | Scope | Return | Exit | Assert


# ------------------------------------------------------------- declarations


@dataclass(frozen=True, slots=True)
class Parameter(Syntax):
    """`name [: kind] [= default]`; `kind` is one of int, float, bool, string, list."""

    name: Name
    kind: str | None
    default: Expr | None
    doc: str


@dataclass(frozen=True, slots=True)
class Rest(Syntax):
    """`*S` in a shape: any number of spatial sizes."""

    name: str


@dataclass(frozen=True, slots=True)
class Shape(Syntax):
    dims: tuple[Expr | Rest, ...]


@dataclass(frozen=True, slots=True)
class Input(Syntax):
    """A tensor that a block or net takes; `shape` is required for a net.

    `several` is set for `*xs`, the last input of a block: all tensors that are left, as a list.
    """

    name: Name
    shape: Shape | None
    several: bool = False


@dataclass(frozen=True, slots=True)
class Import(Syntax):
    path: str


@dataclass(frozen=True, slots=True)
class Const(Syntax):
    name: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class ExternLayer(Syntax):
    """A Python module with a typed signature. `target` is `package.module:Class`; `arguments` go to
    its constructor, which without them gets all parameters by keyword."""

    name: Name
    parameters: tuple[Parameter, ...]
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    target: str
    arguments: tuple[Argument, ...] | None
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class Block(Syntax):
    """`block` or `net`: hyperparameters, tensors, statements. `doc` holds its `##` lines."""

    name: Name
    parameters: tuple[Parameter, ...]
    inputs: tuple[Input, ...]
    body: tuple[Statement, ...]
    annotations: tuple[Annotation, ...]
    doc: str
    is_net: bool


@dataclass(frozen=True, slots=True)
class Variant(Syntax):
    """`net Name = Base(arguments)`."""

    name: Name
    base: Name
    arguments: tuple[Argument, ...]
    annotations: tuple[Annotation, ...]
    doc: str


Declaration = Import | Const | ExternLayer | Block | Variant


@dataclass(frozen=True, slots=True)
class File(Syntax):
    """A parsed file. `version` is that of its `arch 1` line, or None."""

    version: int | None
    declarations: tuple[Declaration, ...]
