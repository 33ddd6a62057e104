# mypy: disable-error-code=no-any-return
"""Net, compiled by archc 0 from names_that_wait.arch.

    archc compile names_that_wait.arch -O0
Checksum 346142f7a69b08a1; passes: none; needs torch >= 2.11.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["Net"]


class Two(nn.Module):  # names_that_wait.arch:3
    """Made of global_avg_pool, linear, conv and concat; [N, 3, 8, 8] -> [N, 2], [N, 8, 8, 8]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mixer = nn.Linear(channels, 2)
        self.keys = nn.Conv2d(channels, 5, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        image2 = self.mixer(image.mean((2, 3)))
        image = torch.cat([image, self.keys(image)], 1)
        return image2, image


class Net(nn.Module):  # names_that_wait.arch:9
    """[N, 3, 8, 8] -> [N, 2], [N, 10]; 238 parameters, 8,726 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.two = Two(in_chans)
        self.fc = nn.Linear(in_chans + 5, num_classes)
        self.exit_names = "two.mixer", "return"
        self.exit_macs = 6, 8720

    def forward(self, image: Tensor, exit: int | None = None) -> list[Tensor] | Tensor:
        exits = self.iter_exits(image, exit)
        return list(exits) if exit is None else next(exits)

    def iter_exits(self, image: Tensor, exit: int | None = None) -> Iterator[Tensor]:
        """Each exit from what the one before has left; or one `exit`, and only what it needs."""
        exit = number_of(exit, 2)
        if exit in (None, 0):
            staying = yield self.two.mixer(image.mean((2, 3)))
            (image,) = rows(staying, image)
        yield self.fc(torch.cat([image, self.two.keys(image)], 1).mean((2, 3)))

    def get_classifier(self) -> tuple[nn.Module, ...]:
        return self.two.mixer, self.fc

    def reset_classifier(self, num_classes: int) -> None:
        reset_heads(self.get_classifier(), num_classes)


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
