"""Axes of a shape that are counted: PyTorch's shapes begin with the batch, and those here do not.

What is said is a message and a help; None where both count alike.
"""

from collections.abc import Sequence

from archc.elaborate.values import TensorShape
from archc.syntax import ast

Doubt = tuple[str, str]

_BATCH = "the batch"


def of_index(node: ast.Index, shape: TensorShape, index: int) -> Doubt | None:
    """`x.shape[1]`, or `s[1]` of a name that `x.shape` is bound to."""
    if not shape.names or not isinstance(node.index, ast.Number):
        return None
    ours, theirs = shape.names[index], (_BATCH, *shape.names)[index]
    if not isinstance(node.value, ast.Attribute):
        is_, meant = f"the {ours}", theirs if theirs == _BATCH else f"the {theirs}"
        return (
            f"`{node.span.text}` is {is_}: axes count without the batch",
            f"write `.{ours}` of the tensor; in PyTorch, it is {meant}",
        )
    x = node.value.value.span.text
    meant = theirs if theirs == _BATCH else f"`{x}.{theirs}`"
    return (
        f"`{node.span.text}` is `{x}.{ours}`: axes count without the batch",
        f"write `{x}.{ours}`; in PyTorch, it is {meant}",
    )


def of_slice(node: ast.Slice, shape: TensorShape, chosen: slice, unpacked: bool) -> Doubt | None:
    """`x.shape[:2]`; where it is `unpacked`, the number of names may tell which is meant."""
    from_end = isinstance(chosen.start, int) and chosen.start < 0
    whole = chosen.start is None and chosen.stop is None
    if not shape.names or chosen.step is not None or from_end or whole:
        return None
    ours, theirs = shape.names[chosen], (_BATCH, *shape.names)[chosen]
    if ours == theirs or (unpacked and len(ours) != len(theirs)):
        return None
    return (
        f"`{node.span.text}` is {_enumerated(ours)}: axes count without the batch",
        f"write `[{', '.join(f'{_tensor(node)}.{name}' for name in ours)}]`; in PyTorch, it is "
        f"{_enumerated(theirs)}",
    )


def of_length(written: ast.Expr, shape: TensorShape) -> Doubt | None:
    """`len(x.shape)`."""
    if not shape.names:
        return None
    return (
        f"`len({written.span.text})` is {len(shape)}: a shape has no batch axis",
        f"in PyTorch, it is {len(shape) + 1}",
    )


def _tensor(node: ast.Slice) -> str:
    return node.value.value.span.text if isinstance(node.value, ast.Attribute) else "x"


def _enumerated(names: Sequence[str]) -> str:
    """`the channels and the height`."""
    words = [name if name == _BATCH else f"the {name}" for name in names]
    if not words:
        return "empty"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
