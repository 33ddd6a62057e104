"""The parameters of a class: which attributes differ between its instances, and what to call them.

Equal columns share a parameter; it is called after the block's hyperparameter where their values
agree; a column that is a multiple or a fraction of another in every instance is written as that.
"""

import builtins
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from archc.ir.names import RESERVED
from archc.lowering.values import (
    MEANINGFUL,
    Class,
    Symbol,
    Value,
    is_name,
    literal,
    multiple,
    progresses,
    total_of,
    typed,
)
from archc.program.tree import BinOp, Constant, Expr, Name, Subscript, Tuple, dotted, names


class Absent(Enum):
    """In the place of a value that an instance does not need."""

    VALUE = "absent"


ABSENT = Absent.VALUE

Place = tuple[Hashable, ...]
"""Where a slot stands in a form: an attribute's label or an item's position, and a name."""

COUNT, PRESENT = "for", "if"
"""The names of an item's slots that are no parameter of what it makes: how many a loop makes, and
whether an instance has the item. Keywords of Python, as no parameter is called."""


def parted(place: Place) -> tuple[Place, Hashable]:
    """What has a slot, inside however many `nn.Sequential`s, and the name of the slot there."""
    *outer, last = place
    if not isinstance(last, tuple):
        return tuple(outer), last
    inner, name = parted(last)
    return (*outer, inner), name


def _symbolic(value: Value) -> bool:
    return isinstance(value, Symbol) or (isinstance(value, tuple) and any(map(_symbolic, value)))


Kind = Literal["one", "sequence", "each"]
"""One value; a sequence that a child takes as it is; or a loop's values, one for each turn."""


@dataclass(frozen=True, slots=True)
class Column:
    """One attribute over all instances."""

    place: Place
    role: str
    values: tuple[Value | Absent, ...]
    kind: Kind = "one"
    terms: tuple[tuple[int, ...], ...] = ()
    """The widths that are concatenated into it, each over all instances."""

    @property
    def known(self) -> list[Value]:
        return [value for value in self.values if value is not ABSENT]

    @property
    def present(self) -> tuple[bool, ...]:
        return tuple(value is not ABSENT for value in self.values)

    @property
    def constant(self) -> bool:
        return len(set(map(typed, self.known))) == 1 and not _symbolic(self.known[0])

    def agrees(self, values: Sequence[Value]) -> bool:
        """Whether other values could stand in its place."""
        pairs = zip(self.values, values, strict=True)
        return all(a is ABSENT or typed(a) == typed(b) for a, b in pairs)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A constructor parameter of a class, and its value in each instance."""

    name: str
    values: tuple[Value, ...]
    many: bool
    default: Value | Absent = ABSENT
    """What it is where it is not given."""

    @property
    def default_code(self) -> Expr | None:
        return None if self.default is ABSENT else literal(self.default)

    @property
    def annotation(self) -> Expr:
        if not self.many:
            return _annotation(self.values)
        rows = [each for each in self.values if isinstance(each, tuple)]
        if all(map(progresses, rows)):
            return Name("range")
        return Subscript(Name("Sequence"), _annotation([value for row in rows for value in row]))


def _annotation(values: Sequence[Value]) -> Expr:
    """The types of values, one after the other; None comes last."""
    values = sorted(values, key=lambda value: value is None)
    kinds = tuple(dict.fromkeys(map(_type, values)))
    return kinds[0] if len(kinds) == 1 else BinOp("|", kinds)


def _type(value: Value) -> Expr:
    if isinstance(value, tuple):
        return Subscript(Name("tuple"), Tuple(tuple(map(_type, value))))
    if isinstance(value, Class):
        return Subscript(Name("type"), dotted("nn.Module"))
    if value is None:
        return Constant(None)
    return Name(type(value).__name__ if isinstance(value, bool | float | str) else "int")


@dataclass
class Table:
    """What was chosen for a form: its parameters, and how each slot is written."""

    parameters: list[Parameter] = field(default_factory=list)
    constants: dict[Place, Value] = field(default_factory=dict)
    """The slots that are the same in all instances."""
    computed: dict[Place, Expr] = field(default_factory=dict)
    """The others, as expressions of parameters."""
    many: set[Place] = field(default_factory=set)
    """The slots that hold one value for each turn of a loop."""


_ROLES = {
    "in_channels": "channels", "num_features": "channels", "in_features": "channels",
    "out_channels": "out", "out_features": "out", "kernel_size": "kernel", "count": "layers",
    "p": "rate",
}  # fmt: skip


_EXACT = frozenset(
    {
        "bias",
        "count",
        "dilation",
        "groups",
        "kernel",
        "kernel_size",
        "output_padding",
        "padding",
        "stride",
    }
)
"""What is no width: such numbers are a multiple of another one only by coincidence."""

_IMPLYING = {"groups": ("in_channels", "channels"), "padding": ("kernel_size", "kernel")}
"""What such a number may follow from: an attribute of its layer, or a parameter of its class."""

_SOURCES = frozenset({"in_channels", "num_features", "in_features", "channels"})


class Chooser:
    """Chooses the parameters of one form, and writes every slot in terms of them."""

    def __init__(
        self,
        table: Table,
        hyper: dict[str, tuple[Value, ...]],
        slots: list[Column],
        labels: set[str],
        *,
        root: bool,
    ) -> None:
        self.table = table
        self.hyper = hyper
        self.slots = slots
        self.root = root
        self.labels = labels

    def choose(self, choices: Sequence[Column]) -> None:
        """The slots, then the choices: columns that say which instances have something."""
        for slot in self.slots:
            if slot.constant or self.root:
                self.table.constants[slot.place] = slot.known[0]
        if self.root:
            return
        varying = [slot for slot in self.slots if not slot.constant]
        first = [slot for slot in varying if self._in_hyper(slot) or slot.role in _SOURCES]
        for slot in sorted([*first, *varying], key=lambda slot: not all(slot.present)):
            self._write(slot)
        for choice in choices:
            self.table.computed[choice.place] = Name(self._flag(choice))
        self.table.parameters.sort(key=lambda parameter: parameter.default is not ABSENT)

    def _in_hyper(self, slot: Column) -> bool:
        return any(map(slot.agrees, self.hyper.values()))

    def _write(self, slot: Column) -> None:
        if slot.place in self.table.computed:
            return
        found = self._implied(slot) or self._existing(slot) or self._sum(slot)
        found = found or self._derived(slot, self._chosen(slot))
        if found is None and not self._in_hyper(slot):
            found = self._derived(slot, self.hyper)
            if found is not None:
                (name,) = names(found)
                self._add(name, self.hyper[name], False)
        if found is None:
            found = self._new(slot)
        self.table.computed[slot.place] = found

    def _new(self, slot: Column) -> Expr:
        """A parameter for a slot. The instances that do not need it have the hyperparameter, or
        None; a second such parameter is for them what it is for the first that does."""
        whole = all(slot.present)
        known = next(filter(slot.agrees, self.hyper.values()), None)
        default: Value | Absent = 1 if slot.role == "stride" and 1 in slot.known else ABSENT
        guarded = any(self._is_guard(each, slot) for each in self.table.parameters)
        guards = slot.kind == "one" and all(slot.known) and not guarded
        if not whole and known is None and default is ABSENT and guards:
            default = None
        missing = slot.known[0] if default is ABSENT else default
        values = tuple(missing if value is ABSENT else value for value in slot.values)
        if not whole and known is not None:
            values = known
        return Name(self._add(self._name(slot), values, slot.kind != "one", default))

    def _is_guard(self, parameter: Parameter, slot: Column) -> bool:
        """Whether a parameter is None for the very instances that do not need a slot."""
        none = tuple(value is not None for value in parameter.values)
        return parameter.default is None and none == slot.present

    def _flag(self, choice: Column) -> str:
        """The parameter that says which instances have something: one that is 0.0, False or None
        for the others, else a new one."""
        for parameter in self.table.parameters:
            flags = all(isinstance(value, bool | float) for value in parameter.values)
            says = (flags and parameter.name in self.hyper) or parameter.default is None
            if says and tuple(map(bool, parameter.values)) == choice.values:
                return parameter.name
        usual = choice.known.count(True) > len(choice.values) // 2
        for name, values in self.hyper.items():
            if choice.agrees(values) and self._usable(name):
                return self._add(name, values, False, usual)
        taken = {parameter.name for parameter in self.table.parameters} | MEANINGFUL | RESERVED
        name = choice.role
        while name in taken or hasattr(builtins, name):
            name = f"has_{name}"
        return self._add(name, tuple(choice.known), False, usual)

    def _chosen(self, slot: Column) -> dict[str, tuple[Value, ...]]:
        return {p.name: p.values for p in self._given(slot) if not p.many}

    def _given(self, slot: Column) -> Iterator[Parameter]:
        """The parameters that have a value wherever a slot is needed, as a reader sees it."""
        for parameter in self.table.parameters:
            if parameter.default is not None or self._is_guard(parameter, slot):
                yield parameter

    def _existing(self, slot: Column) -> Expr | None:
        for parameter in self._given(slot):
            if slot.agrees(parameter.values) and parameter.many == (slot.kind != "one"):
                return Name(parameter.name)
        return None

    def _implied(self, slot: Column) -> Expr | None:
        """What the layer's other numbers imply: a group for each channel, padding of the kernel."""
        if slot.role not in _IMPLYING or slot.kind != "one":
            return None
        places = [_beside(slot.place, role) for role in _IMPLYING[slot.role]]
        source = next((other for other in self.slots if other.place in places), None)
        written = self.table.computed.get(source.place) if source else None
        if source is None or written is None:
            return None
        if slot.role == "groups":
            return written if slot.values == source.values else None
        odd = all(type(kernel) is int and kernel % 2 == 1 for kernel in source.known)
        if odd and slot.known == [k // 2 for k in source.known if type(k) is int]:
            return BinOp("//", (written, Constant(2)))
        return None

    def _sum(self, slot: Column) -> Expr | None:
        """The widths of what is concatenated, where each can be written."""
        totals = tuple(sum(widths) for widths in zip(*slot.terms, strict=True))
        if slot.role not in _SOURCES or slot.values != totals:
            return None
        counts: dict[Expr, int] = {}
        constant = 0
        for values in slot.terms:
            if len(set(values)) == 1:
                constant += values[0]
                continue
            part = Column(slot.place, slot.role, values)
            found = self._existing(part) or self._derived(part, self._chosen(part))
            if found is None or (isinstance(found, BinOp) and found.op != "*"):
                return None
            counts[found] = counts.get(found, 0) + 1
        terms = [multiple(n, code) for code, n in counts.items()]
        return total_of([*terms, *([Constant(constant)] if constant else [])])

    def _derived(self, slot: Column, bases: Mapping[str, tuple[Value, ...]]) -> Expr | None:
        """A multiple or a fraction of a base, or a fixed step above it, in every instance."""
        for name, values in bases.items():
            if len(set(values)) == 1:
                continue
            if slot.kind != "one" or slot.role in _EXACT:
                continue
            found = _ratio(name, values, slot.values)
            if found is not None and (bases is not self.hyper or self._usable(name)):
                return found
        return None

    def _name(self, slot: Column) -> str:
        plain = tuple(value.base if isinstance(value, Symbol) else value for value in slot.values)
        for name, values in self.hyper.items():
            if Column(slot.place, slot.role, plain).agrees(values) and self._usable(name):
                return name
        role = _ROLES.get(slot.role, slot.role)
        if self._usable(role):
            return role
        label = slot.place[0]
        if isinstance(label, tuple) and label and isinstance(label[-1], str):
            word = f"{label[-1]}_{role}"
            if self._usable(word):
                return word
        number = 2
        while not self._usable(f"{role}{number}"):
            number += 1
        return f"{role}{number}"

    def _usable(self, name: str) -> bool:
        """Whether a parameter may have a name: as an attribute, too, for `forward` may need it."""
        taken = {parameter.name for parameter in self.table.parameters} | self.labels
        free = is_name(name) and name not in taken and not name.startswith("__")
        return free and name not in RESERVED and name not in MEANINGFUL

    def _add(
        self, name: str, values: tuple[Value, ...], many: bool, default: Value | Absent = ABSENT
    ) -> str:
        self.table.parameters.append(Parameter(name, values, many, default))
        return name


def _beside(place: Place, name: str) -> Place:
    """Another attribute of the same layer."""
    *outer, last = place
    return (*outer, _beside(last, name) if isinstance(last, tuple) else name)


def _ratio(name: str, base: tuple[Value, ...], values: tuple[Value | Absent, ...]) -> Expr | None:
    pairs = [pair for pair in zip(base, values, strict=True) if pair[1] is not ABSENT]
    if not all(type(a) is int and type(b) is int and a > 0 and b > 0 for a, b in pairs):
        return None
    whole = [(a, b) for a, b in pairs if isinstance(a, int) and isinstance(b, int)]
    first_base, first = whole[0]
    factor, divisor = first // first_base, first_base // first
    if factor > 1 and all(b == factor * a for a, b in whole):
        return multiple(factor, Name(name))
    if divisor > 1 and all(a == divisor * b for a, b in whole):
        return BinOp("//", (Name(name), Constant(divisor)))
    if first > first_base and all(b - a == first - first_base for a, b in whole):
        return BinOp("+", (Name(name), Constant(first - first_base)))
    return None
