# mypy: disable-error-code=no-any-return
"""N, compiled by archc 0 from exits.arch.

    archc compile exits.arch -O0
Checksum 95d5685fc022ad79; passes: none; needs torch >= 2.11.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

__all__ = ["N"]


class Head(nn.Module):  # exits.arch:1
    """Made of global_avg_pool and linear."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mean((2, 3)))


class N(nn.Module):  # exits.arch:2
    """[N, 3, 8, 8] -> 3 times [N, 10]; 1,062 parameters, 23,280 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.a = nn.Conv2d(in_chans, 8, 3, padding=1, bias=False)
        self.head1 = Head(num_classes)
        self.b = nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False)
        self.head2 = Head(num_classes)
        self.head3 = Head(num_classes)
        self.exit_names = "early", "head2", "return"
        self.exit_macs = 13904, 23120, 23120

    def forward(self, image: Tensor, exit: int | None = None) -> list[Tensor] | Tensor:
        exits = self.iter_exits(image, exit)
        return list(exits) if exit is None else next(exits)

    def iter_exits(self, image: Tensor, exit: int | None = None) -> Iterator[Tensor]:
        """Each exit from what the one before has left; or one `exit`, and only what it needs."""
        exit = number_of(exit, 3)
        x = self.a(image)
        if exit in (None, 0):
            staying = yield self.head1(x)
            (x,) = rows(staying, x)
        x = self.b(x)
        if exit in (None, 1):
            staying = yield self.head2(x)
            (x,) = rows(staying, x)
        yield self.head3(x)

    def predict(
        self, image: Tensor, thresholds: Sequence[float], criterion: str = "confidence"
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Samples leave at the first exit that is as sure of them as its threshold says."""
        return leave_early(self, self.iter_exits(image), thresholds, criterion)

    def get_classifier(self) -> tuple[nn.Module, ...]:
        return tuple(self.get_submodule(f"head{k}.fc") for k in range(1, 4))

    def reset_classifier(self, num_classes: int) -> None:
        reset_heads(self.get_classifier(), num_classes)


# --- archc runtime

from math import log
from typing import Any, NamedTuple

import torch


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
