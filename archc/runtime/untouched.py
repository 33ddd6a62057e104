"""The one rule of all that runs in the place of modules: it stands for layers as torch has them.

A layer to which something was done runs itself; what that costs is said once.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archc.runtime.surroundings import CALL, MISSING, has_global_hooks

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

_METHODS = frozenset(("forward", "_conv_forward", "_check_input_dim", "_call_impl"))
"""What the call of a module runs, beside `__call__`."""

_hooks = itemgetter(
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
)


@cache
def _reader(kind: type) -> Callable[[type], Any]:
    """What gives the methods of a class that a call runs."""
    return attrgetter("__call__", *sorted(name for name in _METHODS if hasattr(kind, name)))


def methods_of(kind: type) -> tuple[Any, ...]:
    """The methods that the call of a module of this class runs; with hooks of all modules."""
    return (*_reader(kind)(kind), has_global_hooks())


@cache
def _torchs(kind: type) -> tuple[Any, ...]:
    """The methods of a class when it was first looked at, if all are torch's; else nothing."""
    *methods, _ = methods_of(kind)
    homes = (getattr(method, "__module__", None) or "" for method in methods)
    return (*methods, False) if all(home.startswith("torch.nn.") for home in homes) else ()


def is_as_torch_has_it(kind: type) -> bool:
    """Whether no method of one of torch's classes was exchanged, and no call has a hook."""
    return methods_of(kind) == _torchs(kind)


def is_called_as_modules_are(kind: type) -> bool:
    """Whether a call of a module of this class is torch's, which runs its `forward`."""
    call, inner, *_, hooks = methods_of(kind)
    return (call, inner, hooks) == (nn.Module.__call__, CALL, False)


def what_was_done(module: nn.Module) -> str | None:
    """What makes a call of this module another than one of others of its class."""
    state = vars(module)
    if any(_hooks(state)):
        return "has a hook"
    if not _METHODS.isdisjoint(state):
        return "has a method of its own"
    return None if getattr(module, "_compiled_call_impl", None) is None else "was compiled"


def named(kind: type) -> str:
    """`a ReLU`, `an Identity`."""
    return f"a{'n' if kind.__name__[0] in 'AEIO' else ''} {kind.__name__}"


def why_not(module: nn.Module, kinds: Sequence[type[nn.Module]]) -> str | None:
    """Why a module is not one of these classes of torch, untouched; None if it is."""
    kind = type(module)
    if kind not in kinds:
        return f"takes the place of {named(kinds[0]).rstrip('123d')}"
    if not is_as_torch_has_it(kind):
        return "has methods that were exchanged, or hooks of all modules"
    return what_was_done(module)


def is_known_torch() -> bool:
    """Whether this torch has all that the runtime asks of it; if not, that is said once."""
    if MISSING:
        say_once(f"A net finds no {' and no '.join(MISSING)} in this torch")
    return not MISSING


_SAID: set[str] = set()


def say_once(what: str) -> None:
    """Warn that something runs as it is, and keeps what torch keeps; at the call of the net."""
    if what not in _SAID:
        _SAID.add(what)
        words = 'so it runs as torch runs it, and keeps as much memory (as with memory="off")'
        warnings.warn(f"{what[0].upper()}{what[1:]}, {words}", stacklevel=_level_of_call())


def _level_of_call() -> int:
    """How far above its caller the net is called: by the first line that is neither of torch nor in
    the files that lead to a `forward`."""
    files: set[str] = set()
    frame: Any = sys._getframe(1)
    level = 1
    inside = True
    while frame is not None:
        file = frame.f_code.co_filename
        if inside:
            files.add(file)
            inside = frame.f_code.co_name != "forward"
        elif file not in files and not file.startswith(_TORCH):
            break
        frame, level = frame.f_back, level + 1
    return level


_TORCH = str(Path(torch.__file__).parent)
