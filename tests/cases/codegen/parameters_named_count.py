# mypy: disable-error-code=no-any-return
"""Counts, compiled by archc 0 from parameters_named_count.arch.

    archc compile parameters_named_count.arch -O0
Checksum daca234c54870c33; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["Counts"]


class Inner(nn.Module):  # parameters_named_count.arch:2
    """Made of conv and relu; [N, 8, 8, 8] -> [N, 8, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x))


class Rows(nn.Sequential):  # parameters_named_count.arch:4
    """Made of Inner; [N, 8, 8, 8] -> [N, 8, 8, 8]."""

    def __init__(self, count: int) -> None:
        super().__init__()
        for i in range(count):
            self.add_module(f"row{i}", Inner())


class Three(nn.Sequential):  # parameters_named_count.arch:11
    """The scope `three`: Rows; [N, 8, 8, 8] -> [N, 8, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        for i in range(3):
            self.add_module(f"rows{i}", Rows(4))


class More(nn.Sequential):  # parameters_named_count.arch:14
    """The scope `more`: Rows; [N, 8, 8, 8] -> [N, 8, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        for i, c in enumerate((5, 4, 5, 4)):
            self.add_module(f"rows{i}", Rows(c))


class Counts(nn.Module):  # parameters_named_count.arch:9
    """[N, 3, 8, 8] -> [N, 10]; 21,042 parameters, 1,341,008 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 3, padding=1, bias=False)
        self.three = Three()
        self.more = More()
        self.chain = nn.Sequential(*(Rows(2) for _ in range(3)))
        self.fc: nn.Module = nn.Linear(8, num_classes)
        self.num_features = 8

    def forward_features(self, image: Tensor) -> Tensor:
        x = self.three(self.stem(image))
        return self.chain(self.more(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = x.mean((2, 3))
        return x if pre_logits else self.fc(x)

    def forward(self, image: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.fc = nn.Linear(8, num_classes) if num_classes else nn.Identity()
