"""Limits on what a spec may ask for, so that a hostile one costs nothing (DESIGN: limits).

Every limit counts steps, never time, so that a spec compiles on every machine or on none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from archc.diagnostics import ArchError, Span, error

LARGEST_INTEGER = 2**53
LONGEST_STRING = 10_000
LONGEST_LIST = 10_000_000
"""What no option raises: beyond it a number is no float, and a text or a list no network."""


@dataclass(frozen=True)
class Limits:
    """Defaults are far above any published network."""

    nodes: int = 30_000
    iterations: int = 1_000_000
    recursion: int = 64
    parameters: int = 10**10
    macs: int = 10**15


@dataclass
class Budget:
    """What has been spent of the limits."""

    limits: Limits
    nodes: int = 0
    iterations: int = 0

    def spend_node(self, span: Span) -> None:
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            raise exceeded("E0901", f"more than {self.limits.nodes:,} operators", span, "nodes")

    def spend_iterations(self, count: int, span: Span) -> None:
        self.iterations += count
        if self.iterations > self.limits.iterations:
            what = f"more than {self.limits.iterations:,} loop iterations and list elements"
            raise exceeded("E0902", what, span, "iterations")


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
