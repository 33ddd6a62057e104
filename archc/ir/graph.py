"""The intermediate representation: a graph of operator applications, and the tree of regions.

networkx holds the topology; frozen dataclasses are the payload. Ids only grow, and every operand is
older than its user, so the order of ids is a topological order and dumps are stable.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, cast

import networkx as nx

from archc.diagnostics import Span
from archc.ir.annotations import Annotation
from archc.ir.sharing import Sharing
from archc.ops.op import ChannelRule, Op, TensorType, Weight

Path = tuple[str, ...]
"""Attribute names from the net to a module: the prefix of its state_dict keys."""


@dataclass(frozen=True)
class Input(Op):
    """A tensor that the net is given."""

    name: ClassVar[str] = "input"
    arity: ClassVar[int | None] = 0

    shape: TensorType

    def rule(self, *types: TensorType) -> TensorType:
        return self.shape

    @property
    def channel_rule(self) -> ChannelRule:
        return "source"

    def __str__(self) -> str:
        return "input"


@dataclass(frozen=True, slots=True)
class Layer:
    """An operator that was made, with its hyperparameters; it owns its weights.

    A layer with a path is one attribute of an emitted module, and its path is its identity: two
    nodes whose layers have the same path share weights. Without one it is written as a function.
    `order` counts what was made, modules and layers alike: attributes are registered in its order.
    """

    op: Op
    path: Path | None
    order: int
    span: Span


@dataclass(frozen=True, slots=True)
class Node:
    """One application of a layer.

    `region` is where it stands, `name` the variable that its value (or the value it leads to) was
    bound to, `span` the text that applied it.
    """

    id: int
    layer: Layer
    type: TensorType
    region: int
    name: str
    span: Span
    annotations: tuple[Annotation, ...] = ()

    @property
    def op(self) -> Op:
        return self.layer.op


@dataclass(frozen=True, slots=True)
class Unused:
    """A layer that is made and not applied: the application that says what its weights are."""

    node: Node
    types: tuple[TensorType, ...]
    """Those of the operands that it would be applied to."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A block or an operator that was given as a hyperparameter."""

    name: str


Hyper = int | float | bool | str | Reference | tuple["Hyper", ...]


@dataclass(frozen=True, slots=True)
class Region:
    """One application of a block, or a `scope`; it becomes a module of the emitted code.

    Regions with the same path are applications of one module. `block` is None for a scope;
    `definition` is the block's or scope's own text, `span` the text that applied it; `inputs` are
    the block's tensors and their nodes, `names` the variables that its results were bound to.
    """

    id: int
    parent: int | None
    path: Path
    block: str | None
    order: int
    parameters: tuple[tuple[str, Hyper], ...]
    inputs: tuple[tuple[str, int], ...]
    names: tuple[str, ...]
    definition: Span
    span: Span
    doc: str = ""
    annotations: tuple[Annotation, ...] = ()
    results: tuple[int, ...] = ()
    """The nodes that the block returned, in its own order: what `names` are the names of."""

    def name_of(self, node: int) -> str:
        """What the variables around a region call one of its results."""
        index = self.results.index(node) if node in self.results else 0
        return self.names[index] if index < len(self.names) else "".join(self.names[:1])


@dataclass(frozen=True, slots=True)
class Output:
    """A value that the net gives: an early exit by name, or what it returns (`name` is None)."""

    node: int
    name: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class NetInfo:
    """What the spec says of the net as a whole; `given` are the parameters set from outside."""

    name: str
    parameters: tuple[tuple[str, Hyper], ...]
    given: tuple[tuple[str, Hyper], ...]
    definition: Span
    doc: str = ""
    annotations: tuple[Annotation, ...] = ()
    parameter_docs: tuple[tuple[str, str], ...] = ()
    """The `##` texts of the parameters that have one."""


class Graph:
    """A net. Topology and payload change through the methods; payloads are never mutated."""

    def __init__(self, info: NetInfo) -> None:
        self.info = info
        self.regions: dict[int, Region] = {}
        self.outputs: tuple[Output, ...] = ()
        self.sharing = Sharing()
        self.unused: dict[int, Unused] = {}
        self._topology: nx.MultiDiGraph[int] = nx.MultiDiGraph()
        self._payload: dict[int, Node] = {}
        self._operands: dict[int, tuple[int, ...]] = {}  # of each node, to be read without a sort
        self._next = 0

    # ------------------------------------------------------------- building

    def new_id(self, least: int = 0) -> int:
        """The next id, for a node or a region: `least`, or one above all that there have been."""
        self._next = max(self._next, least) + 1
        return self._next - 1

    def add_region(self, region: Region) -> None:
        """Add a region, or replace the one with its id."""
        self.regions[region.id] = region

    def add_node(self, node: Node, operands: tuple[int, ...]) -> None:
        """Add an application; edge keys are operand positions, so `concat(x, x)` has two edges."""
        self._payload[node.id] = node
        self._operands[node.id] = operands
        self._topology.add_node(node.id)
        for position, operand in enumerate(operands):
            self._topology.add_edge(operand, node.id, key=position)

    def copy(self) -> "Graph":
        """A graph that can be changed without changing this one."""
        other = Graph(self.info)
        other.regions = dict(self.regions)
        other.outputs = self.outputs
        other.sharing = self.sharing
        other.unused = dict(self.unused)
        other._topology = self._topology.copy()
        other._payload = dict(self._payload)
        other._operands = dict(self._operands)
        other._next = self._next
        return other

    # -------------------------------------------------------------- reading

    @property
    def name(self) -> str:
        return self.info.name

    def nodes(self) -> Iterator[Node]:
        """All nodes, operands before users."""
        for id in sorted(self._payload):
            yield self._payload[id]

    def node(self, id: int) -> Node:
        return self._payload[id]

    def __len__(self) -> int:
        return len(self._payload)

    def __contains__(self, id: int) -> bool:
        return id in self._payload

    def operands(self, id: int) -> tuple[int, ...]:
        """The ids of a node's operands, by position."""
        return self._operands[id]

    def operand_types(self, id: int) -> tuple[TensorType, ...]:
        """The types of a node's operands, also of one that was set aside."""
        if id in self.unused:
            return self.unused[id].types
        return tuple(self._payload[operand].type for operand in self.operands(id))

    def users(self, id: int) -> tuple[tuple[int, int], ...]:
        """The uses of a node's value: (user, operand position), oldest user first."""
        readers = self._topology.succ[id].items()
        pairs = [(user, position) for user, positions in readers for position in positions]
        return tuple(sorted(cast(list[tuple[int, int]], pairs)))

    def inputs(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes() if isinstance(node.op, Input))

    def output_names(self) -> tuple[str, ...]:
        """The exits' own names; what is returned is `return`, several values `return[0]`, ..."""
        returned = [output for output in self.outputs if output.name is None]
        if len(returned) == 1:
            return tuple(output.name or "return" for output in self.outputs)
        numbers = iter(range(len(returned)))
        return tuple(output.name or f"return[{next(numbers)}]" for output in self.outputs)

    def weights(self) -> Iterator[tuple[Node, tuple[Weight, ...]]]:
        """The first application of each layer that owns weights, with them, in order of making.

        Of a layer that is not applied, it is the one that was set aside.
        """
        seen: set[Path] = set()
        made = (*self.nodes(), *(each.node for each in self.unused.values()))
        for node in sorted(made, key=lambda node: (node.layer.order, node.id)):
            path = node.layer.path
            if path is None or path in seen:
                continue
            weights = node.op.weights(*self.operand_types(node.id))
            if weights:
                seen.add(path)
                yield node, weights

    # ------------------------------------------------------------- pruning

    def set_aside(self, id: int) -> None:
        """Keep the layer of a node that no output depends on, and that is going to be removed."""
        self.unused[id] = Unused(self._payload[id], self.operand_types(id))

    def live(self, also: Iterable[int] = ()) -> set[int]:
        """The nodes that an output depends on, or one of `also`, and the inputs."""
        reached = {output.node for output in self.outputs} | set(also)
        stack = list(reached)
        while stack:
            for source in self._topology.predecessors(stack.pop()):
                if source not in reached:
                    reached.add(source)
                    stack.append(source)
        reached |= {node.id for node in self.inputs()}
        return reached | self._beside(reached)

    def _beside(self, live: set[int]) -> set[int]:
        """The other results of layers that give several: they are there as soon as one is."""
        return {
            user
            for node in self.nodes()
            if node.id in live and node.type.others
            for user, _ in self.users(node.id)
        }

    def remove_dead(self) -> tuple[Node, ...]:
        """Remove and return what no output depends on, and the regions left empty by that."""
        live = self.live()
        dead = [node for node in self.nodes() if node.id not in live]
        for node in dead:
            self._topology.remove_node(node.id)
            del self._payload[node.id], self._operands[node.id]
        self._prune_regions()
        return tuple(dead)

    def _prune_regions(self) -> None:
        used = self.inhabited()
        self.regions = {id: region for id, region in self.regions.items() if id in used}

    def inhabited(self) -> set[int]:
        """The root, the regions in which nodes lie, those set aside included, and those around.

        A module in which no node lies, but whose layers are applied elsewhere, keeps one region.
        """
        used = {region.id for region in self.regions.values() if region.parent is None}
        by_path: dict[Path, list[Region]] = {}
        for region in self.regions.values():
            by_path.setdefault(region.path, []).append(region)
        for node in (*self.nodes(), *(each.node for each in self.unused.values())):
            self._add_around(node.region, used)
        for owner in self._owners():
            same = by_path.get(owner, [])
            if same and all(region.id not in used for region in same):
                inside = [region for region in same if region.parent in used]
                self._add_around((inside or same)[0].id, used)
        return used

    def _owners(self) -> Iterator[Path]:
        """The modules in which layers lie, each behind those around it."""
        paths = {node.layer.path for node in self.nodes() if node.layer.path is not None}
        owners = {path[:length] for path in paths for length in range(1, len(path))}
        yield from sorted(owners, key=lambda path: (len(path), path))

    def _add_around(self, region: int | None, used: set[int]) -> None:
        while region is not None and region not in used:
            used.add(region)
            region = self.regions[region].parent
