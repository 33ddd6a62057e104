# mypy: disable-error-code="no-any-return, import-untyped, import-not-found, no-untyped-call"
"""Extern, compiled by archc 0 from extern.arch.

    archc compile extern.arch -O0
Checksum 9893244a3953fcae; passes: none; needs torch >= 2.11.
"""

import torch
from attention import nn as Merge
from attention.gates import Gate
from other import Gate as Other
from torch import Tensor, nn

__all__ = ["Extern"]


class Stage(nn.Module):  # extern.arch:7
    """Made of conv, Gate, Merge and relu."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.att = Gate(width, reduction=width // 4)
        self.merge = Merge()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.merge(x, self.att(self.conv(x))))


class Extern(nn.Module):  # extern.arch:12
    """[N, 3, 4*h, 32] -> [N, 10]; 10,578 parameters and those of Gate, Merge, Other."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 3, padding=1, bias=False)
        self.other = Other()
        self.stage0 = Stage(8, width=8)
        self.stage1 = Stage(16, width=16)
        self.stage2 = Stage(32, width=24)
        self.twice = Gate(56, reduction=2)
        self.fc: nn.Module = nn.Linear(56, num_classes)
        self.num_features = 56

    def forward_features(self, image: Tensor) -> Tensor:
        if image.shape[-2] % 4:
            raise ValueError(f"image must be [3, 4*h, 32], not {tuple(image.shape[1:])}")
        x = self.other(self.stem(image))
        x = self.stage1(self.stage0(x))
        x = self.twice(self.stage2(x))
        return self.twice(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = x.mean((2, 3))
        return x if pre_logits else self.fc(x)

    def forward(self, image: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.fc = nn.Linear(56, num_classes) if num_classes else nn.Identity()
