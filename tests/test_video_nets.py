"""3D DenseNet, against the authors' net as one writes it by hand in plain torch.

The structure and the keys are those of `kenshohara/3D-ResNets-PyTorch` (models/densenet.py), whose
counts are in `reference_facts.json`.
"""

from typing import Any

import emitted
import pytest
import torch
from torch import Tensor, nn

SMALL: dict[str, Any] = {"growth": 4, "stem": 8, "blocks": [2, 3, 2], "classes": 5}
DEPTHS = {
    121: [6, 12, 24, 16],
    169: [6, 12, 32, 32],
    201: [6, 12, 48, 32],
    264: [6, 12, 64, 48],
}


class Layer(nn.Sequential):
    """A bottleneck of one position and a convolution over 3 frames and 3 x 3 pixels."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm3d(channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv3d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm3d(4 * growth)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv3d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for module in self:
            y = module(y)
        return torch.cat([x, y], 1)


class PlainDenseNet3D(nn.Module):
    """Of `[N, 3, frames, height, width]`; the first convolution keeps all frames."""

    def __init__(self, growth: int, stem: int, blocks: list[int], classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.conv1 = nn.Conv3d(3, stem, 7, (1, 2, 2), padding=3, bias=False)
        self.features.norm1 = nn.BatchNorm3d(stem)
        self.features.relu1 = nn.ReLU()
        self.features.pool1 = nn.MaxPool3d(3, stride=2, padding=1)
        channels = stem
        for i, layers in enumerate(blocks, 1):
            block = nn.Sequential()
            for j in range(1, layers + 1):
                block.add_module(f"denselayer{j}", Layer(channels, growth))
                channels += growth
            self.features.add_module(f"denseblock{i}", block)
            if i < len(blocks):
                transition = nn.Sequential()
                transition.norm = nn.BatchNorm3d(channels)
                transition.relu = nn.ReLU()
                transition.conv = nn.Conv3d(channels, channels // 2, 1, bias=False)
                transition.pool = nn.AvgPool3d(2)
                self.features.add_module(f"transition{i}", transition)
                channels //= 2
        self.features.norm5 = nn.BatchNorm3d(channels)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, video: Tensor) -> Tensor:
        x = torch.relu(self.features(video))
        x = nn.functional.adaptive_avg_pool3d(x, 1).flatten(1)
        result: Tensor = self.classifier(x)
        return result


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_keys_and_shapes_are_those_of_the_plain_net(depth: int) -> None:
    with torch.device("meta"):
        theirs = PlainDenseNet3D(32, 64, DEPTHS[depth], 400)
        ours = emitted.emit("densenet3d", f"DenseNet3D{depth}").build()
    shapes = [(key, tensor.shape) for key, tensor in ours.state_dict().items()]
    assert shapes == [(key, tensor.shape) for key, tensor in theirs.state_dict().items()]


def _numbers(net: nn.Module, video: Tensor) -> list[Tensor]:
    """The output, the gradients of video and weights, and what the step leaves in the buffers."""
    net.zero_grad()
    video = video.clone().requires_grad_()
    output = net(video)
    (output * torch.linspace(-1, 1, output.shape[1])).sum().backward()
    tensors = [output, video.grad, *(p.grad for p in net.parameters()), *net.buffers()]
    assert all(tensor is not None for tensor in tensors)
    return [tensor.detach().clone() for tensor in tensors if tensor is not None]


def _pair(*passes: Any) -> tuple[nn.Module, nn.Module, Tensor]:
    """Both nets with the same weights, statistics as if of training, and two short clips."""
    torch.manual_seed(3)
    theirs = PlainDenseNet3D(**SMALL)
    with torch.no_grad():
        for key, value in theirs.state_dict().items():
            if value.dim() == 1:
                value.uniform_(0.5, 1.5) if key.endswith(("weight", "var")) else value.normal_()
    ours = emitted.emit("densenet3d", "DenseNet3D121", *passes, **SMALL).build()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs, torch.randn(2, 3, 9, 40, 48)


@pytest.mark.parametrize("training", [True, False])
def test_it_computes_what_the_plain_net_computes_bit_for_bit(training: bool) -> None:
    ours, theirs, video = _pair(emitted.O0)
    found, wanted = (_numbers(net.train(training), video) for net in (ours, theirs))
    assert len(found) == len(wanted)
    assert all(map(torch.equal, found, wanted))


def test_its_dense_blocks_share_their_memory_and_compute_the_same() -> None:
    """In double precision, as sums are taken in another order."""
    ours, theirs, video = _pair()
    blocks = emitted.emit("densenet3d", "DenseNet3D121", **SMALL).graph.sharing.blocks
    assert [len(block.layers) for block in blocks] == SMALL["blocks"]
    found, wanted = (_numbers(net.double(), video.double()) for net in (ours, theirs))
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).abs().max() < 1e-9 * (1 + other.abs().max())
