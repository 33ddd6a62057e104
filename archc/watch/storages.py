"""The storages of a run, followed from the operator that makes each to its end."""

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._prims_common import is_non_overlapping_and_dense_or_false
from torch.utils._python_dispatch import TorchDispatchMode

from archc.watch.places import Places, function_number, is_made_again

aten = torch.ops.aten
_UPDATE_STATISTICS = aten.batch_norm_update_stats.default
_WITH_MOMENTS = {aten.native_layer_norm.default, aten.native_group_norm.default}
"""What gives the mean and the deviation besides, which an inference frees inside."""
_EMPTY = {"empty", "new_empty", "empty_like"}


@dataclass(slots=True, eq=False)
class Life:
    """A storage: what made it, where, when it lived, and what read it."""

    bytes: int
    shape: tuple[int, ...]
    dtype: str
    operator: str
    module: str
    """The innermost module that ran; in the backward pass, that whose operator it was at."""
    layer: str
    """That whose weights were read last."""
    first: int
    function: int
    """The number of the function of autograd that made it, in the backward pass."""
    again: bool
    """Whether it is made in the backward pass as it was in the forward pass."""
    last: int = -1
    passed_on: bool = False
    """Whether it outlived the function of autograd that made it."""
    output: bool = False
    reader: str = ""
    """The module that read it last."""
    needed_by: dict[str, None] = field(default_factory=dict)
    """The modules whose backward pass reads it."""

    @property
    def region(self) -> str:
        """The path of the layer that it is of, if that is in the module or, of what is made again,
        beside it; else that of the module."""
        around, beside = self.layer.rpartition(".")[0], self.module.rpartition(".")[0]
        inside = around == self.module or (
            self.module and f"{around}.".startswith(f"{self.module}.")
        )
        return self.layer if inside or (self.again and around == beside) else self.module


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types for it
    """Follows the storages that operators make, parameters, buffers and inputs apart.

    It stands above a FakeTensorMode: what it knows of memory it knows from sizes.
    """

    def __init__(self, net: nn.Module, inputs: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        weights = [*net.named_parameters(), *net.named_buffers()]
        grads = [p.grad for p in net.parameters() if p.grad is not None]
        apart = [*inputs, *grads, *(weight for _, weight in weights)]
        self.apart = {_key(tensor) for tensor in apart}
        self.layers = {_key(weight): name.rpartition(".")[0] for name, weight in weights}
        self.places = Places(net)
        self.backward = False
        self.step = -1
        self.layer = ""
        self.lives: list[Life] = []
        self.live: dict[int, tuple[Life, Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "prim":  # asks for a property of a tensor
            return func(*args, **(kwargs or {}))
        if func is aten.is_set_to.default:  # torch has it for tensors with data only
            return _key(args[0]) == _key(args[1])
        self.step += 1
        if func is aten.add.Tensor and self.backward and _adds_in_place(*args):
            return args[0]
        place = self.places.backward() if self.backward else self.places.forward()
        kwargs = kwargs or {}
        self._note(_tensors((*args, *kwargs.values())), place)
        written = _written(func)
        if written is not None:  # makes nothing, so that it need not run
            if func is aten.copy_.default:
                self._fill(*args[:2])
            return kwargs[written] if isinstance(written, str) else args[written]
        out = _moments(*args) if func is _UPDATE_STATISTICS else func(*args, **kwargs)
        inner = func in _WITH_MOMENTS and not torch.is_grad_enabled()
        for each in _tensors(out[:1] if inner else (out,)):
            self.born(each, func.overloadpacket.__name__, place)
        return out

    def born(self, tensor: Tensor, operator: str, place: str) -> None:
        """Follow the storage of a tensor, unless it is an old one."""
        key = _key(tensor)
        if key in self.live or key in self.apart or tensor.device.type == "meta":
            return
        storage = tensor.untyped_storage()
        life = Life(
            storage.nbytes(),
            tuple(tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
            operator,
            place,
            "" if operator in _EMPTY else self.layer,
            self.step,
            function_number() if self.backward else -1,
            self.backward and is_made_again(operator),
        )
        self.lives.append(life)
        self.live[key] = life, weakref.ref(storage, lambda _: self._dies(key))

    def _dies(self, key: int) -> None:
        life, _ = self.live.pop(key)
        life.last = self.step
        life.passed_on = self.backward and life.function != function_number()

    def _note(self, read: Iterable[Tensor], place: str) -> None:
        for key in map(_key, read):
            if key in self.layers:
                self.layer = self.layers[key]
            elif key in self.live:
                life, _ = self.live[key]
                life.reader = place
                if self.backward:
                    life.needed_by[place] = None

    def _fill(self, target: Tensor, source: Tensor) -> None:
        """What was made empty is of the layer that fills it: of the module, if several do."""
        if _key(target) not in self.live or _key(source) not in self.live:
            return
        filled, by = self.live[_key(target)][0], self.live[_key(source)][0]
        if filled.operator not in _EMPTY:
            return
        filled.again |= by.again
        if not self.backward:
            filled.layer = by.layer if filled.layer in ("", by.layer) else filled.module

    def mark(self, outputs: Iterable[Tensor]) -> None:
        """Note which storages the net gives."""
        for key in map(_key, outputs):
            if key in self.live:
                self.live[key][0].output = True

    def end(self) -> None:
        """What still lives does so to the last step."""
        for life, _ in self.live.values():
            life.last = self.step


@cache
def _written(func: Any) -> int | str | None:
    """The argument that an operator writes to and gives, if it does nothing else: its position or,
    of one that is given by its name, that."""
    schema, views = func._schema, torch.Tag.inplace_view in func.tags
    aliases = [(i, each) for i, each in enumerate(schema.arguments) if each.is_write]
    if views or len(schema.returns) != 1 or len(aliases) != 1 or schema.name in _RESIZING:
        return None
    info = schema.returns[0].alias_info
    if info is None or not info.is_write:
        return None
    ((position, argument),) = aliases
    return argument.name if argument.kwarg_only else position


_RESIZING = {"aten::resize_", "aten::resize_as_", "aten::set_"}


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among values and in lists of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _key(tensor: Tensor) -> int:
    key: int = tensor.untyped_storage()._cdata
    return key


def _adds_in_place(old: Tensor, new: Any, **_: Any) -> bool:
    """Whether the engine would add a gradient to an earlier one in place, as it does not beneath a
    mode: where nothing else holds that one (`can_accumulate_inplace` in input_buffer.cpp)."""
    uses = getattr(old, "_use_count")()  # noqa: B009 -- torch has no type for it
    return (
        isinstance(new, Tensor)
        and not torch.is_grad_enabled()
        and old.shape == new.shape
        and old.dtype == new.dtype
        and uses == _USES
        and torch._C._storage_Use_Count(_key(old)) == _STORAGE_USES
        and is_non_overlapping_and_dense_or_false(old)
    )


_USES, _STORAGE_USES = 4, 2
"""The counts of a tensor that the engine alone holds, while the watch looks at it."""


def _moments(x: Tensor, running: Tensor | None, *_: Any) -> tuple[Tensor, Tensor]:
    """As the results of `batch_norm_update_stats`, which torch has for tensors with data only."""
    dtype = x.dtype if running is None else running.dtype
    return x.new_empty(x.shape[1], dtype=dtype), x.new_empty(x.shape[1], dtype=dtype)
