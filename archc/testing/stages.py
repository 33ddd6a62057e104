"""Stages of generated specs: a piece of text, and what it does to types.

Everything runs twice, on the declared types (sizes may be symbols) and on the sizes that the test
feeds, so that a spec is valid and small by construction. Whatever does not fit raises `Unfit`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from archc.ops.op import Op, OpError, TensorType, word
from archc.ops.registry import OPS, parameters
from archc.ops.size import SizeError

Draw = Callable[[st.SearchStrategy[Any]], Any]
Env = dict[str, Any]
"""The variables of a body while it is drawn, or while it is run again for other arguments."""
Step = Callable[[Env], None]
"""What a statement does to the variables."""

CHANNELS = 40
SPATIAL = 24
ELEMENTS = 6000


class Unfit(Exception):
    """What was drawn does not go together; the caller draws something else."""


@dataclass(frozen=True)
class Val:
    """A tensor: its declared type, and the type that the test feeds."""

    type: TensorType
    real: TensorType

    @property
    def channels(self) -> int:
        return self.real.channels

    @property
    def rank(self) -> int:
        return self.real.rank


def infer(op: Op, operands: Sequence[Val]) -> Val:
    try:
        type_ = op.infer(*(operand.type for operand in operands))
        real = op.infer(*(operand.real for operand in operands))
    except (OpError, SizeError) as refusal:
        raise Unfit(str(refusal)) from None
    elements = real.elements
    assert elements is not None
    if not (real.channels <= CHANNELS or real.rank == 0) or elements > ELEMENTS:
        raise Unfit("large")
    if any(isinstance(size, int) and not 1 <= size <= SPATIAL for size in real.spatial):
        raise Unfit("large")
    return Val(type_, real)


@dataclass(frozen=True)
class Num:
    """An expression over compile-time values."""

    text: str
    value: Callable[[Env], Any]


def const(value: Any) -> Num:
    return Num(word(value), lambda _: value)


@dataclass(frozen=True)
class OpStage:
    """An operator with its hyperparameters, `conv(8, kernel=3)`."""

    name: str
    args: tuple[tuple[str, Num], ...] = ()
    keywords: bool = False

    def arguments(self) -> str:
        known = parameters(OPS[self.name])
        order = [parameter.name for parameter in known if not parameter.keyword]
        words: list[str] = []
        for i, (name, value) in enumerate(self.args):
            plain = not self.keywords and order[i : i + 1] == [name]
            words.append(value.text if plain else f"{name}={value.text}")
        return ", ".join(words)

    @property
    def text(self) -> str:
        return f"{self.name}({self.arguments()})" if self.args else self.name

    def op(self, env: Env) -> Op:
        values = {name: _hyper(number.value(env)) for name, number in self.args}
        return OPS[self.name](**values)

    def run(self, env: Env, operands: Sequence[Val]) -> list[Val]:
        return [infer(self.op(env), operands)]

    def made(self, env: Env) -> "Made":
        op = self.op(env)
        return Made(lambda operands: [infer(op, operands)], op)


def _hyper(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass
class Made:
    """A layer that was made. All its applications need the same weights."""

    apply: Callable[[Sequence[Val]], list[Val]]
    op: Op | None
    first: list[Val] | None = None
    uses: int = 0

    def __call__(self, operands: Sequence[Val]) -> list[Val]:
        first = self.first if self.first is not None else list(operands)
        if self.op is None and [v.real for v in first] != [v.real for v in operands]:
            raise Unfit("another type")
        if self.op is not None and self._weights(first) != self._weights(operands):
            raise Unfit("other weights")
        self.first = first
        self.uses += 1
        return self.apply(operands)

    def _weights(self, operands: Sequence[Val]) -> object:
        assert self.op is not None
        infer(self.op, operands)
        types = [operand.real for operand in operands]
        return operands[0].rank, self.op.weights(*types)


@dataclass(frozen=True)
class MadeStage:
    """A layer made before: `head`, or `heads[i]`."""

    number: Num

    @property
    def text(self) -> str:
        return self.number.text

    def run(self, env: Env, operands: Sequence[Val]) -> list[Val]:
        made = self.number.value(env)
        if isinstance(made, OpStage):
            return made.run(env, operands)
        results: list[Val] = made(operands)
        return results
