# mypy: disable-error-code=no-any-return
"""N, compiled by archc 0 from grid.arch.

    archc compile grid.arch -O0
Checksum baacc12483e7a0d5; passes: none; needs torch >= 2.11. Edit a copy freely.
"""

from torch import Tensor, nn

__all__ = ["N"]


class Layer2To2(nn.Module):  # grid.arch:3
    """Made of conv and add."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.down1 = nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False)

    def forward(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv0(x0)
        y2 = self.conv1(x1)
        return y, y2 + self.down1(x0)


class Layer2To1(nn.Module):  # grid.arch:3
    """`Layer` from 2 tensors to 1; [N, 8, 32, 32], [N, 8, 16, 16] -> [N, 8, 16, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.down1 = nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False)

    def forward(self, x0: Tensor, x1: Tensor) -> Tensor:
        y = self.conv1(x1)
        return y + self.down1(x0)


class Layer1To1(nn.Sequential):  # grid.arch:3
    """`Layer` from 1 tensor to 1; [N, 8, 16, 16] -> [N, 8, 16, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(8, 8, 3, padding=1, bias=False)


class N(nn.Module):  # grid.arch:13
    """[N, 3, 32, 32] -> [N, 10], [N, 10], [N, 10], [N, 8, 16, 16], [N, 10]; 17,878 parameters,
    8,507,742 multiply-accumulates.
    """

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.scale0 = nn.Conv2d(in_chans, 8, 3, padding=1, bias=False)
        self.scale1 = nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False)
        for i, (c, w) in enumerate(zip((8, 8, 9, 10), range(8, 12), strict=True)):
            self.add_module(f"layer{i}", Layer2To2(c, width=w))
        self.an_exit_of_a_name_that_is_rather_long0 = nn.Linear(11, num_classes)
        self.layer4 = Layer2To2(11, width=8)
        self.an_exit_of_a_name_that_is_rather_long1 = nn.Linear(8, num_classes)
        self.layer5 = Layer2To2(8, width=8)
        self.an_exit_of_a_name_that_is_rather_long2 = nn.Linear(8, num_classes)
        self.layer6 = Layer2To2(8, width=8)
        self.first = nn.Conv2d(8, 8, 1, bias=False)
        self.layer7 = Layer2To1()
        self.layer8 = Layer1To1()
        self.last = nn.Linear(8, num_classes)

    def forward(self, image: Tensor) -> list[Tensor]:
        exits: list[Tensor] = []
        x0 = self.scale0(image)
        x1 = self.scale1(x0)
        for layer in (self.get_submodule(f"layer{i}") for i in range(4)):
            x0, x1 = layer(x0, x1)
        exits.append(self.an_exit_of_a_name_that_is_rather_long0(x1.mean((2, 3))))
        x0, x1 = self.layer4(x0, x1)
        exits.append(self.an_exit_of_a_name_that_is_rather_long1(x1.mean((2, 3))))
        x0, x1 = self.layer5(x0, x1)
        exits.append(self.an_exit_of_a_name_that_is_rather_long2(x1.mean((2, 3))))
        x0, x1 = self.layer6(x0, x1)
        layer7 = self.layer7(self.first(x0), x1)
        exits.append(layer7)
        exits.append(self.last(self.layer8(layer7).mean((2, 3))))
        return exits
