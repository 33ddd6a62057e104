# mypy: disable-error-code=no-any-return
"""Arguments, compiled by archc 0 from arguments.arch.

    archc compile arguments.arch -O0
Checksum f94fea03af90a9f2; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn

__all__ = ["Arguments"]


class Arguments(nn.Module):  # arguments.arch:2
    """[N, 3, 32, 32] -> [N, 10]; 231 parameters, 138,320 multiply-accumulates."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 5, 3, padding=1, bias=False)
        self.mean = nn.AvgPool2d(2)
        self.norm = nn.BatchNorm2d(in_chans + 5)
        self.pool = nn.MaxPool2d(2)
        self.a_classifier_of_a_long_name: nn.Module = nn.Linear(
            in_chans + 5, num_classes, bias=False
        )
        self.num_features = in_chans + 5
        self.feature_info = [
            {"num_chs": in_chans + 5, "reduction": 2, "module": "norm"},
            {"num_chs": in_chans + 5, "reduction": 4, "module": "pool"},
        ]

    def forward_features(self, image: Tensor) -> Tensor:
        return self.pool(self.norm(self.mean(torch.cat([image, self.stem(image)], 1))))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = x.mean((2, 3))
        return x if pre_logits else self.a_classifier_of_a_long_name(x)

    def forward(self, image: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(image))

    def get_classifier(self) -> nn.Module:
        return self.a_classifier_of_a_long_name

    def reset_classifier(self, num_classes: int) -> None:
        self.a_classifier_of_a_long_name = (
            nn.Linear(self.num_features, num_classes, bias=False) if num_classes else nn.Identity()
        )
