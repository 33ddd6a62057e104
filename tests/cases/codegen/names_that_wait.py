# mypy: disable-error-code=no-any-return
"""Net, compiled by archc 0 from names_that_wait.arch.

    archc compile names_that_wait.arch -O0
Checksum 2f9c4d6a481bd4bf; passes: none; needs torch >= 2.11. Edit a copy freely.
"""

import torch
from torch import Tensor, nn

__all__ = ["Net"]


class Two(nn.Module):  # names_that_wait.arch:3
    """Made of global_avg_pool, linear, conv and concat; [N, 3, 8, 8] -> [N, 2], [N, 8, 8, 8]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mixer = nn.Linear(channels, 2)
        self.keys = nn.Conv2d(channels, 5, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        image2 = self.mixer(image.mean((2, 3)))
        image = torch.cat([image, self.keys(image)], 1)
        return image2, image


class Net(nn.Module):  # names_that_wait.arch:9
    """[N, 3, 8, 8] -> [N, 2], [N, 10]; 238 parameters, 8,726 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.two = Two(in_chans)
        self.fc = nn.Linear(in_chans + 5, num_classes)

    def forward(self, image: Tensor) -> list[Tensor]:
        mixer, x = self.two(image)
        return [mixer, self.fc(x.mean((2, 3)))]
