"""The weights of a slimmed net: parts of those of the wide one, and what its constants add."""

from collections.abc import Iterator, Mapping
from itertools import groupby

import torch
from torch import Tensor, nn

from archc.channels.analysis import Channels, norm_behind
from archc.channels.masks import members
from archc.channels.slices import WeightSlice, weight_slices
from archc.ir.graph import Graph, Node
from archc.ops.size import Size

Weights = Mapping[str, Tensor]


def masked(state: Weights, channels: Channels) -> dict[str, Tensor]:
    """The state_dict of the net that a slimmed one equals: of dropped channels the scales are zero,
    and the shifts, too, unless they stay."""
    found = dict(state)
    for path, dropped in channels.dropped.items():
        for name in ("weight",) if channels.shifted else ("weight", "bias"):
            key = ".".join((*path, name))
            found[key] = state[key].clone()
            found[key][members(dropped)] = 0
    return found


def slimmed(state: Weights, channels: Channels, wide: nn.Module | None = None) -> dict[str, Tensor]:
    """The state_dict of the slimmed net, from that of the wide one.

    `wide` is a net with the masked weights. It is needed where constants leave layers
    (`absorbs`), and is run once to tell them.
    """
    moved = masked(state, channels)
    nodes = list(_absorbing(channels))
    if nodes:
        assert wide is not None
        read = _read_by(wide, nodes, channels.graph)
        for node in nodes:
            _absorb(moved, node, channels, read[node.id])
    return {part.key: part_of(moved[part.key], part) for part in weight_slices(channels)}


def absorbs(channels: Channels) -> bool:
    """Whether constants leave layers."""
    return next(_absorbing(channels), None) is not None


def _absorbing(channels: Channels) -> Iterator[Node]:
    return (node for node in channels.graph.nodes() if channels.absorbed(node))


def part_of(weight: Tensor, part: WeightSlice) -> Tensor:
    """What stays of a weight."""
    if part.rows is None:
        return weight.clone()
    if part.columns is None:
        return weight[list(part.rows)]
    pairs = groupby(zip(part.rows, part.columns, strict=True), key=lambda pair: pair[1])
    return torch.cat([weight[[row for row, _ in same]][:, columns] for columns, same in pairs])


def _absorb(state: dict[str, Tensor], node: Node, channels: Channels, read: Tensor) -> None:
    """Put what the constants add that leave a layer into its bias, or the running mean behind."""
    path, left = ".".join(node.layer.path or ()), members(channels.absorbed(node))
    weight = state[f"{path}.weight"][:, left].double()
    added = weight.flatten(2).sum(2) if weight.dim() > 2 else weight
    added = added @ read[left].double()
    key, sign = f"{path}.bias", 1
    if key not in state:
        norm = norm_behind(channels.graph, node)
        assert norm is not None
        key, sign = ".".join((*(norm.layer.path or ()), "running_mean")), -1
    state[key] = (state[key].double() + sign * added).to(state[key].dtype)


def _read_by(wide: nn.Module, nodes: list[Node], graph: Graph) -> dict[int, Tensor]:
    """What layers of a net read at the first position, for images of zeros: [C] each."""
    seen: dict[int, Tensor] = {}

    def listen(node: Node) -> torch.utils.hooks.RemovableHandle:
        layer = wide.get_submodule(".".join(node.layer.path or ()))
        return layer.register_forward_pre_hook(
            lambda _, args: seen.__setitem__(node.id, args[0].detach()[0])
        )

    hooks = [listen(node) for node in nodes]
    some = next(wide.parameters())
    number = next(n for n in range(4, 1 << 12) if _fits(graph, n))
    with torch.no_grad():
        images = (_numbers(node.type.shape, number) for node in graph.inputs())
        wide.eval()(*(some.new_zeros(2, *shape) for shape in images))
    for hook in hooks:
        hook.remove()
    return {id: x.flatten(1)[:, 0] if x.dim() > 1 else x for id, x in seen.items()}


def _fits(graph: Graph, number: int) -> bool:
    """Whether all tensors have positions where symbolic sizes are a number."""
    return all(n >= 1 for node in graph.nodes() for n in _numbers(node.type.shape, number))


def _numbers(shape: tuple[int | Size, ...], number: int) -> list[int]:
    return [size.at(number) if isinstance(size, Size) else size for size in shape]
