"""What an expression of the language can be at compile time, beside Python's own numbers and text.

int, float, bool and str are themselves; a list is a Python list that nobody mutates; a tuple is a
tuple. Tensors are references to nodes; layers and constructors are defined here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from archc.diagnostics import Span
from archc.elaborate.files import FileScope
from archc.elaborate.limits import Work
from archc.ir.graph import Hyper, Layer, Path, Reference, Region
from archc.ops.op import Op, TensorType
from archc.ops.size import Size
from archc.syntax import ast

Datum = Any
"""A compile-time value. The functions below ask what it is; nothing relies on duck typing."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """The value of a node."""

    node: int
    type: TensorType


class TensorShape(list[Datum]):
    """The shape of a tensor, with the names of its axes where PyTorch has one before them, the
    batch."""

    def __init__(self, sizes: Iterable[Datum], names: tuple[str, ...]) -> None:
        super().__init__(sizes)
        self.names = names


@dataclass(frozen=True, slots=True)
class OpConstructor:
    """An operator's name: called, it makes a layer."""

    cls: type[Op]

    @property
    def name(self) -> str:
        return self.cls.name


@dataclass(frozen=True, slots=True)
class BlockConstructor:
    """A block's name: called, it makes a layer whose body is elaborated where it is applied."""

    declaration: ast.Block
    scope: FileScope
    variants: tuple[tuple[ast.Variant, FileScope], ...] = ()
    """The variants through which the base was named, outermost first, with their files."""

    @property
    def name(self) -> str:
        return self.variants[0][0].name.name if self.variants else self.declaration.name.name


@dataclass(frozen=True, slots=True)
class ExternConstructor:
    """The name of an extern layer: called, it makes a layer of a Python class."""

    declaration: ast.ExternLayer
    scope: FileScope

    @property
    def name(self) -> str:
        return self.declaration.name.name


Constructor = OpConstructor | BlockConstructor | ExternConstructor


@dataclass(frozen=True, slots=True)
class Given:
    """One evaluated argument."""

    name: str | None
    value: Datum
    span: Span


@dataclass(eq=False, slots=True)
class MadeLayer:
    """A layer between its making and the end of elaboration; its identity is the weights' identity.

    `owner` is the region where it was made; `variable` the name that it was first bound to there
    (with an index, for an element of a list); `path` is decided at its first application.
    """

    maker: Op | BlockConstructor
    hyper: dict[str, Datum]
    owner: Region
    order: int
    span: Span
    variable: Path | None = None
    path: Path | None = None
    applied: bool = False
    layer: Layer | None = None
    given: Mapping[str, Given] = field(default_factory=dict)
    """The arguments of an operator, where they stand."""
    beside: tuple[Tensor, ...] = ()
    """The tensors among them, which are operands behind those that it is applied to."""

    @property
    def name(self) -> str:
        return self.maker.name


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function over numbers, strings and lists."""

    name: str
    call: Callable[..., Datum]


@dataclass(frozen=True, slots=True)
class Tag:
    """A label in the text: `norm1` in `-> norm1: bn`."""

    text: str
    span: Span


class Poison:
    """The value of what could not be computed; its error has been reported already."""


POISON = Poison()


class Poisoned(Exception):
    """An expression touched POISON: give up on the statement without another report."""


class ValuesRefused(Exception):
    """Values do not go together, or not with a function; evaluation adds the place."""

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help


@dataclass(frozen=True, slots=True)
class Unbound:
    """A name that was only bound in a branch that was not taken, or a loop that never ran."""

    branch: Span
    loop: bool


def describe(value: Datum) -> str:
    """What a value is, in the words of the language."""
    match value:
        case Size():
            return f"the size `{value}`"
        case Tensor():
            return f"a tensor {value.type}"
        case MadeLayer():
            return f"a `{value.name}` layer"
    what = _WORDS.get(type(value), "a value")
    return f"{what} `{value.name}`" if what.startswith("the ") else what


_WORDS: dict[type, str] = {
    bool: "a bool",
    int: "an int",
    float: "a float",
    str: "a string",
    list: "a list",
    TensorShape: "a list",
    tuple: "a tuple",
    OpConstructor: "the operator",
    BlockConstructor: "the block",
    ExternConstructor: "the extern layer",
    Builtin: "the function",
}


def show(value: Datum, limit: int = 60) -> str:
    """A value as the language would write it, shortened; no more of it is looked at than shown."""
    text = ""
    for part in _shown(value):
        text += part
        if len(text) > limit:
            return text[: limit - 3] + "..."
    return text


def _shown(value: Datum) -> Iterator[str]:
    match value:
        case bool():
            yield "true" if value else "false"
        case str():
            yield f'"{value}"'
        case list() | tuple():
            yield "[" if isinstance(value, list) else "("
            for index, item in enumerate(value):
                yield ", " if index else ""
                yield from _shown(item)
            yield "]" if isinstance(value, list) else ")"
        case Tensor():
            yield str(value.type)
        case OpConstructor() | BlockConstructor() | ExternConstructor() | Builtin():
            yield value.name
        case MadeLayer():
            yield f"{value.name}(...)"
        case _:
            yield str(value)


def is_int(value: Datum) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Datum) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def hyper_of(values: Mapping[str, Datum], work: Work) -> tuple[tuple[str, Hyper], ...]:
    """The hyperparameters that are numbers, strings or lists of them, for records and messages."""
    found = ((name, _hyper(value, work)) for name, value in values.items())
    return tuple((name, value) for name, value in found if value is not None)


def _hyper(value: Datum, work: Work, depth: int = 1) -> Hyper | None:
    if isinstance(value, Constructor):
        return Reference(value.name)
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, list | tuple):
        work.descend(depth)
        work.make(len(value))
        items = tuple(_hyper(item, work, depth + 1) for item in value)
        if all(item is not None for item in items):
            return tuple(item for item in items if item is not None)
    return None
