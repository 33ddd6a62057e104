"""How to draw valid hyperparameters and operand types for each operator.

A new operator is one line, in `UNARY` or in `CASES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from operands import Case, Draw, any_type, image, number, per_axis, perhaps_learned, sizes, width

from archc.ops.applied import ApplyConv, ApplyConvTranspose
from archc.ops.arithmetic import Add, Broadcast, Div, Max, Min, Mul, Sub, Sum
from archc.ops.border import Crop, Pad
from archc.ops.convolution import Conv, ConvTranspose
from archc.ops.linear import Linear
from archc.ops.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from archc.ops.op import Op, TensorType
from archc.ops.parameter import Param, Scale
from archc.ops.pooling import (
    AdaptiveAvgPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    GlobalPool,
    MaxPool,
    Pool,
)
from archc.ops.rearrangement import ChannelShuffle, PixelShuffle, Reshape, SpaceToDepth
from archc.ops.reduction import AbsMean, ChannelMax, ChannelMean
from archc.ops.registry import OPS
from archc.ops.regularization import (
    DROPS,
    DropBlock,
    Dropout,
    DropPath,
    MaxDropout,
    ShakeShake,
    SpatialDropout,
)
from archc.ops.resize import Upsample
from archc.ops.tensor import Concat, Take


def _conv(draw: Draw) -> Case:
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    x = image(draw, low=3, channels=groups * number(draw, 1, 3))
    kernel = draw(st.sampled_from([1, 3, (3,) * x.rank, (1, 3, 3)[: x.rank]]))
    same = draw(st.booleans())
    op = Conv(
        out=groups * number(draw, 1, 3),
        kernel=kernel if same else sizes(draw, [(1, 3)] * x.rank),
        stride=sizes(draw, [(1, 3)] * x.rank),
        groups=groups,
        dilation=number(draw, 1, 2) if same else 1,
        padding="same" if same else sizes(draw, [(0, 2)] * x.rank),
        bias=draw(st.booleans()),
    )
    if draw(st.booleans()):
        op = replace(op, groups=1, group_size=x.channels // groups)
    return Case(op, (x,))


def _conv_transpose(draw: Draw) -> Case:
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    x = image(draw, channels=groups * number(draw, 1, 3))
    stride = sizes(draw, [(1, 3)] * x.rank)
    dilation = number(draw, 1, 2)
    most = [max(s, dilation) - 1 for s in per_axis(stride, x.rank)]
    more = sizes(draw, [(0, n) for n in most])
    least = min(per_axis(more, x.rank))
    kernel = sizes(draw, [(1, 3)] * x.rank)
    reach = min((k - 1) * dilation + least for k in per_axis(kernel, x.rank))
    op = ConvTranspose(
        out=groups * number(draw, 1, 3),
        kernel=kernel,
        stride=stride,
        padding=number(draw, 0, reach // 2),
        output_padding=more,
        groups=groups,
        dilation=dilation,
        bias=draw(st.booleans()),
    )
    return Case(op, (x,))


def _apply_conv(draw: Draw) -> Case:
    groups = draw(st.sampled_from([1, 1, 2]))
    x = image(draw, low=3, channels=groups * number(draw, 1, 3))
    same = draw(st.booleans())
    kernel = [number(draw, 0, 1) * 2 + 1 if same else number(draw, 1, 3) for _ in range(x.rank)]
    op = ApplyConv(
        stride=sizes(draw, [(1, 3)] * x.rank),
        groups=groups,
        dilation=number(draw, 1, 2) if same else 1,
        padding="same" if same else sizes(draw, [(0, 2)] * x.rank),
    )
    weight = TensorType((groups * number(draw, 1, 3), x.channels // groups, *kernel), batched=False)
    return Case(op, (x, weight))


def _apply_conv_transpose(draw: Draw) -> Case:
    """As for `conv_transpose`; its weight has an axis for the channels of a group."""
    case = _conv_transpose(draw)
    own = case.op
    assert isinstance(own, ConvTranspose)
    (weight, *_) = own.weights(*case.types)
    names = ("stride", "padding", "output_padding", "groups", "dilation")
    op = ApplyConvTranspose(**{name: getattr(own, name) for name in names})
    return Case(op, (*case.types, TensorType(weight.shape, batched=False)))


def _linear(draw: Draw) -> Case:
    op = Linear(out=number(draw, 1, 6), bias=draw(st.booleans()))
    return Case(op, (TensorType((width(draw),)),))


def _bn(draw: Draw) -> Case:
    op = BatchNorm(
        eps=draw(st.sampled_from([1e-5, 1e-3])),
        momentum=draw(st.sampled_from([0.0, 0.1, 0.01, 1.0])),
        affine=draw(st.booleans()),
    )
    return Case(op, (any_type(draw),))


def _layer_norm(draw: Draw) -> Case:
    eps = draw(st.sampled_from([1e-5, 1e-6]))
    return Case(LayerNorm(eps=eps, affine=draw(st.booleans())), (any_type(draw),))


def _group_norm(draw: Draw) -> Case:
    """A group has two values at least."""
    x = any_type(draw)
    channels = number(draw, 1, 3) * (2 if x.elements == x.channels else 1)
    groups = number(draw, 1, 3)
    eps = draw(st.sampled_from([1e-5, 1e-3]))
    op = GroupNorm(groups=groups, eps=eps, affine=draw(st.booleans()))
    return Case(op, (TensorType((groups * channels, *x.spatial)),))


def _instance_norm(draw: Draw) -> Case:
    eps = draw(st.sampled_from([1e-5, 1e-3]))
    op = InstanceNorm(eps=eps, affine=draw(st.booleans()))
    return Case(op, (image(draw, low=2),))


def _pool(cls: type[Pool]) -> Callable[[Draw], Case]:
    def draw_pool(draw: Draw) -> Case:
        x = image(draw, low=2)
        kernel = sizes(draw, [(1, 2)] * x.rank)
        op = cls(
            kernel=kernel,
            stride=draw(st.none()) if draw(st.booleans()) else sizes(draw, [(1, 3)] * x.rank),
            padding=sizes(draw, [(0, k // 2) for k in per_axis(kernel, x.rank)]),
            ceil_mode=draw(st.booleans()),
        )
        if isinstance(op, AvgPool):
            op = replace(op, count_include_pad=draw(st.booleans()))
        return Case(op, (x,))

    return draw_pool


def _global_pool(cls: type[GlobalPool]) -> Callable[[Draw], Case]:
    def draw_global_pool(draw: Draw) -> Case:
        op = cls(keep=draw(st.booleans()))
        return Case(op, (perhaps_learned(draw, op, image(draw)),))

    return draw_global_pool


def _adaptive_avg_pool(draw: Draw) -> Case:
    x = image(draw)
    return Case(AdaptiveAvgPool(size=sizes(draw, [(1, 4)] * x.rank)), (x,))


def _unary(cls: type[Op], **choices: Sequence[object]) -> Callable[[Draw], Case]:
    """An operator of one tensor, learned or not, with the hyperparameters to choose from."""

    def draw_unary(draw: Draw) -> Case:
        op = cls(**{name: draw(st.sampled_from(values)) for name, values in choices.items()})
        return Case(op, (perhaps_learned(draw, op, any_type(draw)),))

    return draw_unary


def _concat(draw: Draw) -> Case:
    first = any_type(draw)
    others = (TensorType((width(draw), *first.spatial)) for _ in range(number(draw, 0, 3)))
    return Case(Concat(), (first, *others))


def _broadcast(cls: type[Broadcast]) -> Callable[[Draw], Case]:
    def draw_broadcast(draw: Draw) -> Case:
        """Equal shapes, or some axes of size 1 on either side, or a learned tensor."""
        shape = any_type(draw).shape
        a, b = shape, shape
        if draw(st.booleans()):
            sides = [draw(st.sampled_from(["both", "left", "right"])) for _ in shape]
            a = tuple(1 if s == "right" else n for n, s in zip(shape, sides, strict=True))
            b = tuple(1 if s == "left" else n for n, s in zip(shape, sides, strict=True))
        shapes = [a, b]
        if cls.arity is None:
            shapes = [a, b, shape, b][: number(draw, 1, 4)]
        learned = draw(st.sampled_from(["none", "some", "all"]))
        batched = {"none": [True], "some": [True, False], "all": [False]}[learned]
        types = (TensorType(s, batched=draw(st.sampled_from(batched))) for s in shapes)
        return Case(cls(), tuple(types))

    return draw_broadcast


def _abs_mean(draw: Draw) -> Case:
    op = AbsMean()
    return Case(op, (perhaps_learned(draw, op, image(draw)),))


def _over_channels(cls: type[Op]) -> Callable[[Draw], Case]:
    def draw_over_channels(draw: Draw) -> Case:
        op = cls()
        return Case(op, (perhaps_learned(draw, op, any_type(draw)),))

    return draw_over_channels


def _reshape(draw: Draw) -> Case:
    """The sizes in another order, or some of them joined."""
    x = TensorType((12,)) if draw(st.booleans()) else any_type(draw)
    shape = list(draw(st.permutations([3, 2, 2] if x.shape == (12,) else x.shape)))
    while len(shape) > 1 and draw(st.booleans()):
        shape[-2:] = [shape[-2] * shape[-1]]
    if len(shape) < 4 and draw(st.booleans()):
        shape.insert(number(draw, 0, len(shape)), 1)
    op = Reshape(shape=tuple(shape))
    return Case(op, (perhaps_learned(draw, op, x),))


def _pixel_shuffle(draw: Draw) -> Case:
    factor = number(draw, 2, 3)
    x = TensorType((factor**2 * number(draw, 1, 3), number(draw, 1, 4), number(draw, 1, 4)))
    return Case(PixelShuffle(factor=factor), (x,))


def _space_to_depth(draw: Draw) -> Case:
    factor = number(draw, 2, 3)
    x = TensorType((number(draw, 1, 3), factor * number(draw, 1, 3), factor * number(draw, 1, 3)))
    return Case(SpaceToDepth(factor=factor), (x,))


def _channel_shuffle(draw: Draw) -> Case:
    groups = number(draw, 1, 4)
    return Case(ChannelShuffle(groups=groups), (image(draw, channels=groups * number(draw, 1, 4)),))


def _take(draw: Draw) -> Case:
    x = any_type(draw)
    start = number(draw, 0, x.channels - 1)
    op = Take(count=number(draw, 1, x.channels - start), start=start)
    return Case(op, (perhaps_learned(draw, op, x),))


_SIDES = ("left", "right", "top", "bottom", "front", "back")


def _around(draw: Draw, rank: int, high: int) -> dict[str, Any]:
    """Numbers for both sides of each axis, or for some of the sides."""
    if not rank or draw(st.booleans()):
        return {"spatial": sizes(draw, [(0, high)] * rank) if rank else 0}
    chosen = draw(st.sets(st.sampled_from(_SIDES[: 2 * rank])))
    return {side: number(draw, 0, high) for side in sorted(chosen)}


def _pad(draw: Draw) -> Case:
    x = any_type(draw)
    mode = draw(st.sampled_from(["zeros", "reflect", "replicate"])) if x.rank else "zeros"
    if mode != "zeros":
        room = min(n for n in x.spatial if isinstance(n, int)) - 1 if mode == "reflect" else 2
        return Case(Pad(mode=mode, **_around(draw, x.rank, min(room, 2))), (x,))
    channels = (number(draw, 0, 3), number(draw, 0, 3)) if draw(st.booleans()) else (0, 0)
    around = _around(draw, x.rank, 2)
    return Case(Pad(channels=channels[0], before=channels[1], **around), (x,))


def _crop(draw: Draw) -> Case:
    x = image(draw, low=5)
    return Case(Crop(**_around(draw, x.rank, 2)), (x,))


def _upsample(draw: Draw) -> Case:
    x = image(draw)
    modes = ["nearest", "bilinear", *(["bicubic"] if x.rank == 2 else [])]
    mode = draw(st.sampled_from(modes))
    corners = mode != "nearest" and draw(st.booleans())
    to = draw(st.sampled_from(["scale", "size", "like"]))
    if to == "like":
        y = TensorType((width(draw), *(number(draw, 1, 7) for _ in range(x.rank))))
        return Case(Upsample(like=True, mode=mode, align_corners=corners), (x, y))
    value = sizes(draw, [(1, 3 if to == "scale" else 7)] * x.rank)
    return Case(Upsample(**{to: value}, mode=mode, align_corners=corners), (x,))  # type: ignore[arg-type]


def _dropout(draw: Draw) -> Case:
    return Case(Dropout(rate=draw(st.sampled_from([0.0, 0.2, 0.5]))), (any_type(draw),))


def _spatial_dropout(draw: Draw) -> Case:
    rate = draw(st.sampled_from([0.0, 0.2, 0.5]))
    return Case(SpatialDropout(rate=rate), (image(draw),))


def _drop_block(draw: Draw) -> Case:
    rate, block = draw(st.sampled_from([0.0, 0.1, 0.5])), number(draw, 1, 7)
    return Case(DropBlock(rate=rate, block=block), (image(draw),))


def _max_dropout(draw: Draw) -> Case:
    return Case(MaxDropout(rate=draw(st.sampled_from([0.0, 0.3, 0.9]))), (any_type(draw),))


def _shake_shake(draw: Draw) -> Case:
    x = any_type(draw)
    return Case(ShakeShake(), (x, x))


def _drop_path(draw: Draw) -> Case:
    survival = draw(st.sampled_from([0.2, 0.5, 1.0, None]))
    of = draw(st.sampled_from([1, 3]))
    branch, mode = number(draw, 0, of), draw(st.sampled_from(DROPS))
    return Case(DropPath(survival=survival, branch=branch, of=of, mode=mode), (any_type(draw),))


def _param(draw: Draw) -> Case:
    init = draw(st.sampled_from(["zeros", "ones", "normal"]))
    shape = tuple(number(draw, 1, 5) for _ in range(number(draw, 1, 4)))
    return Case(Param(shape=shape, init=init, std=draw(st.sampled_from([1.0, 0.05]))), ())


def _scale(draw: Draw) -> Case:
    return Case(Scale(init=draw(st.sampled_from([1.0, 0.0, 1e-6, -0.5]))), (any_type(draw),))


UNARY: dict[str, dict[str, list[Any]]] = {
    "relu": {},
    "relu6": {},
    "leaky_relu": {"slope": [0.01, 0.2, 0.0]},
    "gelu": {"approximate": ["none", "tanh"]},
    "silu": {},
    "sigmoid": {},
    "hard_sigmoid": {},
    "hard_swish": {},
    "tanh": {},
    "softmax": {},
    "sign_ste": {},
    "identity": {},
    "stop_gradient": {},
    "flatten": {},
    "abs": {},
    "affine": {
        "factor": [1.0, -1.0, 2.0, 0.5, 1 / 3, -1 / 7, 0.3, 0.0, 1e-30],
        "shift": [0.0, 1.0, -1.5],
    },
}
"""Operators of one tensor of any type, with hyperparameters to choose from."""

CASES: dict[str, Callable[[Draw], Case]] = {
    **{name: _unary(OPS[name], **values) for name, values in UNARY.items()},
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "apply_conv": _apply_conv,
    "apply_conv_transpose": _apply_conv_transpose,
    "linear": _linear,
    "bn": _bn,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "max_pool": _pool(MaxPool),
    "avg_pool": _pool(AvgPool),
    "global_avg_pool": _global_pool(GlobalAvgPool),
    "global_max_pool": _global_pool(GlobalMaxPool),
    "adaptive_avg_pool": _adaptive_avg_pool,
    "concat": _concat,
    "take": _take,
    "pad": _pad,
    "crop": _crop,
    "reshape": _reshape,
    "upsample": _upsample,
    "pixel_shuffle": _pixel_shuffle,
    "space_to_depth": _space_to_depth,
    "channel_shuffle": _channel_shuffle,
    "add": _broadcast(Add),
    "sub": _broadcast(Sub),
    "mul": _broadcast(Mul),
    "div": _broadcast(Div),
    "sum": _broadcast(Sum),
    "min": _broadcast(Min),
    "max": _broadcast(Max),
    "abs_mean": _abs_mean,
    "channel_mean": _over_channels(ChannelMean),
    "channel_max": _over_channels(ChannelMax),
    "dropout": _dropout,
    "spatial_dropout": _spatial_dropout,
    "drop_block": _drop_block,
    "max_dropout": _max_dropout,
    "drop_path": _drop_path,
    "shake_shake": _shake_shake,
    "param": _param,
    "scale": _scale,
}


@st.composite
def cases(draw: Draw, name: str) -> Case:
    """Valid uses of one operator: every rank that it takes, small sizes."""
    return CASES[name](draw)
