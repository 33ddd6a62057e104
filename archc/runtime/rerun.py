"""Blocks in a row that the backward pass runs again, each from its input."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from archc.runtime.recipes import RECIPES, rebuilds
from archc.runtime.shadows import shadow_of
from archc.runtime.surroundings import shielded
from archc.runtime.untouched import (
    is_as_torch_has_it,
    is_called_as_modules_are,
    named,
    say_once,
    what_was_done,
)


def rerun(blocks: nn.Module | Iterable[nn.Module], x: Tensor) -> Tensor:
    """`x` through blocks in a row, of which the backward pass keeps the inputs: it runs each again,
    as it was. Running statistics move once, in the forward pass.

    `blocks` are called one by one, or as the `nn.Sequential` that they are. A block with a hook, or
    with layers that are not torch's, runs once and keeps what torch keeps.
    """
    if isinstance(blocks, nn.Module) and not isinstance(blocks, nn.ModuleList):
        blocks = blocks.children() if _is_a_row(blocks) else [blocks]
    if not rebuilds(x):
        for block in blocks:
            x = block(x)
        return x
    token = RECIPES.set(None)
    try:
        for block in blocks:
            x = _rerun_block(block, x)
    finally:
        RECIPES.reset(token)
    return x


def _is_a_row(module: nn.Module) -> bool:
    kind = type(module)
    plain = kind.forward is nn.Sequential.forward and is_called_as_modules_are(kind)
    return plain and what_was_done(module) is None


def _rerun_block(block: nn.Module, x: Tensor) -> Tensor:
    reason = _why_once(block)
    result: Tensor
    if reason is None:
        result = checkpoint(_AsItWas(block, x), x, use_reentrant=False)
    else:
        say_once(f"{named(type(block))} is not run again for the backward pass: {reason}")
        result = block(x)
    return result


def _why_once(block: nn.Module) -> str | None:
    """What in a block nobody may call a second time, since it may do more than give its result."""
    for module in block.modules():
        kind = type(module)
        done = what_was_done(module)
        if done is not None:
            return f"{named(kind)} in it {done}"
        written = kind.__module__ == type(block).__module__ or kind.__module__.startswith(_RUNTIME)
        if written and is_called_as_modules_are(kind):
            continue
        if not (kind.__module__.startswith("torch.nn.modules.") and is_as_torch_has_it(kind)):
            return f"{named(kind)} in it is not torch's"
    return None


_RUNTIME = "archc.runtime."
"""Where what the compiler wrote is, where it is not in the block's own file."""


class _AsItWas:
    """A block; and, from the second call on, the block and its input as they were at the first."""

    def __init__(self, block: nn.Module, x: Tensor) -> None:
        self.block = block
        self.x = shielded(x.detach())
        self.was: nn.Module | None = None

    def __call__(self, x: Tensor) -> Tensor:
        if self.was is not None:
            leaf = self.x.detach().requires_grad_(x.requires_grad)
            again: Tensor = shadow_of(self.was, buffer_of=shielded)(shielded(leaf))
            return again
        result: Tensor = self.block(x)
        self.was = shadow_of(self.block, buffer_of=shielded)
        return result
