"""What goes on around a net that runs. Torch tells of some of it by private functions only: this is
the one place that looks them up, once. Where a torch has one of them no more, nets run plainly."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

MISSING: list[str] = []
"""The private functions that this torch lacks."""


def _private(path: str, otherwise: Any) -> Any:
    """What is not public in torch; `otherwise` is what to do without it."""
    try:
        return attrgetter(path)(torch)
    except AttributeError:
        MISSING.append(f"torch.{path}")
        return otherwise


_transforms = _private("_C._are_functorch_transforms_active", lambda: True)
_saving_hooks = _private("_C._autograd._top_saved_tensors_default_hooks", lambda _: None)
_global_hooks = _private("nn.modules.module._has_any_global_hook", lambda: True)
_lazy_clone = _private("_lazy_clone", torch.clone)
_LEVEL = _private("autograd.forward_ad._current_level", -1)
CALL = _private("nn.Module._call_impl", nn.Module.__call__)
"""What the call of a module runs."""


def is_traced() -> bool:
    """Whether `torch.jit.trace` records what runs."""
    if torch.compiler.is_compiling():
        return False
    jit: Any = torch.jit  # has no types
    return bool(jit.is_tracing())


def is_transformed() -> bool:
    """Whether a transform of `torch.func` is at work: grad, vmap, jvp, ..."""
    return bool(_transforms())


def is_forward_mode() -> bool:
    """Whether forward-mode differentiation is at work."""
    level: int = getattr(forward_ad, "_current_level", _LEVEL)
    return level >= 0


def has_global_hooks() -> bool:
    """Whether the call of any module does more than its class says."""
    return bool(_global_hooks())


def saving_hooks() -> tuple[Any, Any] | None:
    """The `saved_tensors_hooks`, pack and unpack, that autograd calls now: the innermost ones."""
    hooks: tuple[Any, Any] | None = _saving_hooks(True)
    return hooks


def constant(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that torch.compile calls where it traces, for a result that it takes as it is.

    (The public `torch.compiler.assume_constant_result` does this, and imports the whole compiler.)
    """
    vars(function)["_dynamo_marked_constant"] = True
    return function


def shielded(x: Tensor) -> Tensor:
    """x in memory that is its own as soon as somebody writes into either; until then it is x's.

    So what a backward pass will read outlasts writes in place, as a result of `torch.cat` outlasts
    those into its operands. Torch itself notices writes into parameters; memory that torch did not
    take, or that `torch.load` has filled (which it cannot part again: it would crash), is copied.
    A kernel that asks for memory to write although it only reads makes the copy, too (on a CPU,
    small 1x1 convolutions on one thread).
    """
    if type(x) is not Tensor:
        return x
    if not x.untyped_storage().resizable():
        return x.clone()
    try:
        result: Tensor = _lazy_clone(x)
    except RuntimeError:
        return x.clone()
    return result
