"""The operators of the language, and the check of their hyperparameters.

An operator joins by standing in `_CLASSES`; a hyperparameter is a field of its dataclass.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, ClassVar, Protocol

from archc import plugins
from archc.diagnostics import did_you_mean, nearest
from archc.ops.activation import (
    Gelu,
    HardSigmoid,
    HardSwish,
    Identity,
    LeakyRelu,
    Relu,
    Relu6,
    Sigmoid,
    SignSte,
    Silu,
    Softmax,
    StopGradient,
    Tanh,
)
from archc.ops.applied import ApplyConv, ApplyConvTranspose
from archc.ops.arithmetic import Add, Affine, Div, Max, Min, Mul, Sub, Sum
from archc.ops.border import Crop, Pad
from archc.ops.convolution import Conv, ConvTranspose
from archc.ops.linear import Linear
from archc.ops.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from archc.ops.op import REQUIRED, Op, OpError, ParameterKind, TorchValue, word
from archc.ops.parameter import Param, Scale
from archc.ops.pooling import AdaptiveAvgPool, AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from archc.ops.rearrangement import ChannelShuffle, PixelShuffle, Reshape, SpaceToDepth
from archc.ops.reduction import Abs, AbsMean, ChannelMax, ChannelMean
from archc.ops.regularization import (
    DropBlock,
    Dropout,
    DropPath,
    MaxDropout,
    ShakeShake,
    SpatialDropout,
)
from archc.ops.resize import Upsample
from archc.ops.size import Size
from archc.ops.tensor import Concat, Flatten, Take

_CLASSES: tuple[type[Op], ...] = (
    Conv,
    ConvTranspose,
    ApplyConv,
    ApplyConvTranspose,
    Linear,
    BatchNorm,
    LayerNorm,
    GroupNorm,
    InstanceNorm,
    Relu,
    Relu6,
    LeakyRelu,
    Gelu,
    Silu,
    Sigmoid,
    HardSigmoid,
    HardSwish,
    Tanh,
    Softmax,
    SignSte,
    Identity,
    StopGradient,
    MaxPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    AdaptiveAvgPool,
    Concat,
    Take,
    Pad,
    Crop,
    Flatten,
    Reshape,
    Upsample,
    PixelShuffle,
    SpaceToDepth,
    ChannelShuffle,
    Add,
    Sub,
    Mul,
    Div,
    Affine,
    Sum,
    Min,
    Max,
    Abs,
    AbsMean,
    ChannelMean,
    ChannelMax,
    Dropout,
    SpatialDropout,
    DropBlock,
    MaxDropout,
    DropPath,
    ShakeShake,
    Param,
    Scale,
)

OPS: dict[str, type[Op]] = {cls.name: cls for cls in _CLASSES}
"""The operators by their names in the language."""


GROUP = "archc.ops"
"""The entry points of the operators of other distributions."""


def operator(name: str) -> type[Op] | None:
    """The operator of a name, archc's own or one of another distribution. Raises PluginError."""
    if name in OPS:
        return OPS[name]
    plugin = plugins.find(GROUP, name)
    return None if plugin is None else plugins.load(plugin, Op, _undeclared)


def _undeclared(cls: type[Op]) -> str | None:
    """Why the hyperparameters of an operator could not be given in a spec."""
    for hyper in fields(cls):
        if "kind" not in hyper.metadata:
            return f"its field `{hyper.name}` is not declared by `archc.ops.op.parameter`"
        if hyper.metadata["kind"] not in _CHECKS:
            return f"its field `{hyper.name}` is none of {', '.join(_CHECKS)}"
    return None


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A hyperparameter as the language sees it; see `archc.ops.op.parameter`."""

    name: str
    kind: ParameterKind
    default: object
    """REQUIRED if it has to be given; None if it is derived when left out."""
    keyword: bool = False
    """Whether it is given by its name only."""
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


class Parametrised(Protocol):
    """What has fields that are declared by `archc.ops.op.parameter`: operators, annotations."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def name(self) -> str: ...


_PARAMETERS: dict[type[Parametrised], dict[str, Hyperparameter]] = {}


def parameters(cls: type[Parametrised]) -> Collection[Hyperparameter]:
    """The hyperparameters of an operator, in their order; those that are positional come so."""
    return by_name(cls).values()


def by_name(cls: type[Parametrised]) -> dict[str, Hyperparameter]:
    """The same by their names."""
    if cls not in _PARAMETERS:
        _PARAMETERS[cls] = {parameter.name: parameter for parameter in _fields(cls)}
    return _PARAMETERS[cls]


def _fields(cls: type[Parametrised]) -> Iterator[Hyperparameter]:
    for hyper in fields(cls):
        if "kind" in hyper.metadata:
            yield Hyperparameter(
                hyper.name,
                default=REQUIRED if hyper.default is MISSING else hyper.default,
                keyword=hyper.kw_only is True,
                **{key: value for key, value in hyper.metadata.items() if key != "optional"},
            )


def check(cls: type[Parametrised], name: str, value: object) -> TorchValue:
    """The value of the language as the operator's field holds it: lists become tuples, and whole
    numbers floats where a float is wanted. Raises OpError."""
    known = by_name(cls)
    if name not in known:
        raise OpError(
            f"`{cls.name}` has no parameter `{name}`",
            parameter=name,
            help=did_you_mean(name, known) or _list_of(known),
        )
    try:
        return _CHECKS[known[name].kind](known[name], value)
    except OpError as refusal:
        if refusal.help is None and _is_symbolic(value):
            takes = (
                f"`{p.name}=y` takes the size of a tensor y"
                for p in known.values()
                if p.kind == "tensor"
            )
            refusal.help = next(takes, None)
        raise


def _is_symbolic(value: object) -> bool:
    items = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(item, Size) for item in items)


def _list_of(known: dict[str, Hyperparameter]) -> str:
    return f"it has {', '.join(f'`{name}`' for name in known)}" if known else "it has none"


def _refuse(
    parameter: Hyperparameter,
    wanted: str,
    value: object,
    help: str | None = None,
    instead: str | None = None,
) -> OpError:
    message = f"`{parameter.name}` must be {wanted}, not {_describe(value)}"
    if isinstance(value, str) and instead is None and help is None:
        instead = _unquoted(parameter, value)
        help = None if instead is None else f"write `{instead}`, without quotes"
    arguments = {} if instead is None else {parameter.name: instead}
    return OpError(message, parameter=parameter.name, help=help, arguments=arguments)


_QUOTED: Mapping[ParameterKind, str] = {
    "int": r"-?[0-9]{1,12}",
    "sizes": r"[0-9]{1,12}",
    "padding": r"[0-9]{1,12}",
    "float": r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?(?:[eE]-?[0-9]{1,2})?",
    "bool": r"(?i:true|false)",
}


def _unquoted(parameter: Hyperparameter, value: str) -> str | None:
    """The number or bool that a string holds, for a parameter that takes no string."""
    pattern = _QUOTED.get(parameter.kind)
    fits = pattern is not None and re.fullmatch(pattern, value)
    return value.lower() if fits else None


@dataclass(frozen=True, slots=True)
class Unfit:
    """A value that no hyperparameter takes, in words: a tensor, an operator."""

    words: str


def _describe(value: object) -> str:
    if isinstance(value, Unfit):
        return value.words
    if isinstance(value, Size):
        return f"the symbolic size `{value}`"
    if isinstance(value, bool | int | float | str | list | tuple):
        return word(value)
    return f"a {type(value).__name__.lower()}"


def _require_range(parameter: Hyperparameter, value: float) -> None:
    if parameter.low is not None and value < parameter.low:
        raise _refuse(parameter, f"at least {parameter.low}", value)
    if parameter.above is not None and value <= parameter.above:
        raise _refuse(parameter, f"greater than {parameter.above}", value)
    if parameter.high is not None and value > parameter.high:
        raise _refuse(parameter, f"at most {parameter.high}", value)
    if parameter.below is not None and value >= parameter.below:
        raise _refuse(parameter, f"less than {parameter.below}", value)


def _int(parameter: Hyperparameter, value: object, wanted: str = "a whole number") -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        if isinstance(value, float):
            if value % 1:  # it is not known how it is rounded
                help = "`//` and `int()` cut off, `round()` rounds"
                raise _refuse(parameter, wanted, value, help)
            help = "`/` gives a float: use `//` or `int()`"
            raise _refuse(parameter, wanted, value, help, "int({})")
        raise _refuse(parameter, wanted, value)
    _require_range(parameter, value)
    return value


def _float(parameter: Hyperparameter, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refuse(parameter, "a number", value)
    _require_range(parameter, value)
    return float(value)


def _bool(parameter: Hyperparameter, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        instead = "true" if value else "false"
        raise _refuse(parameter, "true or false", value, f"write `{instead}`", instead)
    raise _refuse(parameter, "true or false", value)


def _string(parameter: Hyperparameter, value: object) -> str:
    if isinstance(value, str) and (not parameter.choices or value in parameter.choices):
        return value
    wanted = " or ".join(map(word, parameter.choices)) or "a string"
    near = nearest(value, parameter.choices) if isinstance(value, str) else None
    if near is not None:
        raise _refuse(parameter, wanted, value, f"did you mean `{near}`?", word(near))
    raise _refuse(parameter, wanted, value)


def _tensor(parameter: Hyperparameter, value: object) -> bool:
    """Tensors are no values of this kind: they become operands, and never come here."""
    raise _refuse(parameter, "a tensor", value)


def _shape(parameter: Hyperparameter, value: object) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and -1 in value:
        help = "a shape has no batch, and no size is inferred; `flatten` makes a vector"
        raise _refuse(parameter, "a list of whole numbers", value, help)
    if isinstance(value, list | tuple) and value:
        return tuple(_int(parameter, item, "a list of whole numbers") for item in value)
    raise _refuse(parameter, "a list of whole numbers", value)


def _sizes(
    parameter: Hyperparameter, value: object, wanted: str = "a whole number, or one for each axis"
) -> int | tuple[int, ...]:
    if not isinstance(value, list | tuple):
        return _int(parameter, value, wanted)
    if not value:
        raise _refuse(parameter, wanted, value)
    return tuple(_int(parameter, item, wanted) for item in value)


def _padding(parameter: Hyperparameter, value: object) -> int | tuple[int, ...] | str:
    if value == "same":
        return "same"
    wanted = '"same", a whole number, or one for each axis'
    if isinstance(value, str) and value.lower() in ("valid", "same"):
        instead = "0" if value.lower() == "valid" else '"same"'
        raise _refuse(parameter, wanted, value, f"write `padding={instead}`", instead)
    return _sizes(parameter, value, wanted)


_CHECKS: dict[ParameterKind, Callable[[Hyperparameter, object], TorchValue]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "string": _string,
    "shape": _shape,
    "sizes": _sizes,
    "padding": _padding,
    "tensor": _tensor,
}
