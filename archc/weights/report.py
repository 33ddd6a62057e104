"""Which weight was which, as a table and as JSON."""

from collections.abc import Iterator

from archc.weights.layers import Sizes
from archc.weights.mapping import Mapped

SCHEMA = 1


def to_json(mapped: Mapped) -> dict[str, object]:
    """All of it."""
    return {
        "schema": SCHEMA,
        "mapped": [
            {"theirs": row.theirs, "ours": row.ours, "shape": list(row.shape)}
            for row in mapped.rows
        ],
        "missing": [
            {"key": each.key, "shape": list(each.shape), "why": each.why} for each in mapped.missing
        ],
        "left_over": {key: list(shape) for key, shape in mapped.left.items()},
        "counters_at_0": list(mapped.counters),
        "excepted": list(mapped.kept),
    }


def to_text(mapped: Mapped) -> str:
    """A line for each weight, their key before ours; then what is missing and what is left over."""
    return "\n".join(_lines(mapped)) + "\n"


def _lines(mapped: Mapped) -> Iterator[str]:
    theirs = max((len(row.theirs) for row in mapped.rows), default=0)
    ours = max((len(row.ours) for row in mapped.rows), default=0)
    for row in mapped.rows:
        there = "" if row.shape == row.there else f", there {_shape(row.there)}"
        yield f"{row.theirs:<{theirs}} -> {row.ours:<{ours}}  {_shape(row.shape)}{there}"
    same = sum(row.theirs == row.ours for row in mapped.rows)
    yield f"{_count(len(mapped.rows), 'weight')}, {same} under the same key"
    if mapped.counters:
        yield f"{_count(len(mapped.counters), 'counter')} of batches not there: 0"
    for key in mapped.kept:
        yield f"begins anew: {key}"
    for key, shape in mapped.left.items():
        yield f"left over: {key}  {_shape(shape)}"
    for each in mapped.missing:
        yield f"missing: {each.key}  {_shape(each.shape)}: {each.why}"


def _shape(shape: Sizes) -> str:
    return str(list(shape))


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
