"""Anytime prediction and prediction under budgets, measured: accuracy against compute and time."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from archc.anytime.calibration import asked, choose, exit_costs, samples_of
from archc.anytime.costs import BATCH, milliseconds
from archc.anytime.thresholds import Outcome, Samples, family_curve
from archc.train.trained import Trained

_BUDGETS = 8
"""So many budgets, evenly between what the first and the last exit cost."""


@dataclass(frozen=True)
class ExitRow:
    """An exit: the share of images that it is right of, and what it costs an image, alone and with
    those before it: multiply-accumulates, and milliseconds at a batch of 256."""

    name: str
    accuracy: float
    macs: float
    milliseconds: float
    alone_milliseconds: float


@dataclass(frozen=True)
class BudgetRow:
    """Thresholds for a budget of multiply-accumulates: what came of them on the images.

    `milliseconds` are those of `predict` for an image, `expected_milliseconds` what its exits take
    alone, sum of n_k t_k / n; `leave` are the images that leave at each exit.
    """

    budget: float
    accuracy: float
    macs: float
    milliseconds: float
    expected_milliseconds: float
    family_accuracy: float | None
    family_macs: float | None
    leave: tuple[int, ...]


@dataclass(frozen=True)
class Anytime:
    """A net with exits, on the images of `split`; thresholds were chosen by those of `chosen_by`.

    `order` has the numbers of images: those that leave first, the surest first, and last.
    """

    net: str
    split: str
    chosen_by: str
    exits: tuple[ExitRow, ...]
    budgets: tuple[BudgetRow, ...]
    family: tuple[Outcome, ...]
    """What comes of the thresholds of the paper's curve."""
    order: Tensor

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "net": self.net,
            "split": self.split,
            "chosen_by": self.chosen_by,
            "exits": [asdict(row) for row in self.exits],
            "budgets": [asdict(row) for row in self.budgets],
            "family": [asdict(outcome) for outcome in self.family],
        }


def measure(trained: Trained, split: str, criterion: str) -> Anytime:
    """Raises ArchError where there are no such images."""
    macs = exit_costs(trained, "macs")
    found = samples_of(asked(trained, split), macs, criterion)
    chosen_by = "val" if trained.data.val is not None and split != "val" else split
    chooser = samples_of(asked(trained, chosen_by), macs, criterion)
    data, net = trained.data, cast(Any, trained.net)
    images = trained.adapt(next(data.batches(data.split(split), BATCH)).images)
    alone = [milliseconds(partial(net, exit=k), images) for k in range(len(macs))]
    together = exit_costs(trained, "ms").tolist()
    accuracies = found.hits.double().mean(1).tolist()
    rows = zip(trained.exits, accuracies, macs.tolist(), together, alone, strict=True)
    low, high = macs[0].item(), macs[-1].item()
    budgets = [low + (high - low) * k / _BUDGETS for k in range(_BUDGETS + 1)]
    return Anytime(
        net=trained.name,
        split=split,
        chosen_by=chosen_by,
        exits=tuple(ExitRow(*row) for row in rows),
        budgets=tuple(
            _budget(net, each, chooser, found, criterion, images, alone) for each in budgets
        ),
        family=tuple(map(found.outcome, family_curve(chooser))),
        order=_order(found, chooser, (low + high) / 2),
    )


def _budget(
    net: Any,
    budget: float,
    chooser: Samples,
    found: Samples,
    criterion: str,
    images: Tensor,
    alone: Sequence[float],
) -> BudgetRow:
    chosen = choose(chooser, budget, "macs")
    outcome = found.outcome(chosen.thresholds)
    other = None if chosen.family is None else found.outcome(chosen.family)
    predict = partial(net.predict, thresholds=chosen.thresholds, criterion=criterion)
    exits = predict(images).exit.tolist()
    return BudgetRow(
        budget=budget,
        accuracy=outcome.accuracy,
        macs=outcome.cost,
        milliseconds=milliseconds(predict, images),
        expected_milliseconds=sum(alone[k] for k in exits) / len(exits),
        family_accuracy=None if other is None else other.accuracy,
        family_macs=None if other is None else other.cost,
        leave=outcome.counts,
    )


def _order(found: Samples, chooser: Samples, budget: float) -> Tensor:
    """The images in the order in which they leave at a budget; of one exit, the surest first."""
    exits = found.leaving(choose(chooser, budget, "macs").thresholds)
    sure = found.confidences.gather(0, exits[None])[0]
    return torch.tensor(sorted(range(len(exits)), key=lambda i: (int(exits[i]), -float(sure[i]))))
