"""How generated specs draw the operators of one tensor: valid hyperparameters for each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from archc.testing.stages import Draw, Num, OpStage, Unfit, Val, const


@dataclass
class Situation:
    """Where a stage is to stand: after `x`, with `keep` if the spatial sizes must stay."""

    draw: Draw
    x: Val
    keep: bool
    width: Callable[[], Num]
    args: list[tuple[str, Num]] = field(default_factory=list)

    def one_of(self, *values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def give(self, name: str, value: Any, default: object = None) -> None:
        """An argument, left out where it is the default (most of the time)."""
        if value != default or self.one_of(False, False, False, True):
            self.args.append((name, value if isinstance(value, Num) else const(value)))

    def stage(self, name: str) -> OpStage:
        return OpStage(name, tuple(self.args), self.one_of(False, False, True))


def _conv(s: Situation) -> OpStage:
    rank, channels = s.x.rank, s.x.channels
    _need(1 <= rank <= 3)
    even = not s.keep and s.one_of(False, False, False, True)
    kernel = 2 if even else s.one_of(1, 3, 3, (3, 1, 3)[:rank], (3,) * rank)
    groups = s.one_of(1, 1, *(g for g in (2, 3, channels) if channels % g == 0))
    s.give("out", s.width() if groups == 1 else const(groups * s.one_of(1, 2)))
    s.give("kernel", kernel, 1)
    s.give("stride", 1 if s.keep else s.one_of(1, 1, 2, (2, 1, 1)[:rank]), 1)
    s.give("groups", groups, 1)
    s.give("dilation", 1 if even else s.one_of(1, 1, 1, 2), 1)
    if even:
        s.give("padding", s.one_of(0, 1, (1, 0, 0)[:rank]), "same")
    s.give("bias", s.one_of(False, True), False)
    return s.stage("conv")


def _linear(s: Situation) -> OpStage:
    _need(s.x.rank == 0)
    s.give("out", s.width())
    s.give("bias", s.one_of(True, True, False), True)
    return s.stage("linear")


def _bn(s: Situation) -> OpStage:
    s.give("eps", s.one_of(1e-5, 1e-5, 1e-3), 1e-5)
    s.give("momentum", s.one_of(0.1, 0.1, 0.01, 0.0, 1.0), 0.1)
    s.give("affine", s.one_of(True, True, False), True)
    return s.stage("bn")


def _conv_transpose(s: Situation) -> OpStage:
    _need(1 <= s.x.rank <= 3 and not s.keep)
    groups = s.one_of(1, 1, *(g for g in (2, 3) if s.x.channels % g == 0))
    stride = s.one_of(1, 2, 2, (2, 1, 2)[: s.x.rank])
    s.give("out", s.width() if groups == 1 else const(groups * s.one_of(1, 2)))
    s.give("kernel", s.one_of(2, 3, (2, 3, 2)[: s.x.rank]))
    s.give("stride", stride, 1)
    s.give("padding", s.one_of(0, 0, 1), 0)
    s.give("output_padding", s.one_of(0, 1) if stride == 2 else 0, 0)
    s.give("groups", groups, 1)
    s.give("bias", s.one_of(False, True), False)
    return s.stage("conv_transpose")


def _layer_norm(s: Situation) -> OpStage:
    s.give("eps", s.one_of(1e-5, 1e-6), 1e-5)
    s.give("affine", s.one_of(True, True, False), True)
    return s.stage("layer_norm")


def _group_norm(s: Situation) -> OpStage:
    s.give("groups", s.one_of(*(g for g in range(1, 5) if s.x.channels % g == 0)))
    s.give("eps", s.one_of(1e-5, 1e-3), 1e-5)
    s.give("affine", s.one_of(True, True, False), True)
    return s.stage("group_norm")


def _instance_norm(s: Situation) -> OpStage:
    s.give("eps", s.one_of(1e-5, 1e-3), 1e-5)
    s.give("affine", s.one_of(False, True), False)
    return s.stage("instance_norm")


def _pool(name: str) -> Callable[[Situation], OpStage]:
    def stage(s: Situation) -> OpStage:
        rank = s.x.rank
        _need(1 <= rank <= 3)
        if s.keep:
            # torch wants avg_pool3d's kernel to fit an input without its padding, too.
            small = any(isinstance(size, int) and size < 3 for size in s.x.real.spatial)
            _need(name != "avg_pool" or rank < 3 or not small)
            kernel, stride, padding = 3, 1, 1
        else:
            kernel = s.one_of(2, 2, 3, (2, 1, 2)[:rank])
            stride = s.one_of(None, None, 1, 2, (1, 2, 1)[:rank])
            padding = s.one_of(0, 0, 1) if isinstance(kernel, int) and rank < 3 else 0
        s.give("kernel", kernel)
        if stride is not None:
            s.give("stride", stride)
        s.give("padding", padding, 0)
        s.give("ceil_mode", not s.keep and s.one_of(False, False, True), False)
        if name == "avg_pool":
            s.give("count_include_pad", s.one_of(True, True, False), True)
        return s.stage(name)

    return stage


def _global_pool(name: str) -> Callable[[Situation], OpStage]:
    def stage(s: Situation) -> OpStage:
        _need(1 <= s.x.rank <= 3 and not s.keep)
        s.give("keep", s.one_of(False, True), False)
        return s.stage(name)

    return stage


def _adaptive_avg_pool(s: Situation) -> OpStage:
    _need(1 <= s.x.rank <= 3 and not s.keep)
    s.give("size", s.one_of(1, 2, 3, (2, 1, 3)[: s.x.rank]))
    return s.stage("adaptive_avg_pool")


def _take(s: Situation) -> OpStage:
    start = s.one_of(0, 0, *range(s.x.channels))
    s.give("count", s.one_of(*range(1, s.x.channels - start + 1)))
    s.give("start", start, 0)
    return s.stage("take")


def _pad(s: Situation) -> OpStage:
    moves = s.x.rank > 0 and not s.keep
    if moves:
        _around(s, 2)
    mode = s.one_of("zeros", "zeros", "reflect", "replicate") if moves else "zeros"
    if mode == "zeros":
        s.give("channels", s.one_of(0, 1, 2), 0)
        s.give("before", s.one_of(0, 0, 1), 0)
    s.give("mode", mode, "zeros")
    return s.stage("pad")


def _crop(s: Situation) -> OpStage:
    _need(s.x.rank >= 1 and not s.keep)
    _around(s, 1)
    return s.stage("crop")


_SIDES = ("left", "right", "top", "bottom", "front", "back")


def _around(s: Situation, most: int) -> None:
    """Numbers for both sides of each axis, or for single sides."""
    if s.one_of(True, False):
        s.give("spatial", s.one_of(0, 1, (1, 0, most)[: s.x.rank]), 0)
        return
    for side in _SIDES[: 2 * s.x.rank]:
        s.give(side, s.one_of(0, 0, 1, most), 0)


def _flatten(s: Situation) -> OpStage:
    _need(not s.keep)
    return s.stage("flatten")


def _reshape(s: Situation) -> OpStage:
    """The sizes in another order, or some of them joined."""
    _need(not s.keep and all(isinstance(size, int) for size in s.x.type.shape))
    shape = [size for size in s.x.real.shape if isinstance(size, int)]
    if s.one_of(True, False):
        shape.reverse()
    if len(shape) > 1 and s.one_of(True, False):
        shape[-2:] = [shape[-2] * shape[-1]]
    s.give("shape", shape)
    return s.stage("reshape")


def _by_factor(name: str) -> Callable[[Situation], OpStage]:
    def stage(s: Situation) -> OpStage:
        _need(not s.keep)
        s.give("factor", 2)
        return s.stage(name)

    return stage


def _channel_shuffle(s: Situation) -> OpStage:
    s.give("groups", s.one_of(*(g for g in range(1, 5) if s.x.channels % g == 0)))
    return s.stage("channel_shuffle")


def _reduction(name: str) -> Callable[[Situation], OpStage]:
    def stage(s: Situation) -> OpStage:
        _need(not s.keep)
        return s.stage(name)

    return stage


def _upsample(s: Situation) -> OpStage:
    rank = s.x.rank
    _need(1 <= rank <= 3)
    scaled = s.keep or s.one_of(True, True, False)
    if scaled:
        s.give("scale", 1 if s.keep else s.one_of(1, 2, 2, (1, 2, 1)[:rank]))
    mode = s.one_of("nearest", "bilinear", *(["bicubic"] if rank == 2 else []))
    s.give("mode", mode, "nearest")
    if not scaled:
        s.give("size", s.one_of(1, 5, (7, 4, 3)[:rank]))
    s.give("align_corners", mode != "nearest" and s.one_of(True, False), False)
    return s.stage("upsample")


def _dropout(s: Situation) -> OpStage:
    s.give("rate", s.one_of(0.5, 0.25, 0.0))
    return s.stage("dropout")


def _spatial_dropout(s: Situation) -> OpStage:
    _need(1 <= s.x.rank <= 3)
    s.give("rate", s.one_of(0.5, 0.25, 0.0))
    return s.stage("spatial_dropout")


def _max_dropout(s: Situation) -> OpStage:
    s.give("rate", s.one_of(0.3, 0.5, 0.0))
    return s.stage("max_dropout")


def _drop_block(s: Situation) -> OpStage:
    _need(1 <= s.x.rank <= 3)
    s.give("rate", s.one_of(0.1, 0.3, 0.0))
    s.give("block", s.one_of(3, 2, 7))
    return s.stage("drop_block")


def _plain(name: str, **choices: tuple[Any, ...]) -> Callable[[Situation], OpStage]:
    """Elementwise, with hyperparameters to choose from; the first of each is its default."""

    def stage(s: Situation) -> OpStage:
        for parameter, values in choices.items():
            s.give(parameter, s.one_of(*values), values[0])
        return s.stage(name)

    return stage


def _need(condition: bool) -> None:
    if not condition:
        raise Unfit("not here")


STAGES: dict[str, Callable[[Situation], OpStage]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "linear": _linear,
    "bn": _bn,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "relu": _plain("relu"),
    "relu6": _plain("relu6"),
    "leaky_relu": _plain("leaky_relu", slope=(0.01, 0.2)),
    "gelu": _plain("gelu", approximate=("none", "tanh")),
    "silu": _plain("silu"),
    "sigmoid": _plain("sigmoid"),
    "hard_sigmoid": _plain("hard_sigmoid"),
    "hard_swish": _plain("hard_swish"),
    "tanh": _plain("tanh"),
    "softmax": _plain("softmax"),
    "sign_ste": _plain("sign_ste"),
    "identity": _plain("identity"),
    "stop_gradient": _plain("stop_gradient"),
    "max_pool": _pool("max_pool"),
    "avg_pool": _pool("avg_pool"),
    "global_avg_pool": _global_pool("global_avg_pool"),
    "global_max_pool": _global_pool("global_max_pool"),
    "adaptive_avg_pool": _adaptive_avg_pool,
    "take": _take,
    "pad": _pad,
    "crop": _crop,
    "flatten": _flatten,
    "reshape": _reshape,
    "upsample": _upsample,
    "pixel_shuffle": _by_factor("pixel_shuffle"),
    "space_to_depth": _by_factor("space_to_depth"),
    "channel_shuffle": _channel_shuffle,
    "affine": _plain("affine", factor=(1.0, 2.0, -1.0, 0.25, 1 / 3), shift=(0.0, 0.5, -1.0)),
    "abs": _plain("abs"),
    "abs_mean": _reduction("abs_mean"),
    "channel_mean": _reduction("channel_mean"),
    "channel_max": _reduction("channel_max"),
    "dropout": _dropout,
    "spatial_dropout": _spatial_dropout,
    "drop_block": _drop_block,
    "max_dropout": _max_dropout,
    "scale": _plain("scale", init=(1.0, 0.5, 0.0)),
}
"""Operators of one tensor. Those of several, `param` and `drop_path` are statements of their own,
in joins.py. A new operator is one line here; the coverage of test_generated asks for it."""

OFTEN = ("conv", "conv", "conv", "bn", "bn", "relu")
"""What nets are mostly made of."""
