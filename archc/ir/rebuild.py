"""Another graph from a graph, node by node: how a pass rewrites a net.

    def rule(visit: Visit) -> Node:
        value = visit.keep()
        return visit.insert(Relu6(), value) if isinstance(visit.node.op, Conv) else value

The rule is asked for each node, operands before users. What it gives is read in the place of the
node ever after: by its users, by the outputs, and by what the regions say of their inputs and
results. Types are inferred again; what no output depends on any more goes, and so do regions that
are left empty.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from archc.ir.graph import Graph, Layer, Node, Path
from archc.ir.verify import VerifyError
from archc.ops.op import Op, OpError, TensorType


@dataclass(frozen=True, slots=True)
class Visit:
    """A node of the graph that is rebuilt, where a rule decides what becomes of it."""

    node: Node
    operands: tuple[Node, ...]
    """The new values of its operands."""
    types: tuple[TensorType, ...]
    """What types its operands had."""
    values: Mapping[int, Node]
    """The new values of all nodes before it, by their ids in the graph that is rebuilt."""
    graph: Graph
    """The graph that is rebuilt."""
    made: Graph
    layers: dict[Path, Layer]
    """The layers of what was made, by their paths."""

    def keep(self, *operands: Node, op: Op | None = None) -> Node:
        """The node with its name, path and region; of other operands, or another operator.

        Raises OpError where the operator refuses its operands.
        """
        node, operands = self.node, operands or self.operands
        types = tuple(operand.type for operand in operands)
        layer = node.layer if op is None else replace(node.layer, op=op)
        same = op is None and types == self.types
        type_ = node.type if same else layer.op.infer(*types)
        id = self.made.new_id(node.id)
        if not same or id != node.id:
            node = replace(node, id=id, layer=layer, type=type_)
        return self._add(node, operands)

    def insert(self, op: Op, *operands: Node, path: Path | None = None) -> Node:
        """A new node, written where this one is: a function, or the layer at a path.

        An operator with weights needs a path, which is new or that of an equal operator: then it
        shares its weights. Raises OpError where the operator refuses its operands.
        """
        own = self.node
        layer = Layer(op, path, own.layer.order, own.layer.span)
        known = self.layers.get(path) if path is not None else None
        layer = known if known is not None and known.op == op else layer
        type_ = op.infer(*(operand.type for operand in operands))
        node = Node(self.made.new_id(), layer, type_, own.region, own.name, own.span)
        return self._add(node, operands)

    def _add(self, node: Node, operands: tuple[Node, ...]) -> Node:
        if node.layer.path is not None:
            self.layers.setdefault(node.layer.path, node.layer)
        self.made.add_node(node, tuple(operand.id for operand in operands))
        return node


def rebuild(graph: Graph, rule: Callable[[Visit], Node]) -> Graph:
    """The graph in which each node is what the rule gives for it: `graph` stays as it is.

    Nodes have the ids that they had, but for those behind what was inserted. Layers that are made
    and not applied stay. What `share-memory` found is not carried over. Raises VerifyError where an
    operator refuses the operands that the rule gives it.
    """
    made = Graph(graph.info)
    values: dict[int, Node] = {}
    ids: dict[int, int] = {}
    layers: dict[Path, Layer] = {}
    for id in _mentioned(graph):
        if id in graph:
            before = graph.operands(id)
            operands = tuple(values[operand] for operand in before)
            types = tuple(graph.node(operand).type for operand in before)
            value = _ruled(
                rule, Visit(graph.node(id), operands, types, values, graph, made, layers)
            )
            values[id], ids[id] = value, value.id
        else:
            ids[id] = made.new_id(id)
    for region in graph.regions.values():
        inputs = tuple((name, ids[node]) for name, node in region.inputs)
        results = tuple(ids[node] for node in region.results)
        made.regions[region.id] = replace(region, inputs=inputs, results=results)
    made.outputs = tuple(replace(output, node=ids[output.node]) for output in graph.outputs)
    for id, unused in graph.unused.items():
        made.unused[ids[id]] = replace(unused, node=replace(unused.node, id=ids[id]))
    made.new_id(max(made.regions))
    made.remove_dead()
    return made


def _ruled(rule: Callable[[Visit], Node], visit: Visit) -> Node:
    try:
        value: object = rule(visit)
    except OpError as refusal:
        node = visit.node
        raise VerifyError(f"node {node.id} ({node.op}): {refusal.message}") from None
    if not isinstance(value, Node):
        raise TypeError(f"the rule gave {value!r} for `{visit.node.op}`, not a node")
    return value


def _mentioned(graph: Graph) -> list[int]:
    """The ids of all nodes, in order: those removed, of which regions still speak, included."""
    found = {node.id for node in graph.nodes()} | graph.unused.keys()
    for region in graph.regions.values():
        found.update(node for _, node in region.inputs)
        found.update(region.results)
    return sorted(found)
