"""DropBlock: dropout of contiguous regions of feature maps."""

from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F


def drop_block(x: Tensor, rate: float, block: int, training: bool) -> Tensor:
    """Training sets blocks of `block` positions an axis to zero, in each channel of `[N, C, *S]`
    its own (Ghiasi et al., 1810.12890), and scales the rest to the mean that it had.

    Centres of blocks are drawn where whole blocks fit, with the paper's gamma, so that a share of
    about `rate` is dropped; of a smaller map a block is all of an axis.
    """
    if not training or rate == 0:
        return x
    sizes = x.shape[2:]
    blocks = [min(block, size) for size in sizes]
    centres = [size - inside + 1 for size, inside in zip(sizes, blocks, strict=True)]
    gamma = rate * prod(sizes) / prod(blocks) / prod(centres)
    dropped = (torch.rand(*x.shape[:2], *centres, device=x.device) < gamma).to(x.dtype)
    around = [inside - 1 for inside in reversed(blocks) for _ in range(2)]
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(sizes) - 1]
    kept = 1 - pool(F.pad(dropped, around), blocks, stride=1)
    return x * (kept * (kept.numel() / kept.sum().clamp(min=1)))
