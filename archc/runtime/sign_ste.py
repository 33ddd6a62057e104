"""The sign with a gradient: what binary networks train through."""

from torch import Tensor


def sign_ste(x: Tensor) -> Tensor:
    """The sign of each element: -1, 0 or 1; the gradient is that of `clamp(x, -1, 1)`.

    It passes straight through where |x| <= 1, else it is 0 (XNOR-Net, 1603.05279). The difference
    is exactly zero, so that the result is the sign itself.
    """
    clipped = x.clamp(-1, 1)
    return x.detach().sign() + (clipped - clipped.detach())
