"""`@name(arguments)` before a net, a block, an extern layer or an assignment: data for passes and
code generation.

An annotation is one class that stands in `ANNOTATIONS`; its fields are its parameters, declared as
those of an operator are. One that is not given is None.
"""

from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal

from archc.diagnostics import Span
from archc.ops.extern import Expression
from archc.ops.op import parameter
from archc.ops.regularization import DROPS

Subject = Literal["net", "block", "assignment", "extern layer"]
"""What an annotation stands before."""

Said = int | float | bool | str
"""What an annotation is given."""


@dataclass(frozen=True)
class Annotation:
    """The base of all annotations."""

    name: ClassVar[str]
    subjects: ClassVar[tuple[Subject, ...]]
    elsewhere: ClassVar[str | None] = None
    """The help for one that stands at another place."""

    span: Span = field(kw_only=True)

    @property
    def arguments(self) -> tuple[tuple[str | None, Said], ...]:
        """The parameters that are given, with their values."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return tuple(
            (name, value) for name, value in values if name != "span" and value is not None
        )


@dataclass(frozen=True)
class OwnAnnotation(Annotation):
    """`@x_...`: the user's, kept as it is."""

    title: str
    given: tuple[tuple[str | None, Said], ...]

    @property
    def name(self) -> str:  # type: ignore[override]  # the other annotations have one name a class
        return self.title

    @property
    def arguments(self) -> tuple[tuple[str | None, Said], ...]:
        return self.given


@dataclass(frozen=True)
class Init(Annotation):
    """How the emitted constructor initialises weights: convolutions by `scheme`, unless told
    otherwise by He's; all else as PyTorch's modules do it, unless told otherwise."""

    name: ClassVar[str] = "init"
    subjects: ClassVar[tuple[Subject, ...]] = ("net",)
    elsewhere: ClassVar[str | None] = "move it before the `net`, all of whose layers it initialises"

    scheme: str | None = parameter("string", optional=True, choices=("he_normal", "torch"))
    fan: str | None = parameter("string", optional=True, choices=("in", "out"))
    conv_bias: str | None = parameter("string", optional=True, choices=("zero", "torch"))
    linear_std: float | None = parameter("float", optional=True, above=0)
    linear_bias: str | None = parameter("string", optional=True, choices=("zero", "torch"))
    bn_weight: float | None = parameter("float", optional=True, above=0)


@dataclass(frozen=True)
class StochasticDepth(Annotation):
    """How the survival of branches falls with their depth (Huang et al., 1603.09382)."""

    name: ClassVar[str] = "stochastic_depth"
    subjects: ClassVar[tuple[Subject, ...]] = ("net", "block", "assignment")

    final_survival: float | None = parameter("float", optional=True, above=0, high=1)
    schedule: str | None = parameter("string", optional=True, choices=("linear", "uniform"))
    mode: str | None = parameter("string", optional=True, choices=DROPS)


@dataclass(frozen=True)
class UnusedLayers(Annotation):
    """What is made for its weights, and not applied."""

    name: ClassVar[str] = "unused"
    subjects: ClassVar[tuple[Subject, ...]] = ("assignment",)
    elsewhere: ClassVar[str | None] = "write `@unused`, and below it `_ = x -> label: layer`"


@dataclass(frozen=True)
class Costs(Annotation):
    """What an extern layer costs: parameters, and multiply-accumulates of a sample."""

    name: ClassVar[str] = "costs"
    subjects: ClassVar[tuple[Subject, ...]] = ("extern layer",)
    elsewhere: ClassVar[str | None] = "leave it out: what nets and blocks cost is counted"

    params: Expression = parameter("int", low=0)
    macs: Expression = parameter("int", low=0)


ANNOTATIONS: dict[str, type[Annotation]] = {
    cls.name: cls
    for cls in (
        Init,
        StochasticDepth,
        UnusedLayers,
        Costs,
    )
}
"""The annotations that archc knows, by their names."""
