"""The plan of a net, by watching it: its emitted file runs on shapes, and that without sharing.

So the plan knows nothing of the net, of autograd or of archc's runtime that might not be so.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from archc.analysis.input_sizes import at_sizes
from archc.analysis.plan.decisions import shared_parts
from archc.analysis.plan.plan import Memory, MemoryPlan, Mode
from archc.analysis.plan.timeline import (
    Decision,
    Role,
    Storage,
    Timeline,
    listed,
    numbered,
)
from archc.cache import import_source
from archc.compiler import Compilation
from archc.watch.step import run
from archc.watch.storages import Life


class CannotWatchError(Exception):
    """The net does not run on shapes: an extern layer asks for values, or cannot be made."""


def watch_memory(
    compilation: Compilation,
    batch: int,
    *,
    dtype: str = "float32",
    memory: Memory = "keep",
    mode: Mode = "training",
    symbols: Mapping[str, int] | None = None,
) -> MemoryPlan:
    """The plan of a compiled net; `symbols` has a number for each symbolic size.

    Raises CannotWatchError, and ArchError as `Compilation.source` does.
    """
    graph = compilation.graph
    inputs = at_sizes(graph, symbols or {}).inputs()
    sizes = ((size for size in node.type.shape if isinstance(size, int)) for node in inputs)
    shapes = tuple((batch, *each) for each in sizes)

    def timeline(source: str, memory: Memory) -> Timeline:
        return _timeline(source, graph.name, shapes, dtype, memory, mode)

    planned = timeline(compilation.source(), memory)
    naive = timeline(compilation.plain_source(), "off") if graph.sharing else planned
    shared = shared_parts(graph, "off" if mode == "inference" else memory)
    return MemoryPlan(graph.name, mode, memory, batch, dtype, planned, naive, shared)


@lru_cache(maxsize=4)
def _timeline(
    source: str,
    name: str,
    shapes: tuple[tuple[int, ...], ...],
    dtype: str,
    memory: Memory,
    mode: Mode,
) -> Timeline:
    kind: torch.dtype = getattr(torch, dtype)
    try:
        module = import_source(source, name)
        with FakeTensorMode():
            net = _build(module, kind)
            if hasattr(module, "set_memory"):
                module.set_memory(net, memory)
            inputs = [torch.empty(shape, dtype=kind) for shape in shapes]
            watch, start = run(net, inputs, training=mode == "training")
    except Exception as problem:  # whatever the code of an extern layer may raise
        raise CannotWatchError(f"{type(problem).__name__}: {problem}") from problem
    return Timeline(watch.step + 1, start, _storages(watch.lives, start))


def _build(module: Any, dtype: torch.dtype) -> nn.Module:
    """The net, with weights of a dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        net: nn.Module = getattr(module, module.__all__[0])()
    finally:
        torch.set_default_dtype(before)
    return net


def _storages(lives: Sequence[Life], start: int) -> list[Storage]:
    again = {_kind(life) for life in lives if life.again}
    storages = []
    names = (f"{life.region}:{life.operator}".lstrip(":") for life in lives)
    for life, id in zip(lives, numbered(names), strict=True):
        role = _role(life, start)
        decision, why = _decision(life, role, repeated=_kind(life) in again)
        storages.append(
            Storage(
                id, life.region, life.shape, life.dtype, life.bytes, life.first, life.last,
                role, decision, why, tuple(filter(None, life.needed_by)),
            )
        )  # fmt: skip
    return storages


def _kind(life: Life) -> tuple[str, str, tuple[int, ...]]:
    """What is equal for a value and for itself, made again."""
    return life.region, life.operator, life.shape


def _role(life: Life, start: int) -> Role:
    if life.first < start:
        return "kept" if life.last >= start else "momentary"
    if life.again:
        return "recomputed"
    return "gradient" if life.passed_on or life.operator == "empty_like" else "momentary"


def _decision(life: Life, role: Role, *, repeated: bool) -> tuple[Decision, str]:
    """What becomes of a storage, and why, in words."""
    needed = listed(filter(None, life.needed_by))
    if life.output:
        return "kept", "a result of the net"
    if role == "kept":
        return "kept", f"needed by {needed}" if needed else "needed to compute others again"
    if role == "recomputed":
        return "recomputed", f"computed again for {life.module or 'the net'}"
    if role == "momentary" and repeated:
        return "recomputed", "cheap to compute again for the backward pass"
    what = "a gradient, " if role == "gradient" else ""
    return "freed", f"{what}last used by {life.reader or 'the net'} (step {life.last})"
