# mypy: disable-error-code=no-any-return
"""Initialised, compiled by archc 0 from initialise.arch.

    archc compile initialise.arch -O0
Checksum 332d7cf874f64afd; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["Initialised"]


class Initialised(nn.Module):  # initialise.arch:3
    """[N, 3, 32, 32] -> [N, 10]; 1,938 parameters, 129,544 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, 8, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(8, affine=False)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.hidden = nn.Linear(16, 20, bias=False)
        self.fc: nn.Module = nn.Linear(20, num_classes)
        self.num_features = 20
        self.feature_info = [
            {"num_chs": 8, "reduction": 2, "module": "bn1"},
            {"num_chs": 16, "reduction": 4, "module": "bn2"},
        ]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d) and module.affine:
                nn.init.constant_(module.weight, 0.5)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward_features(self, image: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(image)))
        return torch.relu(self.bn2(self.conv2(x)))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.hidden(x.mean((2, 3)))
        return x if pre_logits else self.fc(x)

    def forward(self, image: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.fc = nn.Linear(20, num_classes) if num_classes else nn.Identity()
