"""`archc plan`: where the memory of a net goes in a step.

With torch the net itself is watched (`archc.watch`), without it there is an estimate. What kernels
need inside of one call (reordered copies of oneDNN, workspaces of cuDNN) is in neither, and neither
are parameters, their gradients, and buffers.
"""

from dataclasses import asdict, dataclass
from typing import Literal

from archc.analysis.plan.decisions import Shared
from archc.analysis.plan.timeline import Timeline

Mode = Literal["inference", "training"]
Memory = Literal["keep", "recompute", "off"]
"""The modes of a net that is compiled with share-memory."""
VERSION = 2


@dataclass(frozen=True)
class MemoryPlan:
    """The plan of one net: the step as archc shares memory, and beside it as torch runs it."""

    name: str
    mode: Mode
    memory: Memory
    batch: int
    dtype: str
    planned: Timeline
    naive: Timeline
    shared: tuple[Shared, ...]
    estimate: bool = False
    """Whether it is not the net itself that was watched."""
    unknown: tuple[str, ...] = ()
    """The extern layers of which an estimate does not know what they keep."""

    def to_json(self) -> dict[str, object]:
        """The plan as data; steps are counted from 0, sizes are bytes."""
        return {
            "version": VERSION,
            "net": self.name,
            "mode": self.mode,
            "memory": self.memory,
            "batch": self.batch,
            "dtype": self.dtype,
            "estimate": self.estimate,
            "saved_bytes": self.planned.saved,
            "peak_bytes": self.planned.peak,
            "naive": {"saved_bytes": self.naive.saved, "peak_bytes": self.naive.peak},
            "unknown": list(self.unknown),
            "steps": self.planned.steps,
            "backward_start": self.planned.backward_start,
            "shared": [asdict(each) for each in self.shared],
            "tensors": [asdict(each) for each in self.planned.storages],
        }
