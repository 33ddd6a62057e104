"""Limits on what a spec may ask for, so that a hostile one costs nothing (DESIGN: limits).

Every limit counts steps, never time, so that a spec compiles on every machine or on none.
"""

from dataclasses import dataclass

from archc.diagnostics import ArchError, Span, error


@dataclass(frozen=True)
class Limits:
    """Defaults are far above any published network."""

    nodes: int = 100_000
    iterations: int = 1_000_000
    recursion: int = 64
    integer: int = 2**53
    parameters: int = 10**10
    macs: int = 10**15
    string: int = 10_000


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


def exceeded(code: str, what: str, span: Span, name: str) -> LimitError:
    (diagnostic,) = error(
        code, f"this spec asks for {what}", span, help=f"raise it with `--limit {name}=N`"
    ).diagnostics
    return LimitError((diagnostic,))
