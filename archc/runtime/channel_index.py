"""Sets of channels, as the text of a slimmed net has them."""

import torch
from torch import Tensor


def channel_index(mask: str) -> Tensor:
    """The channels whose bits are set."""
    bits = int(mask, 16)
    return torch.tensor([c for c in range(bits.bit_length()) if bits >> c & 1])
