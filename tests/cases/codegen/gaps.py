# mypy: disable-error-code=no-any-return
"""Net, compiled by archc 0 from gaps.arch.

    archc compile gaps.arch -O0
Checksum 809a3ee3ee0e0c6d; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["Net"]


class Part(nn.Module):  # gaps.arch:3
    """Made of conv and relu; [N, 8, 8, 8] -> [N, 8, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x))


class Net(nn.Module):  # gaps.arch:5
    """[N, 3, 8, 8] -> [N, 10]; 3,762 parameters, 235,088 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 3, padding=1, bias=False)
        for i in range(1, 4):
            self.add_module(f"part{i}", Part())
        for i in range(5, 8):
            self.add_module(f"part{i}", Part())
        self.fc: nn.Module = nn.Linear(8, num_classes)
        self.num_features = 8

    def forward_features(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        for layer in (self.get_submodule(f"part{i}") for i in range(1, 4)):
            x = layer(x)
        for layer in (self.get_submodule(f"part{i}") for i in range(5, 8)):
            x = layer(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = x.mean((2, 3))
        return x if pre_logits else self.fc(x)

    def forward(self, image: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.fc = nn.Linear(8, num_classes) if num_classes else nn.Identity()
