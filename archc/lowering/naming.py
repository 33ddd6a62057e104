"""The names of values in one `forward`: the spec's, or where these hold what is still needed those
of the layers and blocks that give them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from archc.lowering.values import MEANINGFUL, is_name

_RESERVED = MEANINGFUL | {"layer", "i", "l", "O", "I"}
"""No names of values in a `forward`; the last three are hard to tell from digits."""


@dataclass
class Names:
    """What each name holds from statement to statement."""

    hint: Callable[[int], str]
    """The spec's variable for a value."""
    maker: Callable[[int], str]
    """What the layer or block that gives a value is called; "" where that says nothing."""
    passed: frozenset[str]
    """Arguments of the `forward` that are layers."""
    of: dict[int, str] = field(default_factory=dict)
    """The name of each value that has one."""
    left: dict[int, int] = field(default_factory=dict)
    """How often each value is still to be read."""
    held: dict[str, int] = field(default_factory=dict)
    """The value that each name holds."""

    def hold(self, value: int, name: str) -> None:
        """From now on a name has a value."""
        self.of[value] = name
        self.held[name] = value

    def several(self, values: Sequence[int]) -> list[str]:
        """Names of several values, none of them twice."""
        names: dict[str, None] = {}
        for value in values:
            names[self.choose(value, also=names)] = None
        return list(names)

    def choose(self, value: int, also: Collection[str] = (), instead: str = "") -> str:
        """A name that is free: the hint, unless it holds a value that is still needed; then the
        name of the value in whose place it is; then, if the hint is `x` or has a number already,
        that of what gives it."""
        hint = self.hint(value)
        hint = hint if is_name(hint) and hint != "_" else "x"  # `for _ in` binds it
        others = [self.maker(value), "y", "z"] if hint == "x" else []
        if hint[-1].isdigit():
            others = [self.maker(value)]
        for name in (hint, instead, *others):
            if name and self._is_free(name, also):
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
