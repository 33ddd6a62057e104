"""What the forward of a block says, read by running it on a value that notes what is done to it.

So the block's own text, as it stands or as somebody has edited it, is all that says what is
computed, and what runs in its place is derived from it. A text is read only if it does nothing but
apply layers and functions of torch, and as long as all that it depends on is `Unchanged`.
"""

from collections.abc import Mapping
from dis import get_instructions, hasname
from functools import cache
from operator import itemgetter
from types import CodeType, FunctionType
from typing import Any, Never

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.runtime.shadows import original, shadow_of
from archc.runtime.untouched import is_called_as_modules_are, methods_of, named, what_was_done

_MODULES: Mapping[str, Any] = {"torch": torch, "nn": nn, "F": F}
_FUNCTIONS = frozenset(("shares_storage", "dense_block"))
_WORDS = frozenset(
    [
        *("cat", "relu", "dropout", "index_select"),
        *("training", "children", "get_submodule"),
        *("range", "len", "enumerate", "zip", "reversed"),
    ]
)
"""What a text may mention, beside children and numbers of its own."""

_NUMBERS = frozenset((bool, int, float, str, tuple, range, type(None)))
_CONTAINERS = (nn.Sequential, nn.ModuleList)


class UnreadError(Exception):
    """A forward that does more than can be read."""


class Value:
    """A tensor of which nothing is known but how it was made: by a layer or a function of torch."""

    def __init__(self, maker: Any, operands: tuple[Any, ...] = (), **options: Any) -> None:
        self.maker, self.operands, self.options = maker, operands, options

    @classmethod
    def __torch_function__(
        cls, function: Any, _types: Any, args: tuple[Any, ...] = (), options: Any = None
    ) -> "Value":
        return cls(function, args, **(options or {}))

    def index_select(self, dim: int, index: Tensor) -> "Value":
        return Value(torch.index_select, (self, dim, index))

    def _is_unknown(self, *_: object) -> Never:
        raise UnreadError("depends on the numbers in a tensor")

    __bool__ = __eq__ = __ne__ = _is_unknown
    __hash__ = object.__hash__


class Unchanged:
    """What a block and all modules in it are now, and whether they still are that."""

    def __init__(self, block: nn.Module) -> None:
        _, *inner = block.modules()
        self.own = _State(block)
        self.inner = [(module, _State(module)) for module in inner]
        self.methods = {kind: methods_of(kind) for kind in map(type, (block, *inner))}

    def holds(self, block: nn.Module) -> bool:
        """Asked in each step, and so as quick as may be."""
        for kind, methods in self.methods.items():
            if methods_of(kind) != methods:
                return False
        for module, state in self.inner:
            if not state.is_that_of(module) or what_was_done(module) != state.done:
                return False
        return self.own.is_that_of(block)


class _State:
    """The class of a module, its children in their order, its numbers; the buffers of a block."""

    def __init__(self, module: nn.Module) -> None:
        numbers = dict(_numbers_of(module))
        self.kind, self.children = type(module), list(module._modules.items())
        self.done = what_was_done(module)
        self.buffers = {} if is_layer(module) else dict(module._buffers)
        self.read, self.numbers = (
            itemgetter(*numbers, "training"),
            (*numbers.values(), module.training),
        )

    def is_that_of(self, module: nn.Module) -> bool:
        if type(module) is not self.kind or list(module._modules.items()) != self.children:
            return False
        try:
            same = self.read(vars(module)) == self.numbers
        except KeyError:
            return False
        return same and all(module._buffers.get(name) is b for name, b in self.buffers.items())


def _numbers_of(module: nn.Module) -> tuple[Any, ...]:
    return tuple(pair for pair in vars(module).items() if type(pair[1]) in _NUMBERS)


def read(block: nn.Module) -> Value:
    """What the block's forward gives for one value. Raises UnreadError."""
    _, *inner = block.modules()
    for module in inner:
        done = what_was_done(module)
        if done is not None:
            raise UnreadError(f"{named(type(module))} in it {done}")
    for module in (block, *inner):
        if not is_layer(module):
            _check(module)
    if type(block).forward.__code__.co_argcount != 2:
        raise UnreadError("it takes more than a tensor")
    shadow = shadow_of(block, _kind_of_shadow)
    try:
        result = type(block).forward(shadow, Value(None))
    except Exception as problem:
        raise UnreadError(f"its forward cannot be read: {problem}") from problem
    if not isinstance(result, Value):
        raise UnreadError("it gives something else than a tensor")
    return result


def is_layer(module: nn.Module) -> bool:
    """Whether it is one of torch's layers, and not something whose forward calls others."""
    return type(module).__module__.startswith("torch.nn.") and type(module) not in _CONTAINERS


def _kind_of_shadow(module: nn.Module) -> type:
    kind: Any = type(module)
    return _recorder(kind) if is_layer(module) else kind


@cache
def _recorder(kind: type) -> type:
    """The class of a layer whose calls give values that tell of it."""

    def call(shadow: nn.Module, *args: Any, **options: Any) -> Value:
        return Value(original(shadow), args, **options)

    return type(kind.__name__, (kind,), {"__call__": call})


def _check(module: nn.Module) -> None:
    """Raise UnreadError where a forward may do more than apply layers to tensors."""
    kind = type(module)
    if not is_called_as_modules_are(kind):
        raise UnreadError(f"{named(kind)} in it is called in a way of its own")
    if kind in _CONTAINERS:
        return
    forward = kind.forward
    if (
        not isinstance(forward, FunctionType)
        or forward.__code__.co_freevars
        or forward.__defaults__
    ):
        raise UnreadError(f"the forward of {kind.__name__} is no plain function")
    own = {*dict(_numbers_of(module)), *module._modules, *module._buffers}
    for does, word in _names_in(forward.__code__):
        if does == "LOAD_GLOBAL":
            meant = forward.__globals__.get(word)
            known = word in _FUNCTIONS or (meant is None and word in _WORDS)
            known = known or (meant is not None and meant is _MODULES.get(word))
        else:
            known = does in ("LOAD_ATTR", "LOAD_METHOD") and word in _WORDS | own
        if not known:
            raise UnreadError(f"the forward of {kind.__name__} has `{word}`")


@cache
def _names_in(code: CodeType) -> list[tuple[str, str]]:
    """Globals and attributes in a text and in the expressions inside of it, with what is done to
    them."""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    names = [(i.opname, str(i.argval)) for i in get_instructions(code) if i.opcode in hasname]
    return names + [name for each in inner for name in _names_in(each)]
