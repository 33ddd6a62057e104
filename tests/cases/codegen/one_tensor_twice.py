# mypy: disable-error-code=no-any-return
"""Twice, compiled by archc 0 from one_tensor_twice.arch.

    archc compile one_tensor_twice.arch -O0
Checksum c5d2ad1ab48d991e; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["Twice"]


class Join(nn.Module):  # one_tensor_twice.arch:2
    """Made of sub and conv; [N, 4, 8, 8], [N, 4, 8, 8] -> [N, 4, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.conv(a - b)


class Twice(nn.Module):  # one_tensor_twice.arch:6
    """[N, 4, 8, 8] -> [N, 4, 8, 8]; 432 parameters, 36,864 multiply-accumulates."""

    def __init__(self) -> None:
        super().__init__()
        self.one = Join()
        self.two = Join()
        self.join = Join()

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(image)
        y = self.one(x, x)
        z = self.two(x, y)
        u = self.join(z, z)
        return self.join(u, z)
