# mypy: disable-error-code=no-any-return
"""Dense, compiled by archc 0 from dense.arch.

    archc compile dense.arch -O0
Checksum be9d1b5f7c0c0f9c; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["Dense"]


class DenseLayer(nn.Module):  # blocks/dense.arch:4
    """Adds `growth` features to those before it, through a 1x1 and a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, 16, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(16)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(16, 4, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.relu1(self.norm1(x)))
        return torch.cat([x, self.conv2(self.relu2(self.norm2(y)))], 1)


class DenseBlock(nn.Sequential):  # blocks/dense.arch:20
    """Layers in a row, each of which reads all features before it."""

    def __init__(self, channels: range) -> None:
        super().__init__()
        for i, c in enumerate(channels, start=1):
            self.add_module(f"denselayer{i}", DenseLayer(c))


class Transition(nn.Sequential):  # blocks/dense.arch:32
    """Between two dense blocks: fewer channels, half the size."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(16, 8, 1, bias=False)
        self.pool = nn.AvgPool2d(2)


class Dense(nn.Module):  # dense.arch:3
    """[N, 3, 16, 16] -> [N, 10]; 4,674 parameters, 612,552 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(in_chans, 8, 3, padding=1, bias=False)
        self.block1 = DenseBlock(range(8, 16, 4))
        self.transition1 = Transition()
        self.block2 = DenseBlock(range(8, 20, 4))
        self.norm = nn.BatchNorm2d(20)
        self.classifier: nn.Module = nn.Linear(20, num_classes)
        self.num_features = 20
        self.feature_info = [
            {"num_chs": 16, "reduction": 1, "module": "block1"},
            {"num_chs": 20, "reduction": 2, "module": "norm"},
        ]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward_features(self, image: Tensor) -> Tensor:
        x = self.transition1(self.block1(self.conv0(image)))
        return torch.relu(self.norm(self.block2(x)))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = x.mean((2, 3))
        return x if pre_logits else self.classifier(x)

    def forward(self, image: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        self.classifier = nn.Linear(20, num_classes) if num_classes else nn.Identity()
