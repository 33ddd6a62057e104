"""Differential elaboration: which numbers of a net follow a constructor argument, and how.

The net is elaborated again with the argument changed. If the graphs differ only in whole numbers,
and these by a fixed factor of the change, the argument becomes one of the emitted class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from archc.ir.graph import Graph, Node, Path
from archc.lowering.modules import Modules
from archc.lowering.values import Symbol


class Variation(Protocol):
    """The net with `argument` changed from `base` to `value`."""

    @property
    def argument(self) -> str: ...
    @property
    def base(self) -> int: ...
    @property
    def value(self) -> int: ...
    @property
    def graph(self) -> Graph: ...


Key = tuple[Path | int, str]
"""An attribute: a layer's path, or a function's node, and the name of the torch argument.

A node and `CHANNELS` are the channels of its value.
"""

CHANNELS = "num_chs"


@dataclass(frozen=True)
class Symbols:
    """The attributes that follow arguments, and the arguments with their values in the spec."""

    of: Mapping[Key, Symbol]
    arguments: tuple[tuple[str, int], ...]


def find_symbols(modules: Modules, variations: Sequence[Variation]) -> Symbols:
    """Compare the net with its variations; an argument needs two that agree."""
    of: dict[Key, Symbol] = {}
    arguments: list[tuple[str, int]] = []
    names = list(dict.fromkeys(variation.argument for variation in variations))
    for name in names:
        group = [variation for variation in variations if variation.argument == name]
        found = _factors(modules, group)
        if not found:
            continue
        arguments.append((name, group[0].base))
        for key, (value, factor) in found.items():
            known = of.get(key, Symbol(value, (), value))
            constant = known.constant - factor * group[0].base
            of[key] = Symbol(constant, (*known.factors, (name, factor)), value)
    return Symbols(of, tuple(arguments))


def _factors(modules: Modules, group: Sequence[Variation]) -> dict[Key, tuple[int, int]]:
    """The attributes that change, with value and factor; empty if the argument is fixed."""
    results = [_compare(modules, variation) for variation in group]
    if len(results) < 2 or any(result != results[0] for result in results):
        return {}
    return results[0] or {}


def _compare(modules: Modules, variation: Variation) -> dict[Key, tuple[int, int]] | None:
    base, other = modules.graph, variation.graph
    pairs = list(zip(base.nodes(), other.nodes(), strict=False))
    if len(base) != len(other):
        return None
    numbers = {theirs.id: mine.id for mine, theirs in pairs}
    changed: dict[Key, tuple[int, int]] = {}
    for mine, theirs in pairs:
        operands = tuple(numbers[id] for id in other.operands(theirs.id))
        same_op = type(mine.op) is type(theirs.op) and mine.layer.path == theirs.layer.path
        if not same_op or operands != base.operands(mine.id):
            return None
        if mine.op == theirs.op and _same_types(base, mine, other, theirs):
            continue
        for (key, one), (_, two) in zip(_numbers(base, mine), _numbers(other, theirs), strict=True):
            if one == two:
                continue
            factor = _factor(one, two, variation.value - variation.base)
            if factor is None:
                return None
            assert isinstance(one, int)
            changed[key] = (one, factor)
    return changed


def _same_types(base: Graph, mine: Node, other: Graph, theirs: Node) -> bool:
    return base.operand_types(mine.id) == other.operand_types(theirs.id)


def _factor(one: object, two: object, change: int) -> int | None:
    if type(one) is not int or type(two) is not int:
        return None
    factor, rest = divmod(two - one, change)
    return None if rest or factor < 1 else factor


def _numbers(graph: Graph, node: Node) -> Iterator[tuple[Key, object]]:
    """The torch arguments of a node, and the channels of its value."""
    types = graph.operand_types(node.id)
    if node.layer.path is not None:
        module = node.op.module(*types)
        for arg in module.args if module else ():
            yield (node.layer.path, arg.name), arg.value
    elif (function := node.op.function(*types)) is not None:
        for arg in function.args:
            yield (node.id, arg.name), arg.value
    yield (node.id, CHANNELS), node.type.channels
