# mypy: disable-error-code=no-any-return
"""Optional, compiled by archc 0 from optional.arch.

    archc compile optional.arch -O0
Checksum 71201203f579d6ea; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Optional"]


class Unit(nn.Sequential):  # optional.arch:12
    """A convolution, activated or not."""

    def __init__(
        self, channels: int, out: int, activation: type[nn.Module], stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out)
        self.act = activation()


class Gate(nn.Module):  # optional.arch:4
    """A gate over the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(4 * width, width, 1, bias=False)
        self.act = nn.ReLU()
        self.expand = nn.Conv2d(width, 4 * width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        s = self.act(self.reduce(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.expand(s))


class Bottle(nn.Module):  # optional.arch:17
    """Two convolutions, which may be strided, gated, dropped, and added to a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.norm0 = nn.BatchNorm2d(64)
        self.unit1 = Unit(64, out=64, activation=nn.ReLU)
        self.unit2 = Unit(64, out=64, activation=nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        a = torch.relu(self.norm0(x))
        y = F.dropout(self.unit1(a), 0.2, self.training)
        return self.unit2(y) + x


class Bottle2(nn.Module):  # optional.arch:17
    """`Bottle` of bn, relu, Unit, conv, Gate, shortcut and add."""

    def __init__(
        self,
        channels: int,
        out: int,
        stride: int = 1,
        down: bool = False,
        gated: bool = False,
        shortcut: bool = False,
        joined: bool = True,
    ) -> None:
        super().__init__()
        self.joined = joined
        self.norm0 = nn.BatchNorm2d(channels)
        self.unit1 = Unit(channels, out=out, activation=nn.ReLU, stride=stride)
        self.down = nn.Conv2d(out, out, 3, padding=1, bias=False) if down else None
        self.down_norm = nn.BatchNorm2d(out) if down else None
        self.gate = Gate(out // 4) if gated else None
        self.unit2 = Unit(out, out=out, activation=nn.Identity)
        self.shortcut: nn.Module | None = None
        if shortcut:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride=2, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        a = torch.relu(self.norm0(x))
        y = self.unit1(a)
        if self.down is not None and self.down_norm is not None:
            y = self.down_norm(self.down(y))
        if self.gate is not None:
            y = self.gate(y)
        y = self.unit2(y)
        if self.shortcut is not None:
            x = self.shortcut(a)
        return y + x if self.joined else y


class Optional(nn.Module):  # optional.arch:31
    """[N, 3, 32, 32] -> [N, 4]; 293,428 parameters, 31,378,176 multiply-accumulates."""

    def __init__(self, num_classes: int = 4, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 16, 3, padding=1, bias=False)
        self.stage1 = Bottle2(16, out=16)
        self.stage2 = Bottle2(16, out=32, stride=2, down=True, shortcut=True)
        self.stage3 = Bottle2(32, out=32, gated=True)
        self.stage4 = Bottle2(32, out=64, stride=2, down=True, gated=True, shortcut=True)
        self.stage5 = Bottle()
        self.stage6 = Bottle2(64, out=64, joined=False)
        self.fc: nn.Module = nn.Linear(64, num_classes)
        self.num_features = 64
        self.feature_info = [
            {"num_chs": 16, "reduction": 1, "module": "stage1"},
            {"num_chs": 32, "reduction": 2, "module": "stage3"},
            {"num_chs": 64, "reduction": 4, "module": "stage6"},
        ]

    def forward_features(self, image: Tensor) -> Tensor:
        x = self.stage1(self.stem(image))
        x = self.stage3(self.stage2(x))
        x = self.stage5(self.stage4(x))
        return self.stage6(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = x.mean((2, 3))
        return x if pre_logits else self.fc(x)

    def forward(self, image: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.fc = nn.Linear(64, num_classes) if num_classes else nn.Identity()
