"""What goes on around a net that runs. Torch tells of some of it by private functions only: this is
the one place that calls them."""

from typing import Any

import torch


def is_traced() -> bool:
    """Whether `torch.jit.trace` records what runs."""
    if torch.compiler.is_compiling():
        return False
    jit: Any = torch.jit  # has no types
    return bool(jit.is_tracing())


def is_transformed() -> bool:
    """Whether a transform of `torch.func` is at work: grad, vmap, jvp, ..."""
    return bool(torch._C._are_functorch_transforms_active())


def saving_hooks() -> tuple[Any, Any] | None:
    """The `saved_tensors_hooks`, pack and unpack, that autograd calls now: the innermost ones."""
    hooks: tuple[Any, Any] | None = torch._C._autograd._top_saved_tensors_default_hooks(True)
    return hooks
