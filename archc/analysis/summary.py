"""A graph's figures by module: shapes, parameters, multiply-accumulates, in the tree of paths.

As text, the tree goes as deep as fits on a screen unless a depth is asked for; JSON has every
layer.
"""

from dataclasses import dataclass

from archc.analysis.cost import (
    Cost,
    Costs,
    ExitCost,
    costs_of,
    exit_costs,
    expected_macs,
    macs_text,
    params_text,
)
from archc.analysis.module_rows import HEADINGS, tree_rows
from archc.analysis.module_tree import LayerSummary, RegionSummary, module_tree
from archc.analysis.summary_html import Section, to_html
from archc.analysis.text_table import TableRow, deepest, table
from archc.diagnostics import printable
from archc.ir.dump import hyper_text
from archc.ir.graph import Graph
from archc.ir.initialisation import Reach, reach_of
from archc.ops.size import Dim
from archc.ops.tensor_type import TensorType

SCHEMA = 1
"""The version of the JSON form; new keys do not change it, other meanings do."""

MAX_ROWS = 48
"""The tree goes as deep as it can with no more rows than this; one level is always shown."""

_LINES = 60
"""Nor is the tree deeper than these lines in all have room for."""

_OUTPUTS = 4
"""Outputs whose shapes stand in the first line; more of them are counted."""

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class ExitSummary:
    """What one output costs; see `archc.analysis.cost.ExitCost`."""

    name: str
    type: TensorType
    cost: ExitCost


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a net. `inputs` are names and types; `exits` are all outputs, in order."""

    name: str
    doc: str
    inputs: tuple[tuple[str, TensorType], ...]
    cost: Cost
    exits: tuple[ExitSummary, ...]
    root: RegionSummary
    parameters: tuple[tuple[str, str, str], ...] = ()
    """The net's hyperparameters: name, value, and the spec's words for it."""
    externs: tuple[str, ...] = ()
    """The extern layers, whose weights and costs are in none of the figures."""
    init: Reach | None = None
    """What the net's `@init` does, if it has one."""
    expected_macs: float | None = None
    """Multiply-accumulates a sample in training, on average over what stochastic depth skips."""

    @property
    def params(self) -> int:
        """Trained parameters, those of extern layers left out."""
        return self.cost.params

    @property
    def buffers(self) -> int:
        """Elements of the state_dict that are not trained."""
        return self.cost.buffers

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates a sample of convolutions and linear layers; None if unknown."""
        return self.cost.macs

    def to_text(self, depth: int | None = None, width: int | None = None) -> str:
        """The summary as lines of text: the tree, what each exit costs, the totals.

        `depth` is how many levels of modules the tree has; `width` the characters of a line in
        which the tables are to fit, None for any.
        """
        above = [self._signature(), *self._doc_line(), *_parameter_lines(self.parameters), ""]
        below = [""]
        if len(self.exits) > 1:
            below += [*table(self._exit_rows(), words=1, headings=2, width=width), ""]
        below += table(self._total_rows(), words=1, headings=0)
        if self.init is not None:
            below += ["", *_init_lines(self.init)]
        if self.externs:
            names = printable(", ".join(self.externs))
            below += ["", f"?: the extern layers ({names}), of which archc knows no weights"]
        modules = self.root.children
        if depth is None:
            room = min(MAX_ROWS, _LINES - len(above) - len(below) - 2)
            rows = deepest(lambda levels: tree_rows(modules, levels), room)
        else:
            rows = list(tree_rows(modules, depth, unfold=True))
        tree = table([HEADINGS, *rows], words=3, cuttable=(0, 1), width=width)
        return "\n".join([*above, *tree, *below])

    __str__ = to_text

    def _repr_html_(self) -> str:
        """The table that a notebook shows."""
        sections = [Section(tuple(self._total_rows()))]
        if len(self.exits) > 1:
            sections.insert(0, Section(tuple(self._exit_rows()), headings=2))
        return to_html(self._signature(), self._doc_line(), self.root.children, sections)

    def _signature(self) -> str:
        """The net's name, what it takes and what it gives."""
        inputs = ", ".join(f"{name}: {type_}" for name, type_ in self.inputs)
        outputs = ", ".join(str(item.type) for item in self.exits)
        if len(self.exits) > _OUTPUTS:
            outputs = f"{len(self.exits)} outputs"
        return printable(f"{self.name}({inputs}) -> {outputs}")

    def _doc_line(self) -> list[str]:
        return [printable(line) for line in self.doc.splitlines()[:1]]

    def _exit_rows(self) -> list[TableRow]:
        """Each exit with its costs, three ways: see `archc.analysis.cost.ExitCost`."""
        rows: list[TableRow] = [
            ("exit", "cumulative", "", "own classifier", "", "lazy", ""),
            ("", *("parameters", "MACs") * 3),
        ]
        for item in self.exits:
            ways = (item.cost.cumulative, item.cost.own, item.cost.lazy)
            texts = (text(cost) for cost in ways for text in (params_text, macs_text))
            rows.append((printable(item.name), *texts))
        return rows

    def _total_rows(self) -> list[TableRow]:
        rows: list[TableRow] = [
            ("parameters", params_text(self.cost)),
            ("buffers", f"{self.buffers:,}{' + ?' if self.externs else ''}"),
            ("MACs", macs_text(self.cost)),
        ]
        if self.macs and self.expected_macs and self.expected_macs < self.macs:
            share = self.expected_macs / self.macs
            rows.append(("MACs in training", f"{self.expected_macs:,.0f} ({share:.2%}) on average"))
        return rows

    def to_json(self) -> Json:
        """The figures as JSON values; a symbolic size is a string, an unknown cost null."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "input": _shape(self.inputs[0][1]) if self.inputs else None,
            "inputs": [{"name": name, "shape": _shape(type_)} for name, type_ in self.inputs],
            **figures(self.cost),
            "expected_macs": self.expected_macs,
            "exits": [
                {
                    "name": item.name,
                    "shape": _shape(item.type),
                    **figures(item.cost.lazy),
                    "cumulative": figures(item.cost.cumulative),
                    "own": figures(item.cost.own),
                    "anytime": figures(item.cost.anytime),
                }
                for item in self.exits
            ],
            "init": self.init
            and {"reached": dict(self.init.reached), "default": dict(self.init.default)},
            "layers": [_layer_json(layer) for layer in self.root.layers()],
        }


def _parameter_lines(parameters: tuple[tuple[str, str, str], ...]) -> list[str]:
    """The hyperparameters with their values, and the first line of the spec's words for each."""
    texts = [f"{name}={value}" for name, value, _ in parameters]
    width = min(max(map(len, texts), default=0), 40)
    docs = ((doc.splitlines() or [""])[0] for _, _, doc in parameters)
    rows = (f"  {text:<{width}}  {doc}".rstrip() for text, doc in zip(texts, docs, strict=True))
    return ["", *(printable(row) for row in rows)] if texts else []


def _init_lines(reach: Reach) -> list[str]:
    """How many layers `@init` reaches, and how many keep what PyTorch gives them."""
    reached, default = (
        ", ".join(f"{count:,} {name}" for name, count in counts)
        for counts in (reach.reached, reach.default)
    )
    lines = [f"@init reaches {reached or 'no layer'}"]
    return [*lines, f"PyTorch's initial values stay in {default}"] if default else lines


def _shape(type_: TensorType) -> list[int | str]:
    return [_dim(size) for size in type_.shape]


def _dim(size: Dim) -> int | str:
    return size if isinstance(size, int) else str(size)


def figures(cost: Cost) -> Json:
    """A cost as JSON values, null where it is unknown."""
    known = not cost.opaque
    return {
        "params": cost.params if known else None,
        "buffers": cost.buffers if known else None,
        "macs": cost.macs,
    }


def _layer_json(layer: LayerSummary) -> Json:
    return {
        "path": ".".join(layer.path),
        "op": layer.op,
        "output": _shape(layer.type),
        **({"outputs": [_shape(part) for part in layer.type.parts]} if layer.type.others else {}),
        **figures(layer.cost),
        "applications": layer.applications,
    }


def summarize(graph: Graph) -> Summary:
    """The figures of a graph, in time linear in its nodes."""
    costs = costs_of(graph)
    docs = dict(graph.info.parameter_docs)
    exits = zip(graph.output_names(), graph.outputs, exit_costs(graph, costs), strict=True)
    return Summary(
        graph.name,
        graph.info.doc,
        tuple((node.name, node.type) for node in graph.inputs()),
        costs.total(),
        tuple(ExitSummary(name, graph.node(out.node).type, cost) for name, out, cost in exits),
        module_tree(graph, costs),
        tuple(
            (name, hyper_text(value), docs.get(name, "")) for name, value in graph.info.parameters
        ),
        tuple(sorted(_undeclared(graph, costs))),
        reach_of(graph),
        expected_macs(graph, costs),
    )


def _undeclared(graph: Graph, costs: Costs) -> set[str]:
    """The extern layers that do not declare their costs."""
    made = (*graph.nodes(), *(each.node for each in graph.unused.values()))
    return {n.op.name for n in made if costs.weights.get(n.layer.path or (), Cost()).opaque}
