"""How a class constructs what it owns: layers, children, loops of children, lists, chains.

One attribute is one line of `__init__`, in the order in which the spec made them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archc.ir.graph import Path
from archc.lowering.form import Form, place_of
from archc.lowering.forms import Outliner
from archc.lowering.items import Body, ChainItem, FunctionItem, Item, LoopItem, ModuleItem
from archc.lowering.modules import Module, Modules
from archc.lowering.optional import OptionalPart
from archc.lowering.parameters import ABSENT, COUNT, Parameter, Place
from archc.lowering.values import Value, is_name, literal, sequence, turns
from archc.ops.op import TorchModule
from archc.program.printing import fits
from archc.program.tree import (
    Assign,
    Attribute,
    BinOp,
    Call,
    Comment,
    Constant,
    Evaluate,
    Expr,
    For,
    GeneratorExp,
    If,
    IfExp,
    JoinedStr,
    Keyword,
    List,
    Name,
    Starred,
    Stmt,
    Tuple,
    call,
    dotted,
)

_SELF = Name("self")
_UNUSED = Comment("Not applied: it is made for its keys in the state_dict.")


@dataclass(frozen=True, slots=True)
class Computed:
    """A slot that is an expression of constructor parameters."""

    code: Expr


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

    def elements(self) -> Expr:
        """The constructor of an `nn.Sequential`: everything, in the order of the first calls."""
        codes: list[Expr] = []
        seen: set[Path] = set()
        for i, item in enumerate(self.body.items):
            if isinstance(item, LoopItem):
                codes.append(Starred(self._each(i, item, ())))
            elif isinstance(item, ModuleItem | ChainItem) and item.label not in seen:
                if not self._external(item):
                    codes.append(self.construct(item))
                seen.add(item.label)
        return Call(dotted("super().__init__"), tuple(codes))

    def attributes(self) -> list[Stmt]:
        """A statement for each layer, child or loop, in the order in which the spec made them."""
        made: list[tuple[int, Sequence[Stmt]]] = []
        seen: set[Path] = set()
        for i, item in enumerate(self.body.items):
            if isinstance(item, FunctionItem):
                continue
            if isinstance(item, LoopItem):
                first = self.modules.by_path[self.module.path + item.children[0]]
                made.append((first.region.order, [self._loop(i, item)]))
                seen.update(item.children)
            elif not self._external(item) and item.label not in seen:
                seen.add(item.label)
                made.append((self._order(item.label), self._attribute(i, item)))
        made += self._unapplied(seen)
        made += self._lists()
        return [each for _, found in sorted(made, key=lambda pair: pair[0]) for each in found]

    def _external(self, item: Item) -> bool:
        """Whether another module constructs it: one around this one, a list of layers, or a block
        that the net applies by its children."""
        given = isinstance(item, ModuleItem) and item.external
        return given or (isinstance(item, ModuleItem | ChainItem) and len(item.label) > 1)

    def _order(self, label: Path) -> int:
        path = self.module.path + label
        if path in self.modules.by_path:
            return self.modules.by_path[path].region.order
        return self.modules.makers[path].layer.order

    def _attribute(self, position: int, item: ModuleItem | ChainItem) -> Sequence[Stmt]:
        code = self.construct(item)
        choice = self.form.choice_at(position)
        if choice is None:
            return [self._set(item.label[0], code)]
        target, none, test = Attribute(_SELF, item.label[0]), Constant(None), self._flag(choice)
        short = Assign(target, IfExp(test, code, none))
        if fits(short, 8):
            return [short]
        optional = BinOp("|", (dotted("nn.Module"), none))
        return [Assign(target, none, optional), If(test, (Assign(target, code),))]

    def _flag(self, choice: OptionalPart) -> Expr:
        """Whether an instance has what only some have, in its constructor."""
        return self.form.table.computed[place_of(choice)]

    def _set(self, label: str, code: Expr) -> Stmt:
        """The statement that makes an attribute."""
        if is_name(label):
            return Assign(Attribute(_SELF, label), code)
        learned = self.is_learned((*self.module.path, label))
        method = "self.register_parameter" if learned else "self.add_module"
        return Evaluate(call(method, Constant(label), code))

    def is_learned(self, path: Path) -> bool:
        """Whether a layer is a learned tensor and no module."""
        return path in self.modules.makers and self.modules.torch_module(path).parameter

    def _unapplied(self, seen: set[Path]) -> list[tuple[int, list[Stmt]]]:
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

    def _remarked(self, path: Path, label: str, code: Expr) -> list[Stmt]:
        """The statement that makes an attribute, below the reason why nothing applies it."""
        unused = self.modules.is_unused
        remark: list[Stmt] = [_UNUSED] if unused(path) and not unused(self.module.path) else []
        return [*remark, self._set(label, code)]

    def _lists(self) -> list[tuple[int, list[Stmt]]]:
        """Lists of layers, `nn.ModuleList`s: elements by index."""
        looped = {c for i in self.body.items if isinstance(i, LoopItem) for c in i.children}
        orders: dict[str, dict[int, int]] = {}
        for label, order in self.module.owned.items():
            if len(label) == 2 and label not in looped:
                orders.setdefault(label[0], {})[int(label[1])] = order
        return [(min(found.values()), [self._list(n, found)]) for n, found in orders.items()]

    def _list(self, name: str, indices: Collection[int]) -> Stmt:
        """A list of layers; in the place of one that nothing needs stands an identity."""
        none = call("nn.Identity")
        numbers = range(max(indices) + 1)
        items = [self._element((name, str(i))) if i in indices else none for i in numbers]
        code: Expr = List(tuple(items))
        if len(items) > 2 and len(set(items)) == 1:
            code = GeneratorExp(items[0], Name("_"), turns(0, Constant(len(items))))
        return Assign(Attribute(_SELF, name), call("nn.ModuleList", code))

    def _element(self, label: Path) -> Expr:
        path = self.module.path + label
        if path in self.outliner.of:
            return self._child(label, self.outliner.of[path])
        return self._layer(label, self.modules.torch_module(path))

    # ----------------------------------------------------------- elements

    def construct(self, item: ModuleItem | ChainItem, outer: Place = ()) -> Expr:
        """The expression that makes a layer, a child or an `nn.Sequential`."""
        if isinstance(item, ChainItem):
            return call("nn.Sequential", *self._chain(item, (*outer, item.label)))
        if item.form is not None:
            return self._child(item.label, item.form, outer)
        assert item.module is not None
        return self._layer(item.label, item.module, outer)

    def _chain(self, chain: ChainItem, place: Place) -> Iterator[Expr]:
        for i, part in enumerate(chain.body.items):
            if isinstance(part, LoopItem):
                yield Starred(self._each(i, part, place))
            else:
                assert isinstance(part, ModuleItem | ChainItem)
                yield self.construct(part, place)

    def _child(self, label: Path, form: int, outer: Place = ()) -> Expr:
        given = {
            p.name: self._argument(p, self.slot(outer, (label, p.name)))
            for p in self.outliner.forms[form].parameters
        }
        return self._made(form, given)

    def _argument(self, parameter: Parameter, value: Value | Computed) -> Expr:
        many = parameter.many and isinstance(value, tuple)
        return sequence(value) if many and isinstance(value, tuple) else self.code(value)

    def _made(self, form: int, given: Mapping[str, Expr]) -> Expr:
        """A child: its arguments after the first by their names."""
        parameters = self.outliner.forms[form].parameters
        first = [given[each.name] for each in parameters[:1] if each.default is ABSENT]
        words = (
            Keyword(each.name, given[each.name])
            for each in parameters[len(first) :]
            if given[each.name] != each.default_code
        )
        return Call(Name(self.names[form]), tuple(first), tuple(words))

    def _layer(self, label: Path, module: TorchModule, outer: Place = ()) -> Expr:
        args: list[Expr] = []
        words: list[Keyword] = []
        for arg in module.args:
            value = self.slot(outer, (label, arg.name))
            if arg.positional:
                args.append(self.code(value))
            elif isinstance(value, Computed) or value != arg.default:
                words.append(Keyword(arg.name, self.code(value)))
        cls: Expr = dotted(self.imported.get((module.source, module.cls), module.cls))
        if _inside(outer, (label, "class")) in self.form.table.computed:
            cls = self.code(self.slot(outer, (label, "class")))
        made: Expr = Call(cls, tuple(args), tuple(words))
        if not module.parameter:
            return made
        first = made if module.times == 1 else BinOp("*", (made, Constant(module.times)))
        return call("nn.Parameter", first)

    def slot(self, outer: Place, place: Place) -> Value | Computed:
        """How a slot is written, inside however many `nn.Sequential`s."""
        table, place = self.form.table, _inside(outer, place)
        if place in table.constants:
            return table.constants[place]
        return Computed(table.computed[place])

    def code(self, value: Value | Computed) -> Expr:
        """A slot's expression, in the constructor."""
        return value.code if isinstance(value, Computed) else literal(value)

    # -------------------------------------------------------------- loops

    def _loop(self, position: int, loop: LoopItem) -> Stmt:
        """Children called `prefix1`, `prefix2`, ..., each constructed in a loop."""
        if loop.container:
            listed = call("nn.ModuleList", self._each(position, loop, ()))
            return Assign(Attribute(_SELF, loop.container[0]), listed)
        target, source, made = self._iteration(position, loop, (), numbered=True)
        name = JoinedStr((loop.prefix, Name("i")))
        return For(target, source, (Evaluate(call("self.add_module", name, made)),))

    def _each(self, position: int, loop: LoopItem, outer: Place) -> GeneratorExp:
        """The children of a loop, one after the other."""
        target, source, made = self._iteration(position, loop, outer)
        return GeneratorExp(made, target, source)

    def _iteration(
        self, position: int, loop: LoopItem, outer: Place, *, numbered: bool = False
    ) -> tuple[Expr, Expr, Expr]:
        """Target and source of the iteration over a loop's children, and what makes each."""
        arguments: dict[str, Expr] = {}
        variables: list[str] = []
        sources: list[Expr] = []
        for parameter in self.outliner.forms[loop.form].parameters:
            value = self.slot(outer, (position, parameter.name))
            if _inside(outer, (position, parameter.name)) not in self.form.table.many:
                arguments[parameter.name] = self._argument(parameter, value)
                continue
            word = self._variable(parameter, variables)
            arguments[parameter.name] = Name(word)
            variables.append(word)
            rows = isinstance(value, tuple)
            sources.append(_sequence(value, parameter) if rows else self.code(value))
        made = self._made(loop.form, arguments)
        if not sources:
            count = self.code(self.slot(outer, (position, COUNT)))
            start = loop.start if numbered else 0
            return Name("i" if numbered else "_"), turns(start, count), made
        target = Name(variables[0]) if len(variables) == 1 else Tuple(tuple(map(Name, variables)))
        source = sources[0]
        if len(sources) > 1:
            source = call("zip", *sources, strict=Constant(value=True))
        if not numbered:
            return target, source, made
        start_word = {"start": Constant(loop.start)} if loop.start else {}
        return Tuple((Name("i"), target)), call("enumerate", source, **start_word), made

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


def _inside(outer: Place, place: Place) -> Place:
    """The place of a slot of an item inside `nn.Sequential`s."""
    for label in reversed(outer):
        place = (label, place)
    return place


def _sequence(value: Value | Computed, parameter: Parameter) -> Expr:
    assert isinstance(value, tuple)
    return sequence(value, nested=parameter.many)
