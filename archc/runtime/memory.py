"""How a net trades memory for time in training."""

from collections.abc import Sequence

from torch import nn

MODES = ("keep", "recompute", "off")
"""keep: no convolution runs twice; recompute: as little is kept as may be; off: as torch does."""

_MODE = "memory mode"
"""The attribute for it: no layer can be called so."""


def set_memory(net: nn.Module, memory: str | Sequence[str]) -> None:
    """Let a net, or a part of it, use one of the `MODES`; a dense block perhaps one a layer.

    It is said to the modules whose classes stand in a file with one that the net's class derives
    from, and to no others.
    """
    modes = [memory] if isinstance(memory, str) else memory
    if not set(modes) <= set(MODES):
        raise ValueError(f"memory must be one of {', '.join(MODES)}, not {memory!r}")
    homes = {kind.__module__ for kind in type(net).__mro__ if kind not in nn.Module.__mro__}
    for module in net.modules():
        if type(module).__module__ in homes:
            vars(module)[_MODE] = memory


def memory_of(module: nn.Module) -> str | Sequence[str]:
    """The mode of a net or block."""
    memory: str | Sequence[str] = getattr(module, _MODE, "keep")
    return memory
