"""Methods of torch's tensors, and what the same is here: nothing of the language has methods."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from archc.elaborate.pytorch.near_names import is_elsewhere
from archc.elaborate.pytorch.tensor_words import ABSENT, instead
from archc.elaborate.pytorch.translated_calls import tight
from archc.ops.op import TensorType
from archc.ops.registry import OPS
from archc.ops.size import Size
from archc.syntax import ast
from archc.syntax.edits import is_rebound
from archc.syntax.habits.batched import all_batched, is_learned

_SAME = {
    "detach": "stop_gradient",
    "relu": "relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "abs": "abs",
}
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_NO_NEED = {"contiguous", "clone", "cuda", "cpu"}
_AXES = {1: "width", 2: "height", 3: "depth"}


def method(call: ast.Call, callee: ast.Attribute, type_: TensorType) -> str | None:
    """What `x.view(-1, 512)` is here, for a tensor of a type; None if that is not known.

    A method whose name ends in `_` changes its tensor: that is a computed one, or is bound anew.
    """
    if callee.name.endswith("_"):
        if not _is_lost(call, callee.value):
            return None
        callee = replace(callee, name=callee.name.removesuffix("_"))
    arguments = [argument.value for argument in call.arguments if argument.name is None]
    named = {argument.name: argument.value for argument in call.arguments if argument.name}
    receiver = callee.value.span.text
    if callee.name in _SAME and not call.arguments:
        return f"{_SAME[callee.name]}({receiver})"
    if callee.name in _NO_NEED and not call.arguments:
        return receiver
    if callee.name in _SIGNS and len(arguments) == 1 and not named:
        return f"({receiver} {_SIGNS[callee.name]} {tight(arguments[0].span.text)})"
    if callee.name in ("pow", "square") and not named:
        return _square(callee, arguments)
    if callee.name == "neg" and not call.arguments:
        return f"(-{tight(receiver)})"
    if callee.name == "size" and not call.arguments:
        names = _UNPACKED.search(call.span.source.text[: call.span.start])
        axes = names[0].count(",") + 1 if names else 0  # the batch among them, which is told next
        return f"{receiver}.shape" if axes == type_.rank + 2 else None
    if callee.name in _METHODS:
        return _METHODS[callee.name](receiver, arguments, named, type_)
    return None


def is_certain(call: ast.Call, callee: ast.Attribute) -> bool:
    """Whether what a method is here hangs on no type, which another turn of a loop may change."""
    if callee.name == "flatten":
        return all_batched(call.span.source)
    return callee.name in _SAME.keys() | _NO_NEED and not call.arguments


def of_function(
    call: ast.Call, word: str, render: Callable[[ast.Expr], str]
) -> tuple[str, list[int]] | None:
    """What `torch.mean(x, [2, 3])` is here, as the method is of a tensor whose type is not known;
    and the numbers of axes of which an image has one then, or none if it may have any."""
    if word not in _METHODS or word == "size" or not call.arguments:
        return None
    x, *others = call.arguments
    if x.name is not None:
        return None
    receiver = render(x.value)
    if receiver.isidentifier() and is_learned(call.span.source, receiver):
        return None
    arguments = [each.value for each in others if each.name is None]
    named = {each.name: each.value for each in others if each.name is not None}
    found = {
        rank: _METHODS[word](receiver, arguments, named, _of_any_size(rank)) for rank in _RANKS
    }
    texts = {text for text in found.values() if text is not None}
    if len(texts) != 1:
        return None
    axes = [rank for rank, text in found.items() if text is not None]
    return texts.pop(), axes if len(axes) < len(_RANKS) else []


_RANKS = (1, 2, 3)


def _of_any_size(rank: int) -> TensorType:
    """An image of which nothing but the number of its axes is known."""
    return TensorType((1, *[Size(f"s{axis}") for axis in range(rank)]))


def _is_lost(call: ast.Call, receiver: ast.Expr) -> bool:
    """Whether what a tensor was before a method changes it is of no matter."""
    if isinstance(receiver, ast.Name):
        return is_rebound(receiver.name, call.span)
    return isinstance(receiver, ast.Call) and receiver.callee.span.text in _FRESH


_FRESH = {*OPS} - {"flatten", "reshape", "take", "crop", "identity"}
"""Operators whose result shares no memory with their operand in PyTorch."""


_UNPACKED = re.compile(r"[\w, ]+=\s*\Z")


def unbatched_method(call: ast.Call, callee: ast.Attribute) -> str | None:
    """What `w.sub(1)` is for a learned tensor: what has no axes, as none is the batch."""
    if callee.name in _NO_NEED and not call.arguments:
        return callee.value.span.text
    return None


def squared(text: str) -> str | None:
    """`(x * x)`, the square of what is written; None if that would compute something twice."""
    return f"({text} * {text})" if text.isidentifier() else None


def _square(callee: ast.Attribute, arguments: "_Arguments") -> str | None:
    """`x.pow(2)`."""
    exponents = [_number(argument) for argument in arguments]
    if exponents != ([2] if callee.name == "pow" else []):
        return None
    return squared(callee.value.span.text)


def method_help(call: ast.Call, word: str, type_: TensorType) -> str:
    """What to say of a method of a tensor's."""
    if word in ("chunk", "split"):
        return parts_help(call, type_)
    help = instead(word)
    if help is not None:
        return help
    if is_elsewhere(word):
        return ABSENT.format(word)
    return "operators are applied by `->`, or called: `relu(x)`"


PARTS = (
    "`take(x, n)` gives the first n channels, and `take(x, n, start=n)` the n that follow; "
    "`x.channels // 2` are half of them"
)
"""What is there instead of `chunk` and `split`."""

_OTHER_AXIS = (
    "the first axis is the batch in PyTorch, and is not split here; only channels, `dim=1`, are "
    "taken in parts, by `take(x, n)`, and images are cut by `crop`"
)


def parts_help(call: ast.Call, type_: TensorType) -> str:
    """What to say of `x.chunk(2, 1)`, and of that along another axis, as `x.chunk(2)`."""
    axes = [
        argument.value
        for place, argument in enumerate(call.arguments)
        if argument.name == "dim" or (argument.name is None and place == 1)
    ]
    axis = _number(axes[0]) if axes else 0
    return PARTS if axis in (1, -1 - type_.rank, None) else _OTHER_AXIS


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


_Arguments = list[ast.Expr]
_Named = Mapping[str, ast.Expr]


def _number(expr: ast.Expr) -> int | None:
    """A whole number as it is written."""
    if isinstance(expr, ast.Unary) and expr.op == "-":
        inner = _number(expr.operand)
        return None if inner is None else -inner
    number = isinstance(expr, ast.Number) and isinstance(expr.value, int)
    return expr.value if number else None  # type: ignore[union-attr,return-value]


def _numbers(expr: ast.Expr | None) -> tuple[int | None, ...]:
    if expr is None:
        return ()
    items = expr.items if isinstance(expr, ast.Tuple | ast.List) else (expr,)
    return tuple(map(_number, items))


def _softmax(receiver: str, arguments: _Arguments, named: _Named, type_: TensorType) -> str | None:
    """Over the channels, which are axis 1, or the last but the spatial ones."""
    axes = (*arguments, *(named[name] for name in named if name == "dim"))
    if len(axes) != 1 or len(named) > 1 or _number(axes[0]) not in (1, -1 - type_.rank):
        return None
    return f"softmax({receiver})"


def _flatten(receiver: str, arguments: _Arguments, named: _Named, _: TensorType) -> str | None:
    """With the batch axis before it: `x.flatten(1)`."""
    first = [*arguments, *(named[name] for name in named if name == "start_dim")]
    whole = len(first) == len(arguments) + len(named) == 1 and _number(first[0]) == 1
    return f"flatten({receiver})" if whole else None


def _view(receiver: str, arguments: _Arguments, named: _Named, type_: TensorType) -> str | None:
    """`x.view(-1, 512)`, `x.view(x.size(0), 8, -1)`: the first is the size of the batch."""
    if len(arguments) == 1 and isinstance(arguments[0], ast.Tuple | ast.List):
        arguments = [*arguments[0].items]
    if named or len(arguments) < 2:
        return None
    sizes = [_size_in(each, receiver, type_) for each in arguments[1:]]
    batch = _is_batch(arguments[0], receiver)
    if batch and sizes == [-1]:
        return f"flatten({receiver})"
    if type_.elements is None:
        return None
    total = math.prod(size for size in sizes if size is not None and size > 0)
    if batch and sizes.count(-1) == 1 and not type_.elements % total:
        sizes[sizes.index(-1)] = type_.elements // total
        total = type_.elements
    if total != type_.elements or not all(size is not None and size > 0 for size in sizes):
        return None
    return f"flatten({receiver})" if len(sizes) == 1 else f"reshape({receiver}, {sizes})"


def _is_batch(expr: ast.Expr, receiver: str) -> bool:
    """Whether an expression is the size of the batch, which all tensors share but learned ones."""
    found = _FIRST_SIZE.fullmatch(expr.span.text)
    return found is not None and (found[1] == receiver or all_batched(expr.span.source))


_FIRST_SIZE = re.compile(r"(.+)\.(?:size\(0\)|shape\[0\])")


def _size_in(expr: ast.Expr, receiver: str, type_: TensorType) -> int | None:
    """A number as it is written, or a size of the tensor itself: `x.shape[1]`, `x.size(1)`."""
    x = re.escape(receiver)
    axis = re.fullmatch(rf"{x}\.(?:shape\[([1-4])\]|size\(([1-4])\))", expr.span.text)
    if axis is None:
        return _number(expr)
    place = int(axis[1] or axis[2]) - 1
    size = type_.shape[place] if place < len(type_.shape) else None
    return size if isinstance(size, int) else None


def _amax(receiver: str, arguments: _Arguments, named: _Named, type_: TensorType) -> str | None:
    """Over the channels; `keepdim` by its name, or behind them."""
    axes = _numbers(arguments[0] if arguments else named.get("dim"))
    keep = arguments[1] if len(arguments) == 2 else named.get("keepdim")
    kept = isinstance(keep, ast.Bool) and keep.value
    if len(arguments) > 2 or {*named} - {"dim", "keepdim"} or not kept:
        return None
    return f"channel_max({receiver})" if axes in ((1,), (-1 - type_.rank,)) else None


def _unsqueeze(
    receiver: str, arguments: _Arguments, named: _Named, type_: TensorType
) -> str | None:
    """An axis of one element behind the batch's."""
    axes = [*arguments, *(named[name] for name in named if name == "dim")]
    axis = _number(axes[0]) if len(axes) == len(arguments) + len(named) == 1 else None
    count = len(type_.shape) + 2  # with the batch and the one that is added
    if axis is None or not -count < axis < count or axis == 0 or type_.elements is None:
        return None
    sizes = [*type_.shape]
    sizes.insert(axis % count - 1, 1)
    return f"reshape({receiver}, [{', '.join(map(str, sizes))}])"


def _squeeze(receiver: str, arguments: _Arguments, named: _Named, type_: TensorType) -> str | None:
    """An axis of one element less; without an axis it may be the batch's, too."""
    axes = [*arguments, *(named[name] for name in named if name == "dim")]
    axis = _number(axes[0]) if len(axes) == len(arguments) + len(named) == 1 else None
    count = len(type_.shape) + 1
    if axis is None or not -count < axis < count or axis == 0 or type_.elements is None:
        return None
    sizes = [*type_.shape]
    if sizes[axis % count - 1] != 1:
        return receiver
    del sizes[axis % count - 1]
    return f"reshape({receiver}, [{', '.join(map(str, sizes))}])" if sizes else None


def _mean(receiver: str, arguments: _Arguments, named: _Named, type_: TensorType) -> str | None:
    """Over all positions, or over the channels; `keepdim` by its name, or behind them."""
    axes = _numbers(arguments[0] if arguments else named.get("dim"))
    keep = arguments[1] if len(arguments) == 2 else named.get("keepdim")
    if len(arguments) > 2 or {*named} - {"dim", "keepdim"} or None in axes:
        return None
    kept = isinstance(keep, ast.Bool) and keep.value
    if keep is not None and not isinstance(keep, ast.Bool):
        return None
    places = {axis % (type_.rank + 2) for axis in axes if axis is not None}
    if places == {1} and kept:
        return f"channel_mean({receiver})"
    if not type_.rank or places != {*range(2, type_.rank + 2)}:
        return None
    return f"global_avg_pool({receiver}{', keep=true' if kept else ''})"


def _size(receiver: str, arguments: _Arguments, named: _Named, type_: TensorType) -> str | None:
    """`x.size(2)`: sizes are counted with the batch axis there."""
    axis = _number(arguments[0]) if len(arguments) == 1 and not named else None
    if axis is None or not -type_.rank - 2 < axis < type_.rank + 2 or axis == 0:
        return None
    axis = axis - type_.rank - 2 if axis > 0 else axis
    if axis == -type_.rank - 1:
        return f"{receiver}.channels"
    return f"{receiver}.{_AXES[-axis]}"


_Method = Callable[[str, _Arguments, _Named, TensorType], str | None]
_METHODS: Mapping[str, _Method] = {
    "softmax": _softmax,
    "flatten": _flatten,
    "view": _view,
    "reshape": _view,
    "mean": _mean,
    "amax": _amax,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "size": _size,
}
