"""Values that the backward pass builds again from what is kept anyway, instead of keeping them.

A value carries the recipe of its making. Under `Rebuilding`, autograd is given the recipe where it
would keep the value: the parts of a concatenation, the input of a batch norm and its activation.
The same operators run again on the same numbers, so gradients are those of the plain net, bit for
bit; and a value that has lost its recipe is kept, as always.
"""

from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

from archc.runtime.memory import memory_of
from archc.runtime.plain_modules import has_hooks, is_batch_norm


class Recipe:
    """How to make a value again: a function of operands, which may have recipes themselves."""

    def __init__(self, build: Callable[..., Tensor], operands: Iterable[Tensor]) -> None:
        self.build = build
        self.operands = [recipe_of(x) or (x.detach(), x._version) for x in operands]
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
        operands = []
        for each in self.operands:
            if isinstance(each, Recipe):
                operands.append(each.make())
                continue
            x, version = each
            if x._version != version:
                raise RuntimeError("a tensor that the backward pass needs was changed in place")
            operands.append(x)
        return self.build(*operands)


RECIPES: ContextVar[WeakTensorKeyDictionary | None] = ContextVar("recipes", default=None)
"""Those of the values that the running net has made; None where it runs as torch does."""


def recipe_of(x: Tensor) -> Recipe | None:
    """The recipe of a value, unless the value was changed in place since."""
    recipes = RECIPES.get()
    if recipes is None or x not in recipes:
        return None
    recipe: Recipe = recipes[x]
    return recipe if recipe.version == x._version else None


def set_recipe(x: Tensor, recipe: Recipe) -> None:
    """Say how a value that was just made is made again."""
    recipes = RECIPES.get()
    if recipes is not None:
        recipe.version = x._version
        recipes[x] = recipe


def _pack(x: Tensor) -> Tensor | Recipe:
    recipe = recipe_of(x)
    return _alone(x) if recipe is None else recipe.keep()


def _alone(x: Tensor) -> Tensor:
    """A value without the function that gave it: one that keeps its own result would never end."""
    return x if x.grad_fn is None else x.detach()


def _unpack(x: Tensor | Recipe) -> Tensor:
    return x.take() if isinstance(x, Recipe) else x


class Rebuilding:
    """Within it autograd keeps recipes in place of the values that have one.

    Nothing changes where `net.memory` is "off", while compiling, exporting or tracing, without
    gradients, within hooks of others that decide what is kept (`torch.utils.checkpoint`,
    `save_on_cpu`), and under the transforms of `torch.func`, which refuse such hooks.
    """

    def __init__(self, net: nn.Module) -> None:
        self.on = not torch.compiler.is_compiling() and memory_of(net) != "off"

    def __enter__(self) -> None:
        self.on = self.on and torch.is_grad_enabled() and not _is_watched()
        if self.on:
            self.hooks = torch.autograd.graph.saved_tensors_hooks(_pack, _unpack)
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


def _is_watched() -> bool:
    """Whether somebody else decides what the backward pass keeps, or records what runs."""
    if torch._C._is_tracing():
        return True
    return torch._C._autograd._top_saved_tensors_default_hooks(True) is not None


def concat(xs: Sequence[Tensor]) -> Tensor:
    """`torch.cat(xs, 1)`, which the backward pass finds in its parts."""
    y = torch.cat(tuple(xs), 1)
    if not torch.compiler.is_compiling() and RECIPES.get() is not None:
        set_recipe(y, Recipe(lambda *parts: torch.cat(parts, 1), xs))
    return y


class _Kept:
    """What the backward pass of an activation keeps: a value, or its recipe."""

    def __init__(self, saved: Tensor) -> None:
        self.saved: Tensor | Recipe = saved


def norm_act(
    x: Tensor, norm: nn.Module, act: Callable[[Tensor], Tensor] = torch.relu, keep: bool = False
) -> Tensor:
    """`act(norm(x))` of a batch norm, which the backward pass finds in `x`.

    With `keep` the result is kept, for many read it, but not what lies between.
    """
    z: Tensor = norm(x)
    if torch.compiler.is_compiling() or RECIPES.get() is None or not z.requires_grad:
        return act(z)
    between = _normalised(x, norm)
    if between is None:
        return act(z)
    kept: list[_Kept] = []

    def pack(saved: Tensor) -> _Kept:
        kept.append(_Kept(_alone(saved)))
        return kept[-1]

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda each: _unpack(each.saved)):
        y = act(z)
    normalise = between.build
    whole = Recipe(lambda *operands: act(normalise(*operands)), ())
    whole.operands = between.operands
    for each in kept:
        if _is_same(each.saved, z):
            each.saved = between.keep()
        elif not keep and _is_same(each.saved, y):
            each.saved = whole.keep()
    if not keep:
        set_recipe(y, whole)
    return y


def _is_same(a: Tensor | Recipe, b: Tensor) -> bool:
    """Whether they are one tensor. (A batch norm and an activation give whole tensors.)"""
    return isinstance(a, Tensor) and a.data_ptr() == b.data_ptr() and a.dtype == b.dtype


def pooled(x: Tensor, pool: nn.Module) -> Tensor:
    """`pool(x)`, which the backward pass finds in what `x` is made of."""
    y: Tensor = pool(x)
    if not torch.compiler.is_compiling() and recipe_of(x) is not None and not has_hooks(pool):
        set_recipe(y, Recipe(pool, [x]))
    return y


_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _normalised(x: Tensor, norm: nn.Module) -> Recipe | None:
    """What a batch norm makes of its input, by the batch's statistics or by its running ones.

    None for norms that do more: of other classes (`SyncBatchNorm`), or with hooks.
    """
    if not isinstance(norm, _NORMS) or not is_batch_norm(norm) or has_hooks(norm):
        return None
    eps, mean, var = norm.eps, norm.running_mean, norm.running_var
    affine = [norm.weight, norm.bias] if norm.affine else []
    running = [mean, var] if not norm.training and mean is not None and var is not None else []

    def build(x: Tensor, *rest: Tensor) -> Tensor:
        weight, bias = rest[:2] if affine else (None, None)
        mean, var = rest[-2:] if running else (None, None)
        return F.batch_norm(x, mean, var, weight, bias, not running, 0.0, eps)

    return Recipe(build, [x, *affine, *running])
