"""What a pass is: a function from graphs to graphs, as data."""

from dataclasses import MISSING, dataclass, fields
from typing import ClassVar, Literal

from archc.ir.dump import hyper_text
from archc.ir.graph import Graph

Kept = Literal["outputs", "evaluation", "nothing"]
"""What stays equal, but for rounding, with the same weights. outputs: outputs and gradients, in
training and in evaluation. evaluation: outputs in evaluation. nothing: not even these."""


@dataclass(frozen=True)
class Pass:
    """A frozen dataclass whose fields are its options on the command line.

    Given a graph that the verifier accepts, `run` gives another that it accepts, and leaves its
    argument untouched. It does no input or output and is a function of the graph and the fields;
    weights that a pass needs arrive in a field. The docstring of a pass states what it promises;
    `keeps` is what `archc.testing.check_pass` tries of it.
    """

    name: ClassVar[str]
    keeps: ClassVar[Kept] = "outputs"
    last: ClassVar[bool] = False
    """Whether it runs after the passes of other distributions: it plans what they have made."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that its options name: where it was made, it has read them."""
        return ()

    def run(self, graph: Graph) -> Graph:
        raise NotImplementedError("it has no method `run`")

    def __str__(self) -> str:
        """The pass as `--passes` takes it, with the options that differ from their defaults."""
        options = [
            f"{option.name}={hyper_text(getattr(self, option.name))}"
            for option in fields(self)
            if option.default is MISSING or getattr(self, option.name) != option.default
        ]
        return f"{self.name}{{{','.join(options)}}}" if options else self.name
