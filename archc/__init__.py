"""archc: a compiler from declarative network architectures (`.arch`) to PyTorch code."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archc.api import Model, load

__version__ = "0.1.0"
__all__ = ["Model", "__version__", "load"]


def __getattr__(name: str) -> object:
    """`load` and `Model` are imported when they are first used: they bring the compiler along."""
    if name not in ("load", "Model"):
        raise AttributeError(f"module `archc` has no attribute `{name}`")
    from archc import api

    return getattr(api, name)
