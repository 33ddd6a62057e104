"""The net's own class: constructor arguments, features and head, and what timm users call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from archc.codegen.classes import ClassView, ClassWriter
from archc.codegen.forward import ForwardWriter
from archc.codegen.initialise import initialisation
from archc.codegen.items import Attribute, Function, Item, operands_of, results_of
from archc.codegen.naming import Binding
from archc.codegen.symbols import CHANNELS
from archc.codegen.text import (
    WIDTH,
    Bracketed,
    Code,
    Symbol,
    Value,
    call,
    comment,
    docstring,
    is_name,
    lines,
    py,
    tensors,
)
from archc.ir.graph import Graph, Hyper, Node, Path, Region
from archc.ops.extern import Extern
from archc.ops.op import OpError, TensorType
from archc.ops.size import Size


@dataclass
class NetWriter(ClassWriter):
    """Writes the root form. `arguments` are its constructor arguments with their defaults."""

    arguments: tuple[tuple[str, int], ...] = ()

    @property
    def graph(self) -> Graph:
        return self.modules.graph

    def write(self) -> ClassView:
        methods = [tuple(method) for method in self._methods()]
        return ClassView(
            self.names[self.form.id],
            self.base,
            self.where(),
            tuple(self.doc()),
            tuple(self.init(self.signature(), self._after())),
            tuple(methods),
        )

    def where(self) -> str:
        span = self.module.region.definition
        return f"{comment(span.source.name)}:{span.line}"

    def signature(self) -> list[str]:
        numbers = [f"{name}: int = {value}" for name, value in self.arguments]
        return [*numbers, 'memory: str = "keep"'] if self.graph.sharing else numbers

    def doc(self) -> Iterator[str]:
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
        yield from docstring([*text, f"{self._net_shapes()}; {cost}."], 4)

    def _declared(self) -> dict[Path | None, tuple[str, int | None]]:
        """The extern layers: their names, and their parameters where these are declared."""
        graph = self.graph
        return {
            node.layer.path: (node.op.name, node.op.params(*graph.operand_types(node.id)))
            for node in (*graph.nodes(), *(each.node for each in graph.unused.values()))
            if isinstance(node.op, Extern)
        }

    def _net_shapes(self) -> str:
        given = ", ".join(self._shape(node.type) for node in self.graph.inputs())
        back = [self._shape(self.graph.node(output.node).type) for output in self.graph.outputs]
        if len(set(back)) == 1 and len(back) > 1:
            return f"{given} -> {len(back)} times {back[0]}"
        return f"{given} -> {', '.join(back)}"

    # -------------------------------------------------------- constructor

    def _after(self) -> list[str]:
        """After the attributes: what describes the features, then the weights."""
        out: list[str] = []
        if self._classifier() is not None:
            out.append(f"        self.num_features = {py(self._num_features())}")
        info = list(self._feature_info())
        if info:
            out += lines(8, "self.feature_info = ", Bracketed("[", tuple(info), "]"))
        if self.graph.sharing:
            out.append("        set_memory(self, memory)")
        return [*out, *self._initialise()]

    def _attribute(self, item: Item) -> list[str]:
        classifier = self._classifier()
        if isinstance(item, Attribute) and classifier is not None and item is classifier:
            return lines(8, f"self.{item.label[0]}: nn.Module = ", self.construct(item))
        return super()._attribute(item)

    def _initialise(self) -> list[str]:
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

    def _methods(self) -> Iterator[list[str]]:
        cut = self._cut
        if cut is None:
            yield self._whole_forward()
            return
        position, value = cut
        yield self._features(position, value)
        yield self._head(position, value)
        (name,) = self.input_names()
        pad = "    " if self.graph.sharing.rebuilds else ""
        yield [
            f"    def forward(self, {name}: Tensor) -> Tensor:",
            *self._rebuilding(),
            f"{pad}        return self.forward_head(self.forward_features({name}))",
        ]
        yield from self._classifier_methods()

    def _whole_forward(self) -> list[str]:
        names = self.input_names()
        exits = any(output.name is not None for output in self.graph.outputs)
        count = len(self.graph.outputs)
        result = tensors(count)
        if exits:
            result = "list[Tensor]"
        arguments = [f"{name}: Tensor" for name in names]
        head = lines(4, "def ", call("forward", ["self", *arguments]), f" -> {result}:")
        body = self._body(names, exits)
        if exits and not body[-1].lstrip().startswith("return"):  # the list needs several lines
            body = self._body(names, exits, collects=True)
        return [*head, *self._multiples(names), *self._rebuilding(), *body]

    def _body(self, names: Sequence[str], exits: bool, *, collects: bool = False) -> list[str]:
        """The statements of `forward`; with `collects`, exits join a list as they are computed."""
        writer = self.forward_writer()
        writer.collects = collects
        if exits:
            writer.listed = True
            named = zip(self.body.outputs, self.graph.outputs, strict=True)
            words = {value: output.name.split(".")[-1] for value, output in named if output.name}
            writer.hints = {value: word for value, word in words.items() if is_name(word)}
        writer.indent += 4 * self.graph.sharing.rebuilds
        self.logs = [writer.log]
        return writer.run(0, len(self.body.items), self.body.outputs, dict(enumerate(names)))

    def _rebuilding(self) -> Iterator[str]:
        """What stands around the statements of a net with values that are built again."""
        if self.graph.sharing.rebuilds:
            yield "        with Rebuilding(self):"

    def _multiples(self, names: Sequence[str]) -> Iterator[str]:
        """One check for inputs whose sizes were declared as multiples, or as `2*h + 1`."""
        for name, node in zip(names, self.graph.inputs(), strict=True):
            checks = []
            for axis, size in enumerate(node.type.shape[1:], start=1 - len(node.type.shape)):
                if isinstance(size, Size) and size.a > 1 and size.c == 1:
                    rest = f" != {size.b % size.a}" if size.b % size.a else ""
                    checks.append(f"{name}.shape[{axis}] % {size.a}{rest}")
            if checks:
                wanted = comment(str(node.type))
                yield f"        if {' or '.join(checks)}:"
                shown = f"{{tuple({name}.shape[1:])}}"
                message = f'f"{name} must be {wanted}, not {shown}"'
                yield from lines(12, "raise ", call("ValueError", [message]))

    def _features(self, position: int, value: int) -> list[str]:
        (name,) = self.input_names()
        writer = self._logged_writer()
        writer.indent += 4 * self.graph.sharing.rebuilds
        body = writer.run(0, position, (value,), {0: name})
        return [
            f"    def forward_features(self, {name}: Tensor) -> Tensor:",
            *self._multiples([name]),
            *self._rebuilding(),
            *body,
        ]

    def _logged_writer(self) -> ForwardWriter:
        """A writer of one of several methods that run in turn."""
        writer = self.forward_writer()
        self.logs.append(writer.log)
        return writer

    def _head(self, position: int, value: int) -> list[str]:
        """From the features to the scores; with `pre_logits`, up to the last layer."""
        stop = len(self.body.items)
        classifier = self._classifier()
        if classifier is None:
            body = self._logged_writer().run(position, stop, self.body.outputs, {value: "x"})
            return ["    def forward_head(self, x: Tensor) -> Tensor:", *body]
        pooled = classifier.operands[0]
        writer = self._logged_writer()
        *body, last = writer.run(position, stop - 1, (pooled,), {value: "x"})
        expression = last.strip().removeprefix("return ")
        if expression != "x":
            body.append(f"        x = {expression}")
            writer.log.bindings.append(Binding("x", pooled))
        writer.log.stop = stop
        scores = f"{self.receiver(classifier.label)}(x)"
        return [
            "    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:",
            *body,
            f"        return x if pre_logits else {scores}",
        ]

    def _classifier_methods(self) -> Iterator[list[str]]:
        classifier = self._classifier()
        if classifier is None:
            return
        target = self.receiver(classifier.label)
        yield ["    def get_classifier(self) -> nn.Module:", f"        return {target}"]
        assert classifier.module is not None
        biased = all(arg.value for arg in classifier.module.args if arg.name == "bias")
        bias = "" if biased else ", bias=False"
        features = self._num_features()
        number = "self.num_features" if isinstance(features, Symbol) else py(features)
        choice = f"nn.Linear({number}, num_classes{bias}) if num_classes else nn.Identity()"
        statement = [f"        {target} = {choice}"]
        if len(statement[0]) > WIDTH:
            statement = [f"        {target} = (", f"            {choice}", "        )"]
        yield ["    def reset_classifier(self, num_classes: int) -> None:", *statement]

    # ---------------------------------------------------- finding the head

    def _classifier(self) -> Attribute | None:
        """The last item, where it is a linear layer of the net itself and gives its only output."""
        items = self.body.items
        last = items[-1] if items else None
        single = len(self.graph.outputs) == 1 and self.graph.outputs[0].name is None
        if not single or not isinstance(last, Attribute) or last.op != "linear":
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
        if not isinstance(item, Function | Attribute):
            return False
        return item.op in _HEADS or (
            item.op == "adaptive_avg_pool"
            and any(isinstance(n, Function | Attribute) and n.op == "flatten" for n in following)
        )

    # ------------------------------------------------------- feature_info

    def _feature_info(self) -> Iterator[Code]:
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
            module = ".".join(path)
            yield f'{{"num_chs": {py(channels)}, "reduction": {reduction}, "module": {py(module)}}}'

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


_VAST = 2**20
_HEADS = frozenset({"global_avg_pool", "global_max_pool", "flatten"})
