# mypy: disable-error-code=no-any-return
"""Small, compiled by archc 0 from underscore.arch.

    archc compile underscore.arch -O0
Checksum 4b11fe6c73def561; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["Small"]


class Small(nn.Module):  # underscore.arch:2
    """[N, 4, 4, 4] -> [N, 8, 1, 1]; 144 parameters, 9,216 multiply-accumulates."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Conv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, __: Tensor) -> Tensor:
        y = torch.relu(__)
        x = torch.tanh(__)
        y = self.shared(self.shared(y))
        y = torch.cat([self.shared(self.shared(y)), x], 1)
        return y.abs().mean((2, 3), keepdim=True)
