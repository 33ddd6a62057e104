# mypy: disable-error-code=no-any-return
"""N, compiled by archc 0 from exits.arch.

    archc compile exits.arch -O0
Checksum c036fbfcc5b25c80; passes: none; needs torch >= 2.11. Edit a copy freely.
"""

from torch import Tensor, nn

__all__ = ["N"]


class Head(nn.Module):  # exits.arch:1
    """Made of global_avg_pool and linear."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mean((2, 3)))


class N(nn.Module):  # exits.arch:2
    """[N, 3, 8, 8] -> 3 times [N, 10]; 1,062 parameters, 23,280 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.a = nn.Conv2d(in_chans, 8, 3, padding=1, bias=False)
        self.head1 = Head(num_classes)
        self.b = nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False)
        self.head2 = Head(num_classes)
        self.head3 = Head(num_classes)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.a(image)
        early = self.head1(x)
        x = self.b(x)
        return [early, self.head2(x), self.head3(x)]
