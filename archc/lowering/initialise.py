"""`@init`, written at the end of the constructor: a loop over the modules of the net."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archc.ir.graph import Hyper
from archc.ir.initialisation import acts_on
from archc.ops.op import Op
from archc.program.tree import (
    BoolOp,
    Compare,
    Constant,
    Evaluate,
    Expr,
    For,
    If,
    Name,
    Stmt,
    Tuple,
    call,
    dotted,
)

_MODULE, _WEIGHT, _BIAS = Name("module"), dotted("module.weight"), dotted("module.bias")
_HAS_BIAS = Compare(_BIAS, "is not", Constant(None))


@dataclass(frozen=True)
class _Filling:
    """A statement about `module`, and what must hold for it."""

    statement: Stmt
    condition: Expr | None = None


def initialisation(words: dict[str, Hyper], made: Sequence[tuple[str, Op]]) -> list[Stmt]:
    """The statements of an `@init` with the arguments `words`.

    `made` are the layers of the net: the class of torch that each is made by, and the operator.
    """
    kinds = {"scheme": _conv, "bn_weight": _norm, "linear_std": _linear}
    classes_of: dict[tuple[_Filling, ...], list[str]] = {}
    for argument, fillings_of in kinds.items():
        classes = sorted({cls for cls, op in made if argument in op.initialised})
        fillings = tuple(fillings_of(words, [op for cls, op in made if cls in classes]))
        classes_of.setdefault(fillings, []).extend(classes)
    branches: tuple[Stmt, ...] = ()
    for fillings, classes in reversed(classes_of.items()):
        if fillings:
            branches = (_branch(classes, fillings, branches),)
    return [For(_MODULE, call("self.modules"), branches)] if branches else []


def _conv(words: dict[str, Hyper], ops: Sequence[Op]) -> Iterator[_Filling]:
    if _some("scheme", words, ops):
        fan_out = {"mode": Constant("fan_out"), "nonlinearity": Constant("relu")}
        mode = fan_out if words.get("fan") == "out" else {}
        yield _Filling(Evaluate(call("nn.init.kaiming_normal_", _WEIGHT, **mode)))
    if _some("conv_bias", words, ops):
        # PyTorch types the bias of a convolution as optional, whether or not there is one.
        yield _Filling(_zeros(_BIAS), _HAS_BIAS)


def _norm(words: dict[str, Hyper], ops: Sequence[Op]) -> Iterator[_Filling]:
    if _some("bn_weight", words, ops):
        condition = None if _all("bn_weight", words, ops) else dotted("module.affine")
        value = _number(words["bn_weight"])
        yield _Filling(Evaluate(call("nn.init.constant_", _WEIGHT, value)), condition)


def _linear(words: dict[str, Hyper], ops: Sequence[Op]) -> Iterator[_Filling]:
    if _some("linear_std", words, ops):
        std = _number(words["linear_std"])
        yield _Filling(Evaluate(call("nn.init.normal_", _WEIGHT, std=std)))
    if _some("linear_bias", words, ops):
        yield _Filling(_zeros(_BIAS), None if _all("linear_bias", words, ops) else _HAS_BIAS)


def _zeros(weight: Expr) -> Stmt:
    return Evaluate(call("nn.init.zeros_", weight))


def _number(value: Hyper) -> Constant:
    assert isinstance(value, int | float)
    return Constant(value)


def _some(argument: str, words: dict[str, Hyper], ops: Sequence[Op]) -> bool:
    return any(acts_on(argument, words, op) for op in ops)


def _all(argument: str, words: dict[str, Hyper], ops: Sequence[Op]) -> bool:
    return all(acts_on(argument, words, op) for op in ops)


def _branch(classes: Sequence[str], fillings: Sequence[_Filling], orelse: tuple[Stmt, ...]) -> Stmt:
    """One kind of module; the condition of an only statement joins that of the branch."""
    kinds = tuple(map(dotted, classes))
    test: Expr = call("isinstance", _MODULE, kinds[0] if len(kinds) == 1 else Tuple(kinds))
    if len(fillings) == 1 and fillings[0].condition:
        return If(BoolOp("and", (test, fillings[0].condition)), (fillings[0].statement,), orelse)
    body = (
        If(each.condition, (each.statement,)) if each.condition else each.statement
        for each in fillings
    )
    return If(test, tuple(body), orelse)
