"""What the compiler knows of an operator: the base class, and the values its methods speak in.

An operator is a frozen dataclass. Its fields are its hyperparameters in the language, those without
`keyword` in the order of positional arguments; its methods say what it does to types, weights,
costs, memory and channels, and how it is written in torch. Nothing else in archc knows an operator
by name.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal

from archc.ops.autograd import Saved
from archc.ops.size import Dim, Size, SizeError
from archc.ops.tensor_type import TensorType
from archc.ops.torch_text import REQUIRED, TorchArg, TorchFunction, TorchModule, TorchValue

ParameterKind = Literal["int", "float", "bool", "string", "sizes", "padding", "shape", "tensor"]
"""What a hyperparameter may be. `sizes` is an int, or one int for each spatial axis; `padding` is
sizes or the word "same"; `shape` is a list of ints. A `tensor` is one more operand, behind those
that the operator is applied to; the field is then True, and None where it is left out."""


class OpError(Exception):
    """An operator refuses its hyperparameters or operands; the elaborator adds the place.

    `operand` is the position of the operand at fault, `parameter` the name of the hyperparameter.
    What mends it, if that is known: `arguments`, texts of hyperparameters by name (`{}` in one is
    what is written now), or `before`, a layer to apply first.
    """

    def __init__(
        self,
        message: str,
        *,
        operand: int | None = None,
        parameter: str | None = None,
        help: str | None = None,
        arguments: Mapping[str, str] | None = None,
        before: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.arguments = arguments or {}
        self.before = before
        self.operand = operand
        self.parameter = parameter
        self.help = help


class InexactError(OpError):
    """A symbolic size leaves its exact form; the hyperparameters are not at fault."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One entry of the state_dict: its name below the layer, its shape, whether it is trained.

    The name is empty where the layer is the weight itself, whose key is then the layer's path.
    """

    name: str
    shape: tuple[int, ...]
    trained: bool = True
    dtype: Literal["float", "int64"] = "float"

    @property
    def elements(self) -> int:
        total = 1
        for size in self.shape:
            total *= size
        return total


ChannelRule = Literal["mix", "same", "concat", "grouped", "select", "reshape", "source"]
"""How output channels depend on input channels.

mix: each output channel on all input channels, through its own weights (convolution, linear).
same: channel c on channel c of every operand, an operand with one channel being read by all.
concat: operands' channels one after the other. grouped: on the channels of its group, which none
may leave (grouped convolution, group normalisation; one group: softmax); `Op.channel_groups` equal
groups. select: a fixed choice of the first operand's channels, `Op.selection`. reshape: channels
and positions are rearranged (flatten). source: no input."""


Constancy = Literal["constant", "border", "live"]
"""What is known of a channel: it is the same at all positions, or but for the border, or live."""


def parameter(
    kind: ParameterKind,
    default: Any = MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    optional: bool = False,
    keyword: bool = False,
) -> Any:
    """A hyperparameter of an operator: its kind, its default, its range.

    The range has its ends `low` and `high`, and not its ends `above` and `below`; it holds for each
    number of a tuple. `choices` are the words that a string may be. With `optional` it may be left
    out although it has no fixed default: None stands for "derived", as a pool's stride, which is
    its kernel. A `keyword` is given by its name only: so is each whose position in PyTorch, if it
    has one, is another.
    """
    bounds = {"low": low, "high": high, "above": above, "below": below}
    metadata = {"kind": kind, "choices": choices, "optional": optional, **bounds}
    return field(default=None if optional else default, metadata=metadata, kw_only=keyword)


@dataclass(frozen=True)
class Op:
    """The base of all operators; see the module's docstring.

    `types` are the operands' types throughout. Methods that are given `out` get what `infer` gave.
    """

    name: ClassVar[str]
    arity: ClassVar[int | None] = 1
    """The number of operands; None for one or more."""
    runtime: ClassVar[tuple[str, ...]] = ()
    """Names of the functions of `archc.runtime` that the torch text calls."""
    random: ClassVar[bool] = False
    """Whether it draws random numbers in training: such operators keep their order."""

    opaque: ClassVar[bool] = False
    """Whether its weights and costs are unknown: then it is always a module of its own."""

    intermediates: ClassVar[int] = 0
    """How many tensors of its operand's size its torch text makes on the way to the result."""

    takes_learned: ClassVar[bool] = False
    """Whether an operand may lack the batch axis: elementwise operators, which broadcast."""

    commutes: ClassVar[bool] = False
    """Whether the order of its operands is no matter."""

    sums: ClassVar[bool] = False
    """Whether each channel of its result is a sum over input channels (of its group), through
    weights of its own: then channels of zeros can leave it, and channels of its result, `out`."""

    beside_zero: ClassVar[Literal["neutral", "absorbing"] | None] = None
    """What zeros in one operand do: nothing, as in a sum, or make the result zero, as in a product.
    None: neither is said."""

    def infer(self, *types: TensorType) -> TensorType:
        """The type of the result: the checks that all operators share, then the `rule`.

        Raises OpError, also where a symbolic size leaves its exact form.
        """
        self._check_operands(types)
        try:
            return self.rule(*types)
        except SizeError as error:
            raise InexactError(f"`{self.name}`: {error}", help=error.help) from None

    def rule(self, *types: TensorType) -> TensorType:
        """The operator's own shape rule, on the right number of operands. Raises OpError."""
        raise NotImplementedError("it has no method `rule`")

    def _check_operands(self, types: Sequence[TensorType]) -> None:
        if self.arity is None and not types:
            raise OpError(f"`{self.name}` needs at least one tensor")
        if self.arity is not None and len(types) != self.arity:
            wanted = f"{self.arity or 'no'} tensor{'' if self.arity == 1 else 's'}"
            raise OpError(f"`{self.name}` takes {wanted}, not {len(types)}")
        for i, type_ in enumerate(types):
            if not (type_.batched or self.takes_learned):
                raise OpError(
                    f"`{self.name}` needs a tensor of the batch, but its {operand_word(i, types)} "
                    f"is the learned tensor {type_}",
                    operand=i,
                    help="add it to a tensor, or multiply one by it, first",
                )

    def weights(self, *types: TensorType) -> tuple[Weight, ...]:
        """The state_dict entries of a layer of this operator, in torch's order."""
        return ()

    def sharing_key(self, *types: TensorType) -> Hashable:
        """Equal for two applications where one layer, with one set of weights, can do both."""
        return self.module(*types) if self.opaque else self.weights(*types)

    def macs(self, types: Sequence[TensorType], out: TensorType) -> int | None:
        """Multiply-accumulates a sample (convolutions and linear only), None if symbolic."""
        return 0

    def saves(self, types: Sequence[TensorType], out: TensorType) -> tuple[Saved, ...]:
        """What autograd keeps for the backward pass, weights apart."""
        return ()

    @property
    def channel_rule(self) -> ChannelRule:
        """How output channels depend on input channels; what is not known keeps all of them."""
        return "mix"

    def selection(self, *types: TensorType) -> tuple[int | None, ...]:
        """For the channel rule `select`: what each output channel copies; None for zeros."""
        raise NotImplementedError

    def channel_groups(self, *types: TensorType) -> int:
        """For the channel rule `grouped`: into how many groups channels fall."""
        raise NotImplementedError

    @property
    def at_zero(self) -> float | None:
        """The value of its result where its operands are zero, or None if that is no constant."""
        return 0.0

    @property
    def at_constant(self) -> Constancy:
        """What its result is where its operands are the same at all positions (of a channel, for
        all samples, in training and in evaluation): the same, too, but for the border, or live."""
        return "live"

    @property
    def seamless(self) -> bool:
        """Whether it sums over whole windows at all positions, none of them reaching outside."""
        return False

    def thinned(
        self, reads: Sequence[int], keeps: Sequence[int], *types: TensorType
    ) -> "Op | None":
        """The operator that reads some channels of its first operand and gives some of its own.

        `types` are those before. None where there is no such operator: then all channels stay.
        """
        rule = self.channel_rule
        if rule in ("same", "concat"):
            return self
        if rule not in ("mix", "grouped") or self.arity != 1 or (rule == "mix" and not self.sums):
            return None
        changed: dict[str, object] = {"out": len(keeps)} if self.sums else {}
        if rule == "grouped" and hasattr(self, "groups"):
            width = self.infer(*types).channels // self.channel_groups(*types)
            changed["groups"] = len({channel // width for channel in keeps})
            if hasattr(self, "group_size"):
                changed["group_size"] = None
        return replace(self, **changed)

    @property
    def initialised(self) -> tuple[str, ...]:
        """The arguments of `@init` that set its weights; without any they begin as in torch."""
        return ()

    def view(self, *types: TensorType) -> bool:
        """Whether its result lies in the storage of its operand (a contiguous one)."""
        return False

    def module(self, *types: TensorType) -> TorchModule | None:
        """Its torch module; None if it has none and so cannot be labelled."""
        return None

    def function(self, *types: TensorType) -> TorchFunction | None:
        """Its text in `forward` when it is not a module; None for operators with weights."""
        return None

    def __str__(self) -> str:
        """The operator as the language writes it, defaults left out: `conv(64, 3, stride=2)`."""
        words: list[str] = []
        for i, hyper in enumerate(fields(self)):
            value = getattr(self, hyper.name)
            if hyper.default is not MISSING and value == hyper.default:
                continue
            text = "..." if hyper.metadata["kind"] == "tensor" else word(value)
            positional = i == len(words) and not hyper.kw_only
            words.append(text if positional else f"{hyper.name}={text}")
        return f"{self.name}({', '.join(words)})" if words else self.name


def word(value: object) -> str:
    """A hyperparameter's value as the language writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(word, value))}]"
    return str(value)


def operand_word(i: int, types: Sequence[TensorType]) -> str:
    """How a message calls an operand: `input` if it is the only one, else `2nd operand`."""
    if len(types) == 1:
        return "input"
    teen = 10 <= (i + 1) % 100 <= 20
    ending = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get((i + 1) % 10, "th")
    return f"{i + 1}{ending} operand"


def per_axis(value: int | tuple[int, ...], rank: int, name: str) -> tuple[int, ...]:
    """A `sizes` hyperparameter as one number for each spatial axis."""
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise OpError(
            f"`{name}` is {word(value)}, but the input has {rank} spatial "
            f"{'axis' if rank == 1 else 'axes'}",
            parameter=name,
            help="give one number for each axis, or one number for all of them",
        )
    return value


def squeeze(value: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """The shortest way to write one number for each axis: `3` for `(3, 3)`."""
    if isinstance(value, int) or len(set(value)) != 1:
        return value
    return value[0]


_BEFORE_VECTORS = (
    "put it before `flatten` or `global_avg_pool`; `global_avg_pool(keep=true)` keeps the axes"
)


def require_spatial(op: str, type_: TensorType) -> None:
    """Refuse a vector where an image (of 1, 2 or 3 spatial axes) is needed."""
    if not 1 <= type_.rank <= 3:
        raise OpError(
            f"`{op}` needs 1, 2 or 3 spatial axes, but its input is {type_}",
            operand=0,
            help=_BEFORE_VECTORS if type_.rank == 0 else None,
        )


def require_positive(op: str, out: tuple[Dim, ...], source: TensorType) -> None:
    """Refuse a window that does not fit its input."""
    for size in out:
        if isinstance(size, int) and size < 1:
            raise OpError(f"the window of `{op}` does not fit into its input {source}", operand=0)


OpFactory = Callable[..., Op]
__all__ = [
    "REQUIRED",
    "ChannelRule", "Constancy", "Dim", "Op", "OpError", "OpFactory", "ParameterKind", "Saved",
    "Size", "TensorType", "TorchArg", "TorchFunction", "TorchModule", "TorchValue", "Weight",
    "operand_word", "parameter", "per_axis", "require_positive", "require_spatial", "squeeze",
    "word",
]  # fmt: skip
