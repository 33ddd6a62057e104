"""The memory of a training step as torch's allocator sees it, on a CPU.

Every tensor's bytes are taken from and given back to one allocator, which the profiler records with
the operators that do so. What an operator takes and gives back before it returns is its kernel's
own affair, say a copy of a convolution's input in the order that oneDNN prefers on this CPU: it is
no tensor of the net, and is not counted.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile


@dataclass(frozen=True)
class Measured:
    """Bytes above parameters, their gradients, buffers and inputs.

    `saved` live when the forward pass has ended, the outputs among them; `forward` and `backward`
    are the most at a time in the two passes.
    """

    saved: int
    forward: int
    backward: int

    @property
    def peak(self) -> int:
        return max(self.forward, self.backward)


def measure(net: nn.Module, inputs: Sequence[Tensor]) -> Measured:
    """One training step, after which each parameter has a gradient, as before it.

    The loss gives each output a gradient, which lives to the end, as the output does.
    """
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    held: list[Tensor] = []

    def forward() -> None:
        given = net(*inputs)
        held.extend(given if isinstance(given, list | tuple) else [given])

    def backward() -> None:
        wanted = list({id(t): t for t in held if t.requires_grad}.values())
        grads = [torch.empty(t.shape, dtype=t.dtype).fill_(1e-3) for t in wanted]
        held.extend(grads)
        torch.autograd.backward(wanted, grads)

    first, second = _changes(forward), _changes(backward)
    saved = sum(first)
    return Measured(saved, _most(first), saved + _most(second))


def measure_inference(net: nn.Module, inputs: Sequence[Tensor]) -> int:
    """The most bytes at a time of one forward pass in evaluation, without gradients."""
    net.eval()
    held: list[Any] = []
    with torch.no_grad():
        return _most(_changes(lambda: held.append(net(*inputs))))


def _most(changes: Sequence[int]) -> int:
    total = most = 0
    for change in changes:
        total += change
        most = max(most, total)
    return most


@dataclass(frozen=True)
class _Event:
    time: int
    address: int
    change: int
    operator: int | None
    """The outermost operator of torch that runs."""


def _changes(run: Callable[[], None]) -> list[int]:
    """What a call takes (above zero) and gives back, in order, kernels' own workspaces apart."""
    gc.collect()
    gc.disable()
    try:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            run()
    finally:
        gc.enable()
    results: Any = profiler.profiler
    roots = results.kineto_results.experimental_event_tree()
    events = sorted(_allocations(roots), key=lambda event: event.time)
    taken: dict[int, int] = {}
    own: set[int] = set()
    for number, event in enumerate(events):
        if event.change > 0:
            taken[event.address] = number
        elif event.address in taken:
            first = taken.pop(event.address)
            if event.operator is not None and events[first].operator == event.operator:
                own |= {first, number}
    return [event.change for number, event in enumerate(events) if number not in own]


def _allocations(roots: Sequence[Any]) -> Iterator[_Event]:
    stack: list[tuple[Any, int | None]] = [(root, None) for root in roots]
    while stack:
        event, operator = stack.pop()
        if event.tag.name == "Allocation":
            fields = event.extra_fields
            yield _Event(event.start_time_ns, fields.ptr, fields.alloc_size, operator)
            continue
        inside = id(event) if operator is None and event.name.startswith("aten::") else operator
        stack += [(child, inside) for child in event.children]
