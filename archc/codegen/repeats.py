"""Shared layers that are applied again and again: `for _ in range(3): x = self.step(x)`.

A repeat is a row of turns that are alike: the same calls of the same layers, each reading what its
counterpart in the turn before gave. The classes know nothing of it: only `forward` is shorter.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from archc.codegen.forward import ForwardWriter
from archc.codegen.items import Attribute, Chain, Function, Item, Loop, operands_of, results_of
from archc.codegen.naming import Binding

LONGEST = 64
"""The items of a turn at most, so that long bodies are searched quickly."""

Place = tuple[int, int]
"""A result by the position of its item in the turn, and its number among the item's results."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A value that each turn takes from the one before: what it is before the first turn, what the
    last turn takes, and what that gives."""

    first: int
    taken: int
    given: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """`count` turns of `length` items each, from the item at `start` on."""

    start: int
    length: int
    count: int
    carried: tuple[Carried, ...]

    @property
    def last(self) -> int:
        """The position of the last turn."""
        return self.start + (self.count - 1) * self.length


@dataclass
class RepeatingWriter(ForwardWriter):
    """Writes repeats as loops."""

    def _step(self, position: int, stop: int) -> int:
        repeat = None if self.collects else self._repeat_at(position, stop)
        if repeat is None:
            return super()._step(position, stop)
        self._write(repeat)
        return repeat.length * repeat.count

    # ---------------------------------------------------------- finding

    def _repeat_at(self, position: int, stop: int) -> Repeat | None:
        """The repeat that covers most, of the shortest turn."""
        found: Repeat | None = None
        for length in range(1, min(LONGEST, (stop - position) // 2) + 1):
            repeat = self._of_length(position, stop, length)
            if repeat is None or not self._is_worth_it(repeat):
                continue
            if found is None or repeat.length * repeat.count > found.length * found.count:
                found = repeat
        return found

    def _of_length(self, position: int, stop: int, length: int) -> Repeat | None:
        if not self._calls(position, length):
            return None
        carried: dict[Place, int] = {}
        count = 1
        while position + (count + 1) * length <= stop and self._continues(
            position + count * length, length, count, carried
        ):
            # What is no repeat is left at once: a row may be as long as the net.
            if not carried or not self._is_closed(position + (count - 1) * length, length):
                return None
            count += 1
        if count == 1:
            return None
        before = self._places(position + (count - 2) * length, length)
        last = self._places(position + (count - 1) * length, length)
        values = (Carried(first, before[p], last[p]) for p, first in sorted(carried.items()))
        return Repeat(position, length, count, tuple(values))

    def _continues(self, start: int, length: int, turn: int, carried: dict[Place, int]) -> bool:
        """Whether the turn at `start` is like the one before; fills `carried` with the values that
        the first turn takes."""
        # Nearly every turn has some other item, and the rest is slow to compare.
        if self._bare[start - length : start] != self._bare[start : start + length]:
            return False
        if not all(self._alike(position - length, position) for position in _turn(start, length)):
            return False
        own = _inverse(self._places(start, length))
        before = _inverse(self._places(start - length, length))
        earlier = _inverse(self._places(start - 2 * length, length)) if turn > 1 else {}
        for position in _turn(start, length):
            old, new = self.body.items[position - length], self.body.items[position]
            for x, y in zip(operands_of(old), operands_of(new), strict=True):
                if y in own:
                    fits = before.get(x) == own[y]
                elif y not in before:
                    fits = x == y
                elif turn > 1:
                    fits = earlier.get(x) == before[y]
                else:
                    fits = x not in before and carried.setdefault(before[y], x) == x
                if not fits:
                    return False
        return True

    def _places(self, start: int, length: int) -> dict[Place, int]:
        """The results of a turn."""
        return {
            (offset, number): value
            for offset, item in enumerate(self.body.items[start : start + length])
            for number, value in enumerate(results_of(item))
        }

    @cached_property
    def _bare(self) -> list[int]:
        """A number for each item, the same for those that are one but for their values."""
        numbers: dict[object, int] = {}
        return [numbers.setdefault(_bare(item), len(numbers)) for item in self.body.items]

    def _alike(self, position: int, other: int) -> bool:
        """Whether two items are one but for the values that they read and give."""
        a, b = self.body.items[position], self.body.items[other]
        if len(operands_of(a)) != len(operands_of(b)) or self._bare[position] != self._bare[other]:
            return False
        if not isinstance(a, Function) or not isinstance(b, Function):
            return True
        pairs = zip(a.text.args, b.text.args, strict=True)
        return all(self.argument(a, position, p) == self.argument(b, other, q) for p, q in pairs)

    def _is_closed(self, start: int, length: int) -> bool:
        """Whether nothing but it and the next turn reads what the turn at `start` gives."""
        reads = Counter(
            operand
            for item in self.body.items[start : start + 2 * length]
            for operand in operands_of(item)
        )
        inner = self._places(start, length).values()
        return all(self.left.get(value, 0) == reads[value] for value in inner)

    def _calls(self, start: int, length: int) -> bool:
        """Whether a layer is applied in a turn."""
        return self._calls_before[start + length] > self._calls_before[start]

    @cached_property
    def _calls_before(self) -> list[int]:
        """For each item, how many before it are no functions."""
        counts = (not isinstance(item, Function) for item in self.body.items)
        return [0, *accumulate(counts)]

    def _is_worth_it(self, repeat: Repeat) -> bool:
        """Three turns, or two long ones."""
        return repeat.count > 2 or repeat.length >= 6

    # ---------------------------------------------------------- writing

    def _write(self, repeat: Repeat) -> None:
        if [each.value for each in self.pending] != [repeat.carried[0].first]:
            self._flush()
        turn = self.body.items[repeat.last : repeat.last + repeat.length]
        for item in self.body.items[repeat.start : repeat.last]:
            for operand in operands_of(item):
                self.left[operand] -= 1
        names = self._variables(repeat)
        self.out.append(f"{' ' * self.indent}for _ in range({repeat.count}):")
        kept = {*self._outer(turn, repeat.carried), *(each.given for each in repeat.carried)}
        for value in kept:  # the next turn reads it
            self.left[value] = self.left.get(value, 0) + 1
        self.indent += 4
        written = len(self.log.bindings)
        for each, name in zip(repeat.carried, names, strict=True):
            self._hold(each.taken, name, repeat.last - 1)
            self.hints[each.given] = name
        for position, item in enumerate(turn, start=repeat.last):
            self._item(position, item)
        self._flush()
        self._carry(repeat, names)
        self._note_earlier(repeat, written)
        self.indent -= 4
        for value in kept:
            self.left[value] -= 1

    def _note_earlier(self, repeat: Repeat, written: int) -> None:
        """Note that in the turns before the last the names went as they did in that, of which the
        log has the bindings from the number `written` on."""
        log, stop = self.log, repeat.last + repeat.length
        inside = {v: p for v, p in log.nested.items() if repeat.last <= p < stop}
        earlier: list[Binding] = []
        for turn in range(repeat.count - 1):
            values = self._counterparts(repeat, turn)
            back = (repeat.count - 1 - turn) * repeat.length
            for each in log.bindings[written:]:
                after = None if each.after is None else each.after - back
                earlier.append(Binding(each.name, values.get(each.value, each.value), after))
            log.nested |= {values.get(v, v): position - back for v, position in inside.items()}
        log.bindings[written:written] = earlier

    def _counterparts(self, repeat: Repeat, turn: int) -> dict[int, int]:
        """For the values of the last turn those of another one."""
        last = _inverse(self._places(repeat.last, repeat.length))
        start = repeat.start + turn * repeat.length
        own, before = (self._places(at, repeat.length) for at in (start, start - repeat.length))
        found = {value: own[place] for value, place in last.items()}
        for each in repeat.carried:
            found[each.taken] = before[last[each.given]] if turn else each.first
        return found

    def _variables(self, repeat: Repeat) -> list[str]:
        """The variables that go from turn to turn, with their values before the first."""
        for each in repeat.carried:
            self.left[each.first] += 1
        names: list[str] = []
        for each in repeat.carried:
            self.left[each.first] -= 1
            names.append(self._loop_variable(each.first, each.given, names, repeat.start))
        return names

    def _outer(self, turn: Sequence[Item], carried: Sequence[Carried]) -> set[int]:
        """The values that every turn reads as they were before."""
        own = {value for item in turn for value in results_of(item)}
        taken = {each.taken for each in carried}
        return {value for item in turn for value in operands_of(item)} - own - taken

    def _carry(self, repeat: Repeat, names: Sequence[str]) -> None:
        """At the end of a turn each variable has its new value."""
        moved = [
            (name, self.names[each.given])
            for each, name in zip(repeat.carried, names, strict=True)
            if self.names[each.given] != name
        ]
        if moved:
            targets, sources = zip(*moved, strict=True)
            pad = " " * self.indent
            self.out.append(f"{pad}{', '.join(targets)} = {', '.join(sources)}")
        for each, name in zip(repeat.carried, names, strict=True):
            self._hold(each.given, name, repeat.last + repeat.length - 1)


def _turn(start: int, length: int) -> range:
    return range(start, start + length)


def _inverse(places: dict[Place, int]) -> dict[int, Place]:
    return {value: place for place, value in places.items()}


def _bare(item: Item) -> object:
    """An item without its values, and a function without its arguments."""
    match item:
        case Function():
            return (item.op, item.text.template, tuple(arg.name for arg in item.text.args))
        case Attribute():
            return replace(item, operands=(), results=())
        case Loop():
            return replace(item, nodes=(), operands=(), results=())
        case Chain():
            return item.label
