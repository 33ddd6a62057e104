"""Which modules are `nn.Sequential`s, or a class derived from it."""

from collections.abc import Sequence

from archc.ir.graph import Path
from archc.lowering.items import (
    Body,
    ChainItem,
    FunctionItem,
    Item,
    LoopItem,
    ModuleItem,
    operands_of,
    results_of,
)
from archc.lowering.modules import Member, Module, Operand
from archc.program.tree import Call

_METHODS = frozenset({"append", "extend", "insert", "pop"})
"""What an `nn.Sequential` has beside a module."""


def is_chain(module: Module, body: Body) -> bool:
    """Whether a scope is `nn.Sequential`."""
    scope = module.region.block is None and len(module.applications) == 1 and module.path
    return bool(scope) and is_numbered(module, body) and is_row(module, body)


def is_row(module: Module, body: Body) -> bool:
    """Whether a module does as `nn.Sequential` does: all that it owns in a row, one value in and
    out, in the order of making or of numbers."""
    if body.inputs != 1:
        return False
    called: list[Path] = []
    value = 0
    for item in body.items:
        results = results_of(item)
        plain = isinstance(item, LoopItem | ChainItem) or (
            isinstance(item, ModuleItem)
            and (item.rerun or item.code == Call(Member(item.label), (Operand(0),)))
            and not (item.passing or item.external)
        )
        if not plain or operands_of(item) != (value,) or len(results) != 1:
            return False
        called += _constructed(item)
        (value,) = results
    owned = sorted(module.owned, key=module.owned.__getitem__)
    in_order = called == owned or is_numbered(module, body)
    all_once = bool(called) and sorted(called) == sorted(owned)
    free = all(len(label) == 1 and label[0] not in _METHODS for label in called)
    return body.outputs == (value,) and in_order and all_once and free


def is_numbered(module: Module, body: Body) -> bool:
    """Whether what a module owns is called 0, 1, 2, ... in the order of its first calls."""
    labels = dict.fromkeys(label for item in body.items for label in _constructed(item))
    owned = len(module.owned)
    return owned > 0 and list(labels) == [(str(i),) for i in range(owned)]


def _constructed(item: Item) -> Sequence[Path]:
    """The modules that an item calls, if this module constructs them."""
    if isinstance(item, LoopItem):
        return item.children
    if isinstance(item, FunctionItem) or (isinstance(item, ModuleItem) and item.external):
        return ()
    learned = isinstance(item, ModuleItem) and item.module is not None and item.module.parameter
    return () if learned else (item.label,)
