"""Bodies that differ by what one of them does without: an optional child, a sum, an activation.

The smaller body is laid along the larger one, item by item; what it lacks there is absent, and a
value stands in the place of its result: `identity` for that of a projection, `y` for `x + y`. The
items that only some instances have, and that are computed one inside of the other, are one choice.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from archc.lowering.items import (
    Body,
    ChainItem,
    FunctionItem,
    Item,
    LoopItem,
    ModuleItem,
    layer_key,
    operands_of,
    renumbered,
    results_of,
)
from archc.lowering.values import is_name
from archc.ops.activation import Elementwise
from archc.ops.op import Op
from archc.ops.registry import OPS


@dataclass(frozen=True, slots=True)
class OptionalPart:
    """Items in a row that some instances of a form do without."""

    positions: range
    present: tuple[bool, ...]
    """For each instance, whether it has them."""
    instead: int | None
    """The value that is read in the place of their result by those that have them not."""


def choices_of(bodies: Sequence[Body]) -> list[OptionalPart] | None:
    """The choices of a form, whose first body has all items. None if something reads a value that
    only some instances compute, and no single other value stands in its place."""
    first = bodies[0]
    read = [operand for item in first.items for operand in operands_of(item)] + [*first.outputs]
    found: list[OptionalPart] = []
    inner = -1
    for position, item in enumerate(first.items):
        result = results_of(item)[-1]
        present = tuple(result not in body.absent for body in bodies)
        if all(present):
            continue
        if isinstance(item, LoopItem) and not all(_is_single(b.items[position]) for b in bodies):
            return None
        given = {body.absent[result] for body in bodies if result in body.absent} - {None}
        instead = given.pop() if len(given) == 1 else None
        start = position
        last = found[-1] if found else None
        follows = last and last.present == present and last.positions.stop == position
        if last and follows and inner in operands_of(item) and read.count(inner) == 1:
            start = found.pop().positions.start
            instead = last.instead if instead == inner else instead
        inner = result
        found.append(OptionalPart(range(start, position + 1), present, instead))
    return None if any(each.instead is None for each in found) else found


def _is_single(item: Item) -> bool:
    """Whether a loop has one turn, and so is written as a call."""
    return isinstance(item, LoopItem) and len(item.children) == 1


def along(larger: Body, smaller: Body, same: Mapping[int, int]) -> Mapping[int, int | None] | None:
    """The results of the larger body that the smaller one lacks, with the values that it reads in
    their place, None where it reads nothing; None if it is not the larger body without some items.

    `same` has for each form the one that it is a part of.
    """
    if smaller.inputs != larger.inputs or len(smaller.outputs) != len(larger.outputs):
        return None
    numbers = {value: value for value in range(larger.inputs)}
    laid = _Laid(larger)
    rest = list(reversed(smaller.items))
    for item in larger.items:
        mine = rest[-1] if rest else None
        reads = [] if mine is None else [numbers[operand] for operand in operands_of(mine)]
        if (
            mine
            and shape_of(mine, same) == shape_of(item, same)
            and laid.bind(operands_of(item), reads)
        ):
            numbers |= zip(results_of(mine), results_of(item), strict=True)
            rest.pop()
        elif laid.is_optional(item):
            laid.absent[results_of(item)[0]] = None
        else:
            return None
    given = [] if rest else [numbers[output] for output in smaller.outputs]
    return laid.absent if given and laid.bind(larger.outputs, given) else None


class _Laid:
    """What is known of a smaller body while it is laid along a larger one."""

    def __init__(self, larger: Body) -> None:
        items = larger.items
        self.absent: dict[int, int | None] = {}
        self.order = {result: i for i, item in enumerate(items) for result in results_of(item)}
        self.labels = [each.label for each in items if isinstance(each, ModuleItem | ChainItem)]
        self.made = {results_of(item)[0]: operands_of(item) for item in items}

    def is_optional(self, item: Item) -> bool:
        """Whether an item may be absent: an operator, or a child that is called here alone."""
        match item:
            case FunctionItem():
                return True
            case LoopItem(container=(), rerun=False, results=(_,)):
                return len(item.children) == 1
            case ModuleItem(external=False, passing=False, results=(_,)) | ChainItem():
                label, layer = item.label, isinstance(item, ModuleItem) and item.module
                alone = len(label) == 1 and self.labels.count(label) == 1
                return alone and is_name(label[0]) and not (layer and layer.parameter)
        return False

    def bind(self, wanted: Sequence[int], given: Sequence[int]) -> bool:
        """Whether what is read are the wanted values, or stands for those that are absent."""
        bound = dict(self.absent)
        for value, instead in zip(wanted, given, strict=True):
            if value == instead:
                continue
            for each, stand_in in self._passed(value, instead):
                before = self.order.get(stand_in, -1) < self.order.get(each, -1)
                if each not in bound or not before or bound[each] not in {None, stand_in}:
                    return False
                bound[each] = stand_in
        self.absent = bound
        return True

    def _passed(self, value: int, instead: int) -> list[tuple[int, int]]:
        """What stands for an absent value, through those in a row that are absent, too."""
        chain = []
        below = value
        while below in self.absent and below != instead and len(self.made[below]) == 1:
            (operand,) = self.made[below]
            chain.append((below, operand))
            below = operand
        return chain if below == instead else [(value, instead)]


def laid_along(larger: Body, smaller: Body, absent: Mapping[int, int | None]) -> Body:
    """The smaller body with the items and the numbers of the larger one."""
    mine = iter(smaller.items)
    items: list[Item] = []
    values = dict(enumerate(smaller.values[: smaller.inputs]))
    for item in larger.items:
        results = results_of(item)
        if results[0] in absent:
            instead = absent[results[0]]
            values[results[0]] = smaller.values[0] if instead is None else values[instead]
            items.append(item)
            continue
        own = next(mine)
        nodes = (smaller.values[result] for result in results_of(own))
        values |= zip(results, nodes, strict=True)
        items.append(renumbered(own, operands_of(item), results))
    in_order = tuple(values[number] for number in range(len(values)))
    return Body(tuple(items), larger.inputs, larger.outputs, in_order, absent)


# -------------------------------------------------------------------- shapes


def shape_of(item: Item, same: Mapping[int, int]) -> Hashable:
    """What two items share that are the same step of one class, but for what they read."""
    match item:
        case FunctionItem():
            return (item.code, tuple(arg.name for arg in item.args))
        case ModuleItem():
            how = (item.external, item.passing, item.rerun, len(item.results))
            return (item.code, item.label, _callee(item, same), *how)
        case LoopItem():
            place = (item.container, item.prefix, item.start)
            return (*place, same[item.form], item.rerun, len(item.results))
        case ChainItem():
            inner = ((shape_of(each, same), operands_of(each)) for each in item.body.items)
            return (item.label, item.rerun, tuple(inner))


def _callee(item: ModuleItem, same: Mapping[int, int]) -> Hashable:
    if item.form is not None:
        return same[item.form]
    assert item.module is not None
    return Elementwise if is_activation(item) else layer_key(item.module)


def is_activation(item: ModuleItem) -> bool:
    """Whether a layer is made by its class alone, and may be another such in other instances."""
    plain = item.module is not None and not item.module.args
    return plain and issubclass(OPS.get(item.op, Op), Elementwise)
