"""From a form to its class: constructor, attributes in order of making, `forward`."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from archc.codegen.forms import Form, Outliner, Parameter, Place, Written
from archc.codegen.forward import ForwardWriter
from archc.codegen.items import Attribute, Body, Chain, Function, Item, Loop
from archc.codegen.modules import Module, Modules
from archc.codegen.text import (
    WIDTH,
    Bracketed,
    Code,
    Symbol,
    Value,
    call,
    comment,
    is_name,
    lines,
    py,
    sequence,
)
from archc.ir.graph import Path
from archc.ops.op import TensorType, TorchArg, TorchModule


@dataclass(frozen=True)
class ClassView:
    """A class as finished lines; the template only lays them out."""

    name: str
    where: str
    doc: tuple[str, ...]
    init: tuple[str, ...]
    methods: tuple[tuple[str, ...], ...]


@dataclass
class ClassWriter:
    """Writes one form. `names` are the class names of all forms."""

    modules: Modules
    outliner: Outliner
    form: Form
    names: Mapping[int, str]
    stored: set[str] = field(default_factory=set)

    @cached_property
    def body(self) -> Body:
        """The form's body, with the loops that run once in every instance written as calls."""
        items = tuple(self._single(i, item) for i, item in enumerate(self.form.body.items))
        return replace(self.form.body, items=items)

    def _single(self, position: int, item: Item) -> Item:
        if not isinstance(item, Loop) or self.form.written.get((position, "count")) != 1:
            return item
        (label,) = item.children
        for parameter in self.outliner.forms[item.form].parameters:
            written = self.form.written[position, parameter.name]
            self.form.written[label, parameter.name] = written
        block = self.modules.by_path[self.module.path + label].region.block or "scope"
        operands, results = (item.operand,), (item.result,)
        return Attribute(label, item.form, None, operands, (), results, False, block)

    @property
    def module(self) -> Module:
        return self.form.module

    def write(self) -> ClassView:
        """The class of a block or scope (the net's own has more: see `net`)."""
        forward = self.forward()
        return ClassView(
            self.names[self.form.id],
            self.where(),
            tuple(self.doc()),
            tuple(self.init(self.signature(), ())),
            (tuple(forward),),
        )

    def where(self) -> str:
        """Its place in the spec; and, where nothing else says what it does, its shapes."""
        span = self.module.region.definition
        place = f"{comment(span.source.name)}:{span.line}"
        shapes = "" if self.module.region.doc else self._shapes()
        line = f"class {self.names[self.form.id]}(nn.Module):  # {place}, {shapes}"
        return f"{place}, {shapes}" if shapes and len(line) <= WIDTH else place

    # ---------------------------------------------------------------- doc

    def doc(self) -> Iterator[str]:
        """The spec's `##` text."""
        yield from docstring(self.module.region.doc.split("\n"), 4)

    def _shapes(self) -> str:
        """`[N, 3, 32, 32] -> [N, 342, 8, 8]`, if every instance has these."""
        application = self.module.first
        graph = self.modules.graph
        given = ", ".join(self._shape(graph.node(id).type) for id in application.inputs)
        back = ", ".join(self._shape(graph.node(id).type) for id in application.outputs)
        return f"{given} -> {back}" if self._one_shape() else ""

    def _one_shape(self) -> bool:
        graph = self.modules.graph
        seen = {
            tuple(graph.node(id).type for id in (*each.inputs, *each.outputs))
            for module in self.form.modules
            for each in module.applications
        }
        return len(seen) == 1

    def _shape(self, type_: TensorType) -> str:
        if not type_.batched:
            return str(type_)
        return f"[N, {', '.join(map(str, type_.shape))}]"

    # -------------------------------------------------------- constructor

    def signature(self) -> list[str]:
        return [f"{p.name}: {p.annotation}" for p in self.form.parameters]

    def init(self, signature: Sequence[str], after: Sequence[str]) -> Iterator[str]:
        """`__init__`: parameters kept for `forward`, attributes, and what comes `after`."""
        body = [*self._kept(), *self.attributes(), *after]
        if not body and not signature:
            return
        yield from lines(4, "def ", call("__init__", ["self", *signature]), " -> None:")
        yield "        super().__init__()"
        yield from body

    def _kept(self) -> Iterator[str]:
        for name in sorted(self.stored):
            yield f"        self.{name} = {name}"

    def attributes(self) -> list[str]:
        """One line for each layer, child or loop, in the order in which the spec made them."""
        made: list[tuple[int, list[str]]] = []
        seen: set[Path] = set()
        for i, item in enumerate(self.body.items):
            if isinstance(item, Function):
                continue
            if isinstance(item, Loop):
                first = self.modules.by_path[self.module.path + item.children[0]]
                made.append((first.region.order, list(self._loop(i, item))))
                seen.update(item.children)
            elif not self._external(item) and item.label not in seen:
                seen.add(item.label)
                made.append((self._order(item.label), self._attribute(item)))
        made += self._unapplied(seen)
        lists = self._lists(seen)
        made += lists
        return [line for _, text in sorted(made, key=lambda pair: pair[0]) for line in text]

    def _external(self, item: Item) -> bool:
        if isinstance(item, Attribute) and len(item.label) == 2:
            return True
        return isinstance(item, Attribute) and item.external

    def _order(self, label: Path) -> int:
        path = self.module.path + label
        if path in self.modules.by_path:
            return self.modules.by_path[path].region.order
        return self.modules.makers[path].layer.order

    def _attribute(self, item: Item) -> list[str]:
        assert isinstance(item, Attribute | Chain)
        code = self.construct(item)
        return lines(8, f"self.{item.label[0]} = ", code) if is_name(item.label[0]) else [
            *lines(8, f'self.add_module("{item.label[0]}", ', code, ")")
        ]

    def _unapplied(self, seen: set[Path]) -> list[tuple[int, list[str]]]:
        """Layers made here and applied only in modules that they are passed to."""
        size = len(self.module.path)
        found = []
        for layer in self.module.layers:
            assert layer.path is not None
            label = layer.path[size:]
            if label not in seen and len(label) == 1:
                torch = self.modules.torch_module(layer.path)
                code = self._layer(label, torch)
                found.append((layer.order, lines(8, f"self.{label[0]} = ", code)))
        for child in self.module.children:
            label = child.path[size:]
            if label not in seen and len(label) == 1 and child.path in self.outliner.of:
                code = self._child(label, self.outliner.of[child.path])
                found.append((child.region.order, lines(8, f"self.{label[0]} = ", code)))
        return found

    def _lists(self, seen: set[Path]) -> list[tuple[int, list[str]]]:
        """Lists of layers, `nn.ModuleList`s: elements by index."""
        size = len(self.module.path)
        elements: dict[str, list[tuple[int, int, Path]]] = {}
        for layer in self.module.layers:
            assert layer.path is not None
            label = layer.path[size:]
            if len(label) == 2 and label not in self._looped():
                elements.setdefault(label[0], []).append((int(label[1]), layer.order, label))
        for child in self.module.children:
            label = child.path[size:]
            if len(label) == 2 and label not in self._looped():
                entry = (int(label[1]), child.region.order, label)
                elements.setdefault(label[0], []).append(entry)
        return [self._list(name, sorted(entries)) for name, entries in elements.items()]

    def _looped(self) -> set[Path]:
        loops = (item for item in self.body.items if isinstance(item, Loop))
        return {label for loop in loops for label in loop.children}

    def _list(
        self, name: str, entries: list[tuple[int, int, Path]]
    ) -> tuple[int, list[str]]:
        order = min(order for _, order, _ in entries)
        items: list[Code] = []
        for index, _, label in entries:
            path = self.module.path + label
            code = (
                self._child(label, self.outliner.of[path])
                if path in self.outliner.of
                else self._layer(label, self.modules.torch_module(path))
            )
            dense = [i for i, _, _ in entries] == list(range(len(entries)))
            items.append(code if dense else f'"{index}": {code}')
        if all(index == i for i, (index, _, _) in enumerate(entries)):
            code = call("nn.ModuleList", [Bracketed("[", tuple(items), "]")])
        else:
            code = call("nn.ModuleDict", [Bracketed("{", tuple(items), "}")])
        return order, lines(8, f"self.{name} = ", code)

    # ----------------------------------------------------------- elements

    def construct(self, item: Attribute | Chain, outer: Place = ()) -> Code:
        """The expression that makes a layer, a child or an `nn.Sequential`."""
        if isinstance(item, Chain):
            return call("nn.Sequential", self._chain(item, outer))
        if item.form is not None:
            return self._child(item.label, item.form, outer)
        assert item.module is not None
        return self._layer(item.label, item.module, outer)

    def _chain(self, chain: Chain, outer: Place) -> list[Code]:
        parts: list[Code] = []
        for i, part in enumerate(chain.items):
            place = (*outer, chain.label)
            if isinstance(part, Loop):
                parts += self._unrolled(i, part, place)
            else:
                assert isinstance(part, Attribute)
                parts.append(self.construct(part, place))
        return parts

    def _unrolled(self, position: int, loop: Loop, outer: Place) -> list[Code]:
        """A loop inside an `nn.Sequential`: one element, or a generator."""
        count = self.slot(outer, (position, "count"))
        if count == 1:
            given = {
                p.name: self._argument(p, self.slot(outer, (position, p.name)))
                for p in self.outliner.forms[loop.form].parameters
            }
            return [self._made(loop.form, given)]
        header, arguments = self._iteration(position, loop, outer)
        return [f"*({self._made(loop.form, arguments)} {header})"]

    def _child(self, label: Path, form: int, outer: Place = ()) -> Code:
        given = {
            p.name: self._argument(p, self.slot(outer, (label, p.name)))
            for p in self.outliner.forms[form].parameters
        }
        return self._made(form, given)

    def _argument(self, parameter: Parameter, value: Value | Written) -> str:
        if parameter.many and isinstance(value, tuple):
            return sequence(value)
        return self.text(value)

    def _made(self, form: int, given: Mapping[str, str]) -> Bracketed:
        parameters = self.outliner.forms[form].parameters
        arguments = [given[p.name] for p in parameters]
        positional = len(arguments) <= 3
        words = [
            text if positional or i < 2 else f"{p.name}={text}"
            for i, (p, text) in enumerate(zip(parameters, arguments, strict=True))
        ]
        return call(self.names[form], words)

    def _layer(self, label: Path, module: TorchModule, outer: Place = ()) -> Code:
        words: list[Code] = []
        for arg in module.args:
            value = self.slot(outer, (label, arg.name))
            if not arg.positional and not isinstance(value, Written) and value == arg.default:
                continue
            text = self.text(value)
            words.append(text if arg.positional else f"{arg.name}={text}")
        made = call(module.cls, words)
        return call("nn.Parameter", [made]) if module.parameter else made

    def slot(self, outer: Place, place: Place) -> Value | Written:
        """How a slot is written, inside however many `nn.Sequential`s."""
        for label in reversed(outer):
            place = (label, place)
        return self.form.written[place]  # type: ignore[return-value]

    def text(self, value: Value | Written) -> str:
        return value.text if isinstance(value, Written) else py(value)

    # -------------------------------------------------------------- loops

    def _loop(self, position: int, loop: Loop) -> Iterator[str]:
        """Children called `prefix1`, `prefix2`, ..., each constructed in a loop."""
        if loop.container:
            header, arguments = self._iteration(position, loop, ())
            made = self._made(loop.form, arguments)
            yield from lines(
                8, f"self.{loop.container[0]} = ", call("nn.ModuleList", [f"{made} {header}"])
            )
            return
        header, arguments = self._iteration(position, loop, (), numbered=True)
        made = self._made(loop.form, arguments)
        yield f"        {header}:"
        yield from lines(
            12, "", call("self.add_module", [f'f"{loop.prefix}{{i}}"', made])
        )

    def _iteration(
        self, position: int, loop: Loop, outer: Place, *, numbered: bool = False
    ) -> tuple[str, dict[str, str]]:
        """`for c in channels`, and each parameter's text inside."""
        arguments: dict[str, str] = {}
        variables: list[str] = []
        sources: list[str] = []
        for parameter in self.outliner.forms[loop.form].parameters:
            value = self.slot(outer, (position, parameter.name))
            many = isinstance(value, tuple) and not parameter.many
            if isinstance(value, Written):
                many = self._is_many(value.parameter)
            if not many:
                arguments[parameter.name] = self._argument(parameter, value)
                continue
            word = self._variable(parameter.name, variables)
            arguments[parameter.name] = word
            variables.append(word)
            sources.append(value.text if isinstance(value, Written) else sequence(value))  # type: ignore[arg-type]
        return self._header(position, loop, outer, variables, sources, numbered), arguments

    def _is_many(self, name: str) -> bool:
        return any(p.name == name and p.many for p in self.form.parameters)

    def _variable(self, name: str, taken: Sequence[str]) -> str:
        short = name[0]
        return short if short not in (*taken, "i") else f"each_{name}"

    def _header(
        self,
        position: int,
        loop: Loop,
        outer: Place,
        variables: Sequence[str],
        sources: Sequence[str],
        numbered: bool,
    ) -> str:
        if not sources:
            count = self.text(self.slot(outer, (position, "count")))
            if not numbered:
                return f"for _ in range({count})"
            return f"for i in range({_bounds(loop.start, count)})"
        source = sources[0] if len(sources) == 1 else f"zip({', '.join(sources)}, strict=True)"
        target = ", ".join(variables)
        if not numbered:
            return f"for {target} in {source}"
        start = f", start={loop.start}" if loop.start else ""
        inner = target if len(variables) == 1 else f"({target})"
        return f"for i, {inner} in enumerate({source}{start})"

    # ------------------------------------------------------------ forward

    def forward(self) -> list[str]:
        """The `forward` of a block or scope."""
        application = self.module.first
        names = self.input_names()
        passed = [self.passed_name(path) for path in application.modules]
        arguments = [f"{name}: Tensor" for name in names]
        arguments += [f"{name}: nn.Module" for name in passed]
        count = len(application.outputs)
        result = "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"
        head = lines(4, "def ", call("forward", ["self", *arguments]), f") -> {result}:"[1:])
        known = dict(enumerate(names))
        writer = self.forward_writer()
        body = writer.run(0, len(self.body.items), self.body.outputs, known)
        return [*head, *body]

    def forward_writer(self) -> ForwardWriter:
        return ForwardWriter(
            self.modules.graph,
            self.module.region,
            self.body,
            self._function_argument,
            self.receiver,
            self._loop_children,
        )

    def input_names(self) -> list[str]:
        """Names of the tensors that `forward` takes: the block's own, unique and usable."""
        application = self.module.first
        declared = {node: name for name, node in application.region.inputs}
        names: list[str] = []
        for node in application.inputs:
            name = declared.get(node) or self.modules.graph.node(node).name or "x"
            name = name if is_name(name) else "x"
            while name in names or name in ("self", "nn", "torch", "F"):
                name += "_"
            names.append(name)
        return names

    def receiver(self, label: Path) -> str:
        """How a callee is written: an attribute, an element of a list, or an argument."""
        if label in self.module.first.modules:
            return self.passed_name(label)
        if len(label) == 2:
            return f'self.{label[0]}[{self._index(label)}]'
        if is_name(label[0]):
            return f"self.{label[0]}"
        return f'self.get_submodule("{label[0]}")'

    def _index(self, label: Path) -> str:
        size = len(self.module.path)
        owned = [layer.path for layer in self.module.layers if layer.path is not None]
        owned += [child.path for child in self.module.children]
        indices = sorted(int(p[size + 1]) for p in owned if p[size : size + 1] == label[:1])
        dense = indices == list(range(len(indices)))
        return label[1] if dense else f'"{label[1]}"'

    def passed_name(self, path: Path) -> str:
        return "_".join(path[-2:] if path[-1].isdigit() else path[-1:])

    def _function_argument(self, item: Item, position: int, arg: TorchArg) -> str:
        value = self.form.written[position, arg.name]
        if isinstance(value, Written):
            return self._stored(value)
        if isinstance(value, Symbol):
            return self.symbol_in_forward(value)
        return py(value)

    def symbol_in_forward(self, value: Symbol) -> str:
        for name, _ in value.factors:
            self.stored.add(name)
        text = str(value)
        for name, _ in value.factors:
            text = text.replace(name, f"self.{name}")
        return text

    def _loop_children(self, position: int, loop: Loop) -> str:
        """What `forward` iterates over: all children, a list, or the loop's own by name."""
        if loop.container:
            return f"self.{loop.container[0]}"
        owned = len(self.module.layers) + len(self.module.children)
        if owned == len(loop.children):
            return "self.children()"
        count = self._stored_count(position, loop)
        name = f'f"{loop.prefix}{{i}}"'
        return f"(self.get_submodule({name}) for i in range({_bounds(loop.start, count)}))"

    def _stored_count(self, position: int, loop: Loop) -> str:
        value = self.form.written.get((position, "count"))
        if isinstance(value, Written):
            return self._stored(value)
        if value is not None:
            return py(value)
        sequences = (
            self.form.written[position, parameter.name]
            for parameter in self.outliner.forms[loop.form].parameters
        )
        found = next(value for value in sequences if isinstance(value, Written))
        return f"len({self._stored(found)})"

    def _stored(self, value: Written) -> str:
        """A parameter's expression in `forward`: the parameter is kept by the constructor."""
        self.stored.add(value.parameter)
        return value.text.replace(value.parameter, f"self.{value.parameter}")


def _bounds(start: int, count: str) -> str:
    if not start:
        return count
    return f"{start}, {int(count) + start}" if count.isdigit() else f"{start}, {count} + {start}"


def docstring(text: Sequence[str], indent: int) -> Iterator[str]:
    """A docstring of one or more lines, wrapped; nothing for no text."""
    pad = " " * indent
    shown = [
        part
        for line in text
        for part in textwrap.wrap(comment(line), WIDTH - indent - 6, break_on_hyphens=False) or [""]
    ]
    while shown and not shown[-1]:
        shown.pop()
    if not shown:
        return
    if shown[-1].endswith('"'):
        shown[-1] += "."
    if len(shown) == 1:
        yield f'{pad}"""{shown[0]}"""'
        return
    yield f'{pad}"""{shown[0]}'
    for line in shown[1:]:
        yield f"{pad}{line}".rstrip()
    yield f'{pad}"""'
