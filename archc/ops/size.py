"""Sizes of tensors: numbers, or exact functions `floor((a*h + b) / c)` of one symbol.

Every chain of strided convolutions and floor-mode pools over a symbol h stays in that form, and two
sizes are equal for every h exactly if their normal forms are (gcd(a, c) = 1).
"""

from dataclasses import dataclass
from math import gcd
from typing import overload

LARGEST = 65_536
"""The largest size that a spec may declare."""

_LARGEST_FACTOR = 2**53


class SizeError(Exception):
    """A size that leaves the form; `help` says what to declare."""

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.help = help


@dataclass(frozen=True, slots=True)
class Size:
    """`floor((a*symbol + b) / c)` with a, c >= 1 and gcd(a, c) = 1."""

    symbol: str
    a: int = 1
    b: int = 0
    c: int = 1

    def __post_init__(self) -> None:
        if max(self.a, abs(self.b), self.c) > _LARGEST_FACTOR:
            raise SizeError(f"a multiple of `{self.symbol}` has grown beyond 2**53")

    def __add__(self, other: int) -> "Size":
        return Size(self.symbol, self.a, self.b + other * self.c, self.c)

    __radd__ = __add__

    @overload
    def __sub__(self, other: int) -> "Size": ...

    @overload
    def __sub__(self, other: "Size") -> int: ...

    def __sub__(self, other: "int | Size") -> "int | Size":
        """Of two sizes the difference, if it is one number for every value of the symbol."""
        if isinstance(other, int):
            return self + -other
        difference, rest = divmod(self.b - other.b, self.c)
        if rest or (self.symbol, self.a, self.c) != (other.symbol, other.a, other.c):
            raise SizeError(f"`{self}` and `{other}` do not always differ by the same number")
        return difference

    def __mul__(self, factor: int) -> "Size":
        if factor < 1:
            raise SizeError(f"`{self}` times {factor} is not a size")
        if factor == 1:
            return self
        if self.c != 1:
            raise SizeError(
                f"{factor} times `{self}` is not exact",
                f"declare the input's size with {self.c} times the factor: "
                f"`{self.c}*{self.symbol}` where it is `{self.symbol}`",
            )
        return Size(self.symbol, self.a * factor, self.b * factor)

    __rmul__ = __mul__

    def __floordiv__(self, divisor: int) -> "Size":
        """Exact: floor(floor(x / c) / d) = floor(x / (c*d)); the common factor of a and c goes."""
        if divisor < 1:
            raise SizeError(f"`{self}` divided by {divisor} is not a size")
        c = self.c * divisor
        common = gcd(self.a, c)
        return Size(self.symbol, self.a // common, self.b // common, c // common)

    def at(self, value: int) -> int:
        """The size for one value of the symbol."""
        return (self.a * value + self.b) // self.c

    def __str__(self) -> str:
        top = self.symbol if self.a == 1 else f"{self.a}*{self.symbol}"
        if self.b:
            top += f" {'+' if self.b > 0 else '-'} {abs(self.b)}"
        if self.c == 1:
            return top
        return f"({top}) // {self.c}" if self.b else f"{top} // {self.c}"


Dim = int | Size


def solve(declared: Dim, actual: Dim, found: dict[str, Dim]) -> bool:
    """Whether a size fits a declared one; `found` gets, or already has, the value of its symbol."""
    if isinstance(declared, int):
        return declared == actual
    if isinstance(actual, int):
        value, rest = divmod(actual * declared.c - declared.b, declared.a)
        return not rest and value > 0 and found.setdefault(declared.symbol, value) == value
    if declared.c != 1:
        return False
    if declared.a == 1:
        solved = actual - declared.b
        return found.setdefault(declared.symbol, solved) == solved
    offset, rest = divmod(actual.b - declared.b, declared.a)
    if actual.c != 1 or actual.a % declared.a or rest:
        return False
    solved = Size(actual.symbol, actual.a // declared.a, offset)
    return found.setdefault(declared.symbol, solved) == solved


def windows(
    size: Dim, kernel: int, stride: int, padding: tuple[int, int], dilation: int = 1
) -> Dim:
    """How many windows of a convolution or pool fit: `floor((size + p - d*(k-1) - 1) / s) + 1`."""
    return (size + (sum(padding) - dilation * (kernel - 1) - 1 + stride)) // stride


def product(dims: tuple[Dim, ...]) -> int | None:
    """The product of sizes, or None where one is symbolic."""
    total = 1
    for dim in dims:
        if not isinstance(dim, int):
            return None
        total *= dim
    return total
