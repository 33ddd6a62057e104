"""One step of a net on shapes alone: forward, loss, backward."""

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from archc.watch.storages import Watch


def run(net: nn.Module, inputs: Sequence[Tensor], *, training: bool) -> tuple[Watch, int]:
    """The storages of one step, and the first step of the backward pass.

    Each parameter has a gradient already, as from the second step on, and the loss gives each
    output a gradient, which lives to the end, as the output does. To be called within a
    FakeTensorMode, in which the net and its inputs were made. Raises whatever the net raises.
    """
    if training:
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
    watch = Watch(net.train(training), inputs)
    held: list[Tensor] = []
    with (
        _undisturbed(),
        _states_of(watch),
        _deciding_parts(sys.modules[type(net).__module__]),
        torch.set_grad_enabled(training),
        watch,
    ):
        given = net(*inputs)
        held.extend(given if isinstance(given, list | tuple) else [given])
        del given
        watch.mark(held)
        start = watch.step + 1
        if training:
            watch.backward = True
            wanted = list({id(t): t for t in held if t.requires_grad}.values())
            grads = [torch.empty_like(t, memory_format=torch.contiguous_format) for t in wanted]
            held.extend(grads)
            torch.autograd.backward(wanted, grads)
        watch.end()
    return watch, start


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Nothing is freed but what nobody has any more, and parts are those of one thread."""
    threads, collects = torch.get_num_threads(), gc.isenabled()
    gc.collect()
    gc.disable()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if collects:
            gc.enable()


@contextmanager
def _states_of(watch: Watch) -> Iterator[None]:
    """Follow the states of the random generator, too: no operator gives them."""
    state = torch.get_rng_state

    def get_rng_state() -> Tensor:
        result = state()
        watch.step += 1
        watch.born(result, "get_rng_state", watch.places.forward())
        return result

    with (
        _replaced(torch, "get_rng_state", get_rng_state),
        _replaced(torch.random, "get_rng_state", get_rng_state),
    ):
        yield


@contextmanager
def _replaced(module: Any, name: str, value: object) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def _deciding_parts(module: Any) -> Iterator[None]:
    """Where a net works on many parts of one of two sizes each, let it run those that decide how
    much memory that takes: of a large batch there are thousands."""
    parts = getattr(module, "row_parts", None)
    if parts is None:
        yield
        return
    with _replaced(module, "row_parts", _few(parts)):
        yield


def _few(parts: Callable[..., list[slice]]) -> Callable[..., list[slice]]:
    """The first, a large one between its neighbours, the last; and a small one before each of the
    latter, so that no two stand together that are larger than two that did."""

    def few(*arguments: Any) -> list[slice]:
        every = parts(*arguments)
        if len(every) < _MANY:
            return every
        sizes = [part.stop - part.start for part in every]
        middle = range(1, len(every) - 1)
        large = max(middle, key=lambda i: (sizes[i - 1] + sizes[i], sizes[i]))
        small = every[min(range(len(every)), key=sizes.__getitem__)]
        return [every[0], small, *every[large - 1 : large + 2], small, every[-1]]

    return few


_MANY = 8
