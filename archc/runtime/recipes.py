"""Recipes: how the backward pass makes values again from what is kept anyway.

A value carries the recipe of its making. Under `Rebuilding`, autograd is given the recipe where it
would keep the value. The same functions run again on the same numbers, so a value is the same bit
for bit; one that has lost its recipe is kept, as always.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from archc.runtime.memory import memory_of
from archc.runtime.surroundings import is_forward_mode, is_traced, saving_hooks
from archc.runtime.untouched import is_known_torch


class Kept(NamedTuple):
    """A value that is kept itself, and its version then."""

    value: Tensor
    version: int

    def make(self) -> Tensor:
        if self.value._version != self.version:
            raise RuntimeError("a tensor that the backward pass needs was changed in place")
        return self.value


class Recipe:
    """How to make a value again: a function of operands, which may have recipes themselves."""

    def __init__(self, build: Callable[..., Tensor], operands: Iterable[Tensor]) -> None:
        self.build = build
        self.operands = [recipe_of(x) or kept(x) for x in operands]
        self.version = 0
        self.uses = self.left = 0
        self.value: Tensor | None = None

    def keep(self) -> "Recipe":
        """Itself, for one more use in the backward pass."""
        self.uses = self.left = self.uses + 1
        return self

    def take(self) -> Tensor:
        """The value for one use. Two uses follow each other closely: it is made once for both."""
        value = self.make() if self.value is None else self.value
        self.left = self.left - 1 or self.uses
        self.value = value if self.uses == 2 and self.left == 1 else None
        return value

    def make(self) -> Tensor:
        """The value, made again."""
        return self.build(*(operand.make() for operand in self.operands))


RECIPES: ContextVar[WeakTensorKeyDictionary | None] = ContextVar("recipes", default=None)
"""Those of the values that the running net has made; None where it runs as torch does."""


def rebuilds(x: Tensor) -> bool:
    """Whether a value that was just made may have a recipe: in a net that runs with `Rebuilding`.

    Not where others decide what is kept, as in a part that `torch.utils.checkpoint` will run again,
    nor where torch.fx traces, which has no tensors.
    """
    if torch.compiler.is_compiling() or RECIPES.get() is None or not isinstance(x, Tensor):
        return False
    hooks = saving_hooks()
    return hooks is not None and hooks[0] is _pack


def recipe_of(x: Tensor) -> Recipe | None:
    """The recipe of a value, unless the value was changed in place since."""
    recipes = RECIPES.get()
    if recipes is None or x not in recipes:
        return None
    recipe: Recipe = recipes[x]
    return recipe if recipe.version == x._version else None


def set_recipe(x: Tensor, recipe: Recipe) -> None:
    """Say how a value that `rebuilds` was just made."""
    recipes = RECIPES.get()
    if recipes is not None:
        recipe.version = x._version
        recipes[x] = recipe


def _pack(x: Tensor) -> Kept | Recipe:
    recipe = recipe_of(x)
    return kept(x) if recipe is None else recipe.keep()


def kept(x: Tensor) -> Kept:
    """A value without the function that gave it: one that keeps its own result would never end."""
    return Kept(x if x.grad_fn is None else x.detach(), x._version)


def unpack(x: Kept | Recipe) -> Tensor:
    """What autograd kept, made again if need be."""
    return x.take() if isinstance(x, Recipe) else x.make()


class Rebuilding:
    """Within it autograd keeps recipes in place of the values that have one.

    Nothing changes where the net's mode is "off", in evaluation, while compiling, exporting or
    tracing, without gradients, in forward-mode differentiation, within hooks of others that decide
    what is kept (`torch.utils.checkpoint`, `save_on_cpu`), and under the transforms of
    `torch.func`, which refuse such hooks.
    """

    def __init__(self, net: nn.Module) -> None:
        self.on = not torch.compiler.is_compiling() and net.training and memory_of(net) != "off"

    def __enter__(self) -> None:
        self.on = self.on and torch.is_grad_enabled() and saving_hooks() is None
        self.on = self.on and not is_traced() and not is_forward_mode() and is_known_torch()
        if self.on:
            self.hooks = torch.autograd.graph.saved_tensors_hooks(_pack, unpack)
            try:
                self.hooks.__enter__()
            except RuntimeError:
                self.on = False
            else:
                self.before = RECIPES.set(WeakTensorKeyDictionary())

    def __exit__(self, *error: object) -> None:
        if self.on:
            RECIPES.reset(self.before)
            self.hooks.__exit__(*error)
