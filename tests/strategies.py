"""How to draw valid hyperparameters and operand types for each operator.

A new operator is one line in `CASES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from archc.ops.activation import Identity, Relu, Sigmoid, StopGradient
from archc.ops.arithmetic import Add, Broadcast, Mul
from archc.ops.convolution import Conv
from archc.ops.linear import Linear
from archc.ops.normalization import BatchNorm
from archc.ops.op import Op, TensorType
from archc.ops.parameter import Param
from archc.ops.pooling import AvgPool, GlobalAvgPool, MaxPool, Pool
from archc.ops.regularization import Dropout, DropPath
from archc.ops.tensor import Concat, Flatten, Pad, Take, Upsample

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Case:
    """An operator, and operand types that it accepts."""

    op: Op
    types: tuple[TensorType, ...]

    @property
    def out(self) -> TensorType:
        return self.op.infer(*self.types)

    def __str__(self) -> str:
        return f"{self.op} of {', '.join(map(str, self.types))}"


def _int(draw: Draw, low: int, high: int) -> int:
    number = draw(st.integers(low, high))
    assert isinstance(number, int)
    return number


def _channels(draw: Draw) -> int:
    return _int(draw, 1, 6)


def _image(draw: Draw, low: int = 1, channels: int | None = None) -> TensorType:
    rank = _int(draw, 1, 3)
    sizes = (_int(draw, low, (12, 9, 6)[rank - 1]) for _ in range(rank))
    return TensorType((channels or _channels(draw), *sizes))


def _any_type(draw: Draw) -> TensorType:
    return TensorType((_channels(draw),)) if draw(st.booleans()) else _image(draw)


def _sizes(draw: Draw, ranges: Sequence[tuple[int, int]]) -> int | tuple[int, ...]:
    """One number for all axes, or one for each, within every axis' range."""
    if draw(st.booleans()):
        return _int(draw, max(low for low, _ in ranges), min(high for _, high in ranges))
    return tuple(_int(draw, low, high) for low, high in ranges)


def _per_axis(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else value


def _conv(draw: Draw) -> Case:
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    x = _image(draw, low=3, channels=groups * _int(draw, 1, 3))
    kernel = draw(st.sampled_from([1, 3, (3,) * x.rank, (1, 3, 3)[: x.rank]]))
    same = draw(st.booleans())
    op = Conv(
        out=groups * _int(draw, 1, 3),
        kernel=kernel if same else _sizes(draw, [(1, 3)] * x.rank),
        stride=_sizes(draw, [(1, 3)] * x.rank),
        groups=groups,
        dilation=_int(draw, 1, 2) if same else 1,
        padding="same" if same else _sizes(draw, [(0, 2)] * x.rank),
        bias=draw(st.booleans()),
    )
    return Case(op, (x,))


def _linear(draw: Draw) -> Case:
    op = Linear(out=_int(draw, 1, 6), bias=draw(st.booleans()))
    return Case(op, (TensorType((_channels(draw),)),))


def _bn(draw: Draw) -> Case:
    op = BatchNorm(
        eps=draw(st.sampled_from([1e-5, 1e-3])),
        momentum=draw(st.sampled_from([0.0, 0.1, 0.01, 1.0])),
        affine=draw(st.booleans()),
    )
    return Case(op, (_any_type(draw),))


def _pool(cls: type[Pool]) -> Callable[[Draw], Case]:
    def draw_pool(draw: Draw) -> Case:
        x = _image(draw, low=2)
        kernel = _sizes(draw, [(1, 2)] * x.rank)
        op = cls(
            kernel=kernel,
            stride=draw(st.none()) if draw(st.booleans()) else _sizes(draw, [(1, 3)] * x.rank),
            padding=_sizes(draw, [(0, k // 2) for k in _per_axis(kernel, x.rank)]),
        )
        return Case(op, (x,))

    return draw_pool


def _global_avg_pool(draw: Draw) -> Case:
    return Case(GlobalAvgPool(keep=draw(st.booleans())), (_image(draw),))


def _elementwise(cls: type[Op]) -> Callable[[Draw], Case]:
    return lambda draw: Case(cls(), (_any_type(draw),))


def _concat(draw: Draw) -> Case:
    first = _any_type(draw)
    others = (TensorType((_channels(draw), *first.spatial)) for _ in range(_int(draw, 0, 3)))
    return Case(Concat(), (first, *others))


def _broadcast(cls: type[Broadcast]) -> Callable[[Draw], Case]:
    def draw_broadcast(draw: Draw) -> Case:
        """Equal shapes, or some axes of size 1 on either side, or a learned tensor."""
        shape = _any_type(draw).shape
        a, b = shape, shape
        if draw(st.booleans()):
            sides = [draw(st.sampled_from(["both", "left", "right"])) for _ in shape]
            a = tuple(1 if s == "right" else n for n, s in zip(shape, sides, strict=True))
            b = tuple(1 if s == "left" else n for n, s in zip(shape, sides, strict=True))
        return Case(cls(), (TensorType(a), TensorType(b, batched=draw(st.booleans()))))

    return draw_broadcast


def _take(draw: Draw) -> Case:
    x = _any_type(draw)
    start = _int(draw, 0, x.channels - 1)
    return Case(Take(count=_int(draw, 1, x.channels - start), start=start), (x,))


def _pad(draw: Draw) -> Case:
    x = _any_type(draw)
    spatial = _sizes(draw, [(0, 2)] * x.rank) if x.rank else 0
    around = (_int(draw, 0, 3), _int(draw, 0, 3)) if draw(st.booleans()) else (0, 0)
    return Case(Pad(channels=around[0], before=around[1], spatial=spatial), (x,))


def _upsample(draw: Draw) -> Case:
    x = _image(draw)
    mode = draw(st.sampled_from(["nearest", "bilinear"]))
    return Case(Upsample(scale=_sizes(draw, [(1, 3)] * x.rank), mode=mode), (x,))


def _dropout(draw: Draw) -> Case:
    return Case(Dropout(rate=draw(st.sampled_from([0.0, 0.2, 0.5]))), (_any_type(draw),))


def _drop_path(draw: Draw) -> Case:
    survival = draw(st.sampled_from([0.2, 0.5, 1.0]))
    return Case(DropPath(survival=survival), (_any_type(draw),))


def _param(draw: Draw) -> Case:
    init = draw(st.sampled_from(["zeros", "ones", "normal"]))
    shape = tuple(_int(draw, 1, 5) for _ in range(_int(draw, 1, 4)))
    return Case(Param(shape=shape, init=init), ())


CASES: dict[str, Callable[[Draw], Case]] = {
    "conv": _conv,
    "linear": _linear,
    "bn": _bn,
    "relu": _elementwise(Relu),
    "sigmoid": _elementwise(Sigmoid),
    "identity": _elementwise(Identity),
    "stop_gradient": _elementwise(StopGradient),
    "max_pool": _pool(MaxPool),
    "avg_pool": _pool(AvgPool),
    "global_avg_pool": _global_avg_pool,
    "concat": _concat,
    "take": _take,
    "pad": _pad,
    "flatten": _elementwise(Flatten),
    "upsample": _upsample,
    "add": _broadcast(Add),
    "mul": _broadcast(Mul),
    "dropout": _dropout,
    "drop_path": _drop_path,
    "param": _param,
}


@st.composite
def cases(draw: Draw, name: str) -> Case:
    """Valid uses of one operator: every rank that it takes, small sizes."""
    return CASES[name](draw)
