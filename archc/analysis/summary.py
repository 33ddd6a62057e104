"""A graph's figures by module: shapes, parameters, multiply-accumulates, in the tree of paths.

A layer counts where it is registered, at its path, also when it is applied elsewhere: the figures
of a region are those of the module that it becomes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from archc.analysis.cost import Cost, Costs, ExitCost, costs_of, exit_costs, total
from archc.ir.dump import hyper_text
from archc.ir.graph import Graph, Node, Path, Region
from archc.ir.initialisation import Reach, reach_of
from archc.ir.regions import boundaries, natural
from archc.ops.op import TensorType
from archc.ops.size import Dim

SCHEMA = 1
"""The version of the JSON form; new keys do not change it, other meanings do."""

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """A layer that is an attribute of a module, or a function that multiplies.

    One without `applications` is made for its weights alone.

    `op` is its text in the language; `type` is that of its first application's result.
    """

    path: Path
    op: str
    type: TensorType
    cost: Cost
    applications: int


@dataclass(frozen=True, slots=True)
class RegionSummary:
    """A module: an applied block, a scope (`block` is None), or a list of layers (no `types`).

    `types` are those of the values that leave it, in its first application.
    """

    path: Path
    block: str | None
    types: tuple[TensorType, ...]
    cost: Cost
    children: tuple["RegionSummary | LayerSummary", ...]

    def layers(self) -> Iterator[LayerSummary]:
        """The layers in it, in the order in which they are registered."""
        for child in self.children:
            if isinstance(child, LayerSummary):
                yield child
            else:
                yield from child.layers()


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

    def to_json(self) -> Json:
        """The figures as JSON values; a symbolic size is a string, an unknown cost null."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "input": _shape(self.inputs[0][1]) if self.inputs else None,
            "inputs": [{"name": name, "shape": _shape(type_)} for name, type_ in self.inputs],
            **figures(self.cost),
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
            "init": _init_json(self.init),
            "layers": [_layer_json(layer) for layer in self.root.layers()],
        }

    def __str__(self) -> str:
        from archc.analysis.table import to_text

        return to_text(self)

    def _repr_html_(self) -> str:
        """The table that a notebook shows."""
        from archc.analysis.html import to_html

        return to_html(self)


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


def _init_json(reach: Reach | None) -> Json | None:
    """How many layers `@init` reaches and how many it does not, by operator."""
    if reach is None:
        return None
    return {"reached": dict(reach.reached), "default": dict(reach.default)}


def _layer_json(layer: LayerSummary) -> Json:
    return {
        "path": ".".join(layer.path),
        "op": layer.op,
        "output": _shape(layer.type),
        **({"outputs": [_shape(part) for part in layer.type.parts]} if layer.type.others else {}),
        **figures(layer.cost),
        "applications": layer.applications,
    }


# ------------------------------------------------------------------ building


def summarize(graph: Graph) -> Summary:
    """The figures of a graph, in time linear in its nodes."""
    costs = costs_of(graph)
    tree = _Module(graph.name)
    for path, nodes in _applications(graph, costs.macs).items():
        weights = costs.weights.get(path, Cost())
        macs = total(Cost(macs=costs.macs[node.id]) for node in nodes)
        first = nodes[0]
        layer = LayerSummary(path, str(first.op), first.type, weights + macs, len(nodes))
        tree.child(path[:-1]).add(path[-1], first.layer.order, layer)
    for node in (each.node for each in graph.unused.values()):
        own = node.layer.path or ()
        if not tree.child(own[:-1]).has(own[-1]):
            layer = LayerSummary(own, str(node.op), node.type, costs.weights.get(own, Cost()), 0)
            tree.child(own[:-1]).add(own[-1], node.layer.order, layer)
    given = boundaries(graph)
    for region in graph.regions.values():
        types = tuple(graph.node(id).type for id in given[region.id].gives)
        tree.child(region.path).describe(region, types)
    exits = zip(graph.output_names(), graph.outputs, exit_costs(graph, costs), strict=True)
    return Summary(
        graph.name,
        graph.info.doc,
        tuple((node.name, node.type) for node in graph.inputs()),
        costs.total(),
        tuple(ExitSummary(name, graph.node(out.node).type, cost) for name, out, cost in exits),
        tree.summary(()),
        _parameters(graph),
        tuple(sorted(_unknown(graph, costs))),
        reach_of(graph),
    )


def _unknown(graph: Graph, costs: Costs) -> set[str]:
    """The extern layers that do not declare their costs."""
    made = (*graph.nodes(), *(each.node for each in graph.unused.values()))
    return {n.op.name for n in made if costs.weights.get(n.layer.path or (), Cost()).opaque}


def _parameters(graph: Graph) -> tuple[tuple[str, str, str], ...]:
    docs = dict(graph.info.parameter_docs)
    return tuple(
        (name, hyper_text(value), docs.get(name, "")) for name, value in graph.info.parameters
    )


def _applications(graph: Graph, macs: dict[int, int | None]) -> dict[Path, list[Node]]:
    """The applications of each layer to list, by its path.

    A function has no path; one that multiplies is listed in its region, by operator and number.
    """
    found: dict[Path, list[Node]] = {}
    for node in sorted(graph.nodes(), key=lambda node: (node.layer.order, node.id)):
        path = node.layer.path
        if path is None and macs[node.id] != 0:
            path = (*graph.regions[node.region].path, f"{node.op.name}:{node.id}")
        if path is not None:
            found.setdefault(path, []).append(node)
    return found


@dataclass(slots=True)
class _Module:
    """A module under construction; `order` is that of the first thing known to be in it."""

    block: str | None = None
    types: tuple[TensorType, ...] = ()
    order: int | None = None
    children: dict[str, "_Module"] = field(default_factory=dict)
    layers: dict[str, tuple[int, LayerSummary]] = field(default_factory=dict)

    def child(self, path: Path) -> "_Module":
        """The module at a path below this one, made if it is not there."""
        module = self
        for name in path:
            module = module.children.setdefault(name, _Module())
        return module

    def has(self, name: str) -> bool:
        return name in self.layers

    def add(self, name: str, order: int, layer: LayerSummary) -> None:
        self.layers[name] = (order, layer)

    def describe(self, region: Region, types: tuple[TensorType, ...]) -> None:
        """Take over what a region says; of several applications the first decides."""
        if self.order is None and region.parent is not None:
            self.block, self.types, self.order = region.block, types, region.order
        elif region.parent is None:
            self.types = types

    def first_order(self) -> int:
        """Where it stands among its siblings; a list of layers stands where its first one does."""
        if self.order is not None:
            return self.order
        orders = [order for order, _ in self.layers.values()]
        return min([*orders, *(child.first_order() for child in self.children.values())], default=0)

    def summary(self, path: Path) -> RegionSummary:
        """What was gathered, sums included, with the children in the order of registration."""
        children: list[tuple[int, RegionSummary | LayerSummary]] = list(self.layers.values())
        for name, child in self.children.items():
            children.append((child.first_order(), child.summary((*path, name))))
        children.sort(key=lambda pair: pair[0])
        if self.order is None and path:  # a list, whose elements are registered by their numbers
            children.sort(key=lambda pair: natural(pair[1].path[-1]))
        found = tuple(child for _, child in children)
        return RegionSummary(
            path, self.block, self.types, total(child.cost for child in found), found
        )
