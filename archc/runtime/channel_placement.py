"""What a slimmed net needs where one operand of a sum lacks channels that the other has."""

from torch import Tensor, nn

from archc.runtime.channel_index import channel_index


class PlaceChannels(nn.Module):
    """A tensor's channels in their places among `channels`, of which the others are zeros.

    `mask` has a bit for each place, in hexadecimal digits: bit c is place c.
    """

    index: Tensor

    def __init__(self, mask: str, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("index", channel_index(mask), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.new_zeros((x.shape[0], self.channels, *x.shape[2:]))
        return wide.index_copy(1, self.index, x)
