"""What leaving at an exit costs: multiply-accumulates, counted, or time, measured."""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

BATCH = 256
"""Images at a time, where time is measured."""

_TURNS = 5


@torch.no_grad()
def counted_macs(net: Any, image: Tensor) -> list[float]:
    """Multiply-accumulates [exits] of a sample that leaves at each exit, with those of the exits
    before it: counted while the net runs on one image [1, ...]."""
    steps, found = net.eval().iter_exits(image), [0.0]
    while True:
        with FlopCounterMode(display=False) as counter:
            if next(steps, None) is None:
                return found[1:]
        found.append(found[-1] + counter.get_total_flops() / 2)


@torch.no_grad()
def measured_seconds(net: Any, images: Tensor) -> list[float]:
    """Seconds [exits] a sample until each exit is there, with the exits before it: the median of
    several runs over images [N, ...]."""
    net.eval()
    runs = [list(_elapsed(net, images)) for _ in range(_TURNS + 1)][1:]  # the first one warms up
    return [median(column) / len(images) for column in zip(*runs, strict=True)]


@torch.no_grad()
def milliseconds(run: Callable[[Tensor], object], images: Tensor) -> float:
    """Milliseconds an image that something takes of images [N, ...]: the median of several runs."""
    times = []
    for _ in range(_TURNS + 1):
        start = _now(images)
        run(images)
        times.append(_now(images) - start)
    return 1000 * median(times[1:]) / len(images)  # the first one warms up


def _elapsed(net: Any, images: Tensor) -> Iterator[float]:
    start = _now(images)
    for _ in net.iter_exits(images):
        yield _now(images) - start


def _now(x: Tensor) -> float:
    """The time in seconds at which what was asked of a tensor's device is done."""
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return time.perf_counter()
