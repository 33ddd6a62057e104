"""Outlining: modules of equal form share a class; the attributes that differ are its parameters.

Exact hashing would give DenseNet-121 a class for each of its 58 layers; with attributes erased it
has four. A slot is one attribute of one item; over the instances of a form, slots with one value
are written into the class, and equal columns of the others share a parameter. A parameter is called
after the block's hyperparameter where their values agree, and slots that are a multiple of one are
written as that (`4 * planes`).
"""

from collections.abc import Hashable, Iterator, Mapping

from archc.ir.graph import Hyper, Path, Reference
from archc.lowering.form import Form, place_of
from archc.lowering.items import (
    Body,
    BodyBuilder,
    ChainItem,
    FunctionItem,
    Item,
    LoopItem,
    ModuleItem,
    layer_key,
    results_of,
    written_out,
)
from archc.lowering.merging import Merging
from archc.lowering.modules import Module, Modules
from archc.lowering.optional import choices_of
from archc.lowering.parameters import ABSENT, COUNT, Chooser, Column, Kind, Place, parted
from archc.lowering.sequential import is_chain
from archc.lowering.sharing import dense_blocks
from archc.lowering.values import Class, Symbol, Value, typed
from archc.ops.activation import Elementwise
from archc.ops.regularization import SkippedPath


class SharedFormError(Exception):
    """A module's applications need different code."""

    def __init__(self, module: Module) -> None:
        super().__init__(".".join(module.path))
        self.module = module


class Outliner:
    """Finds the forms of all modules, bottom-up, then their parameters."""

    def __init__(self, modules: Modules, symbols: Mapping[tuple[Path | int, str], Symbol]) -> None:
        self.modules = modules
        self.symbols = symbols
        self.forms: list[Form] = []
        self.of: dict[Path, int] = {}
        self.chains: dict[Path, Body] = {}
        self._interned: dict[Hashable, int] = {}
        self._index: dict[Path, int] = {}
        self._dense_blocks = dense_blocks(modules.graph)

    def run(self) -> list[Form]:
        """The forms, children before parents; the last one is the net's."""
        for path in self.modules.by_path:
            self._visit(path, set())
        self._merge()
        for form in self.forms:
            self._parametrise(form)
        return self.forms

    def _visit(self, path: Path, done: set[Path]) -> None:
        """A module after those that it owns or calls, wherever these were made."""
        if path in self.of or path in self.chains or path in done:
            return
        done.add(path)
        module = self.modules.by_path[path]
        for child in module.children:
            self._visit(child.path, done)
        for application in module.applications:
            for step in application.steps:
                if step.region is not None:
                    self._visit(step.region.path, done)
        self._outline(module)

    def _outline(self, module: Module) -> None:
        builder = BodyBuilder(self.modules, self.of, self.chains)
        body, *others = (builder.build(module, each) for each in module.applications)
        if any(other.key != body.key for other in others):
            raise SharedFormError(module)
        if is_chain(module, body):
            self.chains[module.path] = body
            return
        name, owned = module.region.block, self._owned_key(module)
        kind = (name, not module.path, owned, self._is_dense_block(module))
        id = self._interned.setdefault((kind, body.key), len(self.forms))
        if id == len(self.forms):
            self.forms.append(Form(id, kind, body))
        form = self.forms[id]
        form.modules.append(module)
        form.bodies.append(body)
        self.of[module.path] = id

    def _merge(self) -> None:
        """Forms that differ by what some instances do without are one; so each has its place."""
        fixed = {
            form.id
            for form in self.forms
            if form.module.region.block is None
            or any(
                not isinstance(i, ChainItem) and i.op == SkippedPath.name for i in form.body.items
            )
            or any(map(self.is_read, form.modules))
        }
        self.forms = Merging(self.forms, self.of, fixed).run()
        for form in self.forms:
            for index, module in enumerate(form.modules):
                self.of[module.path] = form.id
                self._index[module.path] = index

    def is_read(self, module: Module) -> bool:
        """Whether a module is a dense block or in one, whose runtime reads its layers' code."""
        paths = (module.path[:n] for n in range(len(module.path) + 1))
        around = (self.modules.by_path.get(path) for path in paths)
        return any(each is not None and self._is_dense_block(each) for each in around)

    def _is_dense_block(self, module: Module) -> bool:
        """Whether a module has another way, with its features in one buffer."""
        return any(each.region.id in self._dense_blocks for each in module.applications)

    def _owned_key(self, module: Module) -> Hashable:
        """What a module constructs but leaves to others to apply, and for scopes their name."""
        size = len(module.path)
        called = {step.callee for each in module.applications for step in each.steps}
        layers = tuple(
            (layer.path[size:], layer_key(self.modules.torch_module(layer.path)))
            for layer in module.layers
            if layer.path is not None and layer.path not in called
        )
        children = tuple(
            (child.path[size:], self.of.get(child.path))
            for child in module.children
            if child.path not in called
        )
        named = module.region.block is None and module.path
        scope = scope_word(module.path[-1]) if named else ""
        return (layers, children, scope)

    # ---------------------------------------------------------- parameters

    def _parametrise(self, form: Form) -> None:
        form.bodies = written_out(form.bodies, [m.path for m in form.modules], self._unlike)
        form.body = form.bodies[0]
        form.choices = choices_of(form.bodies) or []
        columns = [dict(self._slots(form, i)) for i in range(len(form.modules))]
        terms = dict(self._concatenated(form))
        slots = [
            Column(
                place,
                role,
                tuple(column[place][1] if place in column else ABSENT for column in columns),
                kind,
                terms.get(_label(place), ()),
            )
            for place, (role, _, kind) in columns[0].items()
        ]
        slots = [slot for slot in (self._uniform(slot) for slot in slots) if slot is not None]
        varying = [slot for slot in slots if not slot.constant]
        counted = {(parted(slot.place)[0], COUNT) for slot in varying if slot.kind == "each"}
        slots = [each for each in slots if each.constant or parted(each.place) not in counted]
        form.table.many = {slot.place for slot in slots if slot.kind == "each"}
        size = len(form.module.path)
        labels = {label[0] for label in form.module.owned}
        present = [
            Column(place_of(choice), form.word_of(choice), choice.present)
            for choice in form.choices
        ]
        Chooser(form.table, self._hyper(form), slots, labels, root=not size).choose(present)

    def _unlike(self, path: Path, loop: LoopItem) -> int:
        """How many arguments differ among the children of a loop."""
        indices = [self._index[path + label] for label in loop.children if path + label in self.of]
        parameters = self.forms[loop.form].parameters
        return sum(len({typed(p.values[i]) for i in indices}) > 1 for p in parameters)

    def _concatenated(
        self, form: Form
    ) -> Iterator[tuple[Path | None, tuple[tuple[int, ...], ...]]]:
        """The callees that read a concatenation, with the widths of its parts in all instances."""
        body = form.body
        joined = {
            item.result: item.operands
            for item in body.items
            if isinstance(item, FunctionItem) and item.op == "concat"
        }
        for item in body.items:
            if isinstance(item, ModuleItem) and len(item.operands) == 1:
                parts = joined.get(item.operands[0], ())
                yield item.label, tuple(self._widths(form, part) for part in parts)

    def _widths(self, form: Form, value: int) -> tuple[int, ...]:
        nodes = (self.modules.graph.node(body.values[value]) for body in form.bodies)
        return tuple(node.type.channels for node in nodes)

    def _uniform(self, slot: Column) -> Column:
        """A sequence that is constant along every instance's loop is a scalar of each instance."""
        if slot.kind != "each":
            return slot
        inner = [set(map(typed, value)) for value in slot.values if isinstance(value, tuple)]
        if all(len(values) == 1 for values in inner):
            firsts = tuple(v[0] if isinstance(v, tuple) else v for v in slot.values)
            return Column(slot.place, slot.role, firsts)
        return slot

    def _hyper(self, form: Form) -> dict[str, tuple[Value, ...]]:
        """The block's hyperparameters that could be constructor parameters, as columns."""
        records = [dict(module.region.parameters) for module in form.modules]
        names = [
            name
            for name in records[0]
            if all(not isinstance(record.get(name, _NONE), Reference) for record in records)
        ]
        columns: dict[str, tuple[Value, ...]] = {}
        for name in names:
            columns[name] = tuple(_value(record[name]) for record in records)
        return columns

    def _slots(self, form: Form, index: int) -> Iterator[tuple[Place, tuple[str, Value, Kind]]]:
        """Place, and (role, value, kind), of one instance."""
        module = form.modules[index]
        body = form.bodies[index]
        made: set[Path] = set()
        for i, item in enumerate(body.items):
            if body.absent.keys().isdisjoint(results_of(item)):
                yield from self._item_slots(module, body, i, item, made)
        for layer in module.layers:
            assert layer.path is not None
            label = layer.path[len(module.path) :]
            if label not in made and not self._in_chain(module, label):
                yield from self._layer_slots(label, layer.path)
        for child in module.children:
            label = child.path[len(module.path) :]
            if label not in made and child.path in self.of:
                yield from self._child_slots(label, child)

    def _in_chain(self, module: Module, label: Path) -> bool:
        return any(module.path + label[:n] in self.chains for n in range(1, len(label)))

    def _item_slots(
        self, module: Module, body: Body, position: int, item: Item, made: set[Path]
    ) -> Iterator[tuple[Place, tuple[str, Value, Kind]]]:
        match item:
            case FunctionItem():
                node = body.values[item.result]
                for arg in item.args:
                    value = self.symbols.get((node, arg.name), arg.value)
                    yield (position, arg.name), (arg.name, value, "one")
            case ChainItem():
                made.add(item.label)
                chain = self.modules.by_path[item.path]
                for i, part in enumerate(item.body.items):
                    for place, slot in self._item_slots(chain, body, i, part, set()):
                        yield (item.label, place), slot
            case LoopItem():
                made.update(item.children)
                yield from self._loop_slots(module, position, item)
            case ModuleItem() if item.label not in made and not item.external:
                made.add(item.label)
                path = module.path + item.label
                if self.modules.owner(path) is not module:
                    return
                if item.form is None:
                    yield from self._layer_slots(item.label, path)
                else:
                    yield from self._child_slots(item.label, self.modules.by_path[path])

    def _layer_slots(
        self, label: Path, path: Path
    ) -> Iterator[tuple[Place, tuple[str, Value, Kind]]]:
        module, maker = self.modules.torch_module(path), self.modules.makers[path]
        if isinstance(maker.op, Elementwise) and not module.args:
            yield (label, "class"), ("activation", Class(module.cls), "one")
        for arg in module.args:
            value = self.symbols.get((path, arg.name), arg.value)
            yield (label, arg.name), (arg.name, value, "one")

    def _child_slots(
        self, label: Path, child: Module
    ) -> Iterator[tuple[Place, tuple[str, Value, Kind]]]:
        form = self.forms[self.of[child.path]]
        values = tuple(p.values[self._index[child.path]] for p in form.parameters)
        for parameter, value in zip(form.parameters, values, strict=True):
            kind: Kind = "sequence" if parameter.many else "one"
            yield (label, parameter.name), (parameter.name, value, kind)

    def _loop_slots(
        self, module: Module, position: int, loop: LoopItem
    ) -> Iterator[tuple[Place, tuple[str, Value, Kind]]]:
        form = self.forms[loop.form]
        indices = [self._index[module.path + label] for label in loop.children]
        yield (position, COUNT), ("count", len(loop.children), "one")
        for parameter in form.parameters:
            values = tuple(parameter.values[i] for i in indices)
            yield (position, parameter.name), (parameter.name, values, "each")


def _label(place: Place) -> Path | None:
    """The callee that a slot belongs to, if it is the body's own."""
    return place[0] if isinstance(place[0], tuple) else None


def scope_word(label: str) -> str:
    """A scope's label without its number: `stage1` and `stage2` may share a class."""
    return label.rstrip("0123456789").rstrip("_") or label


_NONE = Reference("")


def _value(hyper: Hyper) -> Value:
    if isinstance(hyper, tuple):
        return tuple(map(_value, hyper))
    return hyper.name if isinstance(hyper, Reference) else hyper
