"""How far the results of a file are from those of the net."""

from collections.abc import Sequence

from torch import Tensor

from archc.diagnostics import error
from archc.export.nets import Exported

ALLOWED = 1e-2
"""The difference that rounding may make: a share of the largest result. In float32, sums in other
orders differ by about 1e-6; where a net takes signs, as one of binary weights and inputs does, the
sign of what is nearly zero may be another, and results differ by 1e-3."""


def check_close(exported: Exported, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest difference between the results of a file and those of the net, as a share of the
    largest of each result. Raises ArchError where it is more than rounding."""
    shapes = [[tuple(each.shape) for each in results] for results in (ours, theirs)]
    if shapes[0] != shapes[1]:
        what = f"the file gives results of shapes {shapes[0]}, and `{exported.name}` {shapes[1]}"
        raise error("E1062", what)
    shares = [
        ((our - their).abs().max() / their.abs().max().clamp(min=1e-30)).item()
        for our, their in zip(ours, theirs, strict=True)
    ]
    largest = max(shares)
    if not all(share <= ALLOWED for share in shares):  # no number is not, either
        what = f"the file gives other results than `{exported.name}`: they differ by {largest:.1%}"
        raise error("E1062", what)
    return largest
