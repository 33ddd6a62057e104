# mypy: disable-error-code=no-any-return
"""Waiting, compiled by archc 0 from waiting_results.arch.

    archc compile waiting_results.arch -O0
Checksum 321997ad2cb9a71d; passes: none; needs torch >= 2.11. Edit a copy freely.
"""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Waiting"]


class Stage(nn.Module):  # waiting_results.arch:2
    """Made of global_avg_pool, linear, affine and dropout; [N, 4, 8, 8] -> [N, 3], [N, 4, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.fc(x.mean((2, 3)))
        y2 = F.dropout(1 - x, 0.25, self.training)
        return y, y2


class Halves(nn.Module):  # waiting_results.arch:8
    """Made of affine; [N, 4, 8, 8] -> [N, 4, 8, 8], [N, 4, 8, 8]."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return -(x / 2), 3 * x - 1


class Waiting(nn.Module):  # waiting_results.arch:13
    """[N, 4, 8, 8] -> [N, 3], [N, 4, 8, 8], [N, 4, 8, 8]; 159 parameters, 9,228
    multiply-accumulates.
    """

    def __init__(self, in_chans: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_chans, 4, 3, padding=1, bias=False)
        self.stage = Stage()
        self.halves = Halves()

    def forward(self, image: Tensor) -> list[Tensor]:
        fc, x = self.stage(self.conv(image))
        x, y = self.halves(x)
        return [fc, x, y]
