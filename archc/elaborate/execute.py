"""Statements: binds names, runs loops and branches, opens regions, elaborates blocks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from archc.diagnostics import ArchError, Span, error
from archc.elaborate.annotations import checked_annotation
from archc.elaborate.calls import Evaluator
from archc.elaborate.evaluate import require_index
from archc.elaborate.exits import Exits, Returned
from archc.elaborate.frame import Frame, Site, trace
from archc.elaborate.graph_builder import GraphBuilder
from archc.elaborate.inputs import apart, bind_inputs
from archc.elaborate.limits import LimitError, exceeded
from archc.elaborate.loops import Loop
from archc.elaborate.naming import check_label
from archc.elaborate.shapes import fit_inputs
from archc.elaborate.unpack import unpack
from archc.elaborate.values import (
    POISON,
    BlockConstructor,
    Datum,
    MadeLayer,
    Poison,
    Poisoned,
    Tensor,
    Unbound,
    describe,
    hyper_of,
    show,
)
from archc.elaborate.walk import (
    Remembered,
    bound_names,
    certain_stages,
    used_names,
    walk_statements,
)
from archc.ir.annotations import Annotation, Subject, UnusedLayers
from archc.ir.graph import Path, Region
from archc.ir.names import element_name
from archc.syntax import ast


class AssertionFailed(ArchError):
    """The spec's own `assert`: elaboration ends here, what follows would mislead."""


class Executor:
    """Runs the bodies of blocks and nets, keeping on after an error where that is safe."""

    def __init__(self, builder: GraphBuilder) -> None:
        self.builder = builder
        self.budget = builder.budget
        self.evaluator = Evaluator(builder, self.apply_block)
        self.exits = Exits()
        self._used = Remembered(used_names)
        self._bound = Remembered(lambda statement: bound_names((statement,)))
        self._stages = Remembered(certain_stages)
        self._muted = 0

    def run(self, body: Sequence[ast.Statement], frame: Frame) -> Returned | None:
        """Execute statements until one returns."""
        for statement in body:
            try:
                returned = self._execute(statement, frame)
            except (LimitError, AssertionFailed):
                raise
            except ArchError as problem:
                self.builder.report(problem)
                returned = self._poison(statement, frame)
            except Poisoned:
                returned = self._poison(statement, frame)
            if returned is not None:
                return returned
        return None

    def _poison(self, statement: ast.Statement, frame: Frame) -> Returned | None:
        """After an error: what the statement would have bound has no value to complain of."""
        for name in self._bound.names(statement):
            frame.bind(name, POISON)
        if isinstance(statement, ast.Return):
            return Returned(POISON, statement.span)
        return None

    def _execute(self, statement: ast.Statement, frame: Frame) -> Returned | None:
        self.budget.spend(1, statement.span)
        match statement:
            case ast.Assign():
                self._assign(statement, frame)
            case ast.Update():
                self._update(statement, frame)
            case ast.AssignItem():
                self._assign_item(statement, frame)
            case ast.For():
                return self._for(statement, frame)
            case ast.If():
                return self._if(statement, frame)
            case ast.Scope():
                return self._scope(statement, frame)
            case ast.Return():
                return Returned(self._returned(statement.value, frame), statement.span)
            case ast.Exit():
                self._exit(statement, frame)
            case ast.Assert():
                self._assert(statement, frame)
        return None

    def _returned(self, expr: ast.Expr, frame: Frame) -> Datum:
        if isinstance(expr, ast.Tuple):
            return tuple([self._returned(item, frame) for item in expr.items])
        return self.evaluator.evaluate(expr, frame.computing(*self._mentioned(expr, frame)))

    def _mentioned(self, expr: ast.Expr, frame: Frame) -> tuple[str, ...]:
        """What a `return` or `exit` computes is called after the first tensor that it mentions."""
        names = self._used.names(expr)
        self.budget.spend(len(names) // 8, expr.span)
        return next(((name,) for name in names if isinstance(frame.names.get(name), Tensor)), ())

    # ---------------------------------------------------------------- names

    def _assign(self, statement: ast.Assign, frame: Frame) -> None:
        names = [target.name for target in statement.targets]
        inner = frame.computing(*names, assigned=statement.value)
        if statement.annotations:
            value = self._annotated(statement, inner)
        else:
            value = self.evaluator.evaluate(statement.value, inner)
        values = unpack(statement.targets, value, statement.value.span)
        for name, item in zip(names, values, strict=True):
            self._bind(name, item, frame, statement.span)

    def _annotated(self, statement: ast.Assign, frame: Frame) -> Datum:
        """The value of an assignment with annotations; what is @unused is set aside."""
        first = self.builder.graph.new_id()
        annotations = self.annotations(statement.annotations, "assignment", frame)
        try:
            return self.evaluator.evaluate(statement.value, frame.annotated(annotations))
        finally:
            if any(isinstance(each, UnusedLayers) for each in annotations):
                self.builder.set_aside(first, statement.span)

    def annotations(
        self, written: Sequence[ast.Annotation], subject: Subject, frame: Frame
    ) -> tuple[Annotation, ...]:
        """Annotations, their arguments evaluated and checked."""
        return tuple(
            checked_annotation(each, subject, lambda expr: self.evaluator.evaluate(expr, frame))
            for each in written
        )

    def _bind(self, name: str, value: Datum, frame: Frame, span: Span) -> None:
        """Bind a name; layers without a name yet are called after it."""
        if isinstance(value, MadeLayer) and value.variable is None:
            value.variable = (name,)
        if isinstance(value, list):
            self.budget.at(span).read(len(value))
            for index, item in enumerate(value):
                if isinstance(item, MadeLayer) and item.variable is None:
                    item.variable = (name, str(index))
        frame.bind(name, value)

    def _update(self, statement: ast.Update, frame: Frame) -> None:
        name = statement.target.name
        inner = frame.computing(name)
        old = self.evaluator.evaluate(statement.target, inner)
        grown = inner
        if isinstance(old, list):
            grown = frame.computing(name, assigned=statement.value, first=len(old))
        added = self.evaluator.evaluate(statement.value, grown)
        value = self.evaluator.combine("+", old, added, Site(inner, statement.span))
        self._bind(name, value, frame, statement.span)

    def _assign_item(self, statement: ast.AssignItem, frame: Frame) -> None:
        name = statement.target.name
        old = self.evaluator.evaluate(statement.target, frame)
        if not isinstance(old, list):
            message = f"{describe(old)} has no elements to replace"
            raise error("E0210", message, statement.target.span)
        index = self.evaluator.whole(statement.index, frame)
        require_index(index, old, statement.index.span)
        inner = frame.computing(element_name(name, index % len(old)))
        value = self.evaluator.evaluate(statement.value, inner)
        self.budget.at(statement.span).make(len(old))
        changed = list(old)
        changed[index] = value
        self._bind(name, changed, frame, statement.span)

    # --------------------------------------------------------- control flow

    def _for(self, statement: ast.For, frame: Frame) -> Returned | None:
        items = self.evaluator.items(statement.items, frame)
        if not items:
            self._leave_unbound((statement,), frame, statement.span, loop=True)
        certain = sum(frame.is_operator(name) for name in self._stages.names(statement))
        self.budget.require_nodes(len(items) * certain, statement.items.span)
        loop = Loop(statement.names, items)
        inner = frame.inside(loop)
        for _ in self.evaluator.turns(loop, statement.items, inner):
            returned = self.run(statement.body, inner)
            if returned is not None:
                return returned
        return None

    def _if(self, statement: ast.If, frame: Frame) -> Returned | None:
        taken = statement.otherwise
        for condition, body in statement.branches:
            if self.evaluator.condition(condition, frame):
                taken = body
                break
        for _, body in statement.branches:
            if body is not taken:
                self._leave_unbound(body, frame, statement.span)
        if statement.otherwise is not taken:
            self._leave_unbound(statement.otherwise, frame, statement.span)
        return self.run(taken, frame)

    def _leave_unbound(
        self, body: Sequence[ast.Statement], frame: Frame, branch: Span, *, loop: bool = False
    ) -> None:
        for statement in body:
            names = self._bound.names(statement)
            self.budget.spend(len(names), branch)
            for name in names:
                frame.names.setdefault(name, Unbound(branch, loop))

    def _assert(self, statement: ast.Assert, frame: Frame) -> None:
        if self.evaluator.condition(statement.condition, frame):
            return
        message = self.evaluator.evaluate(statement.message, frame)
        message = message if isinstance(message, str) else show(message)
        values = {
            name: show(frame.names[name])
            for name in self._used.names(statement.condition)
            if isinstance(frame.names.get(name), int | float | str | list)
        }
        notes = [", ".join(f"{name} is {value}" for name, value in values.items())]
        notes = [*(notes if values else []), *self._doubts(statement.condition.span)]
        problem = error("E0601", message, statement.condition.span, notes=notes)
        raise AssertionFailed(problem.diagnostics)

    def _doubts(self, span: Span) -> list[str]:
        """What was warned of in a text whose error is all that will be said."""
        places = ((each.message, each.labels[0].span) for each in self.builder.warnings)
        return [message for message, place in places if place.is_within(span)]

    # -------------------------------------------------------------- regions

    def _scope(self, statement: ast.Scope, frame: Frame) -> Returned | None:
        label = self.evaluator.tag(statement.label, frame)
        path = self.builder.register.take_scope(label, frame)
        region = self._region(path, Site(frame, statement.span), label.span)
        return self.run(statement.body, frame.within(self._open(region)))

    def _region(self, path: Path, site: Site, definition: Span, **of_block: Any) -> Region:
        """An application of a module applied before takes that module's order."""
        first = self.builder.modules.get(path)
        described = {"block": None, "parameters": (), "inputs": (), **of_block}
        return Region(
            id=self.builder.graph.new_id(),
            parent=site.frame.region.id,
            path=path,
            order=self.builder.next_order() if first is None else first.order,
            names=site.frame.hint,
            definition=definition,
            span=site.span,
            **described,
        )

    def _open(self, region: Region) -> Region:
        self.builder.modules.setdefault(region.path, region)
        self.builder.graph.add_region(region)
        return region

    def apply_block(self, made: MadeLayer, operands: Sequence[Tensor], site: Site) -> Datum:
        """Elaborate a block's body for these operands, in a region of its own."""
        constructor, frame, span = made.maker, site.frame, site.span
        assert isinstance(constructor, BlockConstructor)
        block = constructor.declaration
        self.budget.spend(len(operands) ** 2 // 8, span)  # each has a name apart from the others
        inputs = bind_inputs(block, apart(self.builder, operands, site), span)
        if frame.depth >= self.budget.limits.recursion:
            raise exceeded("E0903", f"blocks inside blocks, {frame.depth} deep", span, "recursion")
        path = self.builder.path_of(made, site)
        self.budget.spend_block(span)
        region = self._region(
            path,
            site,
            block.name.span,
            block=block.name.name,
            parameters=hyper_of(made.hyper, self.budget.at(span)),
            inputs=inputs.nodes,
            doc=block.doc,
            annotations=(
                *frame.annotations,
                *self.annotations(
                    block.annotations,
                    "net" if block.is_net else "block",
                    Frame(constructor.scope, frame.region, made.hyper, depth=frame.depth),
                ),
            ),
        )
        names = {**made.hyper, **inputs.values}
        inner = Frame(constructor.scope, self._open(region), names, depth=frame.depth + 1)
        known = len(self.builder.diagnostics)
        self._muted += block.is_net
        try:
            if block.is_net:
                self._check_inner_net(block, operands, inner, span)
            value = self._result(block, self.run(block.body, inner))
        except ArchError as problem:
            note = trace(made, path, site)
            raise type(problem)(tuple(d.with_note(note) for d in problem.diagnostics)) from None
        finally:
            self._muted -= block.is_net
            if fresh := self.builder.diagnostics[known:]:
                note = trace(made, path, site)
                self.builder.diagnostics[known:] = [d.with_note(note) for d in fresh]
        if isinstance(value, Poison):
            raise Poisoned
        parts = value if isinstance(value, tuple | list) else (value,)
        self.budget.spend(len(parts) ** 2 // 8, span)
        called = region.names
        if isinstance(value, list) and len(called) == 1:
            called = tuple(element_name(called[0], i) for i in range(len(value)))
        results = tuple(part.node for part in parts)
        self.builder.graph.add_region(replace(region, names=called, results=results))
        return value

    def _check_inner_net(
        self, net: ast.Block, operands: Sequence[Tensor], inner: Frame, span: Span
    ) -> None:
        """A net used as a block: the shapes are checked, its exits do not apply."""
        operand_types = [operand.type for operand in operands]
        inner.names.update(fit_inputs(net, self.evaluator, inner, operand_types, span))
        if any(isinstance(part, ast.Exit) for part in walk_statements(net.body)):
            self.builder.warn(
                "W0002", f"the exits of `{net.name.name}` do not apply where it is a block", span
            )

    def _result(self, block: ast.Block, returned: Returned | None) -> Datum:
        if returned is None:
            raise error(
                "E0219",
                f"`{block.name.name}` returns nothing",
                block.name.span,
                help="end its body with `return`",
            )
        value = returned.value
        if isinstance(value, Poison):
            return value
        parts = value if isinstance(value, tuple | list) else (value,)
        for part in parts:
            if not isinstance(part, Tensor):
                message = f"a block returns tensors, not {describe(part)}"
                raise error("E0219", message, returned.span)
        return value

    def _exit(self, statement: ast.Exit, frame: Frame) -> None:
        self.budget.spend_output(len(self.exits.outputs), statement.span)
        hint = self._mentioned(statement.value, frame)
        label = None
        if statement.label is not None:
            label = self.evaluator.tag(statement.label, frame)
            hint = (label.text,)
        value = self.evaluator.evaluate(statement.value, frame.computing(*hint))
        if not isinstance(value, Tensor):
            message = f"an exit is a tensor, not {describe(value)}"
            raise error("E0220", message, statement.value.span)
        if self._muted:
            self.builder.muted.append(value.node)
        elif label is not None:
            check_label(label.text, label.span)
            name = ".".join((*frame.region.path, label.text))
            self.exits.add(value, name, statement.span)
        else:
            name = self.exits.name(value, self.builder.graph, frame.region)
            self.exits.add(value, name, statement.span)
