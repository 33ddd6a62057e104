"""How long the phases of a run take, for those who ask: `archc compile --time-passes`."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Phases:
    """The seconds that each phase took, in the order in which phases began."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time that the `with` block takes to what the phase has taken so far."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - start

    def __str__(self) -> str:
        """A table of the phases: seconds, and shares of their sum."""
        total = sum(self.seconds.values())
        rows = [*self.seconds.items(), ("total", total)]
        width = max(len(name) for name, _ in rows)
        lines = [f"{'phase':<{width}}  seconds  share"]
        lines += [f"{name:<{width}}  {s:7.3f}  {s / (total or 1):5.0%}" for name, s in rows]
        return "\n".join(lines)
