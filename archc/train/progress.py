"""What a run says while it lasts, on stderr: a progress bar on a terminal, else a line an epoch."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from archc.diagnostics import printable


class Progress:
    """A context that counts the steps of a run."""

    def __init__(self, epochs: int, steps: int) -> None:
        self._epochs = epochs
        self._terminal = sys.stderr.isatty()
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            disable=not self._terminal,
        )
        self._task = self._bar.add_task(f"epoch 1/{epochs}", total=steps)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self) -> None:
        self._bar.advance(self._task)

    def epoch(self, number: int, loss: float, accuracy: float) -> None:
        """The `number`-th epoch (from 1) is over; mean training loss, test accuracy from 0 to 1."""
        text = f"epoch {number}/{self._epochs}  loss {loss:.4f}  test accuracy {accuracy:.2%}"
        self._bar.update(self._task, description=text)
        if not self._terminal:
            say(text)


def say(message: str) -> None:
    sys.stderr.write(f"archc train: {printable(message)}\n")
    sys.stderr.flush()
