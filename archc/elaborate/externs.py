"""Extern layers: from a declaration and its hyperparameters to an operator.

Names in the shapes of the inputs that nothing binds are dimension variables, as in the shapes of
nets; whatever mentions none of them is evaluated here.
"""

import math
from dataclasses import dataclass

from archc.diagnostics import ArchError, Span, error
from archc.elaborate.annotations import checked_annotation
from archc.elaborate.evaluate import Expressions
from archc.elaborate.frame import Frame
from archc.elaborate.values import Datum, ExternConstructor, describe, is_int
from archc.elaborate.walk import used_names
from archc.ir.annotations import Costs
from archc.ops.extern import (
    Computed,
    Declared,
    Expression,
    Extern,
    ExternArgument,
    ExternValue,
    Plain,
    Rest,
    Shape,
    Variable,
)
from archc.ops.size import LARGEST
from archc.syntax import ast

_SIGNS = {"+", "-", "*", "//"}


def make_extern(constructor: ExternConstructor, evaluator: Expressions, frame: Frame) -> Extern:
    """The operator of an extern layer, whose hyperparameters `frame` binds. Raises ArchError."""
    declaration = constructor.declaration
    module, _, name = declaration.target.partition(":")
    reader = _SignatureReader(declaration, evaluator, frame)
    hyper = tuple((key, reader.plain(frame.names[key], span)) for key, span in _spans(declaration))
    return Extern(
        title=declaration.name.name,
        module_name=module,
        class_name=name,
        inputs=tuple(reader.shape(shape) for shape in declaration.inputs),
        outputs=tuple(reader.shape(shape) for shape in declaration.outputs),
        arguments=reader.arguments(declaration, hyper),
        hyper=hyper,
        declared=reader.costs(declaration.annotations),
    )


def _spans(declaration: ast.ExternLayer) -> list[tuple[str, Span]]:
    return [(item.name.name, item.span) for item in declaration.parameters]


def dimension_variables(declaration: ast.ExternLayer, bound: set[str]) -> set[str]:
    """The names in the shapes of the inputs that are not among the bound ones."""
    parts = [part for shape in declaration.inputs for part in shape.dims]
    plain = [part for part in parts if not isinstance(part, ast.Rest)]
    return {name.name for part in plain for name in used_names(part)} - bound


@dataclass
class _SignatureReader:
    """Reads the shapes and arguments of one declaration."""

    declaration: ast.ExternLayer
    evaluator: Expressions
    frame: Frame

    def __post_init__(self) -> None:
        bound = {*self.frame.names, *self.frame.file.names}
        self.variables = dimension_variables(self.declaration, bound)
        shapes = self.declaration.inputs
        self.stars = {p.name for s in shapes for p in s.dims if isinstance(p, ast.Rest)}

    # ---------------------------------------------------------------- shapes

    def shape(self, shape: ast.Shape) -> Shape:
        stars = [part for part in shape.dims if isinstance(part, ast.Rest)]
        if len(stars) > 1:
            raise error("E0224", "a shape has one `*` at most", stars[1].span)
        return tuple(self._part(part) for part in shape.dims)

    def _part(self, part: ast.Expr | ast.Rest) -> Expression | Rest:
        if not isinstance(part, ast.Rest):
            return self._size(part)
        if part.name not in self.stars:
            raise self._undecided(f"*{part.name}", part.span)
        if part.name in self.variables:
            message = f"`{part.name}` is one size here, and several sizes with `*`"
            raise error("E0224", message, part.span, help="rename one of them")
        return Rest(part.name)

    def _size(self, expr: ast.Expr) -> Expression:
        """A size: a whole number, or arithmetic of dimension variables."""
        if not self._mentions(expr):
            value = self.evaluator.evaluate(expr, self.frame)
            if not is_int(value):
                raise error("E0222", f"a size must be an int, not {describe(value)}", expr.span)
            if abs(value) > LARGEST:
                message = f"a size lies between 1 and {LARGEST:,}, {value} does not"
                raise error("E0222", message, expr.span)
            return value
        return self._computed(expr)

    def _mentions(self, expr: ast.Expr) -> bool:
        """Whether an expression depends on the operands. Raises for a name that nothing decides."""
        for part in used_names(expr):
            if part.name in self.variables:
                return True
            if part.name not in self.frame.known:
                raise self._undecided(part.name, part.span)
        return False

    def _undecided(self, text: str, span: Span) -> ArchError:
        return error(
            "E0224",
            f"no input of `{self.declaration.name.name}` says what `{text}` is",
            span,
            help="a dimension variable stands in the shape of an input: `[C, *S]`",
        )

    def _computed(self, expr: ast.Expr) -> Expression:
        match expr:
            case ast.Name():
                return Variable(expr.name)
            case ast.Paren():
                return self._computed(expr.value)
            case ast.Arithmetic() if all(sign in _SIGNS for sign, _ in expr.rest):
                left = self._operand(expr.first)
                for sign, operand in expr.rest:
                    left = Computed(sign, left, self._operand(operand))  # type: ignore[arg-type]
                return left
        raise error(
            "E0224",
            "sizes are made from dimension variables by `+`, `-`, `*` and `//` only",
            expr.span,
        )

    def _operand(self, expr: ast.Expr) -> Expression:
        return self._computed(expr) if self._mentions(expr) else self._size(expr)

    # ----------------------------------------------------------------- costs

    def costs(self, annotations: tuple[ast.Annotation, ...]) -> Declared | None:
        """What `@costs(params=..., macs=...)` says, if it is there. `@x_...` are the user's own."""
        ours = (each for each in annotations if not each.name.startswith("x_"))
        checked = (checked_annotation(each, "extern layer", self._count) for each in ours)
        found = [each for each in checked if isinstance(each, Costs)]
        if len(found) > 1:
            raise error("E0605", "the costs are declared twice", found[1].span)
        return Declared(found[0].params, found[0].macs) if found else None

    def _count(self, expr: ast.Expr) -> Datum:
        """A value, or arithmetic of dimension variables."""
        mentions = self._mentions(expr)
        return self._computed(expr) if mentions else self.evaluator.evaluate(expr, self.frame)

    # ------------------------------------------------------------- arguments

    def arguments(
        self, declaration: ast.ExternLayer, hyper: tuple[tuple[str, Plain], ...]
    ) -> tuple[ExternArgument, ...]:
        """What the constructor is given: as written, else all hyperparameters by keyword."""
        if declaration.arguments is None:
            return tuple(ExternArgument(name, value) for name, value in hyper)
        found: list[ExternArgument] = []
        for item in declaration.arguments:
            if item.name is not None and item.name in (other.name for other in found):
                message = f"`{declaration.target}` gets `{item.name}` twice"
                raise error("E0313", message, item.span)
            found.append(ExternArgument(item.name, self._argument(item.value)))
        return tuple(found)

    def _argument(self, expr: ast.Expr) -> ExternValue:
        if not self._mentions(expr):
            return self.plain(self.evaluator.evaluate(expr, self.frame), expr.span)
        if isinstance(expr, ast.List | ast.Tuple):
            return tuple(self._argument(item) for item in expr.items)
        return self._computed(expr)

    def plain(self, value: Datum, span: Span, depth: int = 1) -> Plain:
        """A value that can be written into the emitted file."""
        if isinstance(value, list | tuple):
            work = self.evaluator.budget.at(span)
            work.descend(depth)
            work.make(len(value))
            return tuple(self.plain(item, span, depth + 1) for item in value)
        if isinstance(value, float) and not math.isfinite(value):
            raise error("E0225", f"an extern layer cannot be given {value}", span)
        if isinstance(value, bool | int | float | str):
            return value
        raise error(
            "E0225",
            f"an extern layer is given numbers, bools, strings and lists, not {describe(value)}",
            span,
        )
