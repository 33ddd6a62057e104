"""What is measured: hits and losses summed over images, and one row of `metrics.csv` an epoch."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Score:
    """Sums over the images seen so far; `hits` has one number for each exit."""

    loss_sum: float = 0.0
    hits: list[int] = field(default_factory=list)
    images: int = 0

    def add(self, loss: float, outputs: Sequence[Tensor], labels: Tensor) -> None:
        """Add a batch: its mean loss, the logits [N, classes] of each exit, the classes [N]."""
        hits = [int((output.argmax(1) == labels).sum()) for output in outputs]
        self.hits = [a + b for a, b in zip(self.hits or [0] * len(hits), hits, strict=True)]
        self.loss_sum += loss * len(labels)
        self.images += len(labels)

    @property
    def loss(self) -> float:
        return self.loss_sum / self.images

    @property
    def accuracies(self) -> list[float]:
        """For each exit, from 0 to 1; the last exit is the net's answer."""
        return [hits / self.images for hits in self.hits]


@dataclass(frozen=True)
class Epoch:
    """One row: an epoch (from 1), the steps so far, the last step's rate, and both scores.

    Losses are means over images, summed over exits. The training score is gathered while the net
    learns: each batch counts as it was seen.
    """

    number: int
    step: int
    lr: float
    train: Score
    test: Score

    def row(self) -> tuple[int | float, ...]:
        *early, last = self.test.accuracies
        training = (self.train.loss, self.train.accuracies[-1])
        return (self.number, self.step, self.lr, *training, self.test.loss, last, *early)


COLUMNS = ("epoch", "step", "lr", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


def to_csv(epochs: Sequence[Epoch], exits: Sequence[str]) -> bytes:
    """The content of `metrics.csv`; exits before the last have columns `test_accuracy.NAME`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"test_accuracy.{name}" for name in exits[:-1])])
    for epoch in epochs:
        writer.writerow([f"{value:.6g}" for value in epoch.row()])
    return text.getvalue().encode()
