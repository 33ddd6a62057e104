"""How a net trades memory for time in training."""

from collections.abc import Sequence

from torch import nn

MODES = ("keep", "recompute", "off")
"""keep: no convolution runs twice; recompute: as little is kept as may be; off: as torch does."""


def set_memory(net: nn.Module, memory: str) -> None:
    """Let a net, and all blocks in it, use one of the `MODES`; a block's own may be set after."""
    if memory not in MODES:
        raise ValueError(f"memory must be one of {', '.join(MODES)}, not {memory!r}")
    for module in net.modules():
        if any(True for _ in module.children()):
            vars(module)["memory"] = memory


def memory_of(module: nn.Module) -> str | Sequence[str]:
    """The mode of a net or block; of a dense block perhaps one for each layer."""
    memory: str | Sequence[str] = getattr(module, "memory", "keep")
    return memory
