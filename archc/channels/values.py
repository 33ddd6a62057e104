"""What is known of each channel of each tensor where some channels of norms are zero: forwards.

A channel is zero, or the same at all positions (its constant), or that but for the border, or live.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from archc.channels.masks import block_widths, blocks, every, joined, mask_of, spread
from archc.ir.graph import Graph, Node, Path
from archc.ops.normalization import BatchNorm
from archc.ops.op import TensorType


@dataclass(frozen=True, slots=True)
class Known:
    """The channels of a tensor that are zero, constant, constant but for the border; no two of them
    meet, and the others are live."""

    zero: int = 0
    constant: int = 0
    border: int = 0

    @property
    def dead(self) -> int:
        """All that are not live."""
        return self.zero | self.constant | self.border


LIVE = Known()


def values(graph: Graph, dropped: Mapping[Path, int], *, shifted: bool) -> dict[int, Known]:
    """What is known of the channels of all nodes.

    `dropped` are the channels of batch norms whose scale is zero, and whose shift is, too, unless
    they are `shifted`: then these channels are constants.
    """
    found: dict[int, Known] = {}
    for node in graph.nodes():
        types = graph.operand_types(node.id)
        operands = [found[operand] for operand in graph.operands(node.id)]
        found[node.id] = _value(node, types, operands)
        path = node.layer.path
        if isinstance(node.op, BatchNorm) and path is not None and dropped.get(path):
            zeros = dropped[path]
            found[node.id] = Known(constant=zeros) if shifted else Known(zero=zeros)
    return found


def _value(node: Node, types: Sequence[TensorType], operands: Sequence[Known]) -> Known:
    if not any(known.dead for known in operands):
        return _padded(node, types) if node.op.channel_rule == "select" else LIVE
    match node.op.channel_rule:
        case "same":
            return _same(node, types, operands)
        case "concat":
            return _each(operands, lambda masks: joined(zip(masks, _widths(types), strict=True)))
        case "select":
            return _selected(node, types, operands[0])
        case "grouped" | "reshape" if len(types) == 1:
            return _by_blocks(node, types[0], operands[0])
        case "mix" if node.op.sums and len(types) == 1:
            all_zero = operands[0].zero == every(types[0].channels)
            return _zeros(node) if all_zero and node.op.at_zero == 0 else LIVE
    return LIVE


def _widths(types: Sequence[TensorType]) -> list[int]:
    return [type_.channels for type_ in types]


def _zeros(node: Node) -> Known:
    return Known(zero=every(node.type.channels))


def _each(operands: Sequence[Known], rule: Callable[[list[int]], int]) -> Known:
    """What is known of a result whose channels are those of its operands."""
    return Known(
        rule([known.zero for known in operands]),
        rule([known.constant for known in operands]),
        rule([known.border for known in operands]),
    )


def _same(node: Node, types: Sequence[TensorType], operands: Sequence[Known]) -> Known:
    """Of an operator that takes the channels of all operands one by one."""
    out, op = node.type.channels, node.op
    pairs = list(zip(operands, types, strict=True))
    everything = every(out)
    zeros = [spread(known.zero, type_.channels, out) for known, type_ in pairs]
    still = [spread(known.zero | known.constant, type_.channels, out) for known, type_ in pairs]
    inside = [spread(known.dead, type_.channels, out) for known, type_ in pairs]
    all_zero, all_still, all_inside = (
        _common(masks, everything) for masks in (zeros, still, inside)
    )
    zero = all_zero if op.at_zero == 0 else 0
    if op.beside_zero == "absorbing":
        zero = _union(zeros)
    constant = all_zero if op.at_zero is not None else 0
    border = 0
    if op.at_constant != "live":
        border = all_inside
        constant |= all_still if op.at_constant == "constant" else 0
    return Known(zero, constant & ~zero, border & ~(zero | constant))


def _common(masks: Sequence[int], everything: int) -> int:
    for mask in masks:
        everything &= mask
    return everything


def _union(masks: Sequence[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


def _padded(node: Node, types: Sequence[TensorType]) -> Known:
    """The channels of zeros that a selection adds."""
    return Known(zero=added_zeros(node, types))


def added_zeros(node: Node, types: Sequence[TensorType]) -> int:
    """The channels of a selection that copy none of its operand's: they are zeros."""
    if node.op.channel_rule != "select":
        return 0
    chosen = node.op.selection(*types)
    return mask_of(i for i, source in enumerate(chosen) if source is None)


def _selected(node: Node, types: Sequence[TensorType], x: Known) -> Known:
    chosen = node.op.selection(*types)

    def copied(mask: int) -> int:
        return mask_of(
            i for i, source in enumerate(chosen) if source is not None and mask >> source & 1
        )

    zero = copied(x.zero) | added_zeros(node, types)
    constant, border = copied(x.constant), copied(x.border)
    match node.op.at_constant:
        case "constant":
            return Known(zero, constant, border)
        case "border":
            return Known(zero, 0, constant | border)
    return Known(zero)


def _by_blocks(node: Node, x_type: TensorType, x: Known) -> Known:
    """Of an operator whose channels fall into blocks: those of zeros alone give zeros."""
    before, after = block_widths(node, x_type)
    count = x_type.channels // before

    def whole(mask: int) -> int:
        full = (
            every(after) if part == every(before) else 0 for part in blocks(mask, before, count)
        )
        return joined((part, after) for part in full)

    zero = whole(x.zero) if node.op.at_zero == 0 else 0
    if node.op.at_constant != "constant":
        return Known(zero)
    constant = whole(x.zero | x.constant) & ~zero
    return Known(zero, constant, whole(x.dead) & ~(zero | constant))
