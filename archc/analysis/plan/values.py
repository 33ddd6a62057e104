"""What a run on shapes computes with: values, functions of autograd, and how they keep values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from archc.analysis.plan.schedule import Schedule
from archc.ops.autograd import Record
from archc.ops.op import TensorType

Layout = Literal["plain", "last", "part"]
"""The order of a tensor's elements: as its shape says, channels last, or some channels of a larger
tensor."""


class Kept(Protocol):
    """A value as autograd keeps it: itself, or how to compute it again."""

    def leaves(self) -> Sequence[str]:
        """The tensors that stay for it."""

    def take(self) -> str:
        """The value's tensor for one use in backward; writes the steps that compute it again."""


@dataclass(frozen=True)
class Stored:
    """A value that stays as it is."""

    tensor: str

    def leaves(self) -> Sequence[str]:
        return (self.tensor,)

    def take(self) -> str:
        return self.tensor


@dataclass(frozen=True)
class Again:
    """One operator that is run again: the tensor that it made, and what else it makes."""

    op: str
    made: str
    beside: tuple[str, ...] = ()


@dataclass(eq=False)
class Recipe:
    """A value that is made again from others, as `archc.runtime.recipes` does.

    Of two uses, which follow each other closely, the second finds what the first has made.
    """

    schedule: Schedule
    operands: "tuple[Recipe | str, ...]"
    stages: tuple[Again, ...]
    uses: int = 0
    left: int = 0
    value: str | None = None

    def leaves(self) -> Sequence[str]:
        found: list[str] = []
        for each in self.operands:
            found += each.leaves() if isinstance(each, Recipe) else [each]
        return found

    def use(self) -> "Recipe":
        """Itself, for one more use in the backward pass."""
        self.uses = self.left = self.uses + 1
        return self

    def take(self) -> str:
        value = self.make() if self.value is None else self.value
        self.left = self.left - 1 or self.uses
        self.value = value if self.uses == 2 and self.left == 1 else None
        return value

    def make(self) -> str:
        """The value, made again; what it is made of lives until it is there."""
        sources = [each.make() if isinstance(each, Recipe) else each for each in self.operands]
        operands = sources
        for stage in self.stages:
            made, *beside = (self.schedule.again(id) for id in (stage.made, *stage.beside))
            self.schedule.step(stage.op, "recompute", operands, [made, *beside])
            operands = [made]
        for source in sources:
            self.schedule.hold(source, len(self.schedule.steps) - 1)
        return operands[0]


@dataclass(frozen=True)
class Grad:
    """A gradient on its way: `whole` if its elements lie together, `own` if it is no view."""

    tensor: str
    whole: bool = True
    own: bool = True


@dataclass(eq=False)
class Function:
    """A function of autograd that was recorded: where its gradients go, and what it keeps.

    Functions are numbered as they are made. The `weights` are the sinks of the gradients of the
    layer's own weights, each with its shape. A sink has no record: it adds a gradient to that of
    its parameter.
    """

    number: float
    label: str
    region: str
    record: Record | None
    reads: tuple["Value", ...] = ()
    kept: Sequence[Kept] = ()
    weights: "tuple[Sink, ...]" = ()
    backward: "Callable[[Grad], list[tuple[Function, Grad]]] | None" = None
    """What runs it, if it is not as its record says."""
    result: str | None = None
    """The tensor that it gave."""

    @property
    def edges(self) -> list["Function"]:
        """The functions that its gradients go to."""
        if self.record is None:
            return []
        pairs = zip(self.reads, self.record.gradients, strict=True)
        passed = [value.source for value, gradient in pairs if gradient.how != "none"]
        return [*(source for source in passed if source), *(sink for sink, _ in self.weights)]


Sink = tuple[Function, tuple[int, ...]]
"""Where the gradient of a parameter goes, and its shape."""


@dataclass(frozen=True)
class Value:
    """A tensor of the forward pass, and the function that its gradient goes to.

    A parameter has no tensor of the schedule: it is there in any case. With a `recipe` the value is
    not kept for backward, but made again.
    """

    tensor: str | None
    type: TensorType
    layout: Layout = "plain"
    source: Function | None = None
    recipe: Recipe | None = field(default=None, compare=False)

    @property
    def ingredient(self) -> "tuple[Recipe | str, ...]":
        """What stands for it in a recipe; nothing for a parameter."""
        if self.recipe is not None:
            return (self.recipe,)
        return () if self.tensor is None else (self.tensor,)
