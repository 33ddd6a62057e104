"""The names of values in one `forward`, and what they hold from statement to statement."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from archc.codegen.items import Body
from archc.codegen.text import MEANINGFUL, is_name
from archc.ir.graph import Graph, Region


@dataclass(frozen=True, slots=True)
class Binding:
    """A name gets a value: as soon as that is made, or `after` the item at a position has run."""

    name: str
    value: int
    after: int | None = None


@dataclass
class NamesLog:
    """What happens to names while the items from `start` to before `stop` run.

    `bindings` are in the order in which they happen. A value is in `nested` if it is written inside
    the item at that position, and has no name there.
    """

    start: int = 0
    stop: int = 0
    bindings: list[Binding] = field(default_factory=list)
    nested: dict[int, int] = field(default_factory=dict)


@dataclass
class Naming:
    """Gives values the spec's names, unless these hold values that are still needed."""

    graph: Graph
    region: Region
    body: Body
    passed: frozenset[str] = field(default=frozenset(), kw_only=True)
    """Arguments of the `forward` that are layers."""
    names: dict[int, str] = field(default_factory=dict, kw_only=True)
    left: dict[int, int] = field(default_factory=dict, kw_only=True)
    """How often each value is still to be read."""
    held: dict[str, int] = field(default_factory=dict, kw_only=True)
    hints: dict[int, str] = field(default_factory=dict, kw_only=True)
    """Names that come before the spec's variables: those of exits."""
    log: NamesLog = field(default_factory=NamesLog, kw_only=True)

    def _hold(self, value: int, name: str, after: int | None = None) -> None:
        """A name has a value, from when it is made or `after` an item."""
        self.log.bindings.append(Binding(name, value, after))
        self.names[value] = name
        self.held[name] = value

    def _hint(self, value: int) -> str:
        """The spec's variable for a value, as this region calls it: scopes share variables."""
        if value in self.hints:
            return self.hints[value]
        node = self.graph.node(self.body.values[value])
        name = node.name
        region = self.graph.regions[node.region]
        while region.id != self.region.id and region.parent is not None:
            if region.block is not None:
                name = region.name_of(self.body.values[value])
            region = self.graph.regions[region.parent]
        return name

    def _several(self, values: Sequence[int]) -> list[str]:
        """Names of several results, none of them twice."""
        names: dict[str, None] = {}
        for value in values:
            names[self._name(value, self._hint(value), also=names)] = None
        return list(names)

    def _name(self, value: int, hint: str, also: Collection[str] = ()) -> str:
        """The hint, unless that name holds a value that is still needed."""
        hint = hint if is_name(hint) and hint != "_" else "x"  # `for _ in` binds it
        for name in [hint, "y", "z"] if hint == "x" else [hint]:
            if self._is_free(name, also):
                return name
        number, stem = 2, f"{hint}_" if hint[-1].isdigit() else hint
        while not self._is_free(f"{stem}{number}", also):
            number += 1
        return f"{stem}{number}"

    def _is_free(self, name: str, also: Collection[str]) -> bool:
        holds = self.held.get(name)
        needed = holds is not None and self.left.get(holds, 0) > 0
        taken = name in also or name in self.passed or name in _RESERVED
        return not needed and not taken


_RESERVED = MEANINGFUL | {"layer", "i", "l", "O", "I"}
"""No names of values in a `forward`; the last three are hard to tell from digits."""
