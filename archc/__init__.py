"""archc: a compiler from declarative network architectures (`.arch`) to PyTorch code."""

from typing import TYPE_CHECKING, Any

from archc.version import __version__

if TYPE_CHECKING:
    from archc.api import Model, load, loads
    from archc.diagnostics import ArchError, SpecWarning

__all__ = ["ArchError", "Model", "SpecWarning", "__version__", "load", "loads"]

_HOMES = {
    "ArchError": "archc.diagnostics",
    "Model": "archc.api",
    "SpecWarning": "archc.diagnostics",
    "load": "archc.api",
    "loads": "archc.api",
}


def __getattr__(name: str) -> object:
    """What is public is imported when it is first used: it brings the compiler along."""
    if name not in _HOMES:
        raise AttributeError(f"module `archc` has no attribute `{name}`")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext archc`: a notebook has the magic `%%arch`."""
    from archc.notebook import arch

    shell.register_magic_function(lambda line, cell: arch(shell, line, cell), "cell", "arch")
