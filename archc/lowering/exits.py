"""A net with exits as a generator: each exit computes what it needs and is not there yet.

A block is called as a whole where the same exits need all that is in it. Elsewhere its children are
called, so that what only a later exit needs waits for that one: the finer scales of MSDNet's last
layers, for example.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import or_

from archc.ir.exits import computed, first_of, has_exits, needed_by, turn_of
from archc.ir.graph import Graph, Path
from archc.lowering.bindings import Binding, reads
from archc.lowering.classes import ClassWriter
from archc.lowering.modules import Modules, Step
from archc.lowering.naming import Names
from archc.lowering.nesting import in_turn
from archc.lowering.skipping import branched
from archc.lowering.values import turns
from archc.ops.extern import Result
from archc.program.tree import (
    Argument,
    Assign,
    Attribute,
    BinOp,
    Compare,
    Constant,
    Evaluate,
    Expr,
    FunctionDef,
    GeneratorExp,
    If,
    IfExp,
    JoinedStr,
    Name,
    Return,
    Stmt,
    Subscript,
    Tuple,
    Yield,
    call,
    dotted,
)

EXIT, STAYING = "exit", "staying"
"""Which exit alone is wanted; the rows of the batch that go on."""

_EXIT = Argument(EXIT, BinOp("|", (Name("int"), Constant(None))), Constant(None))
_DOTS = Name("...")
_CRITERION = Argument("criterion", Name("str"), Constant("confidence"))


def open_blocks(modules: Modules) -> None:
    """Let the net itself apply what is in the blocks that the exits need in parts."""
    modules.root.first.steps = list(_steps(modules))


def _steps(modules: Modules) -> Iterator[Step]:
    whole, called = _whole(modules), set[int]()
    for node in computed(modules.graph):
        if node.op.name == "input" or isinstance(node.op, Result):
            continue
        units = [region for region in _around(modules, node.region) if region in whole]
        if not units:
            yield modules.step_of(node)
        elif units[-1] not in called:
            called.add(units[-1])
            yield modules.call_of(modules.applications[units[-1]])


def _whole(modules: Modules) -> set[int]:
    """The regions all of whose nodes are needed by the same exits."""
    needed = needed_by(modules.graph)
    uses: dict[int, set[int]] = {}
    for node in modules.graph.nodes():
        if not isinstance(node.op, Result):
            for region in _around(modules, node.region):
                uses.setdefault(region, set()).add(needed.get(node.id, 0))
    return {region for region, found in uses.items() if len(found) == 1}


def _around(modules: Modules, region: int) -> list[int]:
    """A region and those around it but the net, the innermost first."""
    found: list[int] = []
    while (parent := modules.graph.regions[region].parent) is not None:
        found.append(region)
        region = parent
    return found


@dataclass
class ExitsWriter:
    """Writes the statements of `iter_exits` from the bindings of a net's body."""

    writer: ClassWriter
    bindings: Sequence[Binding] = field(init=False)
    names: Names = field(init=False)
    needed: dict[int, int] = field(init=False)

    def statements(self, inputs: Sequence[str]) -> tuple[Stmt, ...]:
        writer = self.writer
        self.needed = needed_by(writer.modules.graph)
        self.names = Names(writer.hint, writer.maker, frozenset())
        for value, name in enumerate(inputs):
            self.names.hold(value, name)
        outputs, left = writer.body.outputs, self.names.left
        self.bindings = branched(writer.bindings, outputs, writer)
        for value in (*outputs, *(v for each in self.bindings for v in reads(each))):
            left[value] = left.get(value, 0) + 1
        return tuple(stmt for k in range(len(outputs)) for stmt in self._stage(k))

    def _stage(self, k: int) -> Iterator[Stmt]:
        """What exit k is the first to need, and its result.

        What some later exit does without is computed only if one that needs it is wanted.
        """
        outputs = self.writer.body.outputs
        found = [each for each in self.bindings if first_of(self._uses(each)) == k]
        own, later = 1 << k, (1 << len(outputs)) - (1 << k)
        for exits in sorted({later, own, *map(self._uses, found)}, key=turn_of):
            part = [each for each in found if self._uses(each) == exits]
            depth = 8 if exits == later else 12
            given = outputs[k] if exits == own else None
            statements = in_turn(part, depth, self.names, given)
            if given is not None:
                statements = self._yielded(statements, last=own == later)
            if exits == later:
                yield from statements
            elif statements:
                yield _if_wanted(exits, statements)

    def _uses(self, binding: Binding) -> int:
        """The exits that need what is bound."""
        values = self.writer.body.values
        return reduce(or_, (self.needed.get(values[each], 0) for each in binding.values))

    def _yielded(self, statements: Sequence[Stmt], *, last: bool) -> tuple[Stmt, ...]:
        """Statements that give a result in place of returning it."""
        *before, returned = statements
        assert isinstance(returned, Return)
        result = Yield(returned.value)
        if last:
            return (*before, Evaluate(result))
        return (*before, Assign(Name(STAYING), result), *self._selected())

    def _selected(self) -> Iterator[Stmt]:
        """The rows that go on, of all that is read later."""
        graph, names_ = self.writer.modules.graph, self.names
        live = [
            name
            for name, value in names_.held.items()
            if names_.left.get(value, 0) > 0
            and graph.node(self.writer.body.values[value]).type.batched
        ]
        if live:
            targets = tuple(map(Name, live))
            yield Assign(Tuple(targets), call("rows", Name(STAYING), *targets))


def _if_wanted(exits: int, statements: Sequence[Stmt]) -> If:
    numbers = [k for k in range(exits.bit_length()) if exits >> k & 1]
    wanted = Tuple((Constant(None), *map(Constant, numbers)))
    return If(Compare(Name(EXIT), "in", wanted), tuple(statements))


def forward_of_exits(inputs: Sequence[str]) -> tuple[tuple[Argument, ...], Sequence[Stmt]]:
    """Arguments and statements of `forward`: all exits, or one of them."""
    wanted = call("self.iter_exits", *map(Name, inputs), Name(EXIT))
    found, exits = Assign(Name("exits"), wanted), Name("exits")
    none = Compare(Name(EXIT), "is", Constant(None))
    given = Return(IfExp(none, call("list", exits), call("next", exits)))
    return (*_tensors(inputs), _EXIT), (found, given)


def exit_methods(
    writer: ClassWriter, inputs: Sequence[str], checks: Sequence[Stmt]
) -> Iterator[FunctionDef]:
    """`iter_exits`, which begins with `checks`, and where the exits give scores of the same
    classes, `predict`."""
    graph = writer.modules.graph
    tensor, wanted = Name("Tensor"), Name(EXIT)
    exists = Assign(wanted, call("number_of", wanted, Constant(len(graph.outputs))))
    yield FunctionDef(
        "iter_exits",
        (Argument("self"), *_tensors(inputs), _EXIT),
        Subscript(Name("Iterator"), tensor),
        (exists, *checks, *ExitsWriter(writer).statements(inputs)),
        ("Each exit from what the one before has left; or one `exit`, and only what it needs.",),
    )
    results = {graph.node(output.node).type for output in graph.outputs}
    if len(results) == 1 and all(type_.rank == 0 for type_ in results):
        words = "thresholds", "criterion"
        several = Argument(words[0], Subscript(Name("Sequence"), Name("float")))
        exits = call("self.iter_exits", *map(Name, inputs))
        yield FunctionDef(
            "predict",
            (Argument("self"), *_tensors(inputs), several, _CRITERION),
            Subscript(Name("tuple"), Tuple((tensor,) * 3)),
            (Return(call("leave_early", Name("self"), exits, *map(Name, words))),),
            ("Samples leave at the first exit that is as sure of them as its threshold says.",),
        )


def head_methods(writer: ClassWriter) -> Iterator[FunctionDef]:
    """timm's methods, where each exit ends in a linear layer of its own."""
    graph = writer.modules.graph
    ends = [graph.node(output.node) for output in graph.outputs]
    paths = [node.layer.path or () for node in ends]
    if len(set(paths)) < len(ends) or any(node.op.name != "linear" for node in ends):
        return
    self_, several = Argument("self"), Subscript(Name("tuple"), Tuple((dotted("nn.Module"), _DOTS)))
    heads = _numbered(list(map(".".join, paths)), partial(call, "self.get_submodule"))
    found = heads or Tuple(tuple(_head(writer, path) for path in paths))
    yield FunctionDef("get_classifier", (self_,), several, (Return(found),))
    reset = call("reset_heads", call("self.get_classifier"), Name("num_classes"))
    count = Argument("num_classes", Name("int"))
    yield FunctionDef("reset_classifier", (self_, count), Constant(None), (Evaluate(reset),))


def _tensors(names: Sequence[str]) -> Iterator[Argument]:
    return (Argument(each, Name("Tensor")) for each in names)


def exit_facts(graph: Graph) -> Iterator[Stmt]:
    """The attributes that name the exits, and say what each one costs alone where that is known."""
    if not has_exits(graph):
        return
    yield Assign(dotted("self.exit_names"), _words(graph.output_names()))
    needed = needed_by(graph)
    macs = {n.id: n.op.macs(graph.operand_types(n.id), n.type) for n in graph.nodes()}
    known = {id: count for id, count in macs.items() if count is not None}
    if len(known) == len(macs):
        total = [
            sum(count for id, count in known.items() if needed.get(id, 0) >> k & 1)
            for k in range(len(graph.outputs))
        ]
        yield Assign(dotted("self.exit_macs"), Tuple(tuple(map(Constant, total))))


def _head(writer: ClassWriter, path: Path) -> Expr:
    """A layer by attributes alone, as types know them, or else by its path."""
    found = inner = writer.receiver(path)
    while isinstance(inner, Attribute):
        inner = inner.value
    dotted_path = Constant(".".join(path))
    return found if isinstance(inner, Name) else call("self.get_submodule", dotted_path)


def _words(words: Sequence[str]) -> Expr:
    """Words as a tuple; those that are numbered in turn by their numbers."""
    return _numbered(words, lambda word: word) or Tuple(tuple(map(Constant, words)))


def _numbered(words: Sequence[str], of: Callable[[Expr], Expr]) -> Expr | None:
    """A tuple of something of each word, if these differ by a number that counts the turns."""
    match = _NUMBER.fullmatch(words[0])
    if match is None or len(words) < 3:
        return None
    before, start, after = match[1], int(match[2]), match[3]
    if any(word != f"{before}{k}{after}" for k, word in enumerate(words, start)):
        return None
    word = JoinedStr(tuple(part for part in (before, Name("k"), after) if part))
    return call("tuple", GeneratorExp(of(word), Name("k"), turns(start, Constant(len(words)))))


_NUMBER = re.compile(r"(\D*)(0|[1-9]\d*)(\D*)")
