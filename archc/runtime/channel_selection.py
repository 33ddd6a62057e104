"""What a slimmed net needs where the tensors of two layers have other channels left."""

import torch
from torch import Tensor, nn


class SelectChannels(nn.Module):
    """Some channels of a tensor [N, C, ...], in their order.

    `mask` has a bit for each channel, in hexadecimal digits: bit c is channel c. They are kept as
    an index, a buffer that is no part of the state_dict, and that training leaves as it is.
    """

    index: Tensor

    def __init__(self, mask: str, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("index", channel_index(mask), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x.index_select(self.axis, self.index)


class PlaceChannels(nn.Module):
    """A tensor's channels in their places among `channels`, of which the others are zeros.

    `mask` are the places, as in `SelectChannels`.
    """

    index: Tensor

    def __init__(self, mask: str, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("index", channel_index(mask), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.new_zeros((x.shape[0], self.channels, *x.shape[2:]))
        return wide.index_copy(1, self.index, x)


def channel_index(mask: str) -> Tensor:
    """The channels whose bits are set."""
    bits = int(mask, 16)
    return torch.tensor([c for c in range(bits.bit_length()) if bits >> c & 1])
