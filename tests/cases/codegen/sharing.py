# mypy: disable-error-code=no-any-return
"""N, compiled by archc 0 from sharing.arch.

    archc compile sharing.arch -O0
Checksum 50af14fba399241c; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["N"]


class Step(nn.Module):  # sharing.arch:1
    """Made of bn, relu and conv; [N, 4, 8, 8] -> [N, 4, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.c = nn.Conv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(torch.relu(self.norm(x)))


class N(nn.Module):  # sharing.arch:2
    """[N, 4, 8, 8] -> [N, 4, 8, 8]; 304 parameters, 36,864 multiply-accumulates."""

    def __init__(self) -> None:
        super().__init__()
        self.again = nn.ModuleList([Step(), Step()])

    def forward(self, image: Tensor) -> Tensor:
        x = self.again[1](self.again[0](image))
        return self.again[1](self.again[0](x))
