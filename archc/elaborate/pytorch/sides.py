"""The padding of `F.pad` and of torch's modules that pad -> the arguments of `pad`.

Torch has a list of numbers, two for each axis from the last one on. Of what is no list that stands
there, `p` or `[p] * 2`, it is not known what it holds.
"""

import re
from collections.abc import Sequence

from archc.elaborate.pytorch.signatures import UNKNOWN
from archc.elaborate.pytorch.translated_arguments import Ours, UnsaidError, Written
from archc.ops.border import SIDES
from archc.ops.registry import OPS, parameters

_CHANNELS = ("before", "channels")
"""What `F.pad` counts behind the sides of an image."""

_ORDER = (
    "`F.pad` begins with the last axis: left, right, top and bottom of an image, then the "
    "channels, `before=` and `channels=`; `spatial=` is for both sides of an axis"
)


def of_module(written: Written, rank: int) -> list[Ours]:
    """For `nn.ZeroPad2d` and its like: one number for all sides, or one for each.

    Raises:
        UnsaidError: they are not known, or cut off.
    """
    if written.items:
        if len(written.items) != 2 * rank:
            raise UnsaidError("`pad` has a number for each side of an image")
        return _of_axes(written.items) or _of_sides(written.items, SIDES)
    if written.value is UNKNOWN and not written.is_number:
        raise UnsaidError(
            f"for one number write `spatial={written.text}`, for a list "
            f"{_indexed(written.text, 2 * rank)}"
        )
    return _of_axes([written] * (2 * rank))


def of_function(written: Written, *, zeros: bool) -> list[Ours]:
    """For `F.pad`, which has channels behind the sides of an image, where it pads with `zeros`.

    Raises:
        UnsaidError: the numbers are not known, cut off, or are of more axes than there are.
    """
    if not written.items:
        shown = _indexed(written.text, 4) if written.text.isidentifier() else ""
        raise UnsaidError(f"{_ORDER}{f'; of four numbers write {shown}' if shown else ''}")
    if len(written.items) % 2:
        raise UnsaidError("`pad` has a number for each side of an image")
    rank = axes_of_function(written, zeros=zeros)[-1]
    names = (*SIDES[: 2 * rank], *(_CHANNELS if zeros else ()))
    if any(item.value != 0 for item in written.items[len(names) :]):
        raise UnsaidError(_ORDER)
    return _of_sides(written.items[: len(names)], names)


def axes_of_function(written: Written, *, zeros: bool) -> list[int]:
    """Of how many axes an image may be that `F.pad` pads as `of_function` reads it: the third pair
    is of the channels of an image, and of the front and back of a volume."""
    pairs = len(written.items) // 2
    if not zeros:  # torch wants all axes of the image, and no others
        return [min(pairs, 3)]
    while pairs and all(item.value == 0 for item in written.items[2 * pairs - 2 : 2 * pairs]):
        pairs -= 1
    return [[1, 2, 3], [1, 2, 3], [2, 3], [2], [3]][min(pairs, 4)]


def of_operand(written: Written, values: Sequence[object], rank: int) -> list[Ours]:
    """For numbers that an operator gets for a tensor of so many axes, as `F.pad` takes them.

    A name stays, as it may have other values in another turn of a loop.

    Raises:
        UnsaidError: they are computed, cut off, or are of more axes than there are.
    """
    names = (*SIDES[: 2 * rank], *_CHANNELS)
    if len(values) % 2 or len(values) > len(names):
        raise UnsaidError
    if written.text.isidentifier():
        items = [Written(f"{written.text}[{i}]") for i in range(len(values))]
        return _of_sides(items, names)
    if not _NUMERALS.fullmatch(written.text):
        raise UnsaidError
    items = [Written(str(n), n) for n in values]
    whole = [*items, *[Written("0", 0)] * (2 * rank - len(items))]
    return (_of_axes(whole) if len(whole) == 2 * rank else []) or _of_sides(items, names)


_NUMERALS = re.compile(r"[\[(][-\d\s,]*[\])]")


def one_for_all(written: Written) -> list[Ours]:
    """One number for all sides, of an image of any number of axes. Raises UnsaidError."""
    _require_positive([written])
    return [_ours("spatial", written)]


def _of_sides(items: Sequence[Written], names: Sequence[str]) -> list[Ours]:
    _require_positive(items)
    return [_ours(name, item) for name, item in zip(names, items, strict=False)]


def _of_axes(items: Sequence[Written]) -> list[Ours]:
    """`spatial=` for the numbers of all sides, where they are alike on both sides of each axis;
    else nothing."""
    _require_positive(items)
    pairs = [items[i : i + 2] for i in range(0, len(items), 2)]
    if not pairs or any(first.text != second.text for first, second in pairs):
        return []
    sizes = tuple(first for first, _ in reversed(pairs))
    text = f"[{', '.join(size.text for size in sizes)}]"
    return [_ours("spatial", Written(text, tuple(size.value for size in sizes)))]


def _require_positive(items: Sequence[Written]) -> None:
    if any(isinstance(item.value, int) and item.value < 0 for item in items):
        raise UnsaidError("`pad` adds, and `crop` cuts off")


def _ours(name: str, written: Written) -> Ours:
    known = {item.name: item for item in parameters(OPS["pad"])}
    needless = name != "spatial" and written.value == 0
    return Ours(known[name], written.text, written.value, needless)


def _indexed(name: str, count: int) -> str:
    """`left=p[0], right=p[1]`, as many as torch's list has."""
    if not name.isidentifier():
        return "the numbers of the sides"
    sides = (f"{side}={name}[{i}]" for i, side in enumerate(SIDES[:count]))
    return f"`{', '.join(sides)}`"
