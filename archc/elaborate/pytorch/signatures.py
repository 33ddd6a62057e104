"""The signatures of torch.nn's modules and torch's functions that archc has an operator for, and
how it names their arguments.

These are facts about torch, in torch's words and with torch's defaults; a test holds them to torch.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final


class Absent(Enum):
    """What stands for a value: that there is none, or that it is known only when the spec runs."""

    REQUIRED = "required"
    UNKNOWN = "unknown"


REQUIRED: Final = Absent.REQUIRED
UNKNOWN: Final = Absent.UNKNOWN


@dataclass(frozen=True, slots=True)
class Theirs:
    """A parameter of torch's; `default` is Python's value, or REQUIRED."""

    name: str
    default: object
    named: bool = False
    """Whether it is given by its name only."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A module or function of torch's: the operator that computes the same, and its parameters."""

    operator: str
    parameters: tuple[Theirs, ...]
    rank: int | None
    """The number of spatial axes, if its name has it."""
    always: tuple[str, ...] = ()
    """The operator's arguments for what the module does without an argument."""


def _signature(name: str, operator: str, text: str) -> Signature:
    before, _, after = f" {text}".partition(" * ")
    words = [(word, False) for word in before.split()] + [(word, True) for word in after.split()]
    rank = int(name[-2]) if name[-2:] in ("1d", "2d", "3d") else None
    parameters = tuple(_parameter(word, named) for word, named in words)
    always = [argument for start, argument in _ALWAYS.items() if name.startswith(start)]
    return Signature(operator, parameters, rank, tuple(always))


def _parameter(word: str, named: bool) -> Theirs:
    name, equals, default = word.partition("=")
    return Theirs(name, ast.literal_eval(default) if equals else REQUIRED, named)


_ALWAYS: Mapping[str, str] = {
    "AdaptiveMaxPool": "keep=true",
    "adaptive_max_pool": "keep=true",
    "UpsamplingBilinear": 'mode="bilinear", align_corners=true',
    "ReflectionPad": 'mode="reflect"',
    "ReplicationPad": 'mode="replicate"',
}
"""How a module's name begins -> an argument of the operator."""

INFERRED = frozenset({"in_channels", "in_features", "num_features", "num_channels"})
"""The channels of the input, which archc knows."""

_FACTORY = "device=None dtype=None"
_CONV = (
    "in_channels out_channels kernel_size stride=1 padding=0 dilation=1 groups=1 bias=True "
    f"padding_mode='zeros' {_FACTORY}"
)
_CONV_TRANSPOSE = (
    "in_channels out_channels kernel_size stride=1 padding=0 output_padding=0 groups=1 bias=True "
    f"dilation=1 padding_mode='zeros' {_FACTORY}"
)
_BATCH_NORM = (
    f"num_features eps=1e-05 momentum=0.1 affine=True track_running_stats=True {_FACTORY} "
    "* bias=True"
)
_INSTANCE_NORM = (
    f"num_features eps=1e-05 momentum=0.1 affine=False track_running_stats=False {_FACTORY} "
    "* bias=True"
)
_MAX_POOL = "kernel_size stride=None padding=0 dilation=1 return_indices=False ceil_mode=False"
_AVG_POOL = "kernel_size stride=None padding=0 ceil_mode=False count_include_pad=True"
_UPSAMPLE = (
    "size=None scale_factor=None mode='nearest' align_corners=None recompute_scale_factor=None"
)

_TEXTS: Mapping[str, tuple[str, str]] = {
    "Conv*": ("conv", _CONV),
    "ConvTranspose*": ("conv_transpose", _CONV_TRANSPOSE),
    "Linear": ("linear", f"in_features out_features bias=True {_FACTORY}"),
    "BatchNorm*": ("bn", _BATCH_NORM),
    "GroupNorm": (
        "group_norm",
        f"num_groups num_channels eps=1e-05 affine=True {_FACTORY} * bias=True",
    ),
    "InstanceNorm*": ("instance_norm", _INSTANCE_NORM),
    "ReLU": ("relu", "inplace=False"),
    "ReLU6": ("relu6", "inplace=False"),
    "LeakyReLU": ("leaky_relu", "negative_slope=0.01 inplace=False"),
    "GELU": ("gelu", "approximate='none'"),
    "SiLU": ("silu", "inplace=False"),
    "Sigmoid": ("sigmoid", ""),
    "Hardsigmoid": ("hard_sigmoid", "inplace=False"),
    "Hardswish": ("hard_swish", "inplace=False"),
    "Tanh": ("tanh", ""),
    "Softmax": ("softmax", "dim=None"),
    "Softmax2d": ("softmax", ""),
    "Identity": ("identity", ""),
    "MaxPool*": ("max_pool", _MAX_POOL),
    "AvgPool1d": ("avg_pool", _AVG_POOL),
    "AvgPool2d": ("avg_pool", f"{_AVG_POOL} divisor_override=None"),
    "AvgPool3d": ("avg_pool", f"{_AVG_POOL} divisor_override=None"),
    "AdaptiveAvgPool*": ("adaptive_avg_pool", "output_size"),
    "AdaptiveMaxPool*": ("global_max_pool", "output_size return_indices=False"),
    "ZeroPad*": ("pad", "padding"),
    "ReflectionPad*": ("pad", "padding"),
    "ReplicationPad*": ("pad", "padding"),
    "Flatten": ("flatten", "start_dim=1 end_dim=-1"),
    "Upsample": ("upsample", _UPSAMPLE),
    "UpsamplingNearest2d": ("upsample", "size=None scale_factor=None"),
    "UpsamplingBilinear2d": ("upsample", "size=None scale_factor=None"),
    "PixelShuffle": ("pixel_shuffle", "upscale_factor"),
    "PixelUnshuffle": ("space_to_depth", "downscale_factor"),
    "ChannelShuffle": ("channel_shuffle", "groups"),
    "Dropout": ("dropout", "p=0.5 inplace=False"),
    "Dropout*": ("spatial_dropout", "p=0.5 inplace=False"),
}
"""Name in torch.nn -> operator and parameters; `*` is `1d`, `2d` and `3d`."""


def _signatures(rows: Mapping[str, tuple[str, str]]) -> Mapping[str, Signature]:
    return {
        name: _signature(name, operator, text)
        for word, (operator, text) in rows.items()
        for name in ([word.replace("*", f"{n}d") for n in (1, 2, 3)] if "*" in word else [word])
    }


SIGNATURES: Mapping[str, Signature] = _signatures(_TEXTS)
"""The modules by their names in torch.nn."""

LAZY: Mapping[str, Signature] = {
    f"Lazy{name}": replace(
        signature,
        parameters=tuple(item for item in signature.parameters if item.name not in INFERRED),
    )
    for name, signature in SIGNATURES.items()
    if name.startswith(("Conv", "Linear", "BatchNorm"))
}
"""Modules that infer the channels of their input, as archc does. Lazy instance norms keep running
statistics unless told otherwise, which archc's do not."""

_WINDOWS = "input kernel_size stride=None padding=0"
_FUNCTION_TEXTS: Mapping[str, tuple[str, str]] = {
    "relu": ("relu", "input inplace=False"),
    "relu6": ("relu6", "input inplace=False"),
    "leaky_relu": ("leaky_relu", "input negative_slope=0.01 inplace=False"),
    "gelu": ("gelu", "input * approximate='none'"),
    "silu": ("silu", "input inplace=False"),
    "sigmoid": ("sigmoid", "input"),
    "hardsigmoid": ("hard_sigmoid", "input inplace=False"),
    "hardswish": ("hard_swish", "input inplace=False"),
    "tanh": ("tanh", "input"),
    "softmax": ("softmax", "input dim=None"),
    "dropout": ("dropout", "input p=0.5 training=True inplace=False"),
    "interpolate": ("upsample", f"input {_UPSAMPLE} antialias=False"),
    "pixel_shuffle": ("pixel_shuffle", "input upscale_factor"),
    "pixel_unshuffle": ("space_to_depth", "input downscale_factor"),
    "channel_shuffle": ("channel_shuffle", "input groups"),
    "cat": ("concat", "tensors dim=0"),
    "concat": ("concat", "tensors dim=0"),
    "flatten": ("flatten", "input start_dim=0 end_dim=-1"),
    "pad": ("pad", "input pad mode='constant' value=None"),
    "abs": ("abs", "input"),
    "minimum": ("min", "input other"),
    "maximum": ("max", "input other"),
    "add": ("add", "input other * alpha=1"),
    "sub": ("sub", "input other * alpha=1"),
    "mul": ("mul", "input other"),
    "div": ("div", "input other * rounding_mode=None"),
    "dropout*": ("spatial_dropout", "input p=0.5 training=True inplace=False"),
    "max_pool*": ("max_pool", f"{_WINDOWS} dilation=1 ceil_mode=False return_indices=False"),
    "avg_pool*": ("avg_pool", f"{_WINDOWS} ceil_mode=False count_include_pad=True"),
    "adaptive_avg_pool*": ("adaptive_avg_pool", "input output_size"),
    "adaptive_max_pool*": ("global_max_pool", "input output_size return_indices=False"),
    "conv*": ("apply_conv", "input weight bias=None stride=1 padding=0 dilation=1 groups=1"),
    "conv_transpose*": (
        "apply_conv_transpose",
        "input weight bias=None stride=1 padding=0 output_padding=0 groups=1 dilation=1",
    ),
}

FUNCTIONS: Mapping[str, Signature] = _signatures(_FUNCTION_TEXTS)
"""The functions by their names in torch or torch.nn.functional."""

OPERANDS = frozenset({"input", "other", "tensors", "weight"})
"""Parameters of functions that are tensors."""

KERAS: Mapping[str, Signature] = _signatures(
    {
        "Dense": ("linear", "units activation=None use_bias=True"),
        "MaxPooling2D": ("max_pool", "pool_size=(2,2) strides=None padding='valid'"),
        "AveragePooling2D": ("avg_pool", "pool_size=(2,2) strides=None padding='valid'"),
        "GlobalAveragePooling2D": ("global_avg_pool", "* keepdims=False"),
        "GlobalMaxPooling2D": ("global_max_pool", "* keepdims=False"),
    }
)
"""Layers of Keras that are an operator here whatever their arguments are, or nearly."""

OF_OPERATOR: Mapping[str, Signature] = {
    signature.operator: signature for signature in reversed([*SIGNATURES.values()])
}
"""By operator, the signature that most people have in mind."""

NEEDLESS = frozenset({"inplace", "device", "dtype"})
"""What changes nothing that is computed."""

RENAMED: Mapping[str, str] = {
    "out_channels": "out",
    "out_features": "out",
    "kernel_size": "kernel",
    "num_groups": "groups",
    "negative_slope": "slope",
    "output_size": "size",
    "scale_factor": "scale",
    "upscale_factor": "factor",
    "downscale_factor": "factor",
    "p": "rate",
    "units": "out",
    "use_bias": "bias",
    "pool_size": "kernel",
    "strides": "stride",
    "keepdims": "keep",
    "keepdim": "keep",
}
"""Parameters that archc calls otherwise."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What an operator always does, where torch has a parameter: the values for which torch does
    so, too, and in words what that is."""

    values: tuple[object, ...]
    words: str


_CHANNELS = Fixed((1,), "is over the channels, `dim=1`")
_KEPT = Fixed((True,), "keeps the axis of the channels")
_IN_TRAINING = "drops in training only, `training=self.training`"
_NO_ALPHA = Fixed((1,), "takes no factor")
_ALL_AXES = "flattens all axes but the batch's"

FIXED: Mapping[tuple[str, str], Fixed] = {
    ("conv", "padding_mode"): Fixed(("zeros",), "pads with zeros"),
    ("conv_transpose", "padding_mode"): Fixed(("zeros",), "pads with zeros"),
    ("bn", "track_running_stats"): Fixed((True,), "keeps running statistics"),
    ("instance_norm", "track_running_stats"): Fixed((False,), "keeps no running statistics"),
    ("bn", "bias"): Fixed((True,), "has a shift where it has a scale"),
    ("group_norm", "bias"): Fixed((True,), "has a shift where it has a scale"),
    ("instance_norm", "bias"): Fixed((True,), "has a shift where it has a scale"),
    ("max_pool", "dilation"): Fixed((1,), "has no dilation"),
    ("max_pool", "return_indices"): Fixed((False,), "gives no indices"),
    ("global_max_pool", "return_indices"): Fixed((False,), "gives no indices"),
    ("global_max_pool", "output_size"): Fixed((1, (1,), (1, 1), (1, 1, 1)), "has one result"),
    ("pad", "value"): Fixed((None, 0), "pads with zeros"),
    ("avg_pool", "divisor_override"): Fixed((None,), "divides by the size of its window"),
    ("softmax", "dim"): _CHANNELS,
    ("concat", "dim"): Fixed((1,), "joins channels, `dim=1`"),
    ("dropout", "training"): Fixed((), _IN_TRAINING),
    ("spatial_dropout", "training"): Fixed((), _IN_TRAINING),
    ("apply_conv", "bias"): Fixed((None,), "has no bias"),
    ("apply_conv_transpose", "bias"): Fixed((None,), "has no bias"),
    ("add", "alpha"): _NO_ALPHA,
    ("sub", "alpha"): _NO_ALPHA,
    ("div", "rounding_mode"): Fixed((None,), "does not round"),
    ("channel_mean", "dim"): _CHANNELS,
    ("channel_mean", "keepdim"): _KEPT,
    ("channel_max", "dim"): _CHANNELS,
    ("channel_max", "keepdim"): _KEPT,
    ("linear", "activation"): Fixed((None,), "has no activation"),
    ("flatten", "start_dim"): Fixed((1,), _ALL_AXES),
    ("flatten", "end_dim"): Fixed((-1,), _ALL_AXES),
    ("upsample", "antialias"): Fixed((False,), "does not blur"),
    ("upsample", "recompute_scale_factor"): Fixed((None, False), "uses the factor as it is"),
}
"""(operator, torch's parameter) -> what the operator does there."""
