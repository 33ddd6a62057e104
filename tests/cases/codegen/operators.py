# mypy: disable-error-code=no-any-return
"""Operators, compiled by archc 0 from operators.arch.

    archc compile operators.arch -O0
Checksum 58580574dc1e098e; passes: none; needs torch >= 2.11.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Operators"]


class ConvNeXtBlock(nn.Module):  # operators.arch:3
    """Made of conv, layer_norm, gelu, scale, drop_path and sum."""

    def __init__(self) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm = nn.LayerNorm(8, eps=1e-06)
        self.pwconv1 = nn.Conv2d(8, 32, 1)
        self.pwconv2 = nn.Conv2d(32, 8, 1)
        self.layer_scale = nn.Parameter(torch.ones(8, 1, 1) * 1e-06)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).movedim(1, -1)).movedim(-1, 1)
        y = F.gelu(self.pwconv1(y))
        return x + drop_path(self.pwconv2(y) * self.layer_scale, 0.9, self.training)


class BinaryConv(nn.Module):  # operators.arch:9
    """Made of param, bn, sign_ste, abs_mean, mul, apply_conv and leaky_relu."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 8, 3, 3))
        self.norm = nn.BatchNorm2d(8)
        self.prelu = nn.LeakyReLU(0.25)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        y = sign_ste(self.norm(x))
        y2 = sign_ste(weight)
        y = F.conv2d(y, y2 * weight.abs().mean((1, 2, 3), keepdim=True), padding=1)
        return self.prelu(y)


class Up(nn.Module):  # operators.arch:15
    """Made of conv_transpose, concat, conv, instance_norm and hard_swish."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.conv = nn.Conv2d(16, 8, 3, padding=1, bias=False)
        self.norm = nn.InstanceNorm2d(8, affine=True)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return F.hardswish(self.norm(self.conv(torch.cat([self.up(x), skip], 1))))


class Operators(nn.Module):  # operators.arch:20
    """[N, 3, 16*h, 16*w] -> [N, 10], [N, 8, 1, 1]; 5,658 parameters."""

    def __init__(self, num_classes: int = 10, in_chans: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_chans, 8, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(2, 8)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.stage0 = ConvNeXtBlock()
        self.stage1 = ConvNeXtBlock()
        self.binary = BinaryConv()
        self.up = Up()
        self.grouped = nn.Conv2d(8, 16, 3, padding=1, groups=4, bias=False)
        self.fc = nn.Linear(32, num_classes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        if image.shape[-2] % 16 or image.shape[-1] % 16:
            raise ValueError(f"image must be [3, 16*h, 16*w], not {tuple(image.shape[1:])}")
        x = F.relu6(self.norm(self.stem(image)))
        down = self.stage0(self.pool(x))
        up = self.up(self.binary(self.stage1(down)), x)
        squeezed = F.pixel_unshuffle(F.silu(self.grouped(F.channel_shuffle(up, 4))), 2)
        squeezed = torch.tanh(F.pixel_shuffle(squeezed, 2))
        largest = up - x
        largest = torch.maximum(torch.maximum(up, x), largest)
        gate = F.adaptive_max_pool2d(largest + torch.minimum(up, x) + x + up, 1)
        gate = gate.softmax(1)
        seen = F.adaptive_avg_pool2d(squeezed, (2, 1)).reshape(-1, 8, 4)
        head = self.fc(F.instance_norm(seen).flatten(1))
        return head, gate


# --- archc runtime


def drop_path(x: Tensor, survival: float, training: bool, mode: str = "paper") -> Tensor:
    """Scale the end of a residual branch of any shape, which survives with probability `survival`
    (stochastic depth; Huang et al., 1603.09382).

    Training multiplies it by 1 with this probability, else by 0, with one draw for the whole
    mini-batch; evaluation multiplies it by `survival`, its expected share. If `inverted`, training
    divides by `survival`, and evaluation changes nothing; by `sample` each sample has its own draw.
    """
    if survival == 1:
        return x
    if not training:
        return x * survival if mode == "paper" else x
    shape = (x.shape[0], *(1,) * (x.dim() - 1)) if mode == "sample" else ()
    gate = (torch.rand(shape, device=x.device) < survival).to(x.dtype)
    return x * (gate if mode == "paper" else gate / survival)


def sign_ste(x: Tensor) -> Tensor:
    """The sign of each element: -1, 0 or 1; the gradient is that of `clamp(x, -1, 1)`.

    It passes straight through where |x| <= 1, else it is 0 (XNOR-Net, 1603.05279). The difference
    is exactly zero, so that the result is the sign itself.
    """
    clipped = x.clamp(-1, 1)
    return x.detach().sign() + (clipped - clipped.detach())
