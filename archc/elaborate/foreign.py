"""What PyTorch, timm and Keras call things, and how a spec of archc says the same.

The names are facts about those libraries; what is made of them is a help and a literal fix.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from archc import plugins
from archc.diagnostics import Fix, Span, nearest
from archc.elaborate.builtins import BUILTINS
from archc.elaborate.library import importable
from archc.elaborate.torch_arguments import UnsaidError
from archc.elaborate.torch_calls import module_call
from archc.elaborate.torch_table import SIGNATURES, Signature
from archc.ops.op import TensorType
from archc.ops.registry import GROUP, OPS
from archc.syntax import ast
from archc.syntax.edits import importing, is_stage, replaced
from archc.syntax.interpolated import interpolated

OPERATORS: Mapping[str, str] = {
    "conv2d": "conv", "dense": "linear", "fc": "linear", "batch_norm": "bn", "batchnorm": "bn",
    "maxpool": "max_pool", "avgpool": "avg_pool", "gap": "global_avg_pool", "cat": "concat",
    "interpolate": "upsample", "Parameter": "param", "detach": "stop_gradient",
    "deconv": "conv_transpose", "conv1d": "conv", "conv3d": "conv", "LayerNorm": "layer_norm",
    "LayerNorm2d": "layer_norm", "swish": "silu", "Swish": "silu", "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish", "pixel_unshuffle": "space_to_depth", "view": "reshape",
    "Unflatten": "reshape", "unflatten": "reshape", "LayerScale": "scale", "sign": "sign_ste",
    "minimum": "min", "maximum": "max", "amax": "global_max_pool", "mean": "global_avg_pool",
    "Dense": "linear", "Conv2D": "conv", "Conv1D": "conv", "Conv3D": "conv",
    "Conv2DTranspose": "conv_transpose", "BatchNormalization": "bn",
    "LayerNormalization": "layer_norm", "MaxPooling2D": "max_pool",
    "AveragePooling2D": "avg_pool", "GlobalAveragePooling2D": "global_avg_pool",
    "GlobalMaxPooling2D": "global_max_pool", "DropPath": "drop_path",
    "StochasticDepth": "drop_path", "Concatenate": "concat", "concatenate": "concat",
    "UpSampling2D": "upsample", "linear_layer": "linear", "max_pool2d": "max_pool",
    "avg_pool2d": "avg_pool", "adaptive_avg_pool2d": "adaptive_avg_pool", "batch_norm2d": "bn",
    "norm": "bn", "BatchNorm": "bn",
}  # fmt: skip
"""Their modules, layers and functions -> the operator here."""

PARAMETERS: Mapping[str, str | None] = {
    "out_channels": "out", "out_features": "out", "filters": "out", "channels": "out",
    "kernel_size": "kernel", "ksize": "kernel", "strides": "stride", "pad": "padding",
    "scale_factor": "scale", "p": "rate", "drop": "rate", "dim": None, "inplace": None,
    "in_channels": None, "num_features": None, "in_features": None, "num_channels": None,
    "normalized_shape": None, "num_groups": "groups", "elementwise_affine": "affine",
    "negative_slope": "slope", "upscale_factor": "factor", "downscale_factor": "factor",
    "block_size": "factor", "output_size": "size", "group_width": "group_size",
    "init_value": "init", "init_values": "init",
    "units": "out", "num_filters": "out", "pool_size": "kernel", "dilation_rate": "dilation",
    "use_bias": "bias", "epsilon": "eps", "alpha": "slope", "drop_rate": "rate", "axis": None,
    "data_format": None, "in_chans": None, "padding_mode": None, "track_running_stats": None,
    "training": None, "device": None, "dtype": None, "start_dim": None,
}  # fmt: skip
"""Their parameters -> the parameter here, or None for what archc infers or does not need."""

_MEANT: Mapping[str, tuple[tuple[str, ...], str]] = {
    "padding_mode": (('"zeros"',), "pads with zeros"),
    "track_running_stats": (("true", "True"), "keeps running statistics"),
    "start_dim": (("1",), "flattens all axes but the batch's"),
}
"""What some of these mean here -> the values for which that is what was meant, and in words."""


def instead(parameter: str, value: str) -> str | None:
    """What an operator does here that `padding_mode="reflect"` would change; None if nothing."""
    values, words = _MEANT.get(parameter, ((value,), ""))
    return None if value in values else words


SHORT: Mapping[str, str] = {
    "k": "kernel", "s": "stride", "p": "padding", "g": "groups", "d": "dilation", "n": "out",
}  # fmt: skip
"""Letters of papers -> the parameter here."""

_PREFIXES = {"nn", "torch", "F", "self", "tf", "keras", "layers", "timm", "functional", "np"}


@dataclass(frozen=True, slots=True)
class Use:
    """An unknown name where it stands: `nn` in `nn.Conv2d`, in `nn.Conv2d(3, 16, 3)`."""

    name: ast.Name
    whole: ast.Expr
    """The name, or the attributes that begin with it."""
    call: ast.Call | None = None
    """The call of which that is the callee."""

    @property
    def prefixed(self) -> bool:
        """Whether it begins with a module of Python's, as `nn.Conv2d` does."""
        return self.name.name in _PREFIXES and isinstance(self.whole, ast.Attribute)

    @property
    def place(self) -> Span:
        return self.whole.span if self.prefixed else self.name.span


Mend = tuple[str, Fix]
"""A help, and the same as edits where it can be said so."""


def translation(use: Use, known: set[str]) -> Mend:
    """What an unknown name stands for here."""
    word = use.place.text.rpartition(".")[2].strip()
    if word in ("chunk", "split"):
        return PARTS, ()
    if use.call is not None and word in _OF_CALLS:
        return _OF_CALLS[word](use.call)
    if use.name.name == "self" and use.prefixed:
        help = f"there is no `self`: write `{word}`"
        return help, replaced(use.whole.span, word) if word in known else ()
    if word in SIGNATURES:
        return _module(use, SIGNATURES[word])
    if word in OPERATORS:
        lost = _lost(use)
        help = f"archc calls it `{OPERATORS[word]}`" + (f", which {lost}" if lost else "")
        return help, _translated(use, word, OPERATORS[word])
    if use.prefixed and (word in OPS or word in BUILTINS):
        return f"write `{word}`: operators have no prefix", _translated(use, word, word)
    if use.name.name in _PREFIXES:
        return "this is not Python: operators have no prefix, as in `x -> conv(64, 3)`", ()
    path = importable(word, known)
    if path is not None:
        return f'`import "{path}"` brings it', importing(use.name.span.source, path)
    near = nearest(word, {*known, *(plugin.name for plugin in plugins.offered(GROUP))})
    if near is None:
        return "names are bound by `=`, parameters, `for` and `import`", ()
    return f"did you mean `{near}`?", replaced(use.name.span, near)


def is_exact(use: Use) -> bool:
    """Whether a name is a class of torch.nn, all of whose arguments are translated or refused."""
    return use.place.text.rpartition(".")[2].strip() in SIGNATURES


def _module(use: Use, signature: Signature) -> Mend:
    """A class of torch.nn, called or applied as it is: `x -> nn.ReLU`."""
    known = f"archc calls it `{signature.operator}`"
    arguments = use.call.arguments if use.call else ()
    try:
        ours = module_call(signature, arguments, complete=use.call is not None)
    except UnsaidError as reason:
        return f"{known}; {reason}", ()
    if use.call is None:
        return known, replaced(use.whole.span, ours.removesuffix("()"))
    return known, replaced(use.call.span, ours)


PARTS = (
    "`take(x, n)` gives the first n channels, and `take(x, n, start=n)` the n that follow; "
    "`x.channels // 2` are half of them"
)
"""What is there instead of `chunk` and `split`."""

_LITERAL_BEFORE = re.compile(r'(?:[=(,\[:+]|->|return)\s*("[^"\\\n]*")\s*\+\s*$')


def _text_of(call: ast.Call) -> Mend:
    """`str(i)`, in a string, behind one, `"c" + str(i)`, or alone."""
    text, start = call.span.source.text, call.span.start
    value = call.arguments[0].span.text if call.arguments else ""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    if line.count('"') % 2:
        return f"a hole takes numbers as they are: `{{{value}}}`", replaced(call.span, value)
    before = _LITERAL_BEFORE.search(line)
    whole = call.span
    if before is not None:
        whole = Span(call.span.source, start - len(line) + before.start(1), call.span.end)
    ours = interpolated(whole.text)
    if ours is None:
        return 'every string may have holes, as `"c{i}"`', ()
    return f"every string may have holes: `{ours}`", replaced(whole, ours)


def _sequence(call: ast.Call) -> Mend:
    layers = [argument.span.text for argument in call.arguments if argument.name is None]
    if not layers or len(layers) < len(call.arguments) or not is_stage(call.span):
        return "a pipe applies layers in turn: `x -> conv(64, 3) -> bn -> relu`", ()
    pipe = " -> ".join(layers)
    return "layers are applied in turn by `->`", replaced(call.span, pipe)


_OF_CALLS: Mapping[str, Callable[[ast.Call], Mend]] = {"Sequential": _sequence, "str": _text_of}
"""Names that stand for no operator -> what their call is here."""


def _lost(use: Use) -> str:
    """What the operator does otherwise than arguments ask that it has no parameter for."""
    arguments = use.call.arguments if use.call else ()
    named = ((item.name, item.value.span.text) for item in arguments if item.name is not None)
    return " and ".join(words for name, text in named if (words := instead(name, text)))


def _translated(use: Use, word: str, ours: str) -> Fix:
    """The operator's name here, and the arguments of the call as the operator takes them."""
    if use.call is None or not isinstance(use.whole, ast.Name | ast.Attribute):
        return replaced(use.whole.span, ours)
    kept = list(_arguments(use.call.arguments, word, ours))
    if kept == [argument.span.text for argument in use.call.arguments]:
        return replaced(use.whole.span, ours)
    return replaced(use.call.span, f"{ours}({', '.join(kept)})")


def _arguments(arguments: Sequence[ast.Argument], word: str, ours: str) -> list[str]:
    positional = [argument for argument in arguments if argument.name is None]
    named = {argument.name for argument in arguments}
    inferred = _inferred(word, ours, len(positional), named)
    if ours == "concat" and not isinstance(arguments[0].value, ast.List | ast.Tuple):
        inferred = None
    texts = []
    for index, argument in enumerate(arguments):
        name = argument.name
        if name is None:
            if index != inferred:
                texts.append(argument.span.text)
        elif name not in PARAMETERS:
            texts.append(argument.span.text)
        elif PARAMETERS[name] is not None:
            texts.append(f"{PARAMETERS[name]}={argument.value.span.text}")
    return texts


def _inferred(word: str, ours: str, count: int, named: set[str | None]) -> int | None:
    """The position of the argument that archc infers: a module's input channels, or an axis."""
    if not word[0].isupper() or word.endswith("D"):
        return 1 if ours in ("concat", "softmax", "flatten") and count == 2 else None
    if ours in ("conv", "conv_transpose"):
        return 0 if count >= 3 or (count == 2 and "kernel_size" in named) else None
    if ours == "linear":
        return 0 if count >= 2 or (count == 1 and "out_features" in named) else None
    if ours in ("bn", "instance_norm", "layer_norm"):
        return 0 if count else None
    return 1 if ours == "group_norm" and count >= 2 else None


# ----------------------------------------------------------- methods of tensors

_SAME = {"detach": "stop_gradient", "relu": "relu", "relu_": "relu", "sigmoid": "sigmoid",
         "tanh": "tanh", "softmax": "softmax"}  # fmt: skip
_JOINS = {"add", "sub", "mul"}
_NO_NEED = {"contiguous", "clone", "cuda", "cpu", "float", "to"}
_AXES = {1: "width", 2: "height", 3: "depth"}


def method(call: ast.Call, callee: ast.Attribute, rank: int) -> str | None:
    """What `x.view(-1, 512)` is here, for a tensor of `rank` spatial axes; None if unknown."""
    receiver, name = callee.value.span.text, callee.name
    values = [argument.value.span.text for argument in call.arguments]
    if name in _SAME:
        return f"{_SAME[name]}({receiver})"
    if name in _JOINS and len(values) == 1:
        return f"{name}({receiver}, {values[0]})"
    if name in _NO_NEED:
        return receiver
    if name == "flatten":
        return f"flatten({receiver})" if values == ["1"] else None
    if name in ("view", "reshape"):
        return _reshaped(receiver, values)
    if name == "mean":
        return _mean(receiver, call, rank)
    return _size(receiver, values, rank) if name == "size" else None


def _reshaped(receiver: str, values: Sequence[str]) -> str | None:
    """`x.view(n, -1)`, and `x.view(n, 8, 4, 4)`, where the first size is the batch's."""
    if len(values) == 2:
        return f"flatten({receiver})" if "-1" in values else None
    if len(values) < 2 or "-1" in values[1:]:
        return None
    return f"reshape({receiver}, [{', '.join(values[1:])}])"


def _mean(receiver: str, call: ast.Call, rank: int) -> str | None:
    """`x.mean((2, 3), keepdim=True)`: over all positions, and over no other axis."""
    named = {argument.name: argument.value.span.text for argument in call.arguments}
    axes = named.get(None, named.get("dim"))
    numbers = {int(each) for each in re.findall(r"-?\d+", axes or "")}
    forward = {axis if axis >= 0 else axis + rank + 2 for axis in numbers}
    if not rank or forward != set(range(2, rank + 2)):
        return None
    kept = ", keep=true" if named.get("keepdim") in ("true", "True") else ""
    return f"global_avg_pool({receiver}{kept})"


def chunks(call: ast.Call, callee: ast.Attribute, type_: TensorType) -> str | None:
    """`x.chunk(2, 1)` and `x.split(8, dim=1)`, of the channels: each part taken."""
    values = [argument.value.span.text for argument in call.arguments]
    named = [argument.name for argument in call.arguments]
    size = 0
    if len(values) == 2 and values[1] == "1" and named[1] in (None, "dim") and values[0].isdigit():
        number, channels = int(values[0]), type_.channels
        if callee.name in ("chunk", "split") and 0 < number <= channels and not channels % number:
            size = channels // number if callee.name == "chunk" else number
    count = type_.channels // size if size else 0
    if not 1 < count <= _MOST_PARTS or not isinstance(callee.value, ast.Name):
        return None
    x = callee.value.name
    each = f"{x}.channels // {count}" if callee.name == "chunk" else str(size)
    starts = [f"{i} * {each}" if i > 1 else each for i in range(1, count)]
    if callee.name == "split":
        starts = [str(i * size) for i in range(1, count)]
    parts = [f"take({x}, {each})", *(f"take({x}, {each}, start={start})" for start in starts)]
    return f"({', '.join(parts)})"


_MOST_PARTS = 4


def _size(receiver: str, values: Sequence[str], rank: int) -> str | None:
    """`x.size(2)`: sizes are counted with the batch axis there."""
    if not values:
        return f"{receiver}.shape"
    axis = {str(i): i for i in range(-rank - 1, rank + 2)}.get(values[0], 0)
    axis = axis - rank - 2 if axis > 0 else axis
    if axis == -rank - 1:
        return f"{receiver}.channels"
    return f"{receiver}.{_AXES[-axis]}" if -axis in _AXES and -axis <= rank else None
