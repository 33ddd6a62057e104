"""Shake-shake: two branches in random proportions."""

import torch
from torch import Tensor


def shake_shake(x: Tensor, y: Tensor, training: bool) -> Tensor:
    """`a * x + (1 - a) * y` with a from 0 to 1, drawn for each image; gradients flow back by
    another draw (Gastaldi, 1705.07485, shake-shake-image). Evaluation takes the mean.

    The difference is exactly zero, so that the result is the first draw's.
    """
    if not training:
        return (x + y) / 2
    shape = (2, x.shape[0], *(1,) * (x.dim() - 1))
    ahead, back = torch.rand(shape, device=x.device, dtype=x.dtype).unbind()
    mixed = back * x + (1 - back) * y
    return ahead * x.detach() + (1 - ahead) * y.detach() + (mixed - mixed.detach())
