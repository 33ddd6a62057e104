"""How a body ends, and the exits of a net: their names, each of which stands once."""

from dataclasses import dataclass, field

from archc.diagnostics import Label, Span, error
from archc.elaborate.values import Datum, Tensor
from archc.ir.graph import Graph, Output, Region


@dataclass(frozen=True, slots=True)
class Returned:
    """A body has returned."""

    value: Datum
    span: Span


@dataclass
class Exits:
    """The exits that elaboration has met, in their order."""

    outputs: list[Output] = field(default_factory=list)
    _places: dict[str, Span] = field(default_factory=dict)

    def add(self, value: Tensor, name: str, span: Span) -> None:
        if name in self._places:
            raise error(
                "E0408",
                f"two exits are called `{name}`",
                Label(span, "again here"),
                Label(self._places[name], "first here"),
                help='label them apart, as in `exit "head{i}": ...`',
            )
        self._places[name] = span
        self.outputs.append(Output(value.node, name, span))

    def name(self, value: Tensor, graph: Graph, region: Region) -> str:
        """The path of the module that computed an exit, outermost below this region."""
        node = graph.node(value.node)
        path = node.layer.path or graph.regions[node.region].path
        below = path[: len(region.path) + 1]
        return ".".join(below) or f"exit{len(self.outputs) + 1}"
