# mypy: disable-error-code=no-any-return
"""N, compiled by archc 0 from odd_sizes.arch.

    archc compile odd_sizes.arch -O0
Checksum a2cde791647b9752; passes: none; needs torch >= 2.11.
"""

from torch import Tensor, nn

__all__ = ["N"]


class N(nn.Module):  # odd_sizes.arch:1
    """[N, 3, 2*h + 1, 2*w], [N, 3, 4*k + 8, 3*k - 1] -> [N, 4, 2*h + 1, 2*w], [N, 4, 4*k + 8,
    3*k - 1]; 24 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 4, 1, bias=False)
        self.d = nn.Conv2d(3, 4, 1, bias=False)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        if a.shape[-2] % 2 != 1 or a.shape[-1] % 2:
            raise ValueError(f"a must be [3, 2*h + 1, 2*w], not {tuple(a.shape[1:])}")
        if b.shape[-2] % 4 or b.shape[-1] % 3 != 2:
            raise ValueError(f"b must be [3, 4*k + 8, 3*k - 1], not {tuple(b.shape[1:])}")
        return self.c(a), self.d(b)
