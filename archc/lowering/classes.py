"""From a form to its class: constructor, attributes in order of making, `forward`."""

import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeGuard

from archc.ir.branches import is_rectified
from archc.ir.graph import Path
from archc.lowering.bindings import Binding, Let, Turns, Value, inside
from archc.lowering.construct import Computed, ConstructorWriter
from archc.lowering.docstrings import docstring_of
from archc.lowering.items import (
    ChainItem,
    FunctionItem,
    Item,
    LoopItem,
    ModuleItem,
    labels_of,
    results_of,
)
from archc.lowering.modules import Member, Operand
from archc.lowering.naming import Names
from archc.lowering.nesting import Given, nested
from archc.lowering.optional import OptionalPart
from archc.lowering.parameters import COUNT
from archc.lowering.sequential import is_numbered, is_row
from archc.lowering.sharing import dense_blocks, rerun, with_one_buffer
from archc.lowering.skipping import branched, paths_with_weights
from archc.lowering.values import MEANINGFUL, Symbol, is_name, literal, tensors, turns
from archc.lowering.values import Value as SlotValue
from archc.program.printing import comment
from archc.program.template import Slot
from archc.program.tree import (
    Argument,
    Assign,
    Attribute,
    BoolOp,
    Call,
    ClassDef,
    Compare,
    Constant,
    Evaluate,
    Expr,
    FunctionDef,
    GeneratorExp,
    Hole,
    IfExp,
    JoinedStr,
    Name,
    Stmt,
    Subscript,
    call,
    dotted,
    filled,
    walk,
)

_SELF = Name("self")
SELF = Argument("self")


@dataclass
class ClassWriter(ConstructorWriter):
    """Writes one form as a class."""

    def write(self) -> ClassDef:
        """The class of a block or scope (the net's own has more: see `net`).

        It has no `forward` if it is not called: a scope that only makes layers.
        """
        bare = self.in_a_row or not self.module.first.outputs
        methods = [] if bare else [self.forward()]
        init = self.init(self.signature(), ())
        body = (*([init] if init else []), *methods)
        name = self.names[self.form.id]
        return ClassDef(name, dotted(self.base), self.where(), self.doc(), body)

    @property
    def base(self) -> str:
        """`nn.Sequential` where all children are called by number or in a row, else `nn.Module`."""
        return "nn.Sequential" if self.numbered or self.in_a_row else "nn.Module"

    @cached_property
    def numbered(self) -> bool:
        """Whether what it owns is called 0, 1, 2, ..."""
        return bool(self.module.path) and is_numbered(self.module, self.body)

    @cached_property
    def in_a_row(self) -> bool:
        """Whether `forward` is that of `nn.Sequential`."""
        items = self.body.items
        plain = not any(not isinstance(item, FunctionItem) and item.rerun for item in items)
        plain = plain and not self.form.choices and bool(self.module.path)
        return plain and is_row(self.module, self.body) and not self.outliner.is_read(self.module)

    def where(self) -> str:
        """Its place in the spec."""
        span = self.module.region.definition
        return f"{comment(span.source.name)}:{span.line}"

    def doc(self) -> tuple[str, ...]:
        return docstring_of(self.form, self.outliner.forms, self.modules.graph, self.names)

    # -------------------------------------------------------- constructor

    def signature(self) -> list[Argument]:
        return [Argument(p.name, p.annotation, p.default_code) for p in self.form.parameters]

    def init(self, signature: Sequence[Argument], after: Sequence[Stmt]) -> FunctionDef | None:
        """`__init__`: parameters kept for `forward`, attributes, and what comes `after`."""
        sequential = self.numbered
        kept = [Assign(Attribute(_SELF, name), Name(name)) for name in sorted(self._kept())]
        body = [*kept, *([] if sequential else self.attributes()), *after]
        if not body and not signature and not sequential:
            return None
        first = Evaluate(self.elements() if sequential else call("super().__init__"))
        return FunctionDef("__init__", (SELF, *signature), Constant(None), (first, *body))

    def _kept(self) -> set[str]:
        """The parameters that `forward` needs, which the constructor keeps."""
        parameters = set(self.parameter_names()) - {label[0] for label in self.module.owned}
        codes = [each.code if isinstance(each, Let) else each.children for each in self.bindings]
        return {each.attr for each in walk(tuple(codes)) if _is_of_self(each)} & parameters

    def parameter_names(self) -> list[str]:
        return [parameter.name for parameter in self.form.parameters]

    # ------------------------------------------------------------ forward

    def forward(self) -> FunctionDef:
        """The `forward` of a block or scope."""
        found = self.input_names()
        args = [Argument(name, Name("Tensor")) for name in found]
        args += [Argument(name, self._class_of(path)) for path, name in self.passed.items()]
        body = self.statements(self.bindings, Given(self.body.outputs), dict(enumerate(found)))
        returns = tensors(len(self.module.first.outputs))
        method = FunctionDef("forward", (SELF, *args), returns, body)
        return with_one_buffer(method, found[0]) if self._is_dense_block() else method

    def statements(
        self, bindings: Sequence[Binding], given: Given, known: dict[int, str]
    ) -> tuple[Stmt, ...]:
        """Bindings as statements; `known` are the names of the values that exist before."""
        bindings = branched(bindings, given.values, self)
        names_ = Names(self.hint, self.maker, frozenset(self.passed.values()))
        for value, name in known.items():
            names_.hold(value, name)
        return nested(bindings, given, names_)

    def parts_with_weights(self, values: Set[int]) -> Sequence[Expr]:
        """What computes some values and has weights: `self`, if nothing else in it has any."""
        weighted = paths_with_weights(self.modules.graph)
        items = [item for item in self.body.items if not values.isdisjoint(results_of(item))]
        called = dict.fromkeys(label for item in items for label in labels_of(item))
        own = {each for each in self.module.owned if (*self.module.path, *each) in weighted}
        if own <= called.keys():
            return [_SELF, *(self.receiver(label) for label in called if not label[0])]
        paths = {each: each[1:] if not each[0] else (*self.module.path, *each) for each in called}
        return [self.receiver(label) for label, path in paths.items() if path in weighted]

    def is_rectified(self, value: int) -> bool:
        """Whether a `relu` would leave a value as it is, in all instances."""
        found = zip(self.form.modules, self.form.bodies, strict=True)
        return all(
            len(module.applications) == 1 and is_rectified(self.modules.graph, body.values[value])
            for module, body in found
        )

    def hint(self, value: int) -> str:
        """The spec's variable for a value, as this region calls it: scopes share variables."""
        graph = self.modules.graph
        node = graph.node(self.body.values[value])
        name = node.name
        region = graph.regions[node.region]
        while region.id != self.module.region.id and region.parent is not None:
            if region.block is not None:
                name = region.name_of(self.body.values[value])
            region = graph.regions[region.parent]
        return name

    def maker(self, value: int) -> str:
        """The label of the convolution, block or scope that gives a value: `conv1`, `scale2`,
        `update0` of a list. A norm or an activation says too little of what it gives."""
        label = self._makers.get(value, ("",))
        word = "".join(label[-2:] if label[-1].isdigit() else label[-1:])
        return word if is_name(word) else ""

    @cached_property
    def _makers(self) -> dict[int, Path]:
        found: dict[int, Path] = {}
        for item in self.body.items:
            match item:
                case ChainItem(label=label, result=value):
                    found[value] = label
                case ModuleItem(label=label, results=(value,)):
                    op = self.modules.graph.node(self.body.values[value]).op
                    if item.form is not None or op.sums:
                        found[value] = label
        return found

    def _is_dense_block(self) -> bool:
        return self.module.region.id in dense_blocks(self.modules.graph)

    def _class_of(self, path: Path) -> Expr:
        """The class of a layer or module that `forward` takes."""
        learned = path not in self.modules.by_path and self.is_learned(path)
        return dotted("nn.Parameter" if learned else "nn.Module")

    def input_names(self) -> list[str]:
        """Names of the tensors that `forward` takes: the block's own, unique and usable."""
        application = self.module.first
        declared = {node: name for name, node in application.region.inputs}
        found: list[str] = []
        for node in application.inputs:
            name = declared.get(node) or self.modules.graph.node(node).name or "x"
            name = name if is_name(name) else "x"
            while name in found or name in MEANINGFUL:
                name += "_"
            found.append(name)
        return found

    # ------------------------------------------------------------ bindings

    @cached_property
    def bindings(self) -> list[Let | Turns]:
        """What each item of the body computes; what only some instances have is one binding."""
        found: list[Let | Turns] = []
        for position, item in enumerate(self.body.items):
            each = self._binding(position, item)
            choice = self.form.choice_at(position)
            if choice is not None and isinstance(each, Let):
                if position > choice.positions.start:
                    each = inside(found.pop(), each)
                if position == choice.positions[-1]:
                    each = self._chosen(choice, each)
            found.append(each)
        return found

    def _chosen(self, choice: OptionalPart, each: Let) -> Let:
        """A value that some instances compute, while others have another one."""
        labels = self.form.labels_of(choice)
        tests: list[Expr] = [
            Compare(Attribute(_SELF, label), "is not", Constant(None)) for label in labels
        ]
        if not tests:
            tests = [self._in_forward(Computed(self._flag(choice)))]
        test = tests[0] if len(tests) == 1 else BoolOp("and", tuple(tests))
        assert choice.instead is not None
        code = IfExp(test, each.code, Value(choice.instead))
        return replace(each, code=code, kind="choice")

    def _binding(self, position: int, item: Item) -> Let | Turns:
        match item:
            case FunctionItem():
                return Let((item.result,), self._code(position, item), item.op, "function")
            case ModuleItem():
                code = self._code(position, item)
                return Let(item.results, code, item.op, "layer" if item.form is None else "block")
            case ChainItem():
                target, operand = self.receiver(item.label), Value(item.operand)
                code = rerun(target, operand) if item.rerun else Call(target, (operand,))
                return Let((item.result,), code, "nn.Sequential", "row")
            case LoopItem():
                children = self._children(position, item)
                if not item.rerun:
                    return Turns(item.results, children, item.operands)
                code = rerun(children, Value(item.operands[0]))
                return Let(item.results, code, "rerun", "row")

    def _code(self, position: int, item: FunctionItem | ModuleItem) -> Expr:
        """An item's code with all but its values known."""
        defaults = {}
        if isinstance(item, FunctionItem):
            defaults = {arg.name: arg.default for arg in item.args}

        def fill(leaf: Hole | Name) -> Expr | None:
            match leaf:
                case Operand(index):
                    return Value(item.operands[index])
                case Member(path):
                    return self.receiver(path)
                case Slot(name, optional):
                    value = self.slot((), (position, name))
                    known = not isinstance(value, Computed | Symbol)
                    left_out = optional and known and value == defaults[name]
                    return None if left_out else self._in_forward(value)
            return leaf

        return filled(item.code, fill)

    def _in_forward(self, value: SlotValue | Computed) -> Expr:
        """A slot's expression in `forward`, where a parameter is an attribute."""
        if not isinstance(value, Computed | Symbol):
            return literal(value)

        def fill(leaf: Hole | Name) -> Expr:
            return Attribute(_SELF, leaf.id) if isinstance(leaf, Name) else leaf

        return filled(value.code, fill)

    def receiver(self, label: Path) -> Expr:
        """How a callee is written: an attribute, an element of a list, or an argument."""
        if not label[0]:
            return Name(self.passed[label[1:]])
        code: Expr = _SELF
        path = self.module.path
        for word in label:
            sequential = self.numbered and path == self.module.path
            listed = path in self.outliner.chains or path not in self.modules.by_path
            if sequential or listed:
                code = Subscript(code, Constant(int(word)))
            elif is_name(word) and not self._is_looped(path, word):
                code = Attribute(code, word)
            else:
                kind = "parameter" if self.is_learned((*path, word)) else "submodule"
                code = Call(Attribute(code, f"get_{kind}"), (Constant(word),))
            path += (word,)
        return code

    def _is_looped(self, path: Path, word: str) -> bool:
        """Whether another class makes a child in a loop, so that types do not know it."""
        if path == self.module.path or path not in self.outliner.of:
            return False
        loops = self.outliner.forms[self.outliner.of[path]].body.items
        return any(
            isinstance(item, LoopItem)
            and not item.container
            and word.startswith(item.prefix)
            and word[len(item.prefix) :].isdecimal()
            for item in loops
        )

    @cached_property
    def passed(self) -> dict[Path, str]:
        """Names of the layers and modules that `forward` takes, by their paths."""
        found: dict[Path, str] = {}
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
            found[path] = name
        return found

    def _children(self, position: int, loop: LoopItem) -> Expr:
        """What `forward` iterates over: all children, a list, or the loop's own by name."""
        if loop.container:
            return Attribute(_SELF, loop.container[0])
        if len(self.module.owned) == len(loop.children):
            return call("self.children")
        name = JoinedStr((loop.prefix, Name("i")))
        numbers = turns(loop.start, self._count(position, loop))
        return GeneratorExp(call("self.get_submodule", name), Name("i"), numbers)

    def _count(self, position: int, loop: LoopItem) -> Expr:
        """The number of a loop's children: itself a slot, or the length of one."""
        table = self.form.table
        if (position, COUNT) in table.constants or (position, COUNT) in table.computed:
            return self._in_forward(self.slot((), (position, COUNT)))
        found = (
            table.computed[position, parameter.name]
            for parameter in self.outliner.forms[loop.form].parameters
            if (position, parameter.name) in table.computed
        )
        return call("len", self._in_forward(Computed(next(found))))


def _is_of_self(part: object) -> TypeGuard[Attribute]:
    return isinstance(part, Attribute) and part.value == _SELF
