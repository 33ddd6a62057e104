# mypy: disable-error-code=no-any-return
"""Biases, compiled by archc 0 from initialise_biases.arch.

    archc compile initialise_biases.arch -O0
Checksum 97f7e97ae1d241c9; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["Biases"]


class Biases(nn.Module):  # initialise_biases.arch:3
    """[N, 3, 32, 32] -> [N, 10]; 1,906 parameters, 1,401,352 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1, bias=False)
        self.hidden = nn.Linear(16, 20, bias=False)
        self.fc: nn.Module = nn.Linear(20, num_classes)
        self.num_features = 20
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward_features(self, image: Tensor) -> Tensor:
        x = torch.relu(self.conv1(image))
        return torch.relu(self.conv2(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.hidden(x.mean((2, 3)))
        return x if pre_logits else self.fc(x)

    def forward(self, image: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.fc = nn.Linear(20, num_classes) if num_classes else nn.Identity()
