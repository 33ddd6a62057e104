"""A whole run of a net on shapes alone: forward, and backward in training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

from archc.analysis.plan.closing import ClosingRun
from archc.analysis.plan.dense import Block
from archc.analysis.plan.ends import hold_what_functions_keep, hold_what_values_need
from archc.analysis.plan.engine import Engine
from archc.analysis.plan.rerun import Rerun
from archc.analysis.plan.schedule import Schedule, Tensor
from archc.analysis.plan.tape import Sizes, Tape, name_of
from archc.analysis.plan.values import Again, Recipe, Stored, Value
from archc.ir.graph import Graph, Input, Node
from archc.ir.regions import boundaries, chains
from archc.ir.sharing import Closing, DenseBlock
from archc.ops.activation import Activation
from archc.ops.op import TensorType
from archc.ops.parameter import Param

Memory = Literal["keep", "recompute", "off"]


def run(
    graph: Graph, sizes: Sizes, memory: Memory, held: Mapping[int, int], *, training: bool
) -> Schedule:
    """The steps of one training step, or of one inference; Python holds the values that are `held`,
    by node, each through a node."""
    tape = Tape(Schedule(), sizes, training)
    forward = Forward(graph, tape, memory if training else "off", held)
    outputs = forward.run()
    if training:
        Engine(forward.tape).run(outputs)
    return forward.tape.schedule


@dataclass
class Forward:
    """The forward pass of a graph, as its `sharing` says and the mode lets it."""

    graph: Graph
    tape: Tape
    memory: Memory
    held: Mapping[int, int]
    values: dict[int, Value] = field(default_factory=dict)
    steps: dict[int, int] = field(default_factory=dict)
    """The last step of each node."""

    def __post_init__(self) -> None:
        sharing = self.graph.sharing
        self.shares = self.memory != "off"
        self.around, self.edges = chains(self.graph), boundaries(self.graph)
        self.concats = frozenset(sharing.concats if self.shares else ())
        self.rebuilt = {each.activation: each for each in sharing.activations if self.shares}
        self.pools = {pool: conv for conv, pool in sharing.swaps}
        closings = sharing.closings if self.shares else ()
        self.closings = {each.last: each for each in closings}
        self.closed = frozenset(id for each in closings for id in (each.norm, each.activation))
        self.rows = frozenset(sharing.rows if self.shares else ())
        self.blocks = {each.region: each for each in sharing.blocks if self.shares}

    def run(self) -> list[Value]:
        """The values of the outputs."""
        for whole, nodes in groupby(self.graph.nodes(), key=self._whole):
            if whole is None:
                for node in nodes:
                    self._node(self.tape, node)
            elif whole in self.blocks:
                self._block(self.blocks[whole], list(nodes))
            else:
                self._row(whole, list(nodes))
        schedule = self.tape.schedule
        for id, after in self.held.items():
            tensor = self.values[id].tensor if id in self.values else None
            if tensor is not None:
                schedule.hold(tensor, self.steps[after])
        outputs = [self.values[output.node] for output in self.graph.outputs]
        hold_what_values_need(schedule, self.values.values())
        hold_what_functions_keep(schedule, self.tape.functions, outputs)
        schedule.outputs = list(dict.fromkeys(v.tensor for v in outputs if v.tensor is not None))
        schedule.held |= set(schedule.outputs)
        return outputs

    def _whole(self, node: Node) -> int | None:
        """The region around a node that runs as one: a dense block, or one that is run again."""
        around = self.around[node.region]
        return next((r for r in around if r in self.rows or r in self.blocks), None)

    def _node(self, tape: Tape, node: Node) -> None:
        follows = node.id in self.closed or node.id in self.pools.values()
        if node.id in self.closings:
            self.values[node.id] = self._closing(tape, self.closings[node.id])
        elif not follows:  # else it runs with what comes after it
            self.values[node.id] = self._value(tape, node)
        self.steps[node.id] = len(tape.schedule.steps) - 1

    def _closing(self, tape: Tape, closing: Closing) -> Value:
        (features,) = self.graph.operands(closing.norm)
        return ClosingRun(tape, self.graph, closing, self.values[features]).forward()

    def _value(self, tape: Tape, node: Node) -> Value:
        operands = [self.values[operand] for operand in self._operands(node)]
        region = ".".join(self.graph.regions[node.region].path)
        if isinstance(node.op, Input):
            return _input(tape, node)
        if isinstance(node.op, Param):
            path = ".".join(node.layer.path or ())
            return Value(None, node.type, source=tape.sink(path, ""))
        if node.id in self.pools:
            return self._swapped(tape, node, operands[0], region)
        if node.id in self.rebuilt:
            return self._activation(tape, node, operands[0], region)
        value = tape.apply(node, operands, region)
        return self._joined(value, operands, node, region) if node.id in self.concats else value

    def _operands(self, node: Node) -> Sequence[int]:
        conv = self.pools.get(node.id)
        return self.graph.operands(node.id if conv is None or conv in self.closings else conv)

    def _swapped(self, tape: Tape, node: Node, x: Value, region: str) -> Value:
        """A pool before the convolution that stands before it."""
        conv = self.graph.node(self.pools[node.id])
        if conv.id in self.closings:  # which has pooled
            return tape.apply(replace(conv, type=node.type), [x], region)
        small = TensorType((x.type.channels, *node.type.spatial))
        pooled = tape.apply(replace(node, type=small), [x], region)
        named = node.layer.path is not None  # the runtime says how to make its result again
        if named and x.recipe is not None and pooled.tensor is not None and self.shares:
            stage = Again(name_of(node, region), pooled.tensor)
            recipe = Recipe(tape.schedule, (x.recipe,), (stage,))
            pooled = replace(pooled, recipe=recipe)
        return tape.apply(replace(conv, type=node.type), [pooled], region)

    def _joined(self, value: Value, operands: Sequence[Value], node: Node, region: str) -> Value:
        assert value.tensor is not None
        parts = tuple(part for operand in operands for part in operand.ingredient)
        stage = Again(name_of(node, region), value.tensor)
        return replace(value, recipe=Recipe(self.tape.schedule, parts, (stage,)))

    def _activation(self, tape: Tape, node: Node, between: Value, region: str) -> Value:
        """An activation after a batch norm, which stays as the norm's input."""
        rebuilt = self.rebuilt[node.id]
        if between.source is None or between.tensor is None:
            return tape.apply(node, [between], region)
        norm = self.graph.node(rebuilt.norm)
        source = self.values[self.graph.operands(norm.id)[0]].ingredient
        beside = tuple(each.tensor for each in between.source.kept[1:] if isinstance(each, Stored))
        normalise = Again(name_of(norm, region), between.tensor, beside)
        inner = Recipe(tape.schedule, source, (normalise,))
        value = tape.apply(node, [replace(between, recipe=inner)], region)
        if rebuilt.kept or value.source is None or value.tensor is None:
            return value
        whole = Recipe(
            tape.schedule, source, (normalise, Again(name_of(node, region), value.tensor))
        )
        if isinstance(node.op, Activation) and node.op.keeps == "output":
            value.source.kept = (whole.use(),)
        return replace(value, recipe=whole)

    def _block(self, block: DenseBlock, inside: Sequence[Node]) -> None:
        """A dense block as one function; the values inside it are none of the schedule's."""
        source = self.values[block.input]
        value = Block(self.tape, self.graph, block, source, keep=self.memory == "keep").forward()
        self.values[block.concats[-1]] = value
        for node in inside:
            self.steps[node.id] = len(self.tape.schedule.steps) - 1

    def _row(self, region: int, inside: Sequence[Node]) -> None:
        (source,), (result,) = self.edges[region].reads, self.edges[region].gives

        def run(tape: Tape, x: Value) -> Value:
            self.values[source] = x
            start = len(tape.schedule.steps)
            try:
                for node in inside:
                    self._node(tape, node)
            finally:
                self._hold_until_now(inside, start)
            return self.values[result]

        path = ".".join(self.graph.regions[region].path)
        Rerun(run, self.values[source], self.tape, path).forward()

    def _hold_until_now(self, nodes: Sequence[Node], start: int) -> None:
        """Hold the values of nodes that have run since a step, at most until now."""
        schedule = self.tape.schedule
        for node in nodes:
            tensor = self.values[node.id].tensor if self.steps.get(node.id, -1) >= start else None
            if tensor is not None and node.id in self.held:
                until = self.steps.get(self.held[node.id], -1)
                schedule.hold(tensor, until if until >= start else len(schedule.steps) - 1)


def _input(tape: Tape, node: Node) -> Value:
    shape = tape.sizes.of(node.type)
    id = tape.schedule.add(Tensor(node.name, shape, tape.sizes.dtype, "input", ""))
    tape.schedule.inputs.append(id)
    return Value(id, node.type)
