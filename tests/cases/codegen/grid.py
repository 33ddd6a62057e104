# mypy: disable-error-code=no-any-return
"""N, compiled by archc 0 from grid.arch.

    archc compile grid.arch -O0
Checksum 9a7404b7f1989383; passes: none; needs torch >= 2.11.
"""

from collections.abc import Iterator

from torch import Tensor, nn

__all__ = ["N"]


class Layer2To2(nn.Module):  # grid.arch:3
    """Made of conv and add."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.down1 = nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False)

    def forward(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv0(x0)
        y2 = self.conv1(x1)
        return y, y2 + self.down1(x0)


class Layer2To1(nn.Module):  # grid.arch:3
    """`Layer` from 2 tensors to 1; [N, 8, 32, 32], [N, 8, 16, 16] -> [N, 8, 16, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.down1 = nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False)

    def forward(self, x0: Tensor, x1: Tensor) -> Tensor:
        y = self.conv1(x1)
        return y + self.down1(x0)


class Layer1To1(nn.Sequential):  # grid.arch:3
    """`Layer` from 1 tensor to 1; [N, 8, 16, 16] -> [N, 8, 16, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(8, 8, 3, padding=1, bias=False)


class N(nn.Module):  # grid.arch:13
    """[N, 3, 32, 32] -> [N, 10], [N, 10], [N, 10], [N, 8, 16, 16], [N, 10]; 17,878 parameters,
    8,507,742 multiply-accumulates.
    """

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.scale0 = nn.Conv2d(in_chans, 8, 3, padding=1, bias=False)
        self.scale1 = nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False)
        for i, (c, w) in enumerate(zip((8, 8, 9), range(8, 11), strict=True)):
            self.add_module(f"layer{i}", Layer2To2(c, width=w))
        self.layer3 = Layer2To2(10, width=11)
        self.an_exit_of_a_name_that_is_rather_long0 = nn.Linear(11, num_classes)
        self.layer4 = Layer2To2(11, width=8)
        self.an_exit_of_a_name_that_is_rather_long1 = nn.Linear(8, num_classes)
        self.layer5 = Layer2To2(8, width=8)
        self.an_exit_of_a_name_that_is_rather_long2 = nn.Linear(8, num_classes)
        self.layer6 = Layer2To2(8, width=8)
        self.first = nn.Conv2d(8, 8, 1, bias=False)
        self.layer7 = Layer2To1()
        self.layer8 = Layer1To1()
        self.last = nn.Linear(8, num_classes)
        self.exit_names = (
            "an_exit_of_a_name_that_is_rather_long0",
            "an_exit_of_a_name_that_is_rather_long1",
            "an_exit_of_a_name_that_is_rather_long2",
            "layer7",
            "return",
        )
        self.exit_macs = 3999854, 5419088, 6525008, 8359936, 8507472

    def forward(self, image: Tensor, exit: int | None = None) -> list[Tensor] | Tensor:
        exits = self.iter_exits(image, exit)
        return list(exits) if exit is None else next(exits)

    def iter_exits(self, image: Tensor, exit: int | None = None) -> Iterator[Tensor]:
        """Each exit from what the one before has left; or one `exit`, and only what it needs."""
        exit = number_of(exit, 5)
        x0 = self.scale0(image)
        x1 = self.scale1(x0)
        for layer in (self.get_submodule(f"layer{i}") for i in range(3)):
            x0, x1 = layer(x0, x1)
        conv1 = self.layer3.conv1(x1)
        x1 = conv1 + self.layer3.down1(x0)
        if exit in (None, 0):
            staying = yield self.an_exit_of_a_name_that_is_rather_long0(x1.mean((2, 3)))
            x0, x1 = rows(staying, x0, x1)
        x0 = self.layer3.conv0(x0)
        conv1 = self.layer4.conv1(x1)
        x1 = conv1 + self.layer4.down1(x0)
        if exit in (None, 1):
            staying = yield self.an_exit_of_a_name_that_is_rather_long1(x1.mean((2, 3)))
            x0, x1 = rows(staying, x0, x1)
        x0 = self.layer4.conv0(x0)
        conv1 = self.layer5.conv1(x1)
        x1 = conv1 + self.layer5.down1(x0)
        if exit in (None, 2):
            staying = yield self.an_exit_of_a_name_that_is_rather_long2(x1.mean((2, 3)))
            x0, x1 = rows(staying, x0, x1)
        x0, x1 = self.layer6(self.layer5.conv0(x0), x1)
        layer7 = self.layer7(self.first(x0), x1)
        if exit in (None, 3):
            staying = yield layer7
            (layer7,) = rows(staying, layer7)
        yield self.last(self.layer8(layer7).mean((2, 3)))


# --- archc runtime

from collections.abc import Sequence
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
