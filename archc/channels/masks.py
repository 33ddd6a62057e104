"""Sets of channels as the bits of integers: channel c is bit c."""

import math
from collections.abc import Iterable

from archc.ir.graph import Node
from archc.ops.op import TensorType
from archc.ops.size import product


def every(count: int) -> int:
    """All of so many channels."""
    return (1 << count) - 1


def members(mask: int) -> list[int]:
    """The channels of a set, in order."""
    text = bin(mask)[:1:-1]
    return [channel for channel, bit in enumerate(text) if bit == "1"]


def mask_of(channels: Iterable[int]) -> int:
    """The set of some channels."""
    mask = 0
    for channel in channels:
        mask |= 1 << channel
    return mask


def lowest(mask: int, count: int = 1) -> int:
    """The first `count` channels of a set."""
    return mask_of(members(mask)[:count])


def spread(mask: int, channels: int, to: int) -> int:
    """A set of one tensor's channels as those of a result: a single channel stands for all."""
    if channels == to:
        return mask
    return every(to) if mask else 0


def block_widths(node: Node, x: TensorType) -> tuple[int, int]:
    """How many channels of its operand, and how many of its own, depend on one another in a node
    whose channels fall into blocks: `grouped` ones, and those that are reshaped."""
    if node.op.channel_rule == "grouped":
        groups = node.op.channel_groups(x)
        return x.channels // groups, node.type.channels // groups
    before, after = product(x.spatial), product(node.type.spatial)
    assert before is not None
    assert after is not None
    whole = math.lcm(before, after)
    return whole // before, whole // after


def blocks(mask: int, width: int, count: int) -> list[int]:
    """The parts of a set in `count` blocks, each from channel 0 on."""
    one = every(width)
    return [mask >> i * width & one for i in range(count)]


def joined(parts: Iterable[tuple[int, int]]) -> int:
    """The set of a concatenation: of parts and their widths."""
    mask, start = 0, 0
    for part, width in parts:
        mask |= part << start
        start += width
    return mask


def written(mask: int) -> str:
    """A set as people read it: `0-3,5,9-12`."""
    runs: list[list[int]] = []
    for channel in members(mask):
        if runs and runs[-1][-1] == channel - 1:
            runs[-1][1:] = [channel]
        else:
            runs.append([channel])
    return ",".join("-".join(map(str, run)) for run in runs)


def read(text: str) -> int:
    """The set that `written` wrote. Raises ValueError."""
    mask = 0
    for run in filter(None, text.replace(" ", "").split(",")):
        first, _, last = run.partition("-")
        low, high = int(first), int(last or first)
        if not 0 <= low <= high < 1 << 20:
            raise ValueError(f"`{run}` is no run of channels")
        mask |= every(high - low + 1) << low
    return mask
