"""Which modules are `nn.Sequential`s, or a class derived from it: children 0, 1, 2, ..."""

from collections.abc import Sequence

from archc.codegen.items import (
    Attribute,
    Body,
    Chain,
    Function,
    Item,
    Loop,
    operands_of,
    results_of,
)
from archc.codegen.modules import Module
from archc.ir.graph import Path


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
        if isinstance(item, Loop):
            fits = not item.prefix and not item.container and item.start == expected
            count = len(item.children)
        elif isinstance(item, Attribute):
            layer = item.module
            plain = layer is None or not (layer.before or layer.suffix or layer.parameter)
            fits = item.label == (str(expected),) and plain and not item.passed
            count = 1
        elif isinstance(item, Chain):
            fits, count = item.label == (str(expected),), 1
        else:
            return False
        results = results_of(item)
        if not fits or operands_of(item) != (value,) or len(results) != 1:
            return False
        (value,), expected = results, expected + count
    owned = len(module.layers) + len(module.children)
    return expected == owned and expected > 0


def is_numbered(module: Module, body: Body) -> bool:
    """Whether what a module owns is called 0, 1, 2, ... in the order of its first calls."""
    labels = dict.fromkeys(label for item in body.items for label in _constructed(item))
    owned = len(module.layers) + len(module.children)
    return owned > 0 and list(labels) == [(str(i),) for i in range(owned)]


def _constructed(item: Item) -> Sequence[Path]:
    """The modules that an item calls, if this module constructs them."""
    if isinstance(item, Loop):
        return item.children
    if isinstance(item, Function) or (isinstance(item, Attribute) and item.external):
        return ()
    learned = isinstance(item, Attribute) and item.module is not None and item.module.parameter
    return () if learned else (item.label,)
