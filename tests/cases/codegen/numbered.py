# mypy: disable-error-code=no-any-return
"""Numbered, compiled by archc 0 from numbered.arch.

    archc compile numbered.arch -O0
Checksum fea2b06ea5977236; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["Numbered"]


class Activated(nn.Sequential):  # numbered.arch:5
    """Norm and activation after a convolution."""

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU6(),
        )


class Half(nn.Sequential):  # numbered.arch:9
    """Made of conv, bn and relu; [N, 32, 16, 16] -> [N, 32, 16, 16]."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self[1](self[0](x)))


class Residual(nn.Sequential):  # numbered.arch:11
    """Made of Activated and add; [N, 32, 16, 16] -> [N, 32, 16, 16]."""

    def __init__(self) -> None:
        super().__init__(*(Activated(32, out=32, kernel=3) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.children():
            y = layer(y)
        return y + x


class Stack(nn.Sequential):  # numbered.arch:17
    """Made of Half; [N, 32, 16, 16] -> [N, 32, 16, 16]."""

    def __init__(self, n: int) -> None:
        super().__init__(*(Half() for _ in range(n)))


class Numbered(nn.Module):  # numbered.arch:22
    """[N, 3, 16, 16] -> [N, 10]; 103,450 parameters, 26,194,240 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.a = Activated(in_chans, out=16, kernel=3)
        self.b = Activated(16, out=32, kernel=1)
        self.c = Half()
        self.d = Residual()
        self.e = Stack(4)
        self.f = Stack(3)
        self.head: nn.Module = nn.Linear(32, num_classes)
        self.num_features = 32

    def forward_features(self, image: Tensor) -> Tensor:
        x = self.e(self.d(self.c(self.b(self.a(image)))))
        return self.f(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = x.mean((2, 3))
        return x if pre_logits else self.head(x)

    def forward(self, image: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        self.head = nn.Linear(32, num_classes) if num_classes else nn.Identity()
