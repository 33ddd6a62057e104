"""Calls of torch, drawn: the arguments of each module and function that archc has a word for.

A value that archc cannot express is `Odd`: then there must be no mend, and the help names it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

CHANNELS = 8
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Odd:
    """A value of torch's that archc has no argument for."""

    value: Any


@dataclass(frozen=True)
class Drawn:
    """A call as Python writes it, and the shape of the sample that it is for."""

    text: str
    shape: tuple[int, ...]
    odd: tuple[str, ...]
    """The arguments that archc cannot express, as they are written."""


def _choices(*values: Any) -> Callable[[int], Sequence[Any]]:
    return lambda rank: values


def _per_axis(*values: Any) -> Callable[[int], Sequence[Any]]:
    """Numbers, and tuples of them of the right length."""
    return lambda rank: [*values, tuple((values * rank)[:rank])]


def _sides(low: int) -> Callable[[int], Sequence[Any]]:
    def values(rank: int) -> Sequence[Any]:
        even = (1, 1, 2, 2, low, low)[: 2 * rank]
        return [low, 1, even, Odd((0, 1, 2, 2, 1, 1)[: 2 * rank])]

    return values


_FLAG = _choices(True, False)
_GROUPS = _choices(1, 2, 4, CHANNELS)
_FACTORY = {"device": _choices(None), "dtype": _choices(None)}
_CONV = {
    "in_channels": _choices(CHANNELS),
    "out_channels": _choices(8, 16),
    "kernel_size": _per_axis(1, 3, 2, 5),
    "stride": _per_axis(1, 2),
    "padding": lambda rank: [0, 1, 2, (0, 1, 2)[:rank], "same", "valid"],
    "dilation": _per_axis(1, 2),
    "groups": _GROUPS,
    "bias": _FLAG,
    "padding_mode": _choices("zeros", "zeros", Odd("reflect"), Odd("circular")),
    **_FACTORY,
}
_NORM = {
    "num_features": _choices(CHANNELS),
    "eps": _choices(1e-5, 1e-3),
    "affine": _FLAG,
    **_FACTORY,
}
_POOL = {
    "kernel_size": _per_axis(2, 3),
    "stride": lambda rank: [None, 1, 2, (2, 1, 2)[:rank]],
    "padding": _choices(0, 1),
    "ceil_mode": _FLAG,
}
_AVG = {"count_include_pad": _FLAG, "divisor_override": _choices(None, Odd(3))}
_MAX = {
    "dilation": _choices(1, 1, Odd(2)),
    "return_indices": _choices(False, False, Odd(True)),
}
_SCALES: Mapping[str, Callable[[int], Sequence[Any]]] = {
    "scale_factor": lambda rank: [None, 2, 3, 2.0, (2, 1, 3)[:rank], Odd(1.5)],
    "size": lambda rank: [None, 12, (12, 16, 12)[:rank]],
}
_P = {"p": _choices(0.5, 0.1, 0.0), "inplace": _FLAG}

VALUES: Mapping[str, Mapping[str, Callable[[int], Sequence[Any]]]] = {
    "conv": _CONV,
    "conv_transpose": {
        **_CONV,
        "padding": _choices(0, 1),
        "output_padding": _choices(0, 1),
        "padding_mode": _choices("zeros"),
    },
    "linear": {
        "in_features": _choices(CHANNELS),
        "out_features": _choices(3, 10),
        "bias": _FLAG,
        **_FACTORY,
    },
    "bn": {
        **_NORM,
        "momentum": _choices(0.1, 0.01, Odd(None)),
        "track_running_stats": _choices(True, True, Odd(False)),
        "bias": _choices(True, True, Odd(False)),
    },
    "instance_norm": {
        **_NORM,
        "momentum": _choices(0.1, 0.01),
        "track_running_stats": _choices(False, False, Odd(True)),
        "bias": _choices(True, True, Odd(False)),
    },
    "group_norm": {
        "num_groups": _choices(1, 2, 4),
        "num_channels": _choices(CHANNELS),
        "eps": _choices(1e-5, 1e-3),
        "affine": _FLAG,
        "bias": _choices(True, True, Odd(False)),
        **_FACTORY,
    },
    "max_pool": {**_POOL, **_MAX},
    "avg_pool": {**_POOL, **_AVG},
    "adaptive_avg_pool": {
        "output_size": lambda rank: [1, 3, (2, 3, 1)[:rank], Odd((None,) * rank)],
    },
    "global_max_pool": {
        "output_size": lambda rank: [1, (1,) * rank, Odd(2)],
        "return_indices": _choices(False, False, Odd(True)),
    },
    "pad": {
        "padding": lambda rank: [0, 1, (1, 1, 2, 2, 0, 0)[: 2 * rank]],
        "pad": _choices((1, 1), (0, 2), (1, 1, 2, 2), (3, 0, 0, 1), (2, 2, 2, 2), Odd((0, -1))),
        "mode": _choices("constant", "constant", "reflect", "replicate", Odd("circular")),
        "value": _choices(None, 0, 0.0, Odd(1.0)),
    },
    "flatten": {"start_dim": _choices(1, 1, Odd(2)), "end_dim": _choices(-1, -1)},
    "softmax": {"dim": _choices(1, 1, Odd(-1), Odd(2))},
    "concat": {"dim": _choices(1, 1, Odd(2))},
    "add": {"alpha": _choices(1, 1, Odd(2))},
    "sub": {"alpha": _choices(1, 1, Odd(2))},
    "div": {"rounding_mode": _choices(None, None, Odd("floor"))},
    "upsample": {
        **_SCALES,
        "mode": lambda rank: ["nearest", ("linear", "bilinear", "trilinear")[rank - 1]],
        "align_corners": _choices(None, False, True),
        "recompute_scale_factor": _choices(None, False),
        "antialias": _choices(False),
    },
    "pixel_shuffle": {"upscale_factor": _choices(2)},
    "space_to_depth": {"downscale_factor": _choices(2)},
    "channel_shuffle": {"groups": _choices(2, 4)},
    "dropout": _P,
    "spatial_dropout": _P,
    "leaky_relu": {"negative_slope": _choices(0.01, 0.2), "inplace": _FLAG},
    "gelu": {"approximate": _choices("none", "tanh")},
}
"""By operator: torch's parameter -> values to draw from, for a number of spatial axes."""

ELSEWHERE = {"inplace": _FLAG}
"""Parameters of all other operators."""
