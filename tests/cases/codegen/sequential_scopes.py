# mypy: disable-error-code=no-any-return
"""SequentialScopes, compiled by archc 0 from sequential_scopes.arch.

    archc compile sequential_scopes.arch -O0
Checksum 9baeab1e259eeab6; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SequentialScopes"]


class ConvNorm(nn.Module):  # sequential_scopes.arch:2
    """Made of conv, bn and relu6."""

    def __init__(self, channels: int, out: int, kernel: int, groups: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels, out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(self.norm(self.conv(x)))


class Inverted(nn.Module):  # sequential_scopes.arch:6
    """Made of conv and add."""

    def __init__(self, channels: int, out: int, stride: int = 1, add: bool = True) -> None:
        super().__init__()
        self.add = add
        self.conv = nn.Sequential(
            ConvNorm(channels, out=6 * channels, kernel=1, groups=1),
            ConvNorm(6 * channels, out=6 * channels, kernel=3, groups=6 * channels, stride=stride),
            nn.Conv2d(6 * channels, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return x + y if self.add else y


class Branches(nn.Module):  # sequential_scopes.arch:15
    """Made of wide, wider and concat."""

    def __init__(self, channels: int, reduce: int, out: int) -> None:
        super().__init__()
        self.wide = nn.Sequential(
            ConvNorm(channels, out=reduce, kernel=1, groups=1),
            ConvNorm(reduce, out=out, kernel=3, groups=1),
        )
        self.wider = nn.Sequential(
            nn.Sequential(
                ConvNorm(channels, out=reduce, kernel=1, groups=1),
                ConvNorm(reduce, out=3 * reduce, kernel=5, groups=1),
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        a = self.wide(x)
        return torch.cat([a, self.wider(x)], 1)


class SequentialScopes(nn.Module):  # sequential_scopes.arch:21
    """[N, 3, 32, 32] -> [N, 10]; 91,162 parameters, 10,241,664 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = ConvNorm(in_chans, out=16, kernel=3, groups=1)
        self.features = nn.Sequential(
            Inverted(16, out=24, stride=2, add=False),
            Inverted(24, out=24),
            Inverted(24, out=32, stride=2, add=False),
            *(Inverted(32, out=32) for _ in range(3)),
        )
        self.mixed1 = Branches(32, reduce=8, out=16)
        self.mixed2 = Branches(40, reduce=12, out=28)
        self.fc: nn.Module = nn.Linear(64, num_classes)
        self.num_features = 64
        self.feature_info = [
            {"num_chs": 16, "reduction": 1, "module": "stem"},
            {"num_chs": 24, "reduction": 2, "module": "features.1"},
            {"num_chs": 64, "reduction": 4, "module": "mixed2"},
        ]

    def forward_features(self, image: Tensor) -> Tensor:
        x = self.mixed1(self.features(self.stem(image)))
        return self.mixed2(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = x.mean((2, 3))
        return x if pre_logits else self.fc(x)

    def forward(self, image: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.fc = nn.Linear(64, num_classes) if num_classes else nn.Identity()
