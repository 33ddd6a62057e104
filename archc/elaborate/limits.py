"""Limits on what a spec may ask for, so that a hostile one costs nothing (DESIGN: limits).

Every limit counts, and never measures time, so that a spec compiles on every machine or on none.
Work is counted before it is done: in steps, of which evaluating an expression is one, and in the
bytes of the lists and strings that are made.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from archc.diagnostics import ArchError, Span, error

LARGEST_INTEGER = 2**53
LONGEST_STRING = 10_000
DEEPEST_VALUE = 64
"""What no option raises: beyond it a number is no float, and a text or a list no network."""

NET = 1_000
REPORT = 200
BLOCK = 45
OPERATOR = 11
LAYER = 10
OUTPUT = 50
OPERAND = 3
"""What is more work than an expression, in steps: an elaboration with the passes behind it, an
error, a block or an operator that is applied, a layer that is made, a result of the net (and as
much for each before it), a tensor that an operator reads."""

CHARACTERS = 64
"""The characters of a string that are made or compared in a step."""

HEADER = 64
ITEM = 16
"""The bytes of a list or string without its elements, and those of an element, about."""


@dataclass(frozen=True)
class Limits:
    """Defaults are far above any published network."""

    nodes: int = 30_000
    steps: int = 2_000_000
    bytes: int = 64 * 2**20
    layers: int = 60_000
    blocks: int = 10_000
    recursion: int = 64
    parameters: int = 10**10
    macs: int = 10**15


@dataclass
class Budget:
    """What has been spent of the limits: `nodes` by a net, the others by all nets of a command."""

    limits: Limits
    nodes: int = 0
    steps: int = 0
    bytes: int = 0
    layers: int = 0
    blocks: int = 0

    def begin_net(self, span: Span) -> None:
        self.nodes = 0
        self.spend(NET, span)

    def spend(self, steps: int, span: Span) -> None:
        self.steps += steps
        if self.steps > self.limits.steps:
            raise exceeded("E0902", f"more than {self.limits.steps:,} steps", span, "steps")

    def spend_node(self, operands: int, span: Span) -> None:
        """An operator that is applied to so many tensors."""
        self.require_nodes(1, span)
        self.nodes += 1
        self.spend(OPERATOR + OPERAND * operands, span)

    def require_nodes(self, more: int, span: Span) -> None:
        """Refuse what is about to apply more operators than are left."""
        if self.nodes + more > self.limits.nodes:
            raise exceeded("E0901", f"more than {self.limits.nodes:,} operators", span, "nodes")

    def spend_layer(self, span: Span) -> None:
        """A layer that is made, of an operator or a block; it may never be applied."""
        self.layers += 1
        if self.layers > self.limits.layers:
            raise exceeded("E0901", f"more than {self.limits.layers:,} layers", span, "layers")
        self.spend(LAYER, span)

    def spend_block(self, span: Span) -> None:
        """A block that is applied; it may have no operator."""
        self.blocks += 1
        if self.blocks > self.limits.blocks:
            raise exceeded("E0901", f"more than {self.limits.blocks:,} blocks", span, "blocks")
        self.spend(BLOCK, span)

    def spend_output(self, before: int, span: Span) -> None:
        """A result of the net behind `before` others; what is said of each compares it with all."""
        self.spend(OUTPUT * (1 + before), span)

    def hold(self, count: int, span: Span) -> None:
        """The bytes of a value that is made."""
        self.bytes += count
        if self.bytes > self.limits.bytes:
            what = f"more than {self.limits.bytes:,} bytes of lists and strings"
            raise exceeded("E0908", what, span, "bytes")

    @property
    def shared(self) -> tuple[int, int, int, int]:
        """What has been spent of the limits that all nets of a command share."""
        return self.steps, self.bytes, self.layers, self.blocks

    def affords(self, steps: int = 0, bytes: int = 0, layers: int = 0, blocks: int = 0) -> bool:
        """Whether so much is left."""
        limits = self.limits
        most = limits.steps, limits.bytes, limits.layers, limits.blocks
        wanted = steps, bytes, layers, blocks
        spent = zip(self.shared, wanted, most, strict=True)
        return all(before + more <= limit for before, more, limit in spent)

    def at(self, span: Span) -> "Work":
        return Work(self, span)


@dataclass(frozen=True, slots=True)
class Work:
    """What is spent at one place of the text, before it is done."""

    budget: Budget
    span: Span

    def read(self, count: int) -> None:
        """Elements of a list that are looked at."""
        self.budget.spend(count, self.span)

    def make(self, count: int) -> None:
        """A list of so many elements."""
        self.budget.spend(count, self.span)
        self.budget.hold(HEADER + ITEM * count, self.span)

    def read_text(self, length: int) -> None:
        """Characters that are looked at."""
        self.budget.spend(length // CHARACTERS, self.span)

    def make_text(self, length: int) -> None:
        """A string of so many characters."""
        if length > LONGEST_STRING:
            raise exceeded("E0908", f"a string of {length:,} characters", self.span)
        self.read_text(length)
        self.budget.hold(HEADER + length, self.span)

    def descend(self, depth: int) -> None:
        """The elements of a list that lies in so many others."""
        if depth > DEEPEST_VALUE:
            raise exceeded("E0904", f"lists nested more than {DEEPEST_VALUE} deep", self.span)


class LimitError(ArchError):
    """A limit is exceeded: elaboration ends here."""


@contextmanager
def deep_recursion(span: Span) -> Iterator[None]:
    """Room for the deepest spec that the other limits admit; what needs more is refused."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20_000))
    try:
        yield
    except RecursionError:
        raise exceeded("E0904", "expressions and blocks nested too deeply", span) from None
    finally:
        sys.setrecursionlimit(before)


def exceeded(code: str, what: str, span: Span, name: str | None = None) -> LimitError:
    """The error of a limit; `name` is that of the option which raises it."""
    help = f"raise it with `--limit {name}=N`" if name else None
    (diagnostic,) = error(code, f"this spec asks for {what}", span, help=help).diagnostics
    return LimitError((diagnostic,))
