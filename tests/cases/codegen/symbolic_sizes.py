# mypy: disable-error-code=no-any-return
"""N, compiled by archc 0 from symbolic_sizes.arch.

    archc compile symbolic_sizes.arch -O0
Checksum 3fff6cad766cf5e2; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["N"]


class N(nn.Module):  # symbolic_sizes.arch:1
    """[N, 3, 32*h, 32*w] -> [N, 8, 8*h, 8*w]; 732 parameters."""

    def __init__(self, in_chans: int = 3) -> None:
        super().__init__()
        self.a = nn.Conv2d(in_chans, 4, 7, stride=2, padding=3, bias=False)
        self.b = nn.Conv2d(4, 4, 3, stride=2, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[-2] % 32 or image.shape[-1] % 32:
            raise ValueError(f"image must be [3, 32*h, 32*w], not {tuple(image.shape[1:])}")
        x = F.max_pool2d(self.a(image), 3, stride=2, padding=1)
        return torch.cat([x, F.interpolate(self.b(x), scale_factor=2)], 1)
