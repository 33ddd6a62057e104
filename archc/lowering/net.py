"""The net's own class: constructor arguments, features and head, and what timm users call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from archc.ir.exits import has_exits
from archc.ir.graph import Graph, Hyper, Node, Path, Region
from archc.lowering.classes import SELF, ClassWriter
from archc.lowering.docstrings import shape_text
from archc.lowering.exits import exit_facts, exit_methods, forward_of_exits, head_methods
from archc.lowering.initialise import initialisation
from archc.lowering.items import ChainItem, FunctionItem, ModuleItem, operands_of, results_of
from archc.lowering.nesting import Given
from archc.lowering.sharing import memory_argument, rebuilds_after, set_memory, while_rebuilding
from archc.lowering.skipping import gate_methods, with_gates
from archc.lowering.symbols import CHANNELS
from archc.lowering.values import Symbol, Value, is_name, literal, tensors
from archc.ops.extern import Extern
from archc.ops.op import OpError, TensorType
from archc.ops.size import Size
from archc.program.printing import comment
from archc.program.tree import (
    Argument,
    Assign,
    Attribute,
    BinOp,
    BoolOp,
    Call,
    ClassDef,
    Compare,
    Constant,
    Dict,
    Expr,
    FunctionDef,
    If,
    IfExp,
    JoinedStr,
    List,
    Name,
    Raise,
    Return,
    Slice,
    Stmt,
    Subscript,
    call,
    dotted,
)

_SELF = Name("self")


@dataclass
class NetWriter(ClassWriter):
    """Writes the root form. `arguments` are its constructor arguments with their defaults."""

    arguments: tuple[tuple[str, int], ...] = ()

    @property
    def graph(self) -> Graph:
        return self.modules.graph

    def write(self) -> ClassDef:
        init = self.init(self.signature(), self._after())
        body = (*([init] if init else []), *self._methods())
        name = self.names[self.form.id]
        return ClassDef(name, dotted(self.base), self.where(), self.doc(), body)

    def parameter_names(self) -> list[str]:
        return [name for name, _ in self.arguments]

    def signature(self) -> list[Argument]:
        numbers = [Argument(n, Name("int"), Constant(value)) for n, value in self.arguments]
        return [*numbers, *memory_argument(self.graph)]

    def doc(self) -> tuple[str, ...]:
        graph = self.graph
        parameters = sum(
            weight.elements
            for _, weights in graph.weights()
            for weight in weights
            if weight.trained
        )
        macs = [node.op.macs(graph.operand_types(node.id), node.type) for node in graph.nodes()]
        declared = self._declared()
        parameters += sum(count or 0 for _, count in declared.values())
        cost = f"{parameters:,} parameters"
        unknown = sorted({name for name, count in declared.values() if count is None})
        if unknown:
            cost += f" and those of {', '.join(unknown)}"
        if all(count is not None for count in macs):
            cost += f", {sum(count or 0 for count in macs):,} multiply-accumulates"
        text = [*graph.info.doc.split("\n"), ""] if graph.info.doc else []
        return (*text, f"{self._net_shapes()}; {cost}.")

    def _declared(self) -> dict[Path | None, tuple[str, int | None]]:
        """The extern layers: their names, and their parameters where these are declared."""
        graph = self.graph
        return {
            node.layer.path: (node.op.name, node.op.params(*graph.operand_types(node.id)))
            for node in (*graph.nodes(), *(each.node for each in graph.unused.values()))
            if isinstance(node.op, Extern)
        }

    def _net_shapes(self) -> str:
        given = ", ".join(shape_text(node.type) for node in self.graph.inputs())
        back = [shape_text(self.graph.node(output.node).type) for output in self.graph.outputs]
        if len(set(back)) == 1 and len(back) > 1:
            return f"{given} -> {len(back)} times {back[0]}"
        return f"{given} -> {', '.join(back)}"

    # -------------------------------------------------------- constructor

    def _after(self) -> list[Stmt]:
        """After the attributes: what describes the features, then the weights."""
        out: list[Stmt] = []
        if self._classifier() is not None:
            out.append(_set("num_features", literal(self._num_features())))
        info = tuple(self._feature_info())
        if info:
            out.append(_set("feature_info", List(info)))
        return [*out, *exit_facts(self.graph), *set_memory(self.graph), *self._initialise()]

    def _attribute(self, position: int, item: ModuleItem | ChainItem) -> Sequence[Stmt]:
        classifier = self._classifier()
        if classifier is not None and item is classifier:
            target = Attribute(_SELF, item.label[0])
            return [Assign(target, self.construct(item), dotted("nn.Module"))]
        return super()._attribute(position, item)

    def _initialise(self) -> Sequence[Stmt]:
        """The spec's `@init`."""
        found = [each for each in self.graph.info.annotations if each.name == "init"]
        words: dict[str, Hyper] = {}
        words.update((word, value) for each in found for word, value in each.arguments if word)
        made = [
            (self.modules.torch_module(path).cls, maker.op)
            for path, maker in self.modules.makers.items()
        ]
        return initialisation(words, made) if found else []

    # ------------------------------------------------------------ methods

    def _methods(self) -> Iterator[FunctionDef]:
        cut = self._cut
        if cut is None:
            yield from self._exits() if has_exits(self.graph) else (self._whole_forward(),)
            yield from gate_methods(self.graph)
            return
        position, value = cut
        (name,) = self.input_names()
        image = Name(name)
        yield self._features(position, value)
        yield self._head(position, value)
        features = call("self.forward_features", image)
        whole: Sequence[Stmt] = [Return(call("self.forward_head", features))]
        if rebuilds_after(self.graph, self.body.values[value]):
            whole = while_rebuilding(self.graph, whole)
        yield self._method("forward", [name], tensors(1), with_gates(self.graph, whole))
        yield from gate_methods(self.graph)
        yield from self._classifier_methods()

    def _method(
        self, name: str, inputs: Sequence[str], returns: Expr, body: Sequence[Stmt]
    ) -> FunctionDef:
        arguments = (Argument(each, Name("Tensor")) for each in inputs)
        return FunctionDef(name, (SELF, *arguments), returns, tuple(body))

    def _whole_forward(self) -> FunctionDef:
        names = self.input_names()
        exits = any(output.name is not None for output in self.graph.outputs)
        count = len(self.graph.outputs)
        returns = Subscript(Name("list"), Name("Tensor")) if exits else tensors(count)
        given = Given(self.body.outputs, self._depth, listed=exits)
        statements = self.statements(self.bindings, given, dict(enumerate(names)))
        body = while_rebuilding(self.graph, statements)
        body = [*self._multiples(names), *with_gates(self.graph, body)]
        return self._method("forward", names, returns, body)

    def _exits(self) -> Iterator[FunctionDef]:
        """What a net with exits computes: all of them, each in turn, each alone, or as samples
        need them."""
        names = self.input_names()
        args, body = forward_of_exits(names)
        tensor = Name("Tensor")
        returns = BinOp("|", (Subscript(Name("list"), tensor), tensor))
        body = while_rebuilding(self.graph, body)
        yield FunctionDef("forward", (SELF, *args), returns, tuple(body))
        checks = [*self._multiples(names), *with_gates(self.graph, ())]
        yield from exit_methods(self, names, checks)
        yield from head_methods(self)

    @property
    def _depth(self) -> int:
        return 12 if self.graph.sharing.rebuilds else 8

    def hint(self, value: int) -> str:
        """The name of an exit comes before the spec's variables."""
        named = zip(self.body.outputs, self.graph.outputs, strict=True)
        words = {v: output.name.split(".")[-1] for v, output in named if output.name}
        word = words.get(value, "")
        return word if is_name(word) else super().hint(value)

    def _multiples(self, names: Sequence[str]) -> Iterator[Stmt]:
        """One check for inputs whose sizes were declared as multiples, or as `2*h + 1`."""
        for name, node in zip(names, self.graph.inputs(), strict=True):
            shape = Attribute(Name(name), "shape")
            checks: list[Expr] = []
            for axis, size in enumerate(node.type.shape[1:], start=1 - len(node.type.shape)):
                if isinstance(size, Size) and size.a > 1 and size.c == 1:
                    factor = Constant(size.a)
                    rest = BinOp("%", (Subscript(shape, Constant(axis)), factor))
                    wanted = size.b % size.a
                    checks.append(Compare(rest, "!=", Constant(wanted)) if wanted else rest)
            if checks:
                shown = call("tuple", Subscript(shape, Slice(Constant(1))))
                wanted_type = comment(str(node.type))
                message = JoinedStr((f"{name} must be {wanted_type}, not ", shown))
                test = checks[0] if len(checks) == 1 else BoolOp("or", tuple(checks))
                yield If(test, (Raise(call("ValueError", message)),))

    def _features(self, position: int, value: int) -> FunctionDef:
        names = self.input_names()
        given = Given((value,), self._depth)
        inner = self.statements(self.bindings[:position], given, dict(enumerate(names)))
        body = [*self._multiples(names), *while_rebuilding(self.graph, inner)]
        return self._method("forward_features", names, tensors(1), body)

    def _head(self, position: int, value: int) -> FunctionDef:
        """From the features to the scores; with `pre_logits`, up to the last layer."""
        classifier = self._classifier()
        if classifier is None:
            rest = self.bindings[position:]
            whole = self.statements(rest, Given(self.body.outputs), {value: "x"})
            return self._method("forward_head", ["x"], tensors(1), whole)
        rest = self.bindings[position:-1]
        *body, last = self.statements(rest, Given(classifier.operands[:1]), {value: "x"})
        assert isinstance(last, Return)
        x = Name("x")
        if last.value != x:
            body.append(Assign(x, last.value))
        scores = IfExp(Name("pre_logits"), x, Call(self.receiver(classifier.label), (x,)))
        method = self._method("forward_head", ["x"], tensors(1), [*body, Return(scores)])
        flag = Argument("pre_logits", Name("bool"), Constant(value=False))
        return replace(method, args=(*method.args, flag))

    def _classifier_methods(self) -> Iterator[FunctionDef]:
        classifier = self._classifier()
        if classifier is None:
            return
        target = self.receiver(classifier.label)
        found = Return(target)
        yield FunctionDef("get_classifier", (SELF,), dotted("nn.Module"), (found,))
        assert classifier.module is not None
        biased = all(arg.value for arg in classifier.module.args if arg.name == "bias")
        bias: dict[str, Expr] = {} if biased else {"bias": Constant(value=False)}
        features = self._num_features()
        number = literal(features)
        if isinstance(features, Symbol):
            number = Attribute(_SELF, "num_features")
        classes = Name("num_classes")
        linear = call("nn.Linear", number, classes, **bias)
        made = Assign(target, IfExp(classes, linear, call("nn.Identity")))
        args = (SELF, Argument("num_classes", Name("int")))
        yield FunctionDef("reset_classifier", args, Constant(None), (made,))

    # ---------------------------------------------------- finding the head

    def _classifier(self) -> ModuleItem | None:
        """The last item, where it is a linear layer of the net itself and gives its only output."""
        items = self.body.items
        last = items[-1] if items else None
        single = len(self.graph.outputs) == 1 and self.graph.outputs[0].name is None
        if not single or not isinstance(last, ModuleItem) or last.op != "linear":
            return None
        plain = len(last.label) == 1 and is_name(last.label[0])
        plain = plain and not last.external and last.results == self.body.outputs
        return last if plain and self._cut is not None else None

    def _num_features(self) -> Value:
        classifier = self._classifier()
        assert classifier is not None
        assert classifier.module is not None
        features = classifier.module.args[0]
        return self.outliner.symbols.get((classifier.label, features.name), features.value)

    @cached_property
    def _cut(self) -> tuple[int, int] | None:
        """Where the head begins: the first global pooling that all of the net goes through.

        A `flatten` counts as one, with an `adaptive_avg_pool` just before it. Gives the position of
        its item and the number of the value that flows into it.
        """
        single = len(self.graph.outputs) == 1 and self.graph.outputs[0].name is None
        if not single or len(self.graph.inputs()) != 1:
            return None
        items = self.body.items
        for position in range(1, len(items)):
            if not self._pools(position):
                continue
            reads = {v for later in items[position:] for v in operands_of(later)}
            made = {v for later in items[position:] for v in results_of(later)}
            if reads - made == set(operands_of(items[position])):
                return (position, operands_of(items[position])[0])
        return None

    def _pools(self, position: int) -> bool:
        item, *following = self.body.items[position : position + 2]
        if not isinstance(item, FunctionItem | ModuleItem):
            return False
        return item.op in _HEADS or (
            item.op == "adaptive_avg_pool"
            and any(
                isinstance(n, FunctionItem | ModuleItem) and n.op == "flatten" for n in following
            )
        )

    # ------------------------------------------------------- feature_info

    def _feature_info(self) -> Iterator[Expr]:
        """For each scale, the last module whose value is all that flows on (timm's convention)."""
        inputs = self.graph.inputs()
        if len(inputs) != 1 or self._cut is None or inputs[0].type.rank != 2:
            return
        found: dict[int, tuple[Value, Path]] = {}
        reductions = self._reductions()
        for node in self._bottlenecks():
            path = self._stage(node)
            if path is not None and node.id in reductions:
                symbol = self.outliner.symbols.get((node.id, CHANNELS))
                found[reductions[node.id]] = (symbol or node.type.channels, path)
        if len(found) < 2:
            return
        for reduction, (channels, path) in found.items():
            row = {"num_chs": channels, "reduction": reduction, "module": ".".join(path)}
            yield Dict(tuple((Constant(key), literal(value)) for key, value in row.items()))

    def _reductions(self) -> dict[int, int]:
        """What the strides before a node divide the sides of the image by.

        They are read off an image so vast that borders do not matter, as far as the net takes one.
        """
        types: dict[int, TensorType] = {}
        for node in self.graph.nodes():
            try:
                inferred = node.op.infer(*(types[id] for id in self.graph.operands(node.id)))
            except OpError:
                break
            if node.op.name == "input":
                inferred = TensorType((inferred.channels, _VAST, _VAST))
            types[node.id] = inferred
        sides = {id: type_.shape[1] for id, type_ in types.items() if type_.rank == 2}
        return {id: round(_VAST / side) for id, side in sides.items() if isinstance(side, int)}

    def _bottlenecks(self) -> Iterator[Node]:
        """The nodes before the head whose value is the only one needed by what follows."""
        cut = self._cut
        assert cut is not None
        last = self.body.values[cut[1]]
        reach = -1
        for node in self.graph.nodes():
            if node.id > last:
                return
            if reach <= node.id and node.op.name != "input":
                yield node
            users = self.graph.users(node.id)
            reach = max([reach, *(user for user, _ in users)])

    def _stage(self, node: Node) -> Path | None:
        """The outermost block (or `nn.Sequential`) that ends with a node, below scopes only."""
        chain: list[Region] = []
        region: Region | None = self.graph.regions[node.region]
        while region is not None:
            chain.append(region)
            region = None if region.parent is None else self.graph.regions[region.parent]
        for outer in reversed(chain[:-1]):
            sequential = outer.path in self.outliner.chains
            if sequential or outer.block is not None:
                if self.modules.applications[outer.id].outputs == [node.id]:
                    return outer.path
                if not sequential:
                    return None
        return node.layer.path


def _set(name: str, value: Expr) -> Stmt:
    return Assign(Attribute(_SELF, name), value)


_VAST = 2**20
_HEADS = frozenset({"global_avg_pool", "global_max_pool", "flatten"})
