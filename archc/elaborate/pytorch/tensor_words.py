"""What there is instead of torch's functions and methods of tensors, in words.

Each is true for every tensor of a batch. Where an operator computes the same, it is named; where
none does, that is said, and what may have been meant by it.
"""

from collections.abc import Mapping

ABSENT = (
    "archc has no operator `{}`: build it from others in a `block`, or take a class of Python's "
    "with `extern layer`"
)
"""What is said of an operation that archc has not."""

_MEAN = (
    "`global_avg_pool(x)` is the mean of all positions, and `channel_mean(x)` that of the "
    "channels, with the axis kept; no operator takes other axes"
)
_SUM = (
    "`x + y` and `sum(x, y)` add tensors; the sum of the channels is "
    "`x.channels * channel_mean(x)`, with the axis kept, and that of all positions "
    "their number times `global_avg_pool(x)`"
)
_MAX = (
    "`max(x, y)` is of several tensors, element by element; `channel_max(x)` is the maximum of the "
    "channels, with the axis kept, and `global_max_pool(x)` that of all positions; none gives "
    "indices"
)
_MIN = (
    "`min(x, y)` is of several tensors, element by element; `-channel_max(-x)` is the minimum of "
    "the channels, with the axis kept, and `-global_max_pool(-x)` that of all positions"
)
_VARIANCE = (
    "archc has no operator for it; with `d = x - global_avg_pool(x, keep=true)`, "
    "`global_avg_pool(d * d)` is the variance of all positions, divided by their number"
)
_POWER = (
    "`x * x` is the square of a variable, to which what is computed is bound before; of other "
    "powers archc has none, but a class of Python's may"
)
_RECIPROCAL = (
    "`x / y` divides a tensor by a tensor, and `x / 2` by a number; for a number divided by a "
    "tensor archc has no operator, but a class of Python's may do it, with `extern layer`"
)
_CLAMP = (
    "`relu(x)` has the values of `clamp(min=0)`, `relu6(x)` those of `clamp(0, 6)`; other "
    'bounds are for an `extern layer ... from "torch.nn:Hardtanh"(low, high)`'
)
_AXES = (
    "axes keep their order, channels first: `layer_norm` normalises channels where they are; "
    "another order is for a class of Python's, with `extern layer`"
)
_RESHAPED = (
    "`reshape(x, [...])` takes the shape of one sample, without the batch, `flatten(x)` makes a "
    "vector, and `global_avg_pool(keep=true)` keeps its axes"
)
_REPEATED = (
    "an axis of size 1 is repeated where tensors are added or multiplied; `concat(x, x)` has the "
    "channels twice, and `upsample` larger images"
)
_TAKEN = "`take(x, n, start=k)` gives n channels from k on, and `crop` the inside of an image"
_SIZES = "`x.shape` is the shape of one sample, as `x.channels`, `x.height` and `x.width` are of it"
_TYPES = "leave it out: type and device are those of the module and of its input"
_GRADIENT = "`stop_gradient(x)` lets no gradient through"
_VALUES = "what a tensor holds is known only when the net runs"
_MASK = (
    "archc decides on numbers, not on what tensors hold; a mask is for a class of Python's, with "
    "`extern layer`"
)
_PRODUCT = (
    "`linear` and `conv` multiply with weights, `x * y` is element by element; a product of two "
    "tensors is for a class of Python's, with `extern layer`"
)
_STACK = "there are no axes to add: `concat(x, y)` joins channels, and `sum(x, y)` adds up"
_LOSS = (
    "archc has no operator for it: end the net with the scores, as the loss of a classification "
    "(`nn.CrossEntropyLoss`) takes them; `softmax(x)` is over the channels, `dim=1`"
)

_ARITHMETIC = (
    "`x + y`, `x - y`, `x * y` and `x / y` are element by element, and a number may be one of "
    "them, but for `1 / x`; other arguments have no like here"
)

_ROWS: Mapping[str, str] = {
    "mean": _MEAN,
    "sum": _SUM,
    "max amax maximum": _MAX,
    "min amin minimum": _MIN,
    "var std var_mean std_mean": _VARIANCE,
    "pow square float_power": _POWER,
    "reciprocal": _RECIPROCAL,
    "clamp clip clamp_min clamp_max hardtanh": _CLAMP,
    "permute transpose swapaxes swapdims movedim moveaxis t T mT adjoint": _AXES,
    "squeeze unsqueeze view view_as reshape reshape_as flatten unflatten ravel": _RESHAPED,
    "repeat expand expand_as tile broadcast_to repeat_interleave": _REPEATED,
    "narrow select index_select unbind": _TAKEN,
    "size dim ndim ndimension numel nelement len": _SIZES,
    "half float double bfloat16 to type type_as cuda cpu dtype device contiguous clone": _TYPES,
    "detach data requires_grad requires_grad_ grad": _GRADIENT,
    "item tolist numpy": _VALUES,
    "where masked_fill gt ge lt le eq ne bool": _MASK,
    "matmul mm bmm einsum dot addmm baddbmm tensordot mv": _PRODUCT,
    "stack hstack vstack dstack": _STACK,
    "log_softmax nll_loss cross_entropy": _LOSS,
    "add sub subtract rsub mul multiply div divide true_divide": _ARITHMETIC,
    "neg negative": "`-x` is the negative of x",
    "softmax": "`softmax(x)` is over the channels, `dim=1`, and no other axis",
}
_HELPS: Mapping[str, str] = {word: help for words, help in _ROWS.items() for word in words.split()}


def instead(word: str) -> str | None:
    """What to say of a function or method of torch's; None of one that is not known here.

    A method whose name ends in `_` changes its tensor, which nothing does here.
    """
    if word in _HELPS:
        return _HELPS[word]
    if word.endswith("_") and not word.startswith("_"):
        help = _HELPS.get(word[:-1], "`x = 2 * x` binds the name to another one")
        return f"no tensor is changed in place; {help}"
    return None
