# mypy: disable-error-code=no-any-return
"""LongSums, compiled by archc 0 from long_sums.arch.

    archc compile long_sums.arch -O0
Checksum b53292057eb6fbc2; passes: none; needs torch >= 2.11. Edit a copy freely.
"""

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

    def forward(self, image: Tensor) -> list[Tensor]:
        all, sums, least = self.sums(image)
        return [sums, all + least + sums]
