"""Modules as they are now, whatever is set on them later."""

from collections.abc import Callable

from torch import Tensor, nn


def shadow_of(
    module: nn.Module,
    kind_of: Callable[[nn.Module], type] = type,
    buffer_of: Callable[[Tensor], Tensor] = lambda buffer: buffer,
) -> nn.Module:
    """A module with all that this one has now, whose inner modules are shadows of the inner ones.

    What is set on either leaves the other alone. Its parameters are the module's own, and so are
    its buffers, unless `buffer_of` gives others. `kind_of` may give another class.
    """
    shadow: nn.Module = object.__new__(kind_of(module))
    state = {**vars(module), _ORIGINAL: module}
    state["_parameters"] = dict(module._parameters)
    buffers = module._buffers.items()
    state["_buffers"] = {name: each if each is None else buffer_of(each) for name, each in buffers}
    state["_modules"] = {
        name: None if child is None else shadow_of(child, kind_of, buffer_of)
        for name, child in module._modules.items()
    }
    object.__setattr__(shadow, "__dict__", state)
    return shadow


def frozen(act: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A function that stays what it is now, whatever is set on the module that it may be."""
    return shadow_of(act) if isinstance(act, nn.Module) else act


_ORIGINAL = "original module"
"""No attribute is called so."""


def original(shadow: nn.Module) -> nn.Module:
    module: nn.Module = vars(shadow)[_ORIGINAL]
    return module
