"""What autograd does for an operator: what it keeps, and which functions it runs in backward.

An operator is one function of autograd, with few exceptions: `abs_mean` is two, a sum of three is
two. A function is a `Record`; from the records of a net its memory in training is planned.
"""

from dataclasses import dataclass
from typing import Literal

from archc.ops.size import Dim
from archc.ops.tensor_type import TensorType

DType = Literal["float", "float32", "mask", "int64", "bool"]
"""`float` is that of the net. A `mask` is of bool on an accelerator, and of the net's dtype on a
CPU."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A tensor that autograd keeps for an operator's backward pass.

    `what` names an existing tensor (an operand by position, or the output) or a new one, whose
    shape (batch axis left out) and dtype are then its own; or it is a `number` of Python's, which
    stays where other things that are kept are made again. What only the gradient of one operand
    needs is kept only if that has one: `gradient` is its position. What is `viewed` is kept as a
    view that the operator makes of it, and what is `plain` in the order of its shape, as a copy
    where it lies in another. What is new is computed only to be kept, or `always`.
    """

    what: Literal["input", "output", "new", "number"]
    operand: int = 0
    shape: tuple[Dim, ...] = ()
    dtype: DType = "float"
    per_sample: bool = True
    gradient: int | None = None
    viewed: bool = False
    plain: bool = False
    always: bool = False


@dataclass(frozen=True, slots=True)
class Scratch:
    """A tensor that lives only while one function runs; its shape without the batch axis."""

    shape: tuple[Dim, ...]
    dtype: DType = "float"
    per_sample: bool = True


@dataclass(frozen=True, slots=True)
class Gradient:
    """How a function computes the gradient of an operand from that of its result.

    `new` is a tensor of its own, `same` the result's gradient itself, `view` a view of all of it,
    `part` a view of some channels, and `none` no gradient. What was broadcast gets a gradient of
    the result's shape, which is `summed` to its own at once. `scratch` is needed meanwhile. Those
    of several operands are computed in their order, but for one that comes `first`. What is
    `viewed` is given as a view of what was computed, and nothing is added to it in place.
    """

    how: Literal["new", "same", "view", "part", "none"] = "new"
    summed: bool = False
    scratch: tuple[Scratch, ...] = ()
    first: bool = False
    viewed: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One function of autograd: what it reads and gives, what it keeps, how it goes back.

    `reads` are operands of the operator by position, and ~i is the result of its record i; `saves`
    and `gradients` count what the record reads. `weights` are the gradients of the operator's own
    weights, which this record uses: the records share them out in their order. The result of a
    `view` lies in its operand's storage; that of a `roomy` one has the size of its first operand,
    if that is larger and there are fewer samples than 16. What `copies` wants the gradient of its
    result in one piece, and copies it where it is a part of a larger tensor.
    """

    reads: tuple[int, ...]
    type: TensorType
    saves: tuple[Saved, ...] = ()
    gradients: tuple[Gradient, ...] = ()
    weights: tuple[Gradient, ...] = ()
    view: bool = False
    copies: bool = False
    roomy: bool = False
