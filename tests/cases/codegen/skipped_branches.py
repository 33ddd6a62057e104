# mypy: disable-error-code=no-any-return
"""Skipped, compiled by archc 0 from skipped_branches.arch.

    archc compile skipped_branches.arch -O0
Checksum adc7d1b14622ea94; passes: none; needs torch >= 2.11.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

__all__ = ["Skipped"]


class Unit(nn.Module):  # skipped_branches.arch:2
    """Made of conv, bn, relu, drop_path and add."""

    def __init__(self, planes: int, branch: int, project: bool = False) -> None:
        super().__init__()
        self.branch = branch
        self.conv1 = nn.Conv2d(4, planes, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.project = nn.Conv2d(4, 8, 1, bias=False) if project else None
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        y = drop_path(self.conv2(y), 1 - self.branch / 8 * (1 - 0.6), self.training)
        if self.project is not None:
            x = self.project(x)
        return self.act(x + y)


class Tail(nn.Module):  # skipped_branches.arch:9
    """A shortcut that a ReLU leaves as it is, then two branches, and one with a draw for each
    image.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.one = nn.Conv2d(8, 8, 1, bias=False)
        self.two = nn.Conv2d(8, 8, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = drop_path(self.norm(self.conv(x)), 1 - 5 / 8 * (1 - 0.6), self.training)
        x = torch.relu(y + x)
        y = x + drop_path(self.one(x), 0.9, self.training, "inverted")
        y2 = drop_path(self.two(y), 1 - 7 / 8 * (1 - 0.6), self.training, "sample")
        return y + y2


class Skipped(nn.Module):  # skipped_branches.arch:16
    """[N, 3, 8, 8] -> 2 times [N, 4]; 3,292 parameters, 201,536 multiply-accumulates."""

    def __init__(self, num_classes: int = 4, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 4, 3, padding=1, bias=False)
        for i, b in enumerate(range(1, 4)):
            self.add_module(f"unit{i}", Unit(4, branch=b))
        self.unit3 = Unit(8, branch=4, project=True)
        self.tail = Tail()
        self.head = nn.Linear(8, num_classes)
        self.before = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.after = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, num_classes)
        self.exit_names = "early", "late"
        self.exit_macs = 164640, 201504

    def forward(self, image: Tensor, exit: int | None = None) -> list[Tensor] | Tensor:
        exits = self.iter_exits(image, exit)
        return list(exits) if exit is None else next(exits)

    def iter_exits(self, image: Tensor, exit: int | None = None) -> Iterator[Tensor]:
        """Each exit from what the one before has left; or one `exit`, and only what it needs."""
        exit = number_of(exit, 2)
        x = torch.relu(self.stem(image))
        for layer in (self.get_submodule(f"unit{i}") for i in range(3)):
            x = layer(x)
        x = torch.relu(self.unit3(x))
        x = self.tail(x)
        if exit in (None, 0):
            staying = yield self.head(x.mean((2, 3)))
            (x,) = rows(staying, x)
        late = torch.relu(self.after(self.before(x)))
        late = (x + drop_path(late, 1 - 8 / 8 * (1 - 0.6), self.training)).mean((2, 3))
        yield self.fc(late)

    def predict(
        self, image: Tensor, thresholds: Sequence[float], criterion: str = "confidence"
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Samples leave at the first exit that is as sure of them as its threshold says."""
        return leave_early(self, self.iter_exits(image), thresholds, criterion)

    def get_classifier(self) -> tuple[nn.Module, ...]:
        return self.head, self.fc

    def reset_classifier(self, num_classes: int) -> None:
        reset_heads(self.get_classifier(), num_classes)


# --- archc runtime

from math import log
from typing import Any, NamedTuple


def drop_path(x: Tensor, survival: float, training: bool, mode: str = "paper") -> Tensor:
    """Scale the end of a residual branch of any shape, which survives with probability `survival`
    (stochastic depth; Huang et al., 1603.09382).

    Training multiplies it by 1 with this probability, else by 0, with one draw for the whole
    mini-batch; evaluation multiplies it by `survival`, its expected share. If `inverted`, training
    divides by `survival`, and evaluation changes nothing; by `sample` each sample has its own draw.
    """
    if survival == 1:
        return x
    if not training:
        return x * survival if mode == "paper" else x
    shape = (x.shape[0], *(1,) * (x.dim() - 1)) if mode == "sample" else ()
    gate = (torch.rand(shape, device=x.device) < survival).to(x.dtype)
    return x * (gate if mode == "paper" else gate / survival)


class Prediction(NamedTuple):
    """For each sample: the class, the number of the exit that gave it, its confidence [N]."""

    label: Tensor
    exit: Tensor
    confidence: Tensor


def number_of(exit: int | None, count: int) -> int | None:
    """The number of an exit from 0 on, of so many; -1 is the last. Raises IndexError."""
    if exit is None:
        return None
    if not -count <= exit < count:
        raise IndexError(f"there are {count} exits, from 0 on: not {exit}")
    return exit % count


def rows(staying: Tensor | None, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Some samples of tensors [N, ...]: those with numbers in `staying` [M], or all of them."""
    return tensors if staying is None else tuple(x.index_select(0, staying) for x in tensors)


CRITERIA = ("confidence", "entropy")
"""How sure scores are: the largest probability, or 1 less the entropy's share of its maximum."""


def confidence(scores: Tensor, criterion: str = "confidence") -> Tensor:
    """How sure scores [N, classes] are of a class, from 0 to 1 [N]."""
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(CRITERIA)}, not {criterion!r}")
    shares = scores.softmax(1)
    if criterion == "confidence":
        return shares.amax(1)
    most = log(scores.shape[1]) or 1.0  # of one class, all are sure
    entropy: Tensor = torch.special.entr(shares).sum(1)
    return 1 - entropy / most


def reset_heads(heads: Sequence[Any], num_classes: int) -> None:
    """Give linear layers new weights, for so many classes."""
    for head in heads:
        head.out_features = num_classes
        head.weight = nn.Parameter(head.weight.new_empty(num_classes, head.in_features))
        if head.bias is not None:
            head.bias = nn.Parameter(head.bias.new_empty(num_classes))
        head.reset_parameters()


def leave_early(net: Any, exits: Any, thresholds: Sequence[float], criterion: str) -> Prediction:
    """What a net predicts if each sample leaves at the first exit that is sure enough of it.

    That is where `confidence` is at least the exit's threshold; at the last one all leave, so that
    it needs none. Samples that left are not computed further (Huang et al., 1703.09844, 3).
    """
    if net.training:
        raise RuntimeError("predict is for evaluation: call net.eval() first")
    count = len(net.exit_names) - 1
    if len(thresholds) != count:
        raise ValueError(f"predict takes {count} thresholds, one for each exit but the last")
    with torch.no_grad():
        return _gathered(exits, tuple(thresholds), criterion)


def _gathered(exits: Any, thresholds: tuple[float, ...], criterion: str) -> Prediction:
    scores: Tensor = next(exits)
    left = torch.arange(len(scores), device=scores.device)
    label, exit = torch.zeros_like(left), torch.zeros_like(left)
    sure = scores.new_zeros(len(scores))
    for k in range(len(thresholds) + 1):
        found = confidence(scores, criterion)
        last = k == len(thresholds)  # where those leave, too, whose scores are no numbers
        leaves = torch.ones_like(left, dtype=torch.bool) if last else found >= thresholds[k]
        gone = left[leaves]
        label[gone], exit[gone], sure[gone] = scores.argmax(1)[leaves], k, found[leaves]
        stays = leaves.logical_not().nonzero().flatten()
        if not len(stays):
            break
        left = left[stays]
        scores = exits.send(None if len(stays) == len(leaves) else stays)
    return Prediction(label, exit, sure)
