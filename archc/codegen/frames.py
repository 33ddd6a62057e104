"""How long Python holds the values of an emitted net: until a name is bound again, or a call ends.

A module is called with its inputs, and the call holds them until it returns; so does the call of a
function of archc's runtime. What an expression of torch reads, and no name holds, is free after it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from archc.codegen.classes import ClassWriter
from archc.codegen.items import Body, Function, Loop, results_of
from archc.codegen.modules import Application, Call, Module
from archc.codegen.naming import Binding, NamesLog
from archc.ir.graph import Graph
from archc.ir.regions import chains


def held_through(graph: Graph, writers: Sequence[ClassWriter]) -> dict[int, int]:
    """The nodes whose values frames hold, each with the node through which the last frame does.

    `writers` have written the classes of the graph's net.
    """
    last: dict[int, int] = {}
    around = chains(graph)
    for node in graph.nodes():
        last |= dict.fromkeys(around[node.region], node.id)
    through: dict[int, int] = {}
    for hold in _holds(graph, writers):
        for application in hold.module.applications:
            value = _counterpart(hold, application)
            call = application.calls[hold.until]
            end = call.results[0] if call.region is None else last[call.region.id]
            through[value] = max(end, through.get(value, end))
    return through


@dataclass(frozen=True, slots=True)
class _Hold:
    """A frame of a module's first application has a value, by node, until a call of it ends."""

    module: Module
    node: int
    until: int


def _counterpart(hold: _Hold, application: Application) -> int:
    """The node of a held value in an application of the module."""
    first = hold.module.first
    if hold.node in first.inputs:
        return application.inputs[first.inputs.index(hold.node)]
    for old, new in zip(first.calls, application.calls, strict=True):
        if hold.node in old.results:
            return new.results[old.results.index(hold.node)]
    raise AssertionError(hold)


def _holds(graph: Graph, writers: Sequence[ClassWriter]) -> Iterator[_Hold]:
    for writer in writers:
        for module, body in zip(writer.form.modules, writer.form.bodies, strict=True):
            if writer.in_a_row:
                yield from _in_a_row(module, 0, module.first.calls)
            for log in writer.logs:
                yield from _Frame(graph, module, body, log).holds()
    for module in writers[0].modules.by_path.values():
        if module.path in writers[0].outliner.chains:
            yield from _in_a_row(module, 0, module.first.calls)


def _in_a_row(module: Module, start: int, calls: Sequence[Call]) -> Iterator[_Hold]:
    """What goes from call to call: each value lives until the next call ends."""
    for until, (call, _) in enumerate(pairwise(calls), start=start + 1):
        for node in call.results:
            yield _Hold(module, node, until)


class _Frame:
    """One run of a `forward`, or of a part of it, in one instance of its class."""

    def __init__(self, graph: Graph, module: Module, body: Body, log: NamesLog) -> None:
        self.graph, self.module, self.body, self.log = graph, module, body, log
        self.calls: list[range] = []
        """The calls that each item stands for."""
        self.made = dict.fromkeys(range(body.inputs), log.start - 1)
        """The position of the item that makes a value."""
        for position, item in enumerate(body.items):
            start = self.calls[-1].stop if self.calls else 0
            count = len(item.children) if isinstance(item, Loop) else 1
            self.calls.append(range(start, start + count))
            self.made |= dict.fromkeys(results_of(item), position)

    def holds(self) -> Iterator[_Hold]:
        names: dict[str, list[Binding]] = {}
        for binding in self.log.bindings:
            names.setdefault(binding.name, []).append(binding)
        ends = {value: self._end for value in self._own() if value not in self.log.nested}
        ends |= {value: self._nested(value) for value in self.log.nested}
        bound: dict[int, int] = {}
        for bindings in names.values():
            for i, binding in enumerate(bindings):
                later = (b for b in bindings[i + 1 :] if b.value != binding.value)
                end = self._rebound(next(later, None))
                bound[binding.value] = max(end, bound.get(binding.value, -1))
        for value, end in (ends | bound).items():
            if end >= 0:
                yield _Hold(self.module, self.body.values[value], end)
        for position in range(self.log.start, self.log.stop):
            if isinstance(self.body.items[position], Loop):
                calls = self.calls[position]
                inside = self.module.first.calls[calls.start : calls.stop]
                yield from _in_a_row(self.module, calls.start, inside)

    @property
    def _end(self) -> int:
        """The last call of the frame."""
        return self.calls[self.log.stop - 1][-1] if self.log.stop else -1

    def _own(self) -> Iterator[int]:
        """The values that are made in the frame."""
        for item in self.body.items[self.log.start : self.log.stop]:
            yield from results_of(item)

    def _nested(self, value: int) -> int:
        """The call that holds a value without a name; -1 if what reads it lets go of it at once."""
        position = self.log.nested[value]
        item = self.body.items[position]
        node = self.graph.node(self.body.values[results_of(item)[0]])
        free = isinstance(item, Function) and not node.op.runtime
        return -1 if free else self.calls[position][-1]

    def _rebound(self, next: Binding | None) -> int:
        """The call at whose end a name has its next value, if there is one."""
        if next is None:
            return self._end
        position = self.made[next.value] if next.after is None else next.after
        if position < self.log.start:
            return -1
        turns = next.after is None and isinstance(self.body.items[position], Loop)
        return self.calls[position][0 if turns else -1]
