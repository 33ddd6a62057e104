"""Small programs over compile-time values, which may ask for much more work than they are long.

Every operation of the language on values stands in them, in loops that may be long; names are bound
before they are used. Whether a program compiles is not known: its values may not fit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

_NUMBERS = ("0", "1", "2", "3", "7", "-1", "40", "900", "20000", "65536", "10 ** 9", "2 ** 53")
_TURNS = ("3", "40", "900", "20000", "10 ** 7")
_DEPTH = 3

Kind = str


@dataclass
class _Writer:
    """Writes statements; `names` are the variables of each kind that are bound so far."""

    rng: Random
    names: dict[Kind, list[str]] = field(
        default_factory=lambda: {"int": ["n"], "list": ["xs"], "text": ["s"], "bool": ["b"]}
    )
    fresh: int = 0
    lines: int = 0

    def body(self, depth: int, indent: str) -> list[str]:
        return [
            line for _ in range(self.rng.randint(1, 4)) for line in self.statement(depth, indent)
        ]

    def statement(self, depth: int, indent: str) -> list[str]:
        self.lines += 1
        kinds: list[Callable[[], str]] = [self._assign, self._assign, self._grow, self._replace]
        kinds += [self._apply]
        if depth >= _DEPTH or self.lines > 20 or self.rng.random() < 0.6:
            return [indent + self.rng.choice(kinds)()]
        header = self.rng.choice((self._loop, self._loop, self._loop_over, self._branch))()
        known = {kind: list(names) for kind, names in self.names.items()}
        inner = self.body(depth + 1, indent + "    ")
        self.names = known
        return [f"{indent}{header} {{", *inner, f"{indent}}}"]

    # ---------------------------------------------------------- statements

    def _assign(self) -> str:
        kind = self.rng.choice(tuple(self.names))
        text = self.value(kind)
        name = self.rng.choice(self.names[kind]) if self.rng.random() < 0.7 else self._new(kind)
        return f"{name} = {text}"

    def _new(self, kind: Kind) -> str:
        self.fresh += 1
        name = f"{kind}{self.fresh}"
        self.names[kind].append(name)
        return name

    def _grow(self) -> str:
        kind = self.rng.choice(("int", "list", "text"))
        return f"{self.rng.choice(self.names[kind])} += {self.value(kind)}"

    def _replace(self) -> str:
        element = self.value(self.rng.choice(("int", "list", "text")))
        return f"{self.rng.choice(self.names['list'])}[{self.value('int')}] = {element}"

    def _apply(self) -> str:
        given = self.value(self.rng.choice(tuple(self.names)))
        return self.rng.choice(("x = x -> relu", f"x = x -> Given({given})", "x = x + x"))

    def _loop(self) -> str:
        return f"for turn in range({self.rng.choice(_TURNS)})"

    def _loop_over(self) -> str:
        return f"for each in {self.value('list')}"

    def _branch(self) -> str:
        return f"if {self.value('bool')}"

    # -------------------------------------------------------------- values

    def value(self, kind: Kind, depth: int = 0) -> str:
        if depth >= _DEPTH or self.rng.random() < 0.3:
            return self._atom(kind)
        return self.rng.choice(_VALUES[kind])(lambda inner: self.value(inner, depth + 1))

    def _atom(self, kind: Kind) -> str:
        if self.rng.random() < 0.7:
            return self.rng.choice(self.names[kind])
        atoms = {
            "int": _NUMBERS,
            "list": ("[]", "[0, 1]", "[[0]]"),
            "text": ('""', '"a"', '"abcdefgh"'),
            "bool": ("true", "false"),
        }
        return self.rng.choice(atoms[kind])


_Write = Callable[[Callable[[Kind], str]], str]

_VALUES: dict[Kind, tuple[_Write, ...]] = {
    "int": (
        lambda v: f"({v('int')} + {v('int')})",
        lambda v: f"({v('int')} * {v('int')})",
        lambda v: f"({v('int')} // {v('int')})",
        lambda v: f"({v('int')} % {v('int')})",
        lambda v: f"({v('int')}) ** 2",
        lambda v: f"2 ** ({v('int')})",
        lambda v: f"len({v('list')})",
        lambda v: f"len({v('text')})",
        lambda v: f"sum({v('list')})",
        lambda v: f"min({v('int')}, {v('int')})",
        lambda v: f"max({v('list')})",
        lambda v: f"abs({v('int')})",
        lambda v: f"int(sqrt(abs({v('int')})))",
        lambda v: f"(({v('list')})[{v('int')}])",
        lambda v: f"({v('int')} if {v('bool')} else {v('int')})",
        lambda v: "x.width",
    ),
    "list": (
        lambda v: f"[{v('int')}, {v('list')}, {v('text')}]",
        lambda v: f"[{v('list')}, {v('list')}]",
        lambda v: f"({v('list')} + {v('list')})",
        lambda v: f"({v('list')} * {v('int')})",
        lambda v: f"(2 * {v('list')})",
        lambda v: f"({v('list')})[{v('int')}:]",
        lambda v: f"({v('list')})[:{v('int')}]",
        lambda v: f"({v('list')})[::-1]",
        lambda v: f"range({v('int')})",
        lambda v: f"range({v('int')}, {v('int')}, {v('int')})",
        lambda v: f"enumerate({v('list')})",
        lambda v: f"zip({v('list')}, {v('list')})",
        lambda v: f"reversed({v('list')})",
        lambda v: f"[each for each in {v('list')}]",
        lambda v: f"[[each, {v('int')}] for each in {v('list')} if {v('bool')}]",
        lambda v: "x.shape",
    ),
    "text": (
        lambda v: f"({v('text')} + {v('text')})",
        lambda v: f"({v('text')} * {v('int')})",
        lambda v: f"({v('text')})[{v('int')}:]",
        lambda v: '"{s}{s}"',
        lambda v: '"{s}{n}{b}"',
    ),
    "bool": (
        lambda v: f"({v('list')} == {v('list')})",
        lambda v: f"({v('list')} != {v('list')})",
        lambda v: f"({v('text')} == {v('text')})",
        lambda v: f"({v('text')} < {v('text')})",
        lambda v: f"({v('text')} in {v('text')})",
        lambda v: f"({v('list')} in {v('list')})",
        lambda v: f"({v('int')} not in {v('list')})",
        lambda v: f"({v('int')} < {v('int')} <= {v('int')})",
        lambda v: f"({v('bool')} and {v('bool')} or not {v('bool')})",
    ),
}


def program(rng: Random) -> str:
    """The text of a spec."""
    writer = _Writer(rng)
    body = [line for _ in range(rng.randint(1, 3)) for line in writer.body(0, "    ")]
    return "\n".join(
        [
            "block Given(v)(x) { return x }",
            "net N()(x: [3, 8, 8]) {",
            '    n, xs, s, b = (5, [1, 2], "ab", true)',
            *body,
            "    return x",
            "}",
            "",
        ]
    )
