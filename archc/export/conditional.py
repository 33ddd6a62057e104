"""An ONNX model of all exits as one with real control flow: what comes after an exit runs only if
the sample does not leave there.

Each exit but the last ends in an `If`: one branch gives its results, the other holds the nodes that
the next exit needs in addition, and that one's `If`. A branch reads the values around it by their
names, so that nothing is computed twice. For single samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import log
from typing import Any

OUTPUTS = ("scores", "label", "exit", "confidence")
"""The results [1, classes], [1], [1], [1]: those of the exit at which the sample leaves, the class,
the number of the exit, and how sure it is."""


def with_exits(
    model: Any, exits: Sequence[str], thresholds: Sequence[float], criterion: str
) -> Any:
    """The `onnx.ModelProto` that gives `OUTPUTS` in place of `exits`, the names of all results of
    `model`, each scores [1, classes] of the same classes. It is a new one, for the same input.

    A sample leaves at the first exit whose confidence is at least the threshold, as by `predict`.
    """
    onnx: Any = import_module("onnx")
    writer = _BranchWriter(onnx, model.graph, tuple(exits), tuple(thresholds), criterion)
    graph = onnx.GraphProto()
    graph.name = model.graph.name
    graph.input.extend(model.graph.input)
    graph.initializer.extend(model.graph.initializer)
    graph.node.extend(writer.from_exit(0, ""))
    graph.output.extend(writer.results(""))
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.CopyFrom(graph)
    onnx.checker.check_model(made, full_check=True)
    return made


@dataclass(frozen=True)
class _BranchWriter:
    onnx: Any
    graph: Any
    exits: tuple[str, ...]
    thresholds: tuple[float, ...]
    criterion: str

    def from_exit(self, k: int, place: str) -> Iterator[Any]:
        """The nodes that compute exit k from what is there, and what follows; results have the
        prefix `place`."""
        yield from self._stage(k)
        yield from self._sure(k)
        if k == len(self.exits) - 1:
            yield from self._given(k, place)
            return
        limit, leaves = f"threshold{k}", f"leaves{k}"
        yield self._constant(limit, [self.thresholds[k]])
        yield self._node("GreaterOrEqual", [f"sure{k}", limit], leaves)
        branches = {
            "then_branch": self._branch(self._given(k, f"leave{k}_"), f"leave{k}_"),
            "else_branch": self._branch(self.from_exit(k + 1, f"go_on{k}_"), f"go_on{k}_"),
        }
        outputs = [place + name for name in OUTPUTS]
        yield self.onnx.helper.make_node("If", [leaves], outputs, f"exit{k}", **branches)

    def results(self, place: str) -> list[Any]:
        """What the results with a prefix are."""
        proto, info = self.onnx.TensorProto, self.onnx.helper.make_tensor_value_info
        (found,) = (each for each in self.graph.output if each.name == self.exits[0])
        classes = found.type.tensor_type.shape.dim[1].dim_value
        kinds = (
            (proto.FLOAT, [1, classes]),
            (proto.INT64, [1]),
            (proto.INT64, [1]),
            (proto.FLOAT, [1]),
        )
        return [info(place + name, *kind) for name, kind in zip(OUTPUTS, kinds, strict=True)]

    def _branch(self, nodes: Iterator[Any], place: str) -> Any:
        return self.onnx.helper.make_graph(list(nodes), place, [], self.results(place))

    def _stage(self, k: int) -> Iterator[Any]:
        """The nodes that exit k is the first to need."""
        before = self._needed(self.exits[:k])
        own = self._needed(self.exits[k : k + 1]) - before
        yield from (node for i, node in enumerate(self.graph.node) if i in own)

    def _needed(self, values: Sequence[str]) -> set[int]:
        """The numbers of the nodes that values are computed by."""
        makers = {name: i for i, node in enumerate(self.graph.node) for name in node.output}
        found, left = set[int](), list(values)
        while left:
            number = makers.get(left.pop())
            if number is not None and number not in found:
                found.add(number)
                left.extend(self.graph.node[number].input)
        return found

    def _sure(self, k: int) -> Iterator[Any]:
        """`sure{k}` [1]: how sure exit k is (runtime/exits.py says what that means)."""
        scores, sure = self.exits[k], f"sure{k}"
        axes = f"axes{k}"
        yield self._constant(axes, [1])
        if self.criterion == "confidence":
            yield self._node("Softmax", [scores], f"shares{k}", axis=1)
            yield self._node("ReduceMax", [f"shares{k}", axes], sure, keepdims=0)
            return
        (found,) = (each for each in self.graph.output if each.name == scores)
        classes = found.type.tensor_type.shape.dim[1].dim_value
        yield self._constant(f"most{k}", [log(classes) or 1.0])  # of one class, all are sure
        yield self._constant(f"one{k}", [1.0])
        yield self._constant(f"least{k}", [-1e30])  # 0 * -inf is no number
        yield self._node("LogSoftmax", [scores], f"all_logs{k}", axis=1)
        yield self._node("Max", [f"all_logs{k}", f"least{k}"], f"logs{k}")
        yield self._node("Exp", [f"logs{k}"], f"shares{k}")
        yield self._node("Mul", [f"shares{k}", f"logs{k}"], f"terms{k}")
        yield self._node("ReduceSum", [f"terms{k}", axes], f"sum{k}", keepdims=0)
        yield self._node("Div", [f"sum{k}", f"most{k}"], f"part{k}")
        yield self._node("Add", [f"one{k}", f"part{k}"], sure)

    def _given(self, k: int, place: str) -> Iterator[Any]:
        """The results of exit k."""
        yield self._node("Identity", [self.exits[k]], f"{place}scores")
        yield self._node("ArgMax", [self.exits[k]], f"{place}label", axis=1, keepdims=0)
        yield self._constant(f"{place}exit", [k])
        yield self._node("Identity", [f"sure{k}"], f"{place}confidence")

    def _node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> Any:
        return self.onnx.helper.make_node(op, inputs, [output], output, **attributes)

    def _constant(self, name: str, values: list[int] | list[float]) -> Any:
        proto = self.onnx.TensorProto
        kind = proto.INT64 if isinstance(values[0], int) else proto.FLOAT
        tensor = self.onnx.helper.make_tensor(name, kind, [len(values)], values)
        return self.onnx.helper.make_node("Constant", [], [name], name, value=tensor)
