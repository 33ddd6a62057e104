"""What a slimmed net needs where a layer reads some of the channels that are left."""

from torch import Tensor, nn

from archc.runtime.channel_index import channel_index


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
