"""Parts and means of learned tensors, beside a plain module of torch with the same weights."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from extern_specs import compiled
from plain_modules import PASSES, assert_equal, built
from torch import Tensor, nn
from torch.nn import functional as F

from archc.diagnostics import ArchError
from archc.passes.base import Pass

SPEC = """
net Parts()(image: [8, H, W]) {
    weight = param([16, 8, 3, 3], "normal", std=0.1)
    gains = param([3, 16, 1, 1], "normal")
    shift = param([20], "normal")
    centred = weight - global_avg_pool(weight, keep=true)
    first = apply_conv(image, centred -> take(8))
    second = apply_conv(image, centred -> take(8, start=8), dilation=2)
    x = concat(first, second) * reshape(channel_mean(gains), [16, 1, 1])
    x = x + reshape(gains -> channel_max, [16, 1, 1])
    y = global_avg_pool(x) * reshape(gains -> take(1, start=2), [16])
    return y + take(shift, 16, start=3) + global_avg_pool(gains -> take(1))
}
"""


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 8, 3, 3))
        self.gains = nn.Parameter(torch.randn(3, 16, 1, 1))
        self.shift = nn.Parameter(torch.randn(20))

    def forward(self, image: Tensor) -> Tensor:
        centred = self.weight - self.weight.mean(dim=[1, 2, 3], keepdim=True)
        first = F.conv2d(image, centred[:8], padding=1)
        second = F.conv2d(image, centred[8:], padding=2, dilation=2)
        x = torch.cat([first, second], 1) * self.gains.mean(0)
        x = x + self.gains.amax(0)
        y = x.mean((2, 3)) * self.gains[2].flatten()
        return y + self.shift[3:19] + self.gains[0].mean()


@pytest.mark.parametrize("passes", PASSES)
def test_parts_and_means_of_learned_tensors(tmp_path: Path, passes: Sequence[Pass]) -> None:
    net = built(tmp_path, SPEC, passes)
    torch.manual_seed(0)
    images = [torch.randn(2, 8, *size, dtype=torch.float64) for size in ((9, 7), (6, 10))]
    assert_equal(net, Parts(), *images)


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("w -> take(9)", "E0204", "wants channels 0 to 8, but its input [8, 3] has 8"),
        ("v -> global_avg_pool", "E0204", "needs 1, 2 or 3 spatial axes"),
        ("w -> global_max_pool", "E0204", "needs a tensor of the batch"),
        ("w -> mean: global_avg_pool", "E0407", "no module form in torch"),
        ("(w -> take(4)) + image", "E0204", "needs equally many axes"),
    ],
)
def test_what_learned_tensors_do_not_give(tmp_path: Path, line: str, code: str, says: str) -> None:
    text = f"""
net Net()(image: [8, 6, 6]) {{
    w, v = param([8, 3]), param([8])
    y = {line}
    return image
}}
"""
    with pytest.raises(ArchError) as caught:
        compiled(tmp_path, text)
    problem = caught.value.diagnostics[0]
    assert problem.code == code
    assert says in problem.message
