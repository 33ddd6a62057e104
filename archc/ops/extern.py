"""A layer from a Python module, `extern layer`: a signature of shapes, and a class to import.

archc knows the type that it gives and how to construct it, and nothing else: its weights are
unknown, its costs are what it declares, and passes leave it as it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Literal

from archc.ops.op import (
    ChannelRule,
    Op,
    OpError,
    TensorType,
    TorchArg,
    TorchModule,
    TorchValue,
    operand_word,
    word,
)
from archc.ops.size import Dim, Size, SizeError, solve

Sign = Literal["+", "-", "*", "//"]


@dataclass(frozen=True, slots=True)
class Variable:
    """A dimension variable: `C` in `[C, H, W]`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Computed:
    """Arithmetic of dimension variables: `H // 2`."""

    sign: Sign
    left: "Expression"
    right: "Expression"

    def __str__(self) -> str:
        left, right = map(str, (self.left, self.right))
        if isinstance(self.right, Computed):
            right = f"({right})"
        if isinstance(self.left, Computed) and self.left.sign in "+-" and self.sign not in "+-":
            left = f"({left})"
        return f"{left} {self.sign} {right}"


Expression = int | Variable | Computed


@dataclass(frozen=True, slots=True)
class Rest:
    """`*S` in a shape: any number of sizes."""

    name: str

    def __str__(self) -> str:
        return f"*{self.name}"


Shape = tuple[Expression | Rest, ...]

Plain = int | float | bool | str | tuple["Plain", ...]
"""A hyperparameter."""

ExternValue = Plain | Expression | tuple["ExternValue", ...]
"""What the constructor of a class is given."""


@dataclass(frozen=True, slots=True)
class ExternArgument:
    """An argument of a constructor; `name` is None for a positional one."""

    name: str | None
    value: ExternValue


@dataclass(frozen=True, slots=True)
class Declared:
    """What a declaration says of costs: parameters, and multiply-accumulates of a sample."""

    params: Expression
    macs: Expression


@dataclass(frozen=True)
class Extern(Op):
    """A class of a Python module, with the type of its `forward`.

    `title` is its name in the spec and `hyper` its hyperparameters there. `arguments` may mention
    dimension variables, which the types of the operands decide.
    """

    takes_learned: ClassVar[bool] = False
    opaque: ClassVar[bool] = True
    random: ClassVar[bool] = True

    title: str
    module_name: str
    class_name: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    arguments: tuple[ExternArgument, ...]
    hyper: tuple[tuple[str, Plain], ...] = ()
    declared: Declared | None = None

    @property
    def name(self) -> str:  # type: ignore[override]  # the other operators have one name a class
        return self.title

    @property
    def arity(self) -> int:  # type: ignore[override]  # as above
        return len(self.inputs)

    def rule(self, *types: TensorType) -> TensorType:
        sizes, rests = self._bound(types)
        for argument in self.arguments:
            self._value(argument.value, sizes)
        self._check_costs(sizes)
        first, *others = (self._result(shape, sizes, rests) for shape in self.outputs)
        return TensorType(first.shape, others=tuple(others))

    def _result(
        self, output: Shape, sizes: Mapping[str, Dim], rests: Mapping[str, tuple[Dim, ...]]
    ) -> TensorType:
        dims: list[Dim] = []
        for part in output:
            dims += rests[part.name] if isinstance(part, Rest) else [evaluate(part, sizes)]
        shape = f"`{self.title}` gives {shape_text(output)}, here {TensorType(tuple(dims))}"
        if not 1 <= len(dims) <= 4:
            raise OpError(f"{shape}: a shape has channels and up to three spatial sizes")
        if not isinstance(dims[0], int):
            raise OpError(f"{shape}: the number of channels cannot be symbolic")
        if any(isinstance(dim, int) and dim < 1 for dim in dims):
            raise OpError(f"{shape}: sizes are at least 1")
        return TensorType(tuple(dims))

    # ------------------------------------------------------------ unification

    def _bound(
        self, types: Sequence[TensorType]
    ) -> tuple[dict[str, Dim], dict[str, tuple[Dim, ...]]]:
        """What the operands decide of the dimension variables, and of those with a star."""
        rests: dict[str, tuple[Dim, ...]] = {}
        pairs: list[tuple[int, Expression, Dim]] = []
        for i, (shape, type_) in enumerate(zip(self.inputs, types, strict=True)):
            if not self._align(i, shape, type_, rests, pairs):
                raise self._misfit(i, types, {}, rests)
        sizes: dict[str, Dim] = {}
        # Plain variables first: `[C // 2]` beside `[C]` is then a check, whatever the order.
        for i, part, dim in sorted(pairs, key=lambda pair: not isinstance(pair[1], Variable)):
            if not _unify(part, dim, sizes):
                raise self._misfit(i, types, sizes, rests)
        return sizes, rests

    def _align(
        self,
        i: int,
        shape: Shape,
        type_: TensorType,
        rests: dict[str, tuple[Dim, ...]],
        pairs: list[tuple[int, Expression, Dim]],
    ) -> bool:
        """Which size each part of a shape stands for; `rests` and `pairs` get what is found."""
        dims = type_.shape
        star = next((n for n, part in enumerate(shape) if isinstance(part, Rest)), None)
        if star is None:
            if len(dims) != len(shape):
                return False
            pairs += _paired(i, shape, dims)
            return True
        rest, after = shape[star], len(shape) - star - 1
        if len(dims) < len(shape) - 1:
            return False
        assert isinstance(rest, Rest)
        pairs += _paired(i, shape[:star], dims[:star])
        pairs += _paired(i, shape[star + 1 :], dims[len(dims) - after :])
        found = dims[star : len(dims) - after]
        return rests.setdefault(rest.name, found) == found

    def _misfit(
        self,
        i: int,
        types: Sequence[TensorType],
        sizes: Mapping[str, Dim],
        rests: Mapping[str, tuple[Dim, ...]],
    ) -> OpError:
        known = [f"{name} = {dim}" for name, dim in sizes.items()]
        known += [f"{name} = {TensorType(dims)}" for name, dims in rests.items()] if i else []
        where = f", with {', '.join(known)}" if known else ""
        return OpError(
            f"`{self.title}` takes {shape_text(self.inputs[i])} as its {operand_word(i, types)}"
            f"{where}, not {types[i]}",
            operand=i,
        )

    # ------------------------------------------------------------------ torch

    def params(self, *types: TensorType) -> int | None:
        """The parameters of the module, or None where its declaration does not say."""
        if self.declared is None:
            return None
        found = evaluate(self.declared.params, self._bound(types)[0])
        assert isinstance(found, int)
        return found

    def macs(self, types: Sequence[TensorType], out: TensorType) -> int | None:
        """What the declaration says; None without one, and where a size is symbolic."""
        if self.declared is None:
            return None
        try:
            found = evaluate(self.declared.macs, self._bound(types)[0])
        except SizeError:
            return None
        return found if isinstance(found, int) else None

    def _check_costs(self, sizes: Mapping[str, Dim]) -> None:
        if self.declared is None:
            return
        params = evaluate(self.declared.params, sizes)
        if isinstance(params, Size):
            raise OpError(
                f"the parameters of `{self.title}` are `{self.declared.params}`, which is the "
                f"symbolic size `{params}` here"
            )
        counts: dict[str, Dim] = {"parameters": params}
        with suppress(SizeError):  # symbolic: not known here
            counts["multiply-accumulates"] = evaluate(self.declared.macs, sizes)
        for what, count in counts.items():
            if isinstance(count, int) and count < 0:
                raise OpError(f"`{self.title}` declares {count} {what} here")

    @property
    def channel_rule(self) -> ChannelRule:
        return "mix"

    @property
    def at_zero(self) -> float | None:
        return None

    def module(self, *types: TensorType) -> TorchModule:
        sizes, _ = self._bound(types)
        args = tuple(
            TorchArg(name, self._value(argument.value, sizes), positional=argument.name is None)
            for name, argument in zip(self._argument_names(), self.arguments, strict=True)
        )
        return TorchModule(self.class_name, args, source=self.module_name)

    def _argument_names(self) -> Iterator[str]:
        """A name for each argument; those by position are called after what they are."""
        taken = {argument.name for argument in self.arguments if argument.name}
        for argument in self.arguments:
            if argument.name is not None:
                yield argument.name
                continue
            base = self._word(argument.value)
            name, number = base, 1
            while name in taken:
                number += 1
                name = f"{base}{number}"
            taken.add(name)
            yield name

    def _word(self, value: ExternValue) -> str:
        if not isinstance(value, Variable):
            return "value"
        first = {shape[0] for shape in self.inputs}
        return "channels" if value in first else value.name.lower()

    def _value(self, value: ExternValue, sizes: Mapping[str, Dim]) -> TorchValue:
        """A constructor's argument, which is to be known when the net is compiled."""
        if isinstance(value, tuple):
            return tuple(self._value(item, sizes) for item in value)
        if not isinstance(value, Variable | Computed):
            return value
        found = evaluate(value, sizes)
        if isinstance(found, Size):
            raise OpError(
                f"the constructor of `{self.title}` is given `{value}`, which is the symbolic size "
                f"`{found}` here",
                help="give the net's input a size in numbers, or leave the argument out",
            )
        return found

    def __str__(self) -> str:
        words = [f"{name}={word(value)}" for name, value in self.hyper]
        return f"{self.title}({', '.join(words)})" if words else self.title


@dataclass(frozen=True)
class Result(Op):
    """One of the tensors of an extern layer that gives several."""

    name: ClassVar[str] = "result"

    index: int

    def rule(self, *types: TensorType) -> TensorType:
        return types[0].parts[self.index]

    @property
    def channel_rule(self) -> ChannelRule:
        return "mix"

    def view(self, *types: TensorType) -> bool:
        """The storage of the first is that of the layer's node."""
        return self.index == 0

    def __str__(self) -> str:
        return f"{self.name}({self.index})"


def _paired(
    i: int, shape: Sequence[Expression | Rest], dims: Sequence[Dim]
) -> list[tuple[int, Expression, Dim]]:
    parts = [part for part in shape if not isinstance(part, Rest)]
    return [(i, part, dim) for part, dim in zip(parts, dims, strict=True)]


def _unify(part: Expression, dim: Dim, sizes: dict[str, Dim]) -> bool:
    """Whether a size is what a shape says; a variable without a value gets one."""
    if isinstance(part, Variable):
        return sizes.setdefault(part.name, dim) == dim
    unknown = {name: Size(name) for name in variables_of(part) if name not in sizes}
    declared = evaluate(part, {**sizes, **unknown})
    if unknown and isinstance(declared, Size) and declared.c != 1:
        raise SizeError(f"`{part}` does not decide `{declared.symbol}`")
    return solve(declared, dim, sizes) if unknown else declared == dim


def variables_of(expression: Expression) -> Iterator[str]:
    """The dimension variables that an expression mentions."""
    if isinstance(expression, Variable):
        yield expression.name
    elif isinstance(expression, Computed):
        yield from variables_of(expression.left)
        yield from variables_of(expression.right)


def evaluate(expression: Expression, sizes: Mapping[str, Dim]) -> Dim:
    """The value of an expression. Raises SizeError where it is no exact size."""
    if isinstance(expression, int):
        return expression
    if isinstance(expression, Variable):
        return sizes[expression.name]
    left, right = evaluate(expression.left, sizes), evaluate(expression.right, sizes)
    found = _apply(expression, left, right)
    if isinstance(found, int) and abs(found) > 2**53:
        raise SizeError(f"`{expression}` is too large a size")
    return found


def _apply(expression: Computed, left: Dim, right: Dim) -> Dim:
    if isinstance(right, int):
        return _with_number(expression, left, right)
    if isinstance(left, int) and expression.sign in ("+", "*"):
        return _with_number(expression, right, left)
    raise SizeError(f"`{expression}` is not exact where `{right}` is symbolic")


def _with_number(expression: Computed, size: Dim, number: int) -> Dim:
    match expression.sign:
        case "+":
            return size + number
        case "-":
            return size - number
        case "*":
            return size * number
    if not number:
        raise SizeError(f"`{expression}` divides by zero")
    return size // number


def shape_text(shape: Shape) -> str:
    """A shape as the spec writes it."""
    return f"[{', '.join(map(str, shape))}]"
