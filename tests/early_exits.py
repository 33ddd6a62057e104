"""What is true of every net with exits: each alone, one after another, and where samples leave."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from archc.analysis.cost import costs_of, exit_costs
from archc.ir.exits import needed_by
from archc.ir.graph import Graph


def check_exits(net: Any, graph: Graph, inputs: Sequence[Tensor]) -> None:
    """`iter_exits` and `forward(x, exit=k)` give what `forward` gives, and each computes no more
    than it needs."""
    net.eval()
    macs = costs_of(graph)
    with torch.no_grad():
        everything = net(*inputs)
        for ours, theirs in zip(net.iter_exits(*inputs), everything, strict=True):
            close(ours, theirs)
        for k, cost in enumerate(exit_costs(graph, macs)):
            with FlopCounterMode(display=False) as counted:
                alone = net(*inputs, exit=k)
            close(alone, everything[k])
            close(net(*inputs, exit=k - len(everything)), everything[k])
            if cost.lazy.macs is not None:
                found = cost.lazy.macs - saved_by_swaps(graph, k)
                assert counted.get_total_flops() == 2 * len(inputs[0]) * found
        check_leaving(net, inputs, everything)


def saved_by_swaps(graph: Graph, k: int) -> int:
    """The multiply-accumulates that an exit does without as its 1x1 convolutions read what is
    pooled already."""
    saved, needed = 0, needed_by(graph)
    for conv, pool in graph.sharing.swaps:
        if not needed.get(conv, 0) >> k & 1:
            continue
        node = graph.node(conv)
        sides = (graph.node(each).type.spatial for each in (conv, pool))
        here, there = (prod(side for side in each if isinstance(side, int)) for each in sides)
        macs = node.op.macs(graph.operand_types(conv), node.type)
        assert macs is not None
        saved += macs * (here - there) // here
    return saved


def check_leaving(net: Any, inputs: Sequence[Tensor], everything: Sequence[Tensor]) -> None:
    """Samples leave one by one, at each exit in turn: those that stay are what they were."""
    steps = net.iter_exits(*inputs)
    stay = torch.arange(len(inputs[0]))
    found = next(steps)
    for theirs in everything[1:]:
        kept = torch.arange(len(stay))[len(stay) > 1 :]
        stay = stay[kept]
        found = steps.send(kept)
        close(found, theirs[stay])


def close(ours: Tensor, theirs: Tensor) -> None:
    """The same numbers but for the order of sums, in double precision."""
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
