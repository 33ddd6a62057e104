"""`archc plan`: where the memory of a net goes, before anything runs.

Predicted from what each operator's `records` say that autograd keeps and computes, and from what
the pass `share-memory` attached to the graph; nothing in it is measured. What kernels need inside
of one call (reordered copies of oneDNN, workspaces of cuDNN) is not in it, and neither are
parameters, their gradients, and buffers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from archc.analysis.plan.decisions import decide
from archc.analysis.plan.offsets import ALIGNMENT, assign_offsets
from archc.analysis.plan.run import Memory, run
from archc.analysis.plan.schedule import Liveness, Schedule, Tensor, liveness
from archc.analysis.plan.tape import Sizes
from archc.ir.graph import Graph
from archc.ir.sharing import Sharing

Mode = Literal["inference", "training"]
VERSION = 1

Held = Callable[[Graph], Mapping[int, int]]
"""For a graph, how long its emitted code holds values: by node, the node through which it does."""


@dataclass(frozen=True)
class Timeline:
    """One run of a net: its steps, and when its tensors live."""

    schedule: Schedule
    live: Liveness

    @cached_property
    def own(self) -> list[str]:
        """The storages that the run makes: all but the inputs."""
        inputs = set(self.schedule.inputs)
        return [id for id in self.live.storages if id not in inputs]

    @cached_property
    def bytes(self) -> list[int]:
        """The bytes above inputs, parameters and gradients of parameters in each step."""
        return self.live.live_of(self.own)

    @property
    def peak(self) -> int:
        return max(self.bytes, default=0)

    @cached_property
    def kept(self) -> list[str]:
        """The storages that live when the forward pass has ended."""
        start, spans = self.schedule.backward_start, self.live.storages
        return [id for id in self.own if spans[id].first < start <= spans[id].last]

    @property
    def saved(self) -> int:
        """The bytes that live when the forward pass has ended, the outputs included."""
        return sum(self.live.bytes[id] for id in self.kept)


@dataclass(frozen=True)
class MemoryPlan:
    """The plan of one net: the run as archc shares memory, and beside it as torch runs it."""

    name: str
    mode: Mode
    memory: Memory
    batch: int
    dtype: str
    planned: Timeline
    naive: Timeline
    unknown: tuple[str, ...] = ()
    """The extern layers, of which archc does not know what they keep."""

    @cached_property
    def _arena(self) -> tuple[dict[str, int], int]:
        return assign_offsets(self.planned.live)

    @property
    def arena_bytes(self) -> int:
        """The bytes of one arena that holds everything, inputs included."""
        return self._arena[1]

    def offset(self, tensor: Tensor) -> int:
        """Where the first element of a tensor lies in the arena."""
        storage = self.planned.schedule.storage(tensor.id)
        return self._arena[0][storage] + tensor.alias_offset

    def to_json(self) -> dict[str, object]:
        """The plan as data; steps are counted from 0, sizes are bytes."""
        schedule, spans = self.planned.schedule, self.planned.live.tensors
        return {
            "version": VERSION,
            "net": self.name,
            "mode": self.mode,
            "memory": self.memory,
            "batch": self.batch,
            "alignment": ALIGNMENT,
            "arena_bytes": self.arena_bytes,
            "saved_bytes": self.planned.saved,
            "peak_bytes": self.planned.peak,
            "naive": {"saved_bytes": self.naive.saved, "peak_bytes": self.naive.peak},
            "unknown": list(self.unknown),
            "tensors": [
                {
                    "id": tensor.id,
                    "bytes": tensor.bytes,
                    "offset": self.offset(tensor),
                    "first_use": spans[tensor.id].first,
                    "last_use": spans[tensor.id].last,
                    "shape": list(tensor.shape),
                    "dtype": tensor.dtype,
                    "kind": tensor.kind,
                    "region": tensor.region,
                    "alias_of": tensor.alias_of,
                    "alias_offset": tensor.alias_offset,
                    "inplace_of": tensor.inplace_of,
                    "decision": tensor.decision,
                    "why": tensor.why,
                }
                for tensor in schedule.tensors.values()
            ],
            "schedule": [
                {
                    "step": number,
                    "op": step.op,
                    "phase": step.phase,
                    "reads": list(step.reads),
                    "writes": list(step.writes),
                }
                for number, step in enumerate(schedule.steps)
            ],
            "inputs": list(schedule.inputs),
            "outputs": list(schedule.outputs),
        }


def plan_memory(
    graph: Graph,
    batch: int,
    held: Held,
    *,
    dtype: str = "float32",
    memory: Memory = "keep",
    mode: Mode = "training",
    symbols: Mapping[str, int] | None = None,
) -> MemoryPlan:
    """The plan of a graph after the passes; `symbols` has a number for each symbolic size.

    `held` tells how long the emitted code of a graph holds values. Raises what `held` raises.
    """
    sizes = Sizes(batch, dtype, tuple((symbols or {}).items()))
    planned = _timeline(graph, sizes, memory, mode, held)
    decide(planned.schedule, planned.live)
    plain = graph.copy()
    plain.sharing = Sharing()
    naive = _timeline(plain, sizes, "off", mode, held)
    unknown = tuple(dict.fromkeys(node.op.name for node in graph.nodes() if node.op.opaque))
    return MemoryPlan(graph.name, mode, memory, batch, dtype, planned, naive, unknown)


def _timeline(graph: Graph, sizes: Sizes, memory: Memory, mode: Mode, held: Held) -> Timeline:
    schedule = run(graph, sizes, memory, held(graph), training=mode == "training")
    return Timeline(schedule, liveness(schedule))
