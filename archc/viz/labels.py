"""The words in a picture: names relative to their frame, shapes, numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence

from archc.analysis.cost import Cost, macs_text, params_text
from archc.ir.graph import Path
from archc.ops.op import TensorType

_TYPES = 3
"""Different shapes on one edge that are written out."""

_LINES = 8
"""Lines that a list has before its middle is left out."""


def relative(path: Path, prefix: Path) -> str:
    """A path as seen from the region `prefix`, whole if it lies elsewhere."""
    inside = path[: len(prefix)] == prefix and len(path) > len(prefix)
    return ".".join(path[len(prefix) :] if inside else path)


def types(values: Iterable[TensorType]) -> str:
    """The shapes of the values of an edge, equal ones counted."""
    counts = Counter(str(type_) for type_ in values)
    words = [f"{n} x {word}" if n > 1 else word for word, n in counts.items()]
    more = [f"{len(words) - _TYPES} more"] if len(words) > _TYPES else []
    return ", ".join(words[:_TYPES] + more)


def shortened(lines: Sequence[str]) -> list[str]:
    """The lines, of many only the first ones and the last."""
    if len(lines) <= _LINES:
        return list(lines)
    return [*lines[: _LINES - 2], f"... {len(lines) - _LINES + 1} more ...", lines[-1]]


def weights(cost: Cost, *, shared: bool) -> list[str]:
    """The line about a box's parameters; those that another box shows are not counted again."""
    if not cost.params and not cost.opaque:
        return ["shared weights"] if shared else []
    return [f"{params_text(cost)} params" + (" + shared" if shared else "")]


def macs(cost: Cost) -> str:
    """The line about multiply-accumulates."""
    symbolic = cost.macs is None and not cost.opaque
    return "MACs depend on the size" if symbolic else f"{macs_text(cost)} MACs"


def cost(value: Cost) -> list[str]:
    """The lines about the cost of an output."""
    return [f"{params_text(value)} params", macs(value)]
