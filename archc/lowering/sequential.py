"""Which modules are `nn.Sequential`s, or a class derived from it: children 0, 1, 2, ..."""

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


def is_chain(module: Module, body: Body) -> bool:
    """Whether a scope is `nn.Sequential`."""
    scope = module.region.block is None and len(module.applications) == 1 and module.path
    return bool(scope) and is_row(module, body)


def is_row(module: Module, body: Body) -> bool:
    """Whether a module does as `nn.Sequential` does: children 0, 1, 2, ... in a row, one value in
    and out."""
    if body.inputs != 1 or body.outputs != (len(body.values) - 1,):
        return False
    expected = 0
    value = 0
    for item in body.items:
        if isinstance(item, LoopItem):
            fits = not item.prefix and not item.container and item.start == expected
            count = len(item.children)
        elif isinstance(item, ModuleItem):
            plain = item.rerun or item.code == Call(Member(item.label), (Operand(0),))
            fits = item.label == (str(expected),) and plain and not item.passing
            count = 1
        elif isinstance(item, ChainItem):
            fits, count = item.label == (str(expected),), 1
        else:
            return False
        results = results_of(item)
        if not fits or operands_of(item) != (value,) or len(results) != 1:
            return False
        (value,), expected = results, expected + count
    return expected == len(module.owned) and expected > 0


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
