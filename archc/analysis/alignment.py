"""Which functions of two nets are the same, and who reads other values in one than in the other.

A function has no name that two nets could share. Those that compute the same of the same are one;
of the others, those by one text that read the same, or are read by the same, are. So what stands
behind a change is told to be the same, and only the change itself is named.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from archc.analysis.connections import Connection, ValueNames, by_path
from archc.ir.graph import Graph, Node, Path, Region

Sides = tuple[ValueNames, ValueNames]


@dataclass(frozen=True, slots=True)
class Wiring:
    """How the inside of a module differs, over all its applications.

    `functions` are the operators, attributes of no module, that one net has more often: by their
    text, how many more B has. `readers` read other values, all of which both nets have.
    """

    functions: tuple[tuple[str, int], ...] = ()
    readers: tuple[str, ...] = ()


class Alignment:
    """Two graphs A and B, whose values have common names where they are the same."""

    def __init__(self, a: Graph, b: Graph) -> None:
        self.sides = ValueNames(a), ValueNames(b)
        self._counted: dict[Path, tuple[tuple[str, int], ...]] = {}
        self.modules = by_path(a.regions.values()), by_path(b.regions.values())
        functions = [_Functions(self.sides, here, there) for here, there in self._pairs()]
        for _ in range(2):  # a name of the first round may be what the second one needs
            for each in functions:
                each.pair()
        for each in functions:
            each.name()

    def wirings(self) -> dict[Path, Wiring]:
        """How the modules differ that both graphs have, by their paths."""
        readers: dict[Path, dict[str, None]] = {}
        for here, there in self._pairs():
            readers.setdefault(here.path, {}).update(dict.fromkeys(self._readers(here, there)))
        return {path: Wiring(self.functions(path), tuple(found)) for path, found in readers.items()}

    def functions(self, path: Path) -> tuple[tuple[str, int], ...]:
        """By the text of a function, how many more B has in a module, if not as many as A."""
        if path not in self._counted:
            self._counted[path] = self._count(path)
        return self._counted[path]

    def _count(self, path: Path) -> tuple[tuple[str, int], ...]:
        counts: Counter[str] = Counter()
        for side, modules, sign in zip(self.sides, self.modules, (-1, 1), strict=True):
            for region in modules.get(path, ()):
                for node in side.functions(region.id):
                    counts[side.word(node)] += sign * side.count(node)
        return tuple((text, count) for text, count in sorted(counts.items()) if count)

    def renamed_outputs(self) -> list[tuple[str, str]]:
        """The names in A and B of the outputs that are one value, of those that both do not have.

        Each is one pair, in the order of A.
        """
        one, other = (self._outputs(side) for side in self.sides)
        left = {name: value for name, value in other.items() if name not in one}
        found = []
        for name, value in one.items():
            same = next((n for n, v in left.items() if v == value), None)
            if name not in other and same is not None:
                found.append((name, same))
                del left[same]
        return found

    def _outputs(self, side: ValueNames) -> dict[str, str]:
        """What a net gives, by the names of the outputs."""
        graph = side.graph
        (root,) = (region for region in graph.regions.values() if region.parent is None)
        outputs = zip(graph.output_names(), graph.outputs, strict=True)
        return {name: side.name(output.node, root) for name, output in outputs}

    def _pairs(self) -> Iterator[tuple[Region, Region]]:
        """The regions of A with their counterparts in B, those around others first."""
        numbers: Counter[Path] = Counter()
        for region in self.sides[0].graph.regions.values():
            others = self.modules[1].get(region.path, [])
            if numbers[region.path] < len(others):
                yield region, others[numbers[region.path]]
            numbers[region.path] += 1

    # -------------------------------------------------------------- readers

    def _readers(self, here: Region, there: Region) -> Iterator[str]:
        """Who reads other values in B than in A, of those values that both have."""
        one, other = self.sides[0].readings(here), self.sides[1].readings(there)
        for key in dict.fromkeys((*one, *other)):
            a, b = one.get(key), other.get(key)
            if a is not None and b is not None:
                if a.operands != b.operands and self._reads_others(a, b, here, there):
                    yield a.path[-1]
            elif a is not None and not self._said(a, 1, there):
                yield a.path[-1]
            elif b is not None and not self._said(b, 0, here):
                yield b.path[-1]

    def _reads_others(self, a: Connection, b: Connection, here: Region, there: Region) -> bool:
        """Whether a reader reads other values, and this is not told elsewhere.

        The counts of functions tell that a sum has more operands, or fewer; and a value that one
        net alone has is told of where it is made.
        """
        longer = a.kind == "function" and len(a.operands) != len(b.operands)
        if longer and a.path[-1] in dict(self.functions(here.path)):
            return False
        removed = Counter(a.operands) - Counter(b.operands)
        added = Counter(b.operands) - Counter(a.operands)
        return self._known(removed, 1, there) and self._known(added, 0, here)

    def _known(self, names: Iterable[str], side: int, region: Region) -> bool:
        """Whether a region of one side can read all of these values."""
        return all(self._is_known(name, side, region) for name in names)

    def _is_known(self, name: str, side: int, region: Region) -> bool:
        while name.startswith("outside "):
            assert region.parent is not None
            region = self.sides[side].graph.regions[region.parent]
            name = name.removeprefix("outside ")
        return name in self._values[side][region.id]

    @cached_property
    def _values(self) -> tuple[dict[int, frozenset[str]], ...]:
        return tuple(
            {id: side.known(region) for id, region in side.graph.regions.items()}
            for side in self.sides
        )

    def _said(self, reading: Connection, side: int, region: Region) -> bool:
        """Whether it is told elsewhere that a region of one side lacks a reader."""
        if reading.kind == "function":
            return reading.path[-1] in dict(self.functions(region.path))
        if reading.kind == "layer":
            a, b = (counts[reading.path] for counts in self._applications)
            return a != b
        if reading.kind == "module":
            names = self.sides[side]
            applied = {names.modules[inner.id] for inner in names.below[region.id]}
            return reading.module in applied or any(
                reading.path not in modules for modules in self.modules
            )
        return reading.kind == "output"

    @cached_property
    def _applications(self) -> tuple[Counter[Path], ...]:
        """How often each layer is applied."""
        return tuple(
            Counter(n.layer.path for n in side.graph.nodes() if n.layer.path is not None)
            for side in self.sides
        )


# ---------------------------------------------------------------- functions

Trait = tuple[str, str]
"""The text of a function, and the name of a value that it reads or of who reads it."""


class _Functions:
    """The functions of two regions, of which those that are the same get one name."""

    def __init__(self, sides: Sides, here: Region, there: Region) -> None:
        self.sides = sides
        self.a, self.b = sides
        self.here, self.there = here, there
        one, other = self.a.functions(here.id), self.b.functions(there.id)
        mine, theirs = {self.a.own[n.id] for n in one}, {self.b.own[n.id] for n in other}
        self.left = {n.id: n for n in one if self.a.own[n.id] not in theirs}
        self.right = {n.id: n for n in other if self.b.own[n.id] not in mine}
        self.pairs = 0

    def pair(self) -> None:
        """Give one name to those that read the same or are read by the same."""
        if self.left and self.right:
            self._match(list(self.left.values()), self._by_operands, self.b.readers)
            # What is read by the same is found from the end.
            self._match(list(self.left.values())[::-1], self._by_readers, self.b.sources)
            self._match(list(self.left.values()), self._by_operands, self.b.readers)

    def name(self) -> None:
        """Give a name to each of the others, one to two of the same text as long as there are."""
        self._in_order()
        for side, nodes, sign in zip(self.sides, (self.left, self.right), "-+", strict=True):
            for i, id in enumerate(nodes):
                side.own[id] = f"{sign}{i} {side.own[id]}"

    def _pair(self, one: int, other: int) -> None:
        node = self.left.pop(one)
        del self.right[other]
        self.a.own[one] = self.b.own[other] = f"{self.a.word(node)} #{self.pairs}"
        self.pairs += 1

    def _match(
        self,
        nodes: Iterable[Node],
        traits: Callable[[int, Node], Iterable[Trait]],
        near: Callable[[int], Iterable[int]],
    ) -> None:
        """Pair nodes of A, each with the one of B that has most traits in common, if one has any.

        Each pair may give more traits to what is `near` in B.
        """
        index: dict[Trait, dict[int, None]] = {}

        def add(node: Node) -> None:
            for trait in traits(1, node):
                index.setdefault(trait, {})[node.id] = None

        for node in self.right.values():
            add(node)
        for node in nodes:
            counts: Counter[int] = Counter()
            for trait in traits(0, node):
                counts.update(id for id in index.get(trait, ()) if id in self.right)
            if counts:
                other = min(counts, key=lambda found: (-counts[found], found))
                self._pair(node.id, other)
                for id in near(other):
                    if id in self.right:
                        add(self.right[id])

    def _by_operands(self, side: int, node: Node) -> Iterator[Trait]:
        """The values that a function reads."""
        names = self.sides[side]
        return ((names.word(node), operand) for operand in names.operands(node))

    def _by_readers(self, side: int, node: Node) -> Iterator[Trait]:
        """Who in a region reads a function's value; not those that have no common name."""
        names, region = self.sides[side], (self.here, self.there)[side]
        unnamed = (self.left, self.right)[side]
        text = names.word(node)
        for user in names.readers(node.id):
            if names.graph.node(user).region == region.id and user not in unnamed:
                yield text, names.own[user]
        for inner in names.receivers.get(node.id, ()):
            for i, (_, operand) in enumerate(inner.inputs):
                if operand == node.id and inner.parent == region.id:
                    yield text, f"{names.modules[inner.id]}.{i}"
        for i, result in enumerate(region.results):
            if result == node.id:
                yield text, f"result {i}"

    def _in_order(self) -> None:
        """Pair what is left, by text."""
        others: dict[str, list[int]] = {}
        for node in self.right.values():
            others.setdefault(self.b.word(node), []).append(node.id)
        for node in list(self.left.values()):
            same = others.get(self.a.word(node))
            if same:
                self._pair(node.id, same.pop(0))
