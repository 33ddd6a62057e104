# mypy: disable-error-code=no-any-return
"""LongSums, compiled by archc 0 from long_sums.arch.

    archc compile long_sums.arch -O0
Checksum fc48e5d6c6881f0c; passes: none; needs torch >= 2.11.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["LongSums"]


class Sums(nn.Module):  # long_sums.arch:3
    """Made of conv, sum, max, min and sub."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(channels, channels, 5, padding=2, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        the_first_of_the_branches = self.conv1(x)
        the_second_of_the_branches = self.conv2(x)
        the_third_of_the_branches = self.conv3(x)
        all = x + the_first_of_the_branches + the_second_of_the_branches + the_third_of_the_branches
        most = torch.maximum(
            torch.maximum(
                torch.maximum(the_first_of_the_branches, the_second_of_the_branches),
                the_third_of_the_branches,
            ),
            all,
        )
        least = torch.minimum(
            torch.minimum(the_first_of_the_branches, the_second_of_the_branches),
            the_third_of_the_branches,
        )
        least2 = (
            the_first_of_the_branches
            + the_second_of_the_branches
            + the_third_of_the_branches
            + x
            + most
        )
        return all, most, least - least2


class LongSums(nn.Module):  # long_sums.arch:14
    """[N, 3, 32, 32] -> 2 times [N, 3, 32, 32]; 315 parameters, 322,560 multiply-accumulates."""

    def __init__(self, in_chans: int = 3) -> None:
        super().__init__()
        self.sums = Sums(in_chans)
        self.exit_names = "sums", "return"
        self.exit_macs = 322560, 322560

    def forward(self, image: Tensor, exit: int | None = None) -> list[Tensor] | Tensor:
        exits = self.iter_exits(image, exit)
        return list(exits) if exit is None else next(exits)

    def iter_exits(self, image: Tensor, exit: int | None = None) -> Iterator[Tensor]:
        """Each exit from what the one before has left; or one `exit`, and only what it needs."""
        exit = number_of(exit, 2)
        all = self.sums.conv1(image)
        all2 = self.sums.conv2(image)
        all3 = self.sums.conv3(image)
        all4 = image + all + all2 + all3
        sums = torch.maximum(torch.maximum(torch.maximum(all, all2), all3), all4)
        if exit in (None, 0):
            staying = yield sums
            image, all, all2, all3, all4, sums = rows(staying, image, all, all2, all3, all4, sums)
        all5 = torch.minimum(torch.minimum(all, all2), all3)
        yield all4 + (all5 - (all + all2 + all3 + image + sums)) + sums


# --- archc runtime

from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple


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
