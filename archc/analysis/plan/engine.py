"""The backward pass in the order of torch's engine, run on shapes alone.

A function runs when all that reads its result has run, the youngest first; gradients of weights are
added to those of the parameters at once. Where a value was read twice, the second gradient is added
to the first in place, if nothing else holds that one, and else into a new tensor. Gradients and
what a function kept are free when it has run. (torch/csrc/autograd/engine.cpp, input_buffer.cpp)
"""

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from archc.analysis.plan.schedule import Schedule
from archc.analysis.plan.tape import Tape
from archc.analysis.plan.values import Function, Grad, Value
from archc.analysis.plan.work import Work


@dataclass
class Engine:
    """Runs the functions that a tape recorded, from the outputs back."""

    tape: Tape
    waiting: Counter[Function] = field(default_factory=Counter)
    """How many gradients each function still waits for."""
    buffers: dict[Function, Grad] = field(default_factory=dict)
    holders: Counter[str] = field(default_factory=Counter)
    """How many gradients on their way lie in each storage."""
    ready: list[tuple[float, int, Function]] = field(default_factory=list)
    pushed: int = 0

    def run(self, outputs: Sequence[Value]) -> None:
        """The whole backward pass; the loss gives a gradient to each output that wants one."""
        wanted = [value for value in outputs if value.source is not None]
        roots = [value.source for value in wanted if value.source is not None]
        self._count(roots)
        grads = [self._gradient_of(value) for value in wanted]
        tensors = [value.tensor for value in wanted if value.tensor is not None]
        self.schedule.step("loss", "backward", tensors, grads)
        self.schedule.held |= set(grads)
        self.holders.update(grads)  # the caller has them, too
        for source, grad in zip(roots, grads, strict=True):
            self._hold(Grad(grad))
            self._give(source, Grad(grad))
        while self.ready:
            self._next()

    @property
    def schedule(self) -> Schedule:
        return self.tape.schedule

    def _count(self, roots: Sequence[Function]) -> None:
        """What each function waits for: one gradient for each use of its result."""
        self.waiting.update(roots)
        seen, stack = set(roots), list(dict.fromkeys(roots))
        while stack:
            function = stack.pop()
            for source in function.edges:
                self.waiting[source] += 1
                if source not in seen:
                    seen.add(source)
                    stack.append(source)

    def _next(self) -> None:
        function = heapq.heappop(self.ready)[2]
        if function.record is None:
            self._sinks(function)
        else:
            self._function(function)

    def _sinks(self, first: Function) -> None:
        """Add the gradients of parameters that are there to what the parameters have."""
        sinks = [first]
        while self.ready and self.ready[0][2].record is None:
            sinks.append(heapq.heappop(self.ready)[2])
        grads = [self.buffers.pop(sink) for sink in sinks]
        self.schedule.step("accumulate", "backward", [grad.tensor for grad in grads], [])
        for grad in grads:
            self._drop(grad)

    def _function(self, function: Function) -> None:
        grad = self.buffers.pop(function)
        run = function.backward
        passed = Work(self.tape, function, grad).run() if run is None else run(grad)
        for _, each in passed:
            self._hold(each)
        self._drop(grad)
        for target, each in passed:
            self._give(target, each)

    def _give(self, target: Function, grad: Grad) -> None:
        """Pass a gradient, which is held already, on to a function."""
        old = self.buffers.get(target)
        self.buffers[target] = grad if old is None else self._sum(old, grad)
        self.waiting[target] -= 1
        if not self.waiting[target]:
            self.pushed += 1
            heapq.heappush(self.ready, (-target.number, self.pushed, target))

    def _sum(self, old: Grad, new: Grad) -> Grad:
        storage = self.schedule.storage(old.tensor)
        in_place = old.own and self.holders[storage] == 1
        like = self.schedule.tensors[old.tensor]
        inplace_of = old.tensor if in_place else None
        total = replace(like, alias_of=None, alias_offset=0, inplace_of=inplace_of)
        id = self.schedule.add(total)
        self.schedule.step("add", "backward", [old.tensor, new.tensor], [id])
        self._hold(Grad(id))
        self._drop(old)
        self._drop(new)
        return Grad(id)

    def _hold(self, grad: Grad) -> None:
        self.holders[self.schedule.storage(grad.tensor)] += 1

    def _drop(self, grad: Grad) -> None:
        self.holders[self.schedule.storage(grad.tensor)] -= 1

    def _gradient_of(self, output: Value) -> str:
        shape = self.tape.sizes.of(output.type)
        return self.tape.tensor(f"grad:{output.tensor}", shape, "float", "grad", "")
