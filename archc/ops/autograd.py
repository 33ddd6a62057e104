"""What autograd keeps of an operator's work for the backward pass."""

from dataclasses import dataclass
from typing import Literal

from archc.ops.size import Dim

DType = Literal["float", "float32", "mask", "int64"]
"""`float` is that of the net. A `mask` is of bool on an accelerator, and of the net's dtype on a
CPU."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A tensor that autograd keeps for an operator's backward pass."""

    what: Literal["input", "output", "new"]
    """An operand, the result, or a tensor that is made to be kept."""
    operand: int = 0
    """The position of an operand that is kept."""
    shape: tuple[Dim, ...] = ()
    """That of a new tensor, without the batch axis."""
    dtype: DType = "float"
    """That of a new tensor."""
    per_sample: bool = True
    """Whether a new tensor has a batch axis."""
