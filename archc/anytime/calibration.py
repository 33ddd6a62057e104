"""Thresholds for a budget, from the answers of a trained net, and the file that holds them."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal

import msgspec
import torch
from torch import Tensor

from archc.anytime.costs import BATCH, counted_macs, measured_seconds
from archc.anytime.thresholds import Outcome, Samples, family_curve, search
from archc.diagnostics import error, printable
from archc.runtime.exits import CRITERIA, confidence
from archc.train.evaluation import Answers, answers
from archc.train.trained import Trained
from archc.writing import write_atomically

FILE = "thresholds.json"

Unit = Literal["macs", "ms"]
UNITS = ("macs", "ms")


def amount(cost: float, unit: Unit) -> str:
    """A cost for people: `40.00 M MACs`, `4,688 MACs`, `2.500 ms`."""
    if unit == "ms":
        return f"{cost:,.3f} ms"
    return f"{cost / 1e6:,.2f} M MACs" if cost >= 1e5 else f"{cost:,.0f} MACs"


@dataclass(frozen=True)
class Budget:
    """A mean cost of a sample: `amount` of a unit, or a `share` of what the last exit costs."""

    amount: float
    unit: Unit
    share: bool = False

    def of(self, costs: Tensor) -> float:
        return self.amount * costs[-1].item() if self.share else self.amount


def parse_budget(text: str, unit: Unit = "macs") -> Budget:
    """`40M`, `1.5G` or `250000` multiply-accumulates, `2.5ms`, or `60%` of a unit."""
    word = text.strip()
    try:
        if word.endswith("ms"):
            found = Budget(float(word[:-2]), "ms")
        elif word.endswith("%"):
            found = Budget(float(word[:-1]) / 100, unit, share=True)
        else:
            power = {"k": 1e3, "M": 1e6, "G": 1e9}.get(word[-1:], 1.0)
            found = Budget(float(word[:-1] if power > 1 else word) * power, "macs")
    except ValueError:
        found = Budget(0, unit)
    if not 0 < found.amount < float("inf"):
        raise error(
            "E1050",
            f"`{printable(text)}` is no budget",
            help="`40M` multiply-accumulates, `2.5ms`, or `60%` of what the last exit costs",
        )
    return found


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `thresholds.json`: thresholds of all exits but the last, and what came of them
    on the images that they were chosen by. `weights` are several of an ensemble; `costs` are those
    of leaving at each exit."""

    schema: int = 1
    net: str
    weights: tuple[str, ...]
    criterion: str
    unit: Unit
    budget: float
    thresholds: tuple[float, ...]
    costs: tuple[float, ...]
    split: str
    images: int
    accuracy: float
    cost: float
    leave: tuple[int, ...]

    def to_json(self) -> dict[str, object]:
        return msgspec.structs.asdict(self)


def save_calibration(folder: Path, calibration: Calibration) -> Path:
    path = folder / FILE
    write_atomically(path, msgspec.json.format(msgspec.json.encode(calibration)) + b"\n")
    return path


def check_exits(trained: Trained) -> None:
    """Raise an ArchError where a net has no exits to leave at."""
    if not hasattr(trained.net, "predict"):
        raise error(
            "E1051",
            f"`{trained.name}` does not have several exits at which samples could leave",
            help="`exit x -> head: ...` in a spec is one; all give scores of the same classes",
        )


def asked(trained: Trained, split: str) -> Answers:
    """What a net with its weights says of the images of a split. Raises ArchError without any."""
    images = trained.data.batches(trained.data.split(split), BATCH)
    return answers(trained.net, trained.adapt, images)


def exit_costs(trained: Trained, unit: Unit) -> Tensor:
    """What leaving at each exit costs a sample, in a unit: float64 [exits]."""
    data = trained.data
    images = trained.adapt(next(data.batches(data.test, BATCH)).images)
    if unit == "macs":
        found = counted_macs(trained.net, images[:1])
    else:
        found = [1000 * seconds for seconds in measured_seconds(trained.net, images)]
    return torch.tensor(found, dtype=torch.float64)


def samples_of(answers: Answers, costs: Tensor, criterion: str) -> Samples:
    """What thresholds are chosen by. Raises ArchError for a criterion that there is not."""
    if criterion not in CRITERIA:
        raise error("E1003", f"there is no criterion `{criterion}`", help=", ".join(CRITERIA))
    logs = answers.log_probabilities
    confidences = torch.stack([confidence(each, criterion) for each in logs]).double()
    if confidences.isnan().any():
        raise error(
            "E1052",
            "the net gives scores that are no numbers",
            help="`--weights best` takes those of the best epoch; a training that diverged says so",
        )
    return Samples(confidences, logs.argmax(2) == answers.labels, costs)


@dataclass(frozen=True)
class Chosen:
    """Thresholds for a budget: those of the search, and the best of the paper's family."""

    budget: float
    thresholds: tuple[float, ...]
    family: tuple[float, ...] | None


def choose(samples: Samples, budget: float, unit: Unit) -> Chosen:
    """Raises ArchError where not even the first exit is within the budget."""
    found = search(samples, budget)
    if found is None:
        first, last = samples.costs[0].item(), samples.costs[-1].item()
        share = f"{ceil(1000 * first / last) / 10:g}%"  # no less, as it is to be a budget
        raise error(
            "E1050",
            f"a budget of {amount(budget, unit)} is less than what the first exit costs",
            help=f"leaving there costs {amount(first, unit)}, {share} of what the last exit costs",
        )
    rated = [(samples.outcome(each), each) for each in family_curve(samples)]
    allowed = [pair for pair in rated if pair[0].cost <= budget]
    best = max(allowed, key=lambda pair: pair[0].accuracy)[1] if allowed else None
    return Chosen(budget, found, best)


def calibration_of(
    trained: Trained,
    weights: tuple[str, ...],
    split: str,
    criterion: str,
    unit: Unit,
    chosen: Chosen,
    samples: Samples,
) -> Calibration:
    """What is saved."""
    outcome: Outcome = samples.outcome(chosen.thresholds)
    return Calibration(
        net=trained.name,
        weights=weights,
        criterion=criterion,
        unit=unit,
        budget=chosen.budget,
        thresholds=chosen.thresholds,
        costs=tuple(samples.costs.tolist()),
        split=split,
        images=sum(outcome.counts),
        accuracy=outcome.accuracy,
        cost=outcome.cost,
        leave=outcome.counts,
    )


def load_calibration(folder: Path) -> Calibration | None:
    """What `archc calibrate` saved beside the weights of a run, if it did. Raises ArchError for a
    file that is no such."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Calibration)
    except msgspec.MsgspecError as problem:
        raise error("E1006", f"{path} cannot be read: {printable(str(problem))}") from None
