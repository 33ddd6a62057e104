"""A class to be, and its instances."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from archc.lowering.items import Body, ChainItem, FunctionItem, ModuleItem
from archc.lowering.modules import Module
from archc.lowering.optional import OptionalPart
from archc.lowering.parameters import PRESENT, Parameter, Place, Table


@dataclass
class Form:
    """A class to be: its body, its instances, its parameters, and how each slot is written."""

    id: int
    kind: Hashable
    """What forms must share to become one."""
    body: Body
    modules: list[Module] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    choices: list[OptionalPart] = field(default_factory=list)
    """What only some instances have; the first one has all."""
    table: Table = field(default_factory=Table)

    @property
    def parameters(self) -> list[Parameter]:
        return self.table.parameters

    @property
    def module(self) -> Module:
        return self.modules[0]

    def choice_at(self, position: int) -> OptionalPart | None:
        """The choice that an item belongs to."""
        return next((each for each in self.choices if position in each.positions), None)

    def labels_of(self, choice: OptionalPart) -> list[str]:
        """The children that only some instances have."""
        items = [self.body.items[position] for position in choice.positions]
        return [each.label[0] for each in items if isinstance(each, ModuleItem | ChainItem)]

    def word_of(self, choice: OptionalPart) -> str:
        """What they have, in a word: a child, or else an operator, as no child is called."""
        first = self.body.items[choice.positions.start]
        operator = first.op if isinstance(first, FunctionItem) else ""
        if (operator,) in self.module.owned:
            operator = f"has_{operator}"
        return next(iter(self.labels_of(choice)), operator)


def place_of(choice: OptionalPart) -> Place:
    """The slot of what says whether an instance has it."""
    return (choice.positions.start, PRESENT)
