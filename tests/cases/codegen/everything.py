# mypy: disable-error-code=no-any-return
"""N, compiled by archc 0 from everything.arch.

    archc compile everything.arch -O0
Checksum 561b3db218b37234; passes: none; needs torch >= 2.11. Edit a copy freely.
"""

import torch
from torch import Tensor, nn

__all__ = ["N"]


class Use(nn.Module):  # everything.arch:2
    """Made of conv and relu; [N, 8, 16, 16] -> [N, 8, 16, 16]."""

    def forward(self, x: Tensor, shared: nn.Module) -> Tensor:
        x = torch.relu(shared(x))
        return shared(x)


class Two(nn.Module):  # everything.arch:3
    """Made of add and conv; [N, 8, 16, 16], [N, 8, 16, 16] -> [N, 8, 16, 16], [N, 8, 16, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.c2 = nn.Conv2d(8, 8, 1, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        s = a + b
        return self.c1(s), self.c2(s)


class Head(nn.Module):  # everything.arch:1
    """Made of global_avg_pool and linear."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mean((2, 3)))


class Tail(nn.Sequential):  # everything.arch:18
    """The scope `tail`: conv; [N, 8, 16, 16] -> [N, 8, 16, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(8, 8, 1, bias=False)


class N(nn.Module):  # everything.arch:5
    """[N, 3, 16, 16], [N, 3, 16, 16] -> 3 times [N, 10]; 2,150 parameters, 1,274,256
    multiply-accumulates.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.shared = nn.Conv2d(8, 8, 3, padding=1)
        self.use = Use()
        self.again = nn.ModuleList([nn.Conv2d(8, 8, 1, bias=False), nn.Conv2d(8, 8, 1, bias=False)])
        self.two = Two()
        self.h1 = Head(8, classes=num_classes)
        self.g = nn.Parameter(torch.ones(8, 1, 1))
        self.tail = Tail()
        self.row = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.blk = Use()
        self.h2 = Head(8, classes=num_classes)
        self.h3 = Head(24, classes=num_classes)

    def forward(self, a: Tensor, b: Tensor) -> list[Tensor]:
        x = self.stem(a)
        y = self.stem(b)
        x = self.again[0](self.use(x, self.shared))
        y = self.again[1](y)
        x = self.again[0](x)
        p, q = self.two(x, self.again[1](y))
        early = self.h1(p)
        z = q * self.g
        z = self.tail.last(self.tail(z))
        q0 = self.row(z)
        z = self.blk(self.blk(z, self.shared), self.shared)
        return [early, self.h2(z), self.h3(torch.cat([z, p, q0], 1))]
