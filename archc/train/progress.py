"""What a run says while it lasts, on stderr: a progress bar on a terminal, else a line an epoch."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from archc.diagnostics import printable
from archc.train.metrics import EpochRow

OFTEN = 0.2
"""Seconds between two looks of the bar."""


class Progress:
    """A context that counts the steps of a run, `done` of which were made before."""

    def __init__(
        self, epochs: int, steps: int, done: int = 0, batch_size: int = 1, *, shown: bool = True
    ) -> None:
        self._epochs, self._batch_size, self._shown = epochs, batch_size, shown
        self._terminal = shown and sys.stderr.isatty()
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}"),
            console=Console(file=sys.stderr),
            disable=not self._terminal,
        )
        text = f"epoch {1 + done * epochs // steps}/{epochs}"
        self._task = self._bar.add_task(text, total=steps, completed=done, now="")
        self._seen, self._since = 0, time.monotonic()

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

    def step(self, loss: float, lr: float) -> None:
        """A step is over, with this mean loss and learning rate."""
        self._seen += 1
        seconds = time.monotonic() - self._since
        if not self._terminal or seconds < OFTEN:
            return
        rate = self._seen * self._batch_size / seconds
        now = f"loss {loss:.4f}  lr {lr:.2g}  {rate:,.0f} images/s"
        self._bar.update(self._task, advance=self._seen, now=now)
        self._seen, self._since = 0, time.monotonic()

    def epoch(self, number: int, row: EpochRow) -> None:
        """The `number`-th epoch (from 1) is over."""
        accuracy = f"test accuracy {row['test_accuracy']:.2%}"
        text = f"epoch {number}/{self._epochs}  loss {row['train_loss']:.4f}  {accuracy}"
        self._bar.update(self._task, description=text)
        if self._shown and not self._terminal:
            say(f"{text}  lr {row['lr']:.2g}  {row['images_per_second']:,.0f} images/s")


def say(message: str) -> None:
    sys.stderr.write(f"archc train: {printable(message)}\n")
    sys.stderr.flush()
