# mypy: disable-error-code=no-any-return
"""Dead, compiled by archc 0 from dead_application.arch.

    archc compile dead_application.arch -O0
Checksum f1f37304760d5437; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["Dead"]


class Made(nn.Module):  # dead_application.arch:3
    """The scope `made` of `Step`: layers that are applied elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 3, padding=1, bias=False)


class Step(nn.Module):  # dead_application.arch:2
    """Made of conv, bn and relu; [N, 3, 8, 8] -> [N, 3, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.made = Made()
        self.norm = nn.BatchNorm2d(3, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.made.conv1(x)))


class Dead(nn.Module):  # dead_application.arch:7
    """[N, 3, 8, 8] -> [N, 3, 8, 8]; 162 parameters, 15,552 multiply-accumulates."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = Step()
        self.other = Step()

    def forward(self, image: Tensor) -> Tensor:
        x = self.shared(self.shared(image))
        return self.other(x)
