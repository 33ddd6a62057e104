"""How a class constructs what it owns: layers, children, loops of children, lists, chains.

One attribute is one line of `__init__`, in the order in which the spec made them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from archc.codegen.forms import Form, Outliner
from archc.codegen.items import Attribute, Body, Chain, Function, Item, Loop
from archc.codegen.modules import Module, Modules
from archc.codegen.parameters import Parameter, Place, Written
from archc.codegen.text import (
    Bracketed,
    Code,
    Value,
    bounds,
    call,
    generator,
    is_name,
    lines,
    py,
    sequence,
    terms,
)
from archc.ir.graph import Path
from archc.ops.op import TorchModule

_UNUSED = "        # Not applied: it is made for its keys in the state_dict."


@dataclass
class ConstructorWriter:
    """Writes the attributes of one form. `names` are the class names of all forms, `imported` the
    names of classes from elsewhere, by module and class.

    `stored` collects the parameters that `forward` needs, which the constructor has to keep.
    """

    modules: Modules
    outliner: Outliner
    form: Form
    names: Mapping[int, str]
    imported: Mapping[tuple[str, str], str]
    stored: set[str] = field(default_factory=set)

    @property
    def body(self) -> Body:
        return self.form.body

    @property
    def module(self) -> Module:
        return self.form.module

    def elements(self) -> Bracketed:
        """The constructor of an `nn.Sequential`: everything, in the order of the first calls."""
        codes: list[Code] = []
        seen: set[Path] = set()
        for i, item in enumerate(self.body.items):
            if isinstance(item, Loop):
                header, arguments = self._iteration(i, item, ())
                codes.append(generator("*(", self._made(item.form, arguments), header))
            elif isinstance(item, Attribute | Chain) and item.label not in seen:
                if not self._external(item):
                    codes.append(self.construct(item))
                seen.add(item.label)
        return call("super().__init__", codes)

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
        """Whether another module constructs it, or a list of layers does."""
        return isinstance(item, Attribute) and (item.external or len(item.label) > 1)

    def _order(self, label: Path) -> int:
        path = self.module.path + label
        if path in self.modules.by_path:
            return self.modules.by_path[path].region.order
        return self.modules.makers[path].layer.order

    def _attribute(self, item: Item) -> list[str]:
        assert isinstance(item, Attribute | Chain)
        return self._set(item.label[0], self.construct(item))

    def _set(self, label: str, code: Code) -> list[str]:
        """The statement that makes an attribute."""
        if is_name(label):
            return lines(8, f"self.{label} = ", code)
        learned = self.is_learned((*self.module.path, label))
        method = "self.register_parameter" if learned else "self.add_module"
        return lines(8, "", call(method, [py(label), code]))

    def is_learned(self, path: Path) -> bool:
        """Whether a layer is a learned tensor and no module."""
        return path in self.modules.makers and self.modules.torch_module(path).parameter

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
                found.append((layer.order, self._remarked(layer.path, label[0], code)))
        for child in self.module.children:
            label = child.path[size:]
            if label not in seen and len(label) == 1 and child.path in self.outliner.of:
                code = self._child(label, self.outliner.of[child.path])
                found.append((child.region.order, self._remarked(child.path, label[0], code)))
        return found

    def _remarked(self, path: Path, label: str, code: Code) -> list[str]:
        """The statement that makes an attribute, below the reason why nothing applies it."""
        unused = self.modules.is_unused
        remark = [_UNUSED] if unused(path) and not unused(self.module.path) else []
        return [*remark, *self._set(label, code)]

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

    def _list(self, name: str, entries: list[tuple[int, int, Path]]) -> tuple[int, list[str]]:
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
        dense = all(index == i for i, (index, _, _) in enumerate(entries))
        if dense and len(items) > 2 and len(set(map(str, items))) == 1:
            clause = call("for _ in range", [py(len(items))])
            code = generator("nn.ModuleList(", items[0], clause)
        elif dense:
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
        for i, part in enumerate(chain.body.items):
            place = (*outer, chain.label)
            if isinstance(part, Loop):
                header, arguments = self._iteration(i, part, place)
                parts.append(generator("*(", self._made(part.form, arguments), header))
            else:
                assert isinstance(part, Attribute | Chain)
                parts.append(self.construct(part, place))
        return parts

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
        made = call(self.imported.get((module.source, module.cls), module.cls), words)
        if not module.parameter:
            return made
        first = made if module.times == 1 else terms("*", [str(made), py(module.times)])
        return call("nn.Parameter", [first])

    def slot(self, outer: Place, place: Place) -> Value | Written:
        """How a slot is written, inside however many `nn.Sequential`s."""
        for label in reversed(outer):
            place = (label, place)
        return self.form.table.written[place]

    def text(self, value: Value | Written) -> str:
        return value.text if isinstance(value, Written) else py(value)

    # -------------------------------------------------------------- loops

    def _loop(self, position: int, loop: Loop) -> Iterator[str]:
        """Children called `prefix1`, `prefix2`, ..., each constructed in a loop."""
        if loop.container:
            header, arguments = self._iteration(position, loop, ())
            made = self._made(loop.form, arguments)
            code = generator("nn.ModuleList(", made, header)
            yield from lines(8, f"self.{loop.container[0]} = ", code)
            return
        header, arguments = self._iteration(position, loop, (), numbered=True)
        made = self._made(loop.form, arguments)
        yield from lines(8, "", header, ":")
        yield from lines(12, "", call("self.add_module", [f'f"{loop.prefix}{{i}}"', made]))

    def _iteration(
        self, position: int, loop: Loop, outer: Place, *, numbered: bool = False
    ) -> tuple[Code, dict[str, str]]:
        """`for c in channels`, and each parameter's text inside."""
        arguments: dict[str, str] = {}
        variables: list[str] = []
        sources: list[str] = []
        for parameter in self.outliner.forms[loop.form].parameters:
            value = self.slot(outer, (position, parameter.name))
            if not self._is_many((position, parameter.name), outer):
                arguments[parameter.name] = self._argument(parameter, value)
                continue
            word = self._variable(parameter, variables)
            arguments[parameter.name] = word
            variables.append(word)
            sources.append(self._source(parameter, value))
        return self._header(position, loop, outer, variables, sources, numbered), arguments

    def _source(self, parameter: Parameter, value: Value | Written) -> str:
        if isinstance(value, tuple):
            return sequence(value, nested=parameter.many)
        return self.text(value)

    def _is_many(self, place: Place, outer: Place) -> bool:
        for label in reversed(outer):
            place = (label, place)
        return place in self.form.table.many

    def _variable(self, parameter: Parameter, taken: Sequence[str]) -> str:
        """A letter for a number; a sequence keeps its name, so that no letter has two types."""
        others = {*taken, *(other.name for other in self.form.parameters)}
        if parameter.many:
            return f"each_{parameter.name}" if parameter.name in others else parameter.name
        short = parameter.name[0]
        if short.isalpha() and short not in others and short not in "iFlOI":
            return short
        if len(taken) < 3:
            return f"each_{parameter.name}"
        letter = short if short.isalpha() else "v"
        number = 2
        while f"{letter}{number}" in others:
            number += 1
        return f"{letter}{number}"

    def _header(
        self,
        position: int,
        loop: Loop,
        outer: Place,
        variables: Sequence[str],
        sources: Sequence[str],
        numbered: bool,
    ) -> Code:
        if not sources:
            count = self.text(self.slot(outer, (position, "count")))
            arguments = bounds(loop.start, count) if numbered else count
            return call(f"for {'i' if numbered else '_'} in range", [arguments])
        target = ", ".join(variables)
        source: Code = sources[0]
        if len(sources) > 1:
            source = call("zip", [*sources, "strict=True"])
        if numbered:
            inner = target if len(variables) == 1 else f"({target})"
            start = [f"start={loop.start}"] if loop.start else []
            return call(f"for i, {inner} in enumerate", [source, *start])
        if isinstance(source, Bracketed):
            return replace(source, before=f"for {target} in {source.before}")
        return f"for {target} in {source}"
