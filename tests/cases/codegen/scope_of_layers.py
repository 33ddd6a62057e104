# mypy: disable-error-code=no-any-return
"""Layers, compiled by archc 0 from scope_of_layers.arch.

    archc compile scope_of_layers.arch -O0
Checksum f670ff36e662b9d5; passes: none; needs torch >= 2.11.
"""

from torch import Tensor, nn

__all__ = ["Layers"]


class Deep(nn.Module):  # scope_of_layers.arch:5
    """The scope `made.deep`: layers that are applied elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Conv2d(8, 8, 3, padding=1, bias=False)


class Made(nn.Module):  # scope_of_layers.arch:3
    """The scope `made`: layers that are applied elsewhere."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 8, 3, padding=1, bias=False)
        self.deep = Deep()


class Partly(nn.Module):  # scope_of_layers.arch:7
    """The scope `partly`: layers that are applied elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.third = nn.Conv2d(8, 8, 1, bias=False)


class Layers(nn.Module):  # scope_of_layers.arch:2
    """[N, 3, 8, 8] -> [N, 8, 8, 8]; 856 parameters, 54,784 multiply-accumulates."""

    def __init__(self, in_chans: int = 3) -> None:
        super().__init__()
        self.made = Made(in_chans)
        self.partly = Partly()

    def forward(self, image: Tensor) -> Tensor:
        image = self.made.deep.second(self.made.first(image))
        return self.partly.third(image)
