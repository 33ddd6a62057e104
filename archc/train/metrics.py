"""What is measured: sums over images, on their device, and a row of `metrics.csv` an epoch."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

EpochRow = dict[str, float]
"""A row by its columns, in order."""

TIMES = ("seconds", "images_per_second")
"""Columns that differ between equal runs: they stand in `metrics.jsonl` alone."""


def no_scores(exits: int, device: torch.device) -> Tensor:
    """The sums over no image: float64 [2 + exits] of losses, images, and hits of each exit."""
    return torch.zeros(2 + exits, dtype=torch.float64, device=device)


def add_scores(sums: Tensor, loss_sum: Tensor, outputs: Sequence[Tensor], labels: Tensor) -> None:
    """Add images: their losses' sum, the logits [N, classes] of each exit, the classes [N]."""
    hits = [(output.argmax(1) == labels).sum() for output in outputs]
    count = torch.full((), len(labels), device=labels.device)
    sums += torch.stack([each.to(sums.dtype) for each in (loss_sum.detach(), count, *hits)])


@dataclass(frozen=True)
class Score:
    """Means over images: the loss, summed over exits, and each exit's accuracy from 0 to 1."""

    loss: float
    accuracies: tuple[float, ...]

    @property
    def accuracy(self) -> float:
        """That of the last exit, which is the net's answer."""
        return self.accuracies[-1]


def score_of(sums: Tensor) -> Score:
    """The means of sums over all images."""
    loss, images, *hits = sums.tolist()
    return Score(loss / images, tuple(each / images for each in hits))


def columns_of(name: str, score: Score, exits: Sequence[str]) -> EpochRow:
    """`NAME_loss`, `NAME_accuracy`, and `NAME_accuracy.EXIT` of the exits before the last."""
    *early, last = score.accuracies
    row = {f"{name}_loss": score.loss, f"{name}_accuracy": last}
    named = zip(exits, early, strict=False)
    return row | {f"{name}_accuracy.{exit}": value for exit, value in named}


def to_csv(rows: Sequence[Mapping[str, float]]) -> bytes:
    """The content of `metrics.csv`: the same for equal runs."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [name for name in rows[0] if name not in TIMES] if rows else []
    writer.writerow(columns)
    for row in rows:
        writer.writerow([f"{row[name]:.6g}" for name in columns])
    return text.getvalue().encode()


def to_jsonl(rows: Sequence[Mapping[str, float]]) -> bytes:
    """The content of `metrics.jsonl`: an object a line, with times and all digits."""
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()
