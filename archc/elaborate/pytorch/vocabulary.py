"""The words of other libraries that are no call of torch.nn's: names, parameters, abbreviations.

They are facts about those libraries. A word has a mend only where it surely means the same here.
"""

from collections.abc import Mapping

from archc.elaborate.pytorch.signatures import RENAMED

ALIASES: Mapping[str, str] = {
    "dense": "linear", "fc": "linear", "linear_layer": "linear", "batch_norm": "bn",
    "batchnorm": "bn", "batch_norm2d": "bn", "BatchNorm": "bn", "maxpool": "max_pool",
    "max_pool2d": "max_pool", "avgpool": "avg_pool", "avg_pool2d": "avg_pool",
    "adaptive_avg_pool2d": "adaptive_avg_pool", "gap": "global_avg_pool", "cat": "concat",
    "concatenate": "concat", "swish": "silu", "Swish": "silu", "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish", "pixel_unshuffle": "space_to_depth", "minimum": "min",
    "maximum": "max", "detach": "stop_gradient", "dropout2d": "spatial_dropout",
    "dropout2D": "spatial_dropout", "channel_dropout": "spatial_dropout",
    "hsigmoid": "hard_sigmoid", "h_sigmoid": "hard_sigmoid", "hswish": "hard_swish",
    "h_swish": "hard_swish", "batchnorm2d": "bn", "BN": "bn",
    "maxpool2d": "max_pool", "avgpool2d": "avg_pool",
    "lrelu": "leaky_relu", "leakyrelu": "leaky_relu",
}  # fmt: skip
"""Other words for an operator -> its name here: its arguments are those that it has here."""

_CONV = "conv", "keeps the size of the image and has no bias, unless told otherwise"
_LAYER_NORM = "layer_norm", "normalises the channels at each position"
_PARAM = (
    "param",
    'is learned, and begins as zeros, ones or drawn: `param([8, 1, 1], "zeros")`; a constant is a '
    "number, as in `0.5 * x`",
)
_DROP_PATH = (
    "drop_path",
    'takes the probability to stay, `survival=`; with `mode="sample"` each sample has a draw',
)
_DROP_BLOCK = "drop_block", "takes the rate, and the size of a block"

_DEPTHWISE = "conv", "is depthwise with `groups=x.channels`"
_POINTWISE = "conv", "has a kernel of 1 unless told otherwise"
_ZERO_PAD = "pad", "takes `spatial=`, or the numbers of single sides"

UNLIKE: Mapping[str, tuple[str, str]] = {
    "conv1d": _CONV,
    "conv2d": _CONV,
    "conv3d": _CONV,
    "Conv1D": _CONV,
    "Conv2D": _CONV,
    "Conv3D": _CONV,
    "deconv": ("conv_transpose", "has no bias unless told otherwise"),
    "convt": ("conv_transpose", "has no bias unless told otherwise"),
    "tconv": ("conv_transpose", "has no bias unless told otherwise"),
    "conv_transpose2d": ("conv_transpose", "has no bias unless told otherwise"),
    "Conv2DTranspose": ("conv_transpose", "has no bias unless told otherwise"),
    "BatchNormalization": ("bn", "has the `momentum` of PyTorch, 1 minus that of Keras"),
    "norm": ("bn", "is batch norm, beside `layer_norm`, `group_norm` and `instance_norm`"),
    "gn": ("group_norm", "takes the number of groups"),
    "ln": _LAYER_NORM,
    "dropout1d": ("spatial_dropout", "drops whole channels, whatever the number of axes"),
    "dropout3d": ("spatial_dropout", "drops whole channels, whatever the number of axes"),
    "LayerNorm": (_LAYER_NORM[0], f"{_LAYER_NORM[1]}; PyTorch's does the last axes"),
    "LayerNorm2d": (_LAYER_NORM[0], f"{_LAYER_NORM[1]}, with an `eps` of 1e-5"),
    "LayerNormalization": (_LAYER_NORM[0], f"{_LAYER_NORM[1]}, with an `eps` of 1e-5"),
    "layer_norm": _LAYER_NORM,
    "interpolate": ("upsample", "takes `scale=`, `size=` or `like=`"),
    "UpSampling2D": ("upsample", "takes `scale=`, `size=` or `like=`"),
    "resize": ("upsample", "takes `scale=`, `size=` or `like=`"),
    "upscale": ("upsample", "takes `scale=`, `size=` or `like=`"),
    **dict.fromkeys(["dwconv", "depthwise_conv", "DWConv", "DepthwiseConv2D"], _DEPTHWISE),
    **dict.fromkeys(["pwconv", "pointwise_conv", "PWConv"], _POINTWISE),
    **dict.fromkeys(["zero_pad", "zeropad", "ZeroPadding2D"], _ZERO_PAD),
    "Parameter": ("param", "takes the shape, and how it begins: `param([8, 1, 1], \"ones\")`"),
    **dict.fromkeys(["zeros", "ones", "full", "rand", "randn", "empty"], _PARAM),
    **dict.fromkeys(["zeros_like", "ones_like", "full_like", "rand_like", "randn_like"], _PARAM),
    "view": ("reshape", "takes the shape of one sample, and `flatten`, which makes a vector"),
    "Unflatten": ("reshape", "takes the whole shape of one sample"),
    "unflatten": ("reshape", "takes the whole shape of one sample"),
    "LayerScale": ("scale", "begins with `init=`"),
    "sign": ("sign_ste", "has the same values, and passes gradients straight through"),
    "amax": ("global_max_pool", "takes the maximum of all positions, beside `channel_max`"),
    "mean": ("global_avg_pool", "takes the mean of all positions, beside `channel_mean`"),
    "DropPath": _DROP_PATH,
    "StochasticDepth": _DROP_PATH,
    **dict.fromkeys(["DropBlock", "DropBlock2d", "DropBlock2D", "DropBlock3d"], _DROP_BLOCK),
    "MaxDropout": ("max_dropout", "takes the rate"),
    "ShakeShake": ("shake_shake", "takes both branches: `shake_shake(x, y)`"),
    "Concatenate": ("concat", "joins channels: `concat(x, y)`"),
    "AlphaDropout": ("dropout", "sets to 0 what it drops"),
}  # fmt: skip
"""Words for something that is like an operator -> its name here, and what is else."""

PARAMETERS: Mapping[str, str] = {
    **RENAMED,
    "filters": "out", "channels": "out", "num_filters": "out", "ksize": "kernel",
    "pad": "padding", "drop": "rate", "drop_rate": "rate", "elementwise_affine": "affine",
    "alpha": "slope", "block_size": "factor", "group_width": "group_size", "init_value": "init",
    "init_values": "init", "dilation_rate": "dilation", "epsilon": "eps",
}  # fmt: skip
"""Their parameters -> the parameter here."""

SHORT: Mapping[str, str] = {
    "k": "kernel", "s": "stride", "p": "padding", "g": "groups", "d": "dilation", "n": "out",
}  # fmt: skip
"""Letters of papers -> the parameter here."""
