# mypy: disable-error-code=no-any-return
"""N, compiled by archc 0 from everything.arch.

    archc compile everything.arch -O0
Checksum c569d957090a34be; passes: none; needs torch >= 2.11.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

__all__ = ["N"]


class Use(nn.Module):  # everything.arch:2
    """Made of conv and relu; [N, 8, 16, 16] -> [N, 8, 16, 16]."""

    def forward(self, x: Tensor, shared: nn.Module) -> Tensor:
        x = torch.relu(shared(x))
        return shared(x)


class Two(nn.Module):  # everything.arch:3
    """Made of add and conv; [N, 8, 16, 16], [N, 8, 16, 16] -> [N, 8, 16, 16], [N, 8, 16, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.c2 = nn.Conv2d(8, 8, 1, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        s = a + b
        return self.c1(s), self.c2(s)


class Head(nn.Module):  # everything.arch:1
    """Made of global_avg_pool and linear."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mean((2, 3)))


class Tail(nn.Sequential):  # everything.arch:18
    """The scope `tail`: conv; [N, 8, 16, 16] -> [N, 8, 16, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(8, 8, 1, bias=False)


class N(nn.Module):  # everything.arch:5
    """[N, 3, 16, 16], [N, 3, 16, 16] -> 3 times [N, 10]; 2,150 parameters, 1,274,256
    multiply-accumulates.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.shared = nn.Conv2d(8, 8, 3, padding=1)
        self.use = Use()
        self.again = nn.ModuleList([nn.Conv2d(8, 8, 1, bias=False), nn.Conv2d(8, 8, 1, bias=False)])
        self.two = Two()
        self.h1 = Head(8, classes=num_classes)
        self.g = nn.Parameter(torch.ones(8, 1, 1))
        self.tail = Tail()
        self.row = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.blk = Use()
        self.h2 = Head(8, classes=num_classes)
        self.h3 = Head(24, classes=num_classes)
        self.exit_names = "early", "h2", "return"
        self.exit_macs = 618576, 1110096, 1274096

    def forward(self, a: Tensor, b: Tensor, exit: int | None = None) -> list[Tensor] | Tensor:
        exits = self.iter_exits(a, b, exit)
        return list(exits) if exit is None else next(exits)

    def iter_exits(self, a: Tensor, b: Tensor, exit: int | None = None) -> Iterator[Tensor]:
        """Each exit from what the one before has left; or one `exit`, and only what it needs."""
        exit = number_of(exit, 3)
        x = self.stem(a)
        y = self.stem(b)
        x = self.again[0](self.use(x, self.shared))
        again1 = self.again[1](y)
        x = self.again[0](x)
        p = x + self.again[1](again1)
        if exit in (None, 0, 2):
            p2 = self.two.c1(p)
        if exit in (None, 0):
            staying = yield self.h1(p2)
            p, p2 = rows(staying, p, p2)
        q = self.two.c2(p)
        z = q * self.g
        z = self.tail.last(self.tail(z))
        z2 = self.blk(self.blk(z, self.shared), self.shared)
        if exit in (None, 1):
            staying = yield self.h2(z2)
            p2, z, z2 = rows(staying, p2, z, z2)
        z = torch.cat([z2, p2, self.row(z)], 1)
        yield self.h3(z)

    def predict(
        self, a: Tensor, b: Tensor, thresholds: Sequence[float], criterion: str = "confidence"
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Samples leave at the first exit that is as sure of them as its threshold says."""
        return leave_early(self, self.iter_exits(a, b), thresholds, criterion)

    def get_classifier(self) -> tuple[nn.Module, ...]:
        return tuple(self.get_submodule(f"h{k}.fc") for k in range(1, 4))

    def reset_classifier(self, num_classes: int) -> None:
        reset_heads(self.get_classifier(), num_classes)


# --- archc runtime

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
