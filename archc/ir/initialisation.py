"""`@init`: on which layers each of its arguments acts, and which keep PyTorch's own values."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from archc.ir.annotations import Annotation
from archc.ir.graph import Graph, Hyper
from archc.ops.op import Op


def is_set(argument: str, words: Mapping[str, Hyper]) -> bool:
    """Whether an argument of `@init` asks for other values than PyTorch's."""
    if argument in ("scheme", "fan"):
        return words.get("scheme", "he_normal") == "he_normal"
    return words.get(argument, "torch") != "torch"


def acts_on(argument: str, words: Mapping[str, Hyper], op: Op) -> bool:
    """Whether an argument of `@init` initialises a layer."""
    return argument in op.initialised and is_set(argument, words)


@dataclass(frozen=True)
class Reach:
    """What an `@init` does: layers by operator, each counted once.

    `reached` are those on which an argument acts, `default` the others with weights; `idle` are the
    arguments that are given and act on none. Learned tensors say themselves how they begin, and
    what is in extern layers is not known: neither is counted.
    """

    annotation: Annotation
    reached: tuple[tuple[str, int], ...]
    default: tuple[tuple[str, int], ...]
    idle: tuple[str, ...]


def reach_of(graph: Graph) -> Reach | None:
    """What the `@init` of a net does; None for a net without one."""
    found = [each for each in graph.info.annotations if each.name == "init"]
    if not found:
        return None
    words = {name: value for name, value in found[0].arguments if name is not None}
    arguments = [name for name in ("scheme", *words) if is_set(name, words)]
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    idle = dict.fromkeys(arguments)
    for node, _ in graph.weights():
        module = node.op.module(*graph.operand_types(node.id))
        if module is None or module.parameter:
            continue
        acting = [name for name in arguments if acts_on(name, words, node.op)]
        counts[bool(acting)][node.op.name] += 1
        for name in acting:
            idle.pop(name, None)
    reached, default = (tuple(counts[key].items()) for key in (True, False))
    return Reach(found[0], reached, default, tuple(idle))
