"""Values that the backward pass builds again: the numbers of the plain net, in fewer bytes."""

from collections.abc import Callable

import pytest
import torch
from growing_net import image, numbers, pair
from torch import Tensor, nn
from torch.nn import functional as F


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    "act", [torch.relu, F.relu6, F.silu, torch.sigmoid, F.hardswish], ids=lambda act: act.__name__
)
def test_the_numbers_are_those_of_the_plain_net(
    act: Callable[[Tensor], Tensor], keep: bool
) -> None:
    plain, shared = pair(act=act, keep=keep)
    x = image(2, 4, 5, 5)
    for a, b in zip(numbers(plain, x), numbers(shared, x), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("change", ["eval", "frozen", "no affine", "no statistics", "momentum"])
def test_every_kind_of_batch_norm(change: str) -> None:
    plain, shared = pair()
    for model in (plain, shared):
        for i, norm in enumerate(model.norms):
            assert isinstance(norm, nn.BatchNorm2d)
            if change == "eval" or (change == "frozen" and i == 1):
                assert norm.running_mean is not None
                norm.running_mean.uniform_(-1, 1, generator=torch.Generator().manual_seed(i))
                norm.eval()
            elif change == "no affine":
                model.norms[i] = nn.BatchNorm2d(3, affine=False).double()
            elif change == "no statistics":
                model.norms[i] = nn.BatchNorm2d(3, track_running_stats=False).double()
            else:
                norm.momentum = None
    for a, b in zip(
        numbers(plain, image(2, 4, 5, 5)), numbers(shared, image(2, 4, 5, 5)), strict=True
    ):
        assert torch.equal(a, b)
