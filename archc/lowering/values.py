"""What a slot of emitted code may hold, and its expression."""

import keyword
from dataclasses import dataclass
from itertools import pairwise

from archc.program.tree import BinOp, Call, Constant, Expr, Name, Subscript, Tuple, call, dotted

MEANINGFUL = frozenset(
    {"self", "super", "nn", "torch", "F", "enumerate", "isinstance", "len", "range", "tuple", "zip"}
    | {"Sequence", "ValueError", "concat", "dense_block", "drop_block", "drop_path", "exits"}
    | {"max_dropout", "shake_shake", "criterion", "exit", "staying", "leave_early", "rows"}
    | {"list", "next", "number_of", "thresholds"}
    | {"_", "norm_act", "norm_relu", "pooled", "rerun", "shares_storage", "sign_ste", "skipped"}
)
"""Names that mean something else in emitted code, so that no variable has them."""


@dataclass(frozen=True)
class Symbol:
    """A number that depends on constructor arguments: `constant + sum(factor * argument)`.

    `base` is its value for the arguments of the spec.
    """

    constant: int
    factors: tuple[tuple[str, int], ...]
    base: int

    @property
    def code(self) -> Expr:
        """Its expression, of the arguments' names."""
        terms = [multiple(factor, Name(name)) for name, factor in self.factors]
        if self.constant > 0:
            terms.append(Constant(self.constant))
        total = total_of(terms)
        return total if self.constant >= 0 else BinOp("-", (total, Constant(-self.constant)))


@dataclass(frozen=True)
class Class:
    """A class of torch, by its name: `nn.ReLU`."""

    name: str


Value = int | float | bool | str | None | Symbol | Class | tuple["Value", ...]
"""What a slot of emitted code may hold."""


def typed(value: Value) -> tuple[str, Value]:
    """1, 1.0 and True are different values of an attribute."""
    return (type(value).__name__, value)


def literal(value: Value) -> Expr:
    """A value as an expression."""
    if isinstance(value, Symbol):
        return value.code
    if isinstance(value, Class):
        return dotted(value.name)
    if isinstance(value, tuple):
        return Tuple(tuple(map(literal, value)))
    return Constant(value)


def multiple(factor: int, code: Expr) -> Expr:
    """`factor * code`, and only `code` for 1."""
    match code:
        case BinOp("*", (Constant(int() as inner), *others)):
            return BinOp("*", (Constant(factor * inner), *others))
    return code if factor == 1 else BinOp("*", (Constant(factor), code))


def total_of(terms: list[Expr]) -> Expr:
    """`a + b + c`."""
    return terms[0] if len(terms) == 1 else BinOp("+", tuple(terms))


def sequence(values: tuple[Value, ...], *, nested: bool = False) -> Expr:
    """What a loop takes in turn: `range(24, 216, 12)` if the numbers progress evenly.

    With `nested`, each element is such a sequence itself.
    """
    if nested:
        return Tuple(tuple(sequence(row) for row in values if isinstance(row, tuple)))
    numbers = [value for value in values if type(value) is int]
    if len(numbers) < len(values) or len(numbers) < 2:
        return literal(values)
    step = numbers[1] - numbers[0]
    even = all(b - a == step for a, b in pairwise(numbers))
    if not even or not step or (step < 0 and len(numbers) == 2):
        return literal(values)
    arguments = [numbers[0], numbers[-1] + step, step]
    if step == 1:
        arguments = arguments[0 if numbers[0] else 1 : 2]
    return call("range", *map(Constant, arguments))


def progresses(values: tuple[Value, ...]) -> bool:
    """Whether a sequence is a `range`."""
    return isinstance(sequence(values), Call)


def turns(start: int, count: Expr) -> Expr:
    """`range` of `count` numbers from `start` on."""
    if not start:
        return call("range", count)
    if isinstance(count, Constant) and isinstance(count.value, int):
        return call("range", Constant(start), Constant(start + count.value))
    return call("range", Constant(start), BinOp("+", (count, Constant(start))))


def is_name(word: str) -> bool:
    """Whether emitted code may call something so."""
    return word.isascii() and word.isidentifier() and not keyword.iskeyword(word)


def tensors(count: int) -> Expr:
    """The annotation of what a `forward` gives."""
    if count == 1:
        return Name("Tensor")
    each = (Name("Tensor"),) * count if count <= 8 else (Name("Tensor"), Name("..."))
    return Subscript(Name("tuple"), Tuple(each))
