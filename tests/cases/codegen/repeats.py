# mypy: disable-error-code=no-any-return
"""Recurrent, compiled by archc 0 from repeats.arch.

    archc compile repeats.arch -O0
Checksum 566148e79236a4ea; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["Recurrent"]


class Cell(nn.Module):  # repeats.arch:2
    """Made of conv, add, bn and relu; [N, 16, 32, 32], [N, 16, 32, 32] -> [N, 16, 32, 32]."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.state = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        x = self.input(x)
        return torch.relu(self.norm(x + self.state(h)))


class Recurrent(nn.Module):  # repeats.arch:6
    """[N, 3, 32, 32] -> [N, 10]; 13,146 parameters, 42,123,904 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 16, 3, padding=1, bias=False)
        self.cell = Cell()
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(16, 16, 3, padding=1, bias=False),
                nn.Conv2d(16, 16, 3, padding=1, bias=False),
            ],
        )
        self.f = nn.Conv2d(16, 16, 1, bias=False)
        self.g = nn.Conv2d(16, 16, 1, bias=False)
        self.last = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.fc: nn.Module = nn.Linear(64, num_classes)
        self.num_features = 64

    def forward_features(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        h = self.cell(x, x)
        h = self.cell(x, self.cell(x, h))
        h = torch.relu(self.layers[0](self.cell(x, h)))
        h = torch.relu(self.layers[1](h))
        h = torch.relu(self.layers[0](h))
        h = torch.relu(self.layers[1](h))
        h = torch.relu(self.layers[0](h))
        h = torch.relu(self.layers[1](h))
        h2 = torch.relu(self.f(x)) + h
        h = torch.relu(self.f(self.g(h))) + h2
        h2 = torch.relu(self.f(self.g(h2))) + h
        x = self.g(h)
        h = self.last(h2)
        h2 = self.last(h)
        return torch.cat([h, h2, self.last(h2), x], 1)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = x.mean((2, 3))
        return x if pre_logits else self.fc(x)

    def forward(self, image: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.fc = nn.Linear(64, num_classes) if num_classes else nn.Identity()
