"""Statements of `forward`: values get the spec's names, and short single uses are nested.

A value that is used once, by what follows it at once, is written inside its user. A line ends where
the chain would begin anew (norm -> relu -> conv, then norm again) or grow too long; evaluation
order is that of the spec.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from archc.codegen.items import (
    Attribute,
    Chain,
    Function,
    Item,
    Loop,
    operands_of,
    results_of,
)
from archc.codegen.naming import Binding, Naming
from archc.codegen.text import WIDTH, Bracketed, Code, call, folded, lines, words_of
from archc.ir.graph import Path
from archc.ops.op import CALL, TorchArg, TorchFunction

_LISTED = re.compile(r"([\w.]+)\(\[\{operands\}\](?:, (.*))?\)")
"""A function of a list of tensors: the one form whose arguments may need several lines."""

_NESTED = 72
"""A nested expression of more columns is given a name instead."""


@dataclass(slots=True)
class _Pending:
    """An expression that waits for its only user."""

    value: int
    code: Code
    level: int
    ops: tuple[str, ...]
    blocks: bool


ArgumentText = Callable[[Item, int, TorchArg], str]
"""How an argument of a function is written: its constant, or `self.parameter`."""


@dataclass
class ForwardWriter(Naming):
    """Writes the body of one `forward`."""

    argument: ArgumentText
    receiver: Callable[[Path], str]
    loop_children: Callable[[int, Loop], str]
    listed: bool = False
    """Whether the results are a list: those of a net with exits."""
    collects: bool = False
    """Whether each result joins the list `exits` as soon as it is there."""
    indent: int = 8
    out: list[str] = field(default_factory=list)
    pending: list[_Pending] = field(default_factory=list)
    live: Sequence[int] = ()
    """The values that the `return` gives, in its order."""
    collected: int = 0

    def run(self, start: int, stop: int, live: Sequence[int], known: dict[int, str]) -> list[str]:
        """Statements of the items `start` to `stop`, and the `return` of the values `live`.

        `known` are the names of the values that exist before.
        """
        self.live = live
        self.log.start, self.log.stop = start, stop
        items = self.body.items[start:stop]
        for value in (*live, *(value for item in items for value in operands_of(item))):
            self.left[value] = self.left.get(value, 0) + 1
        if self.collects:
            self.out.append(f"{' ' * self.indent}exits: list[Tensor] = []")
        for value, name in known.items():
            self._hold(value, name)
        position = start
        while position < stop:
            if position == stop - 1 and self._gives_all(items[-1]):
                self._return_all(position, items[-1])
                return self.out
            position += self._step(position, stop)
        self._return()
        return self.out

    def _step(self, position: int, stop: int) -> int:
        """Write what begins at a position, before `stop`; gives the number of its items."""
        self._item(position, self.body.items[position])
        return 1

    # ------------------------------------------------------------- items

    def _item(self, position: int, item: Item) -> None:
        operands = operands_of(item)
        self._end_line(item)
        if isinstance(item, Loop) and not item.rerun:
            self._loop(position, item)
            return
        code, level = self._code(position, item)
        if self.pending and len(str(code)) > _NESTED:
            self._flush()
            code, level = self._code(position, item)
        nested = [each for each in self.pending if each.value in operands]
        self.log.nested |= {each.value: position for each in nested}
        ops = (*(op for each in nested for op in each.ops), _kind(item))
        for operand in operands:
            self.left[operand] -= 1
        self.pending = [each for each in self.pending if each not in nested]
        results = results_of(item)
        if len(results) > 1:
            names = self._several(results)
            self._assign_all(names, code)
            for result, name in zip(results, names, strict=True):
                self._hold(result, name)
            return
        self.pending.append(_Pending(results[0], code, level, ops, _is_block(item)))
        if self.left.get(results[0], 0) != 1:
            self._flush()

    def _end_line(self, item: Item) -> None:
        """Give what waits a name, unless it may wait longer or the item takes it in."""
        if self._is_overtaken(item) or self._restarts(item) or self._comes_late(item):
            self._flush()

    def _is_overtaken(self, item: Item) -> bool:
        """Whether what waits would be computed after an item that does not read it.

        What only the `return` reads may wait for it, before what the item reads.
        """
        operands = operands_of(item)
        others = [each for each in self.pending if each.value not in operands]
        if not others:
            return False
        single = not isinstance(item, Loop) and len(results_of(item)) == 1
        only_returned = not self.collects and all(each.value in self.live for each in others)
        return not (single and only_returned and others == self.pending[: len(others)])

    def _restarts(self, item: Item) -> bool:
        """Whether a line ends before this item: it has blocks of this kind (but two may share it:
        `self.extract(self.reduce(x))`), or blocks follow ops."""
        if not self.pending or isinstance(item, Function):
            return False
        if self.pending[-1].value not in operands_of(item):
            return False
        chain = self.pending[-1]
        if _is_block(item):
            pair = isinstance(item, Attribute) and chain.ops == (_kind(item),)
            again = _kind(item) in chain.ops and not pair
            return again or (not chain.blocks and len(chain.ops) > 1)
        return _kind(item) in chain.ops and len(chain.ops) > 1

    def _comes_late(self, item: Item) -> bool:
        """Whether what waits would be computed after a part of the item: `a + b + waiting`."""
        folds = isinstance(item, Function) and item.text.folds
        return folds and any(each.value in operands_of(item)[2:] for each in self.pending)

    def _code(self, position: int, item: Item) -> tuple[Code, int]:
        match item:
            case Function():
                return self._function(position, item)
            case Attribute():
                return self._attribute(item)
            case Loop():
                children = self.loop_children(position, item)
                return call("rerun", [children, self._operand(item.operands[0], 0)]), CALL
            case Chain():
                target, operand = self.receiver(item.label), self._operand(item.operand, 0)
                return (
                    call("rerun", [target, operand]) if item.rerun else call(target, [operand])
                ), CALL
        raise AssertionError(item)

    def _attribute(self, item: Attribute) -> tuple[Code, int]:
        target, layer = self.receiver(item.label), item.module
        if layer is not None and layer.use is not None:
            operands = self._operands(layer.use, item.operands)
            passed = map(self.receiver, item.passed)
            return layer.use.template.format(*operands, *passed, layer=target), layer.use.level
        if layer is not None and layer.parameter:
            return target, CALL
        before, suffix = (layer.before, layer.suffix) if layer else ("", "")
        needs = CALL if before else 0
        arguments = [f"{self._operand(operand, needs)}{before}" for operand in item.operands]
        arguments += [self.receiver(path) for path in item.passed]
        if item.rerun:
            return call("rerun", [f"[{target}]", *arguments]), CALL
        return call(target, arguments, suffix), CALL

    def _function(self, position: int, item: Function) -> tuple[Code, int]:
        text = item.text
        if text.template == "{0}":
            return self._same(*item.operands)
        operands = self._operands(text, item.operands)
        if text.folds:
            return folded(text.template, operands), text.level
        values = {arg.name: self.argument(item, position, arg) for arg in text.args}
        shown = [
            values[arg.name] if arg.positional else f"{arg.name}={values[arg.name]}"
            for arg in text.args
            if arg.default != arg.value or values[arg.name].startswith("self.")
        ]
        listed = _LISTED.fullmatch(text.template)
        if listed:
            listing = Bracketed("[", tuple(operands), "]")
            return call(listed[1], [listing, *filter(None, [listed[2]])]), text.level
        template = text.template if shown else text.template.replace(", {args}", "")
        filled = template.format(
            *operands, operands=", ".join(operands), args=", ".join(shown), **values
        )
        return filled, text.level

    def _operands(self, text: TorchFunction, values: Sequence[int]) -> list[str]:
        needs = [text.needs[min(i, len(text.needs) - 1)] for i in range(len(values))]
        return [self._operand(v, n) for v, n in zip(values, needs, strict=True)]

    def _same(self, value: int) -> tuple[Code, int]:
        """An operator that is its operand: that operand's own text."""
        for each in self.pending:
            if each.value == value:
                return each.code, each.level
        return self.names[value], CALL

    def _operand(self, value: int, needs: int) -> str:
        for each in self.pending:
            if each.value == value:
                return f"({each.code})" if each.level < needs else str(each.code)
        return self.names[value]

    def _loop(self, position: int, item: Loop) -> None:
        """`for layer in ...: x = layer(x)`, in the variables of its inputs where they are free."""
        names: list[str] = []
        for operand, result in zip(item.operands, item.results, strict=True):
            self.left[operand] -= 1
            names.append(self._loop_variable(operand, result, names, position))
        word = next(word for word in ("layer", "child", "part") if word not in self.held)
        children = self.loop_children(position, item)
        self.out.append(f"{' ' * self.indent}for {word} in {children}:")
        self.out += lines(self.indent + 4, f"{', '.join(names)} = ", call(word, names))
        for result, name in zip(item.results, names, strict=True):
            self._hold(result, name)

    def _loop_variable(self, operand: int, result: int, taken: Sequence[str], position: int) -> str:
        """The variable that goes from turn to turn, which holds the operand before the first, that
        begins at a position."""
        name = self._name(result, self._hint(result), also=taken)
        waiting = [each for each in self.pending if each.value == operand]
        if waiting:
            self.pending = [each for each in self.pending if each.value != operand]
            self._assign(name, waiting[0].code)
            self.log.bindings.append(Binding(name, operand))
        elif self.names[operand] != name:
            if not self.left[operand] and self.names[operand] not in taken:
                return self.names[operand]
            self.out.append(f"{' ' * self.indent}{name} = {self.names[operand]}")
            self.log.bindings.append(Binding(name, operand, position - 1))
        return name

    # ------------------------------------------------------------ writing

    def _flush(self) -> None:
        words = [frozenset(words_of(each.code)) for each in self.pending]
        later = Counter(word for each in words for word in each)
        for each, own in zip(self.pending, words, strict=True):
            for word in own:
                later[word] -= 1
                if not later[word]:
                    del later[word]
            if each.value == self._next_exit() and self.left[each.value] == 1:
                self._collect(each.code)
                self._collect_named()
                continue
            name = self._name(each.value, self._hint(each.value), also=later)
            self._assign(name, each.code)
            self._hold(each.value, name)
        self.pending = []

    def _next_exit(self) -> int | None:
        """The result that `exits` waits for."""
        waits = self.collects and self.collected < len(self.live)
        return self.live[self.collected] if waits else None

    def _collect(self, code: Code) -> None:
        self.left[self.live[self.collected]] -= 1
        self.collected += 1
        self.out += lines(self.indent, "", call("exits.append", [code]))

    def _collect_named(self) -> None:
        """Append the results whose turn has come and that have a name already."""
        while (waiting := self._next_exit()) in self.names:
            self._collect(self.names[waiting])

    def _assign(self, name: str, code: Code) -> None:
        if str(code) != name:
            self.out += lines(self.indent, f"{name} = ", code)

    def _assign_all(self, names: Sequence[str], code: Code) -> None:
        """Several names at once; those that need more than a line stand one a line."""
        head = code.before if isinstance(code, Bracketed) else str(code)
        if self.indent + len(f"{', '.join(names)} = {head}") <= WIDTH:
            self._assign(", ".join(names), code)
            return
        pad = " " * self.indent
        self.out += [f"{pad}(", *(f"{pad}    {name}," for name in names)]
        self.out += lines(self.indent, ") = ", code)

    def _return(self) -> None:
        if self.collects:
            self._flush()
            self.out.append(f"{' ' * self.indent}return exits")
            return
        waiting = [each.value for each in self.pending]
        if waiting != [value for value in self.live if value in waiting]:
            self._flush()
        statement = self._return_statement()
        several = len(self.live) > 1
        if several and (len(statement) > 1 or any(_is_long(each.code) for each in self.pending)):
            self._flush()
            statement = self._return_statement()
        self.out += statement

    def _return_statement(self) -> list[str]:
        codes = {each.value: each.code for each in self.pending}
        values = [codes[value] if value in codes else self.names[value] for value in self.live]
        code: Code = Bracketed("", tuple(values), "")
        if self.listed:
            code = Bracketed("[", tuple(values), "]")
        elif len(values) == 1:
            code = values[0]
        return lines(self.indent, "return ", code)

    def _gives_all(self, item: Item) -> bool:
        """Whether a call gives several results, and these are what is returned."""
        several = isinstance(item, Attribute) and len(item.results) > 1
        return several and not self.listed and results_of(item) == tuple(self.live)

    def _return_all(self, position: int, item: Item) -> None:
        """`return self.pair(x)`."""
        self._end_line(item)
        code, _ = self._code(position, item)
        self.out += lines(self.indent, "return ", code)

    def _hold(self, value: int, name: str, after: int | None = None) -> None:
        super()._hold(value, name, after)
        self._collect_named()


def _is_long(code: Code) -> bool:
    return len(str(code)) > _NESTED // 2


def _kind(item: Item) -> str:
    return item.op if isinstance(item, Function | Attribute) else type(item).__name__


def _is_block(item: Item) -> bool:
    return isinstance(item, Chain | Loop) or (isinstance(item, Attribute) and item.form is not None)
