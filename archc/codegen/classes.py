"""From a form to its class: constructor, attributes in order of making, `forward`."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from archc.codegen.construct import ConstructorWriter
from archc.codegen.forward import ForwardWriter
from archc.codegen.items import Attribute, Chain, Item, Loop
from archc.codegen.naming import NamesLog
from archc.codegen.parameters import Written
from archc.codegen.repeats import RepeatingWriter
from archc.codegen.sequential import is_numbered, is_row
from archc.codegen.text import (
    MEANINGFUL,
    WIDTH,
    Symbol,
    bounds,
    call,
    comment,
    docstring,
    is_name,
    lines,
    py,
    tensors,
)
from archc.ir.graph import Path
from archc.ops.op import TensorType, TorchArg


@dataclass(frozen=True)
class ClassView:
    """A class as finished lines; the template only lays them out."""

    name: str
    base: str
    where: str
    doc: tuple[str, ...]
    init: tuple[str, ...]
    methods: tuple[tuple[str, ...], ...]


@dataclass
class ClassWriter(ConstructorWriter):
    """Writes one form as a class; `logs` says what the names in its `forward` hold, and is empty
    where it has that of `nn.Sequential`."""

    logs: list[NamesLog] = field(default_factory=list)

    def write(self) -> ClassView:
        """The class of a block or scope (the net's own has more: see `net`).

        It has no `forward` if it is not called: a scope that only makes layers.
        """
        bare = self.in_a_row or not self.module.first.outputs
        methods = () if bare else (tuple(self.forward()),)
        return ClassView(
            self.names[self.form.id],
            self.base,
            self.where(),
            tuple(self.doc()),
            tuple(self.init(self.signature(), ())),
            methods,
        )

    @cached_property
    def base(self) -> str:
        """`nn.Sequential` where all children are called by number, else `nn.Module`."""
        numbered = self.module.path and is_numbered(self.module, self.body)
        return "nn.Sequential" if numbered else "nn.Module"

    @property
    def in_a_row(self) -> bool:
        """Whether `forward` is that of `nn.Sequential`."""
        plain = not any(
            isinstance(i, Attribute | Chain | Loop) and i.rerun for i in self.body.items
        )
        row = self.base == "nn.Sequential" and is_row(self.module, self.body)
        return row and plain and not self._is_dense_block()

    def where(self) -> str:
        """Its place in the spec; and, where nothing else says what it does, its shapes."""
        span = self.module.region.definition
        place = f"{comment(span.source.name)}:{span.line}"
        documented = self.module.region.doc and not self._is_another()
        shapes = "" if documented else self._shapes()
        line = f"class {self.names[self.form.id]}({self.base}):  # {place}, {shapes}"
        return f"{place}, {shapes}" if shapes and len(line) <= WIDTH else place

    # ---------------------------------------------------------------- doc

    def doc(self) -> Iterator[str]:
        """The spec's `##` text, in the first of the classes that a block becomes."""
        if not self._is_another():
            yield from docstring(self.module.region.doc.split("\n"), 4)

    def _is_another(self) -> bool:
        """Whether a class before this one is of the same block."""
        before = self.outliner.forms[: self.form.id]
        return any(
            form.module.region.definition == self.module.region.definition for form in before
        )

    def _shapes(self) -> str:
        """`[N, 3, 32, 32] -> [N, 342, 8, 8]`, if every instance has these."""
        application = self.module.first
        graph = self.modules.graph
        given = ", ".join(self._shape(graph.node(id).type) for id in application.inputs)
        back = ", ".join(self._shape(graph.node(id).type) for id in application.outputs)
        return f"{given} -> {back}" if back and self._one_shape() else ""

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
        sequential = self.base == "nn.Sequential"
        body = [*self._kept(), *([] if sequential else self.attributes()), *after]
        if not body and not signature and not sequential:
            return
        yield from lines(4, "def ", call("__init__", ["self", *signature]), " -> None:")
        yield from lines(8, "", self.elements() if sequential else "super().__init__()")
        yield from body

    def _kept(self) -> Iterator[str]:
        for name in sorted(self.stored):
            yield f"        self.{name} = {name}"

    # ------------------------------------------------------------ forward

    def forward(self) -> list[str]:
        """The `forward` of a block or scope."""
        application = self.module.first
        names = self.input_names()
        arguments = [f"{name}: Tensor" for name in names]
        arguments += [f"{name}: {self._class_of(path)}" for path, name in self.passed.items()]
        count = len(application.outputs)
        result = tensors(count)
        head = lines(4, "def ", call("forward", ["self", *arguments]), f") -> {result}:"[1:])
        known = dict(enumerate(names))
        writer = self.forward_writer()
        body = writer.run(0, len(self.body.items), self.body.outputs, known)
        self.logs = [writer.log]
        return [*head, *self._shared(names), *body]

    def _shared(self, names: Sequence[str]) -> Iterator[str]:
        """The other way through a dense block, whose features lie in one buffer."""
        if self._is_dense_block():
            (name,) = names
            yield f"        if shares_storage(self, {name}):"
            yield f"            return dense_block(self, {name})  # what follows, as one function"

    def _is_dense_block(self) -> bool:
        blocks = self.modules.graph.sharing.blocks
        return self.module.region.id in {block.region for block in blocks}

    def _class_of(self, path: Path) -> str:
        """The class of a layer or module that `forward` takes."""
        if path in self.modules.by_path or not self.modules.torch_module(path).parameter:
            return "nn.Module"
        return "nn.Parameter"

    def forward_writer(self) -> ForwardWriter:
        return RepeatingWriter(
            self.modules.graph,
            self.module.region,
            self.body,
            self._function_argument,
            self.receiver,
            self._loop_children,
            passed=frozenset(self.passed.values()),
        )

    def input_names(self) -> list[str]:
        """Names of the tensors that `forward` takes: the block's own, unique and usable."""
        application = self.module.first
        declared = {node: name for name, node in application.region.inputs}
        names: list[str] = []
        for node in application.inputs:
            name = declared.get(node) or self.modules.graph.node(node).name or "x"
            name = name if is_name(name) else "x"
            while name in names or name in MEANINGFUL:
                name += "_"
            names.append(name)
        return names

    def receiver(self, label: Path) -> str:
        """How a callee is written: an attribute, an element of a list, or an argument."""
        if not label[0]:
            return self.passed[label[1:]]
        text, path = "self", self.module.path
        for word in label:
            numbered = self.base == "nn.Sequential" and path == self.module.path
            if numbered or path in self.outliner.chains:
                text += f"[{word}]"
            elif path not in self.modules.by_path:
                text += f"[{self._index(path, word)}]"
            elif is_name(word):
                text += f".{word}"
            else:
                kind = "parameter" if self.is_learned((*path, word)) else "submodule"
                text += f".get_{kind}({py(word)})"
            path += (word,)
        return text

    def _index(self, path: Path, word: str) -> str:
        """An element of an `nn.ModuleList`, or of an `nn.ModuleDict` where some are missing."""
        owner = self.modules.owner(path)
        owned = [layer.path for layer in owner.layers if layer.path is not None]
        owned += [child.path for child in owner.children]
        indices = sorted(int(other[-1]) for other in owned if other[:-1] == path)
        return word if indices == list(range(len(indices))) else f'"{word}"'

    @cached_property
    def passed(self) -> dict[Path, str]:
        """Names of the layers and modules that `forward` takes, by their paths."""
        names: dict[Path, str] = {}
        counts: Counter[str] = Counter()
        taken = {*self.input_names(), *MEANINGFUL, "layer", "child"}
        for path in self.module.first.modules:
            name = "_".join(path[-2:] if path[-1].isdigit() else path[-1:])
            name = name if is_name(name) else re.sub(r"\W", "_", f"layer_{name}")
            name = f"{name}_" if name in taken else name
            stem = name
            while name in taken:
                counts[stem] += 1
                name = f"{stem}{counts[stem]}"
            taken.add(name)
            names[path] = name
        return names

    def _function_argument(self, item: Item, position: int, arg: TorchArg) -> str:
        value = self.form.table.written[position, arg.name]
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
        return f"(self.get_submodule({name}) for i in range({bounds(loop.start, count)}))"

    def _stored_count(self, position: int, loop: Loop) -> str:
        value = self.form.table.written.get((position, "count"))
        if isinstance(value, Written):
            return self._stored(value)
        if value is not None:
            return py(value)
        sequences = (
            self.form.table.written[position, parameter.name]
            for parameter in self.outliner.forms[loop.form].parameters
        )
        found = next(value for value in sequences if isinstance(value, Written))
        return f"len({self._stored(found)})"

    def _stored(self, value: Written) -> str:
        """A parameter's expression in `forward`: the parameter is kept by the constructor."""
        text = value.text
        for name in value.parameters:
            self.stored.add(name)
            text = text.replace(name, f"self.{name}")
        return text
