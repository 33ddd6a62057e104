"""What a trained net is worth: accuracies, loss and calibration of each exit, and of ensembles."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archc.train.data import Batch
from archc.train.losses import exits_of
from archc.train.trained import Trained

BATCH = 512
"""Images at a time."""

BINS = 15
"""Of the calibration error, as Guo et al. have it."""


@dataclass(frozen=True)
class Answers:
    """What a net says of N images: the logarithms of its probabilities, float32
    [exits, N, classes], beside the classes [N]; on the CPU."""

    log_probabilities: Tensor
    labels: Tensor

    @property
    def predicted(self) -> Tensor:
        """The class [N] that the last exit, the net's answer, holds for the likeliest."""
        return self.log_probabilities[-1].argmax(1)

    def measures(self) -> list["Measures"]:
        """Those of each exit."""
        return [measures(each, self.labels) for each in self.log_probabilities]


@torch.no_grad()
def answers(net: nn.Module, adapt: Callable[[Tensor], Tensor], batches: Iterable[Batch]) -> Answers:
    """Ask a net, which is in evaluation afterwards; `adapt` makes its inputs of the images."""
    net.eval()
    logs, labels = [], []
    for batch in batches:
        exits = exits_of(net(adapt(batch.images)))
        logs.append(torch.stack([F.log_softmax(each.float(), 1) for each in exits]).cpu())
        labels.append(batch.labels.cpu())
    return Answers(torch.cat(logs, 1), torch.cat(labels))


@dataclass(frozen=True)
class Measures:
    """Shares of images from 0 to 1, and the mean negative log likelihood in nats."""

    top1: float
    top5: float
    loss: float
    calibration_error: float


def measures(log_probabilities: Tensor, labels: Tensor) -> Measures:
    """Of one exit: logarithms of probabilities [N, classes], classes [N]."""
    top = log_probabilities.topk(min(5, log_probabilities.shape[1]), 1).indices
    hits = top == labels[:, None]
    likelihoods = log_probabilities.double().gather(1, labels[:, None])
    return Measures(
        top1=hits[:, 0].double().mean().item(),
        top5=hits.any(1).double().mean().item(),
        loss=-likelihoods.mean().item(),
        calibration_error=calibration_error(log_probabilities.max(1).values.exp(), hits[:, 0]),
    )


def calibration_error(confidences: Tensor, hits: Tensor, bins: int = BINS) -> float:
    """The expected calibration error (Guo et al., 2017, equation 3).

    The mean over images of | accuracy - confidence | of the bin that they are in; `confidences`
    [N] are the probabilities of what is predicted, `hits` [N] whether it is right. Bin m of
    1 ... `bins` has the confidences in ((m - 1) / bins, m / bins].
    """
    bin_ = (confidences.double() * bins).ceil().long().clamp(1, bins) - 1
    gaps = torch.zeros(bins, dtype=torch.float64)
    gaps.index_add_(0, bin_, hits.double() - confidences.double())
    return gaps.abs().sum().item() / len(hits)


def confusion(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """How many images int64 [classes, classes] of each class (rows) were predicted as each."""
    return torch.bincount(labels * classes + predicted, minlength=classes**2).view(classes, -1)


# ---------------------------------------------------------------------------- ensembles


def averaged(members: Sequence[Answers]) -> Answers:
    """An ensemble that averages the probabilities of its members (Huang et al., 2017), exit by
    exit."""
    if len(members) == 1:
        return members[0]
    logs = torch.stack([member.log_probabilities for member in members])
    mean = logs.logsumexp(0) - torch.tensor(float(len(members))).log()
    return Answers(mean, members[0].labels)


def agreements(members: Sequence[Answers]) -> list[list[float]]:
    """For each pair of members the share of images of which they predict the same class."""
    predicted = [member.predicted for member in members]
    return [[(a == b).double().mean().item() for b in predicted] for a in predicted]


# ------------------------------------------------------------------------------- report


@dataclass(frozen=True)
class Report:
    """What was measured of `net` on the images of `split` of the data set `data`.

    `exits` are in their order, the last is the net's answer, and `counts` is its confusion matrix.
    Of an ensemble they are those of the averaged probabilities; `members` has then the answers of
    each by the name of its weights, and `agreements` those of each pair, in the same order.
    """

    net: str
    data: str
    split: str
    exits: Mapping[str, Measures]
    class_names: tuple[str, ...]
    counts: list[list[int]]
    members: Mapping[str, Measures]
    agreements: list[list[float]]

    @property
    def images(self) -> int:
        return sum(map(sum, self.counts))

    @property
    def best(self) -> str:
        """The member that is right most often on these images, which it was not chosen by."""
        return max(self.members, key=lambda name: self.members[name].top1)

    def class_accuracies(self) -> dict[str, float]:
        """From 0 to 1, of the classes that have images."""
        rows = zip(self.class_names, enumerate(self.counts), strict=True)
        return {name: row[i] / sum(row) for name, (i, row) in rows if sum(row)}

    def to_json(self) -> dict[str, Any]:
        accuracies = self.class_accuracies()
        rows = zip(self.class_names, self.counts, strict=True)
        found: dict[str, Any] = {
            "schema": 1,
            "net": self.net,
            "data": self.data,
            "split": self.split,
            "images": self.images,
            "exits": [{"name": name, **asdict(each)} for name, each in self.exits.items()],
            "classes": [
                {"name": name, "images": sum(row), "accuracy": accuracies.get(name)}
                for name, row in rows
            ],
            "confusion": self.counts,
        }
        if self.members:
            found["members"] = [{"weights": n, **asdict(each)} for n, each in self.members.items()]
            found["agreements"], found["best_member"] = self.agreements, self.best
        return found


def evaluate(trained: Trained, weights: Sequence[str], split: str) -> Report:
    """Measure a net with the weights of that name, or the ensemble of several.

    Raises ArchError where there are no such weights, or no images to choose by.
    """
    data = trained.data
    images = data.split(split)
    given = []
    for name in weights:
        trained.load(name)
        given.append(answers(trained.net, trained.adapt, data.batches(images, BATCH)))
    whole = averaged(given)
    found = confusion(whole.predicted, whole.labels, data.classes)
    several = dict(zip(weights, given, strict=True)) if len(given) > 1 else {}
    return Report(
        net=trained.name,
        data=data.name,
        split=split,
        exits=dict(zip(trained.exits, whole.measures(), strict=True)),
        class_names=data.class_names,
        counts=found.tolist(),
        members={name: each.measures()[-1] for name, each in several.items()},
        agreements=agreements(given),
    )
