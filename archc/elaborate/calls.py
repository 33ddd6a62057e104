"""Calls and pipes: making layers, applying them, and the functions of the language."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from archc.diagnostics import ArchError, Fix, Span, error
from archc.elaborate.arguments import bind, check_kind
from archc.elaborate.arithmetic import ArithmeticRefused, checked
from archc.elaborate.builder import Builder
from archc.elaborate.builtins import BUILTINS, BuiltinError
from archc.elaborate.evaluate import Expressions
from archc.elaborate.externs import make_extern
from archc.elaborate.frame import Frame
from archc.elaborate.pytorch.hidden import Hidden, hidden_by, hidden_in
from archc.elaborate.pytorch.positions import require_names, require_own_names
from archc.elaborate.pytorch.texts import of_arguments
from archc.elaborate.pytorch.translated_methods import chunks, method, parts_help, unbatched_method
from archc.elaborate.values import (
    BlockConstructor,
    Builtin,
    Constructor,
    ExternConstructor,
    Given,
    MadeLayer,
    OpConstructor,
    Tag,
    Tensor,
    Value,
    describe,
)
from archc.ops.registry import OPS, parameters
from archc.syntax import ast
from archc.syntax.edits import replaced
from archc.syntax.habits.interpolated import interpolated


class ApplyBlock(Protocol):
    """Elaborates the body of a block where it is applied."""

    def __call__(
        self,
        made: MadeLayer,
        operands: Sequence[Tensor],
        label: Tag | None,
        frame: Frame,
        span: Span,
    ) -> Value: ...


class Evaluator(Expressions):
    """Evaluates all expressions; applying a block is the executor's business."""

    def __init__(self, builder: Builder, apply_block: ApplyBlock) -> None:
        super().__init__(builder)
        self._apply_block = apply_block
        self._methods[ast.Call] = self._call
        self._methods[ast.Pipe] = self._pipe
        self._stage: tuple[ast.Expr | None, Value] = (None, None)
        """The layer of the stage that is being evaluated, and what it will be applied to."""

    def given(self, arguments: Sequence[ast.Argument], frame: Frame) -> list[Given]:
        """Evaluated arguments."""
        return [Given(a.name, self.evaluate(a.value, frame), a.span) for a in arguments]

    def _call(self, node: ast.Call, frame: Frame) -> Value:
        if isinstance(node.callee, ast.Attribute):
            raise self._method(node, node.callee, frame)
        callee = self.evaluate(node.callee, frame)
        given = self.given(node.arguments, frame)
        match callee:
            case Builtin():
                if callee.name in OPS and any(_tensors_in(argument) for argument in given):
                    constructor = OpConstructor(OPS[callee.name])
                    if constructor.cls.arity is None:
                        self._check_fold(callee.name, given)
                    return self._operator(constructor, given, frame, node)
                return self._builtin(callee, given, node.span)
            case OpConstructor():
                return self._operator(callee, given, frame, node)
            case BlockConstructor():
                return self._block(callee, given, frame, node.span)
            case ExternConstructor():
                return self._extern(callee, given, frame, node.span)
            case MadeLayer():
                operands = [argument.value for argument in given]
                hidden = self._hidden(node.callee, frame)
                if hidden.help and not all(map(_is_operand, operands)):
                    message = f"{describe(callee)} takes tensors"
                    raise error("E0216", message, node.span, *hidden.labels, help=hidden.help)
                value = operands[0] if len(operands) == 1 else tuple(operands)
                return self.apply(callee, value, None, frame, node.span)
        hidden = self._hidden(node.callee, frame)
        message = f"{describe(callee)} cannot be called"
        raise error("E0213", message, node.callee.span, *hidden.labels, help=hidden.help)

    def _hidden(self, expr: ast.Expr, frame: Frame) -> Hidden:
        """What a variable hides, if that is why `expr` is not what was meant."""
        if isinstance(expr, ast.Name) and expr.name in frame.names:
            return hidden_by(expr, frame.file.tree, {*OPS, *BUILTINS, *frame.file.names})
        return Hidden()

    def _method(self, node: ast.Call, callee: ast.Attribute, frame: Frame) -> ArchError:
        """The error of `x.view(-1)`: nothing of the language has methods."""
        value = self.evaluate(callee.value, frame)
        ours = self._instead(node, callee, value)
        help = "operators are applied by `->`, or called: `relu(x)`"
        if isinstance(value, Tensor) and callee.name in ("chunk", "split"):
            help = parts_help(node)
        fix = replaced(node.span, ours) if ours is not None else ()
        hidden = hidden_in(fix, frame.own)
        if hidden is not None:
            help, fix = f"`{hidden}` is the spec's own here: give it another name", ()
        elif ours is not None:
            help = f"write `{ours}`"
        message = f"{describe(value)} has no method `{callee.name}`"
        return error("E0212", message, callee.span, help=help, fix=fix)

    def _instead(self, node: ast.Call, callee: ast.Attribute, value: Value) -> str | None:
        """What to write for a call of a method; None if that is not known."""
        if isinstance(value, Tensor):
            if not value.type.batched:  # its axes are counted from 0 in PyTorch, too
                return unbatched_method(node, callee)
            parts = chunks(node, callee, value.type)
            return method(node, callee, value.type) if parts is None else parts
        return interpolated(node.span.text) if isinstance(value, str) else None

    def _builtin(self, builtin: Builtin, given: Sequence[Given], span: Span) -> Value:
        work = self.budget.at(span)
        if builtin.name != "len":
            lists = (a.value for a in given if isinstance(a.value, list | tuple))
            work.read(sum(map(len, lists)))
        named = {argument.name: argument.value for argument in given if argument.name}
        try:
            result = checked(builtin.call(*(a.value for a in given if a.name is None), **named))
        except (BuiltinError, ArithmeticRefused) as refusal:
            help, fix = of_arguments([a.value for a in given], [a.span for a in given])
            raise error("E0214", str(refusal), span, help=help, fix=fix) from None
        except TypeError:
            raise error("E0214", f"`{builtin.name}` does not take these arguments", span) from None
        if isinstance(result, list | range):
            rows = len(given) + 1 if builtin.name in ("enumerate", "zip") else 1
            work.make(rows * len(result))
            return list(result)
        return result

    def _check_fold(self, name: str, given: Sequence[Given]) -> None:
        """`sum`, `min` and `max` of tensors take several, and nothing else."""
        for argument in given:
            if argument.name is not None or not _is_operand(argument.value):
                help = "`x -> relu` is the larger of x and 0" if name == "max" else None
                message = f"`{name}` takes tensors or numbers, not both"
                raise error("E0214", message, argument.span, help=help)
        if len(given) == 1 and isinstance(given[0].value, Tensor):
            raise error(
                "E0214",
                f"`{name}` joins several tensors, element by element; this is one",
                given[0].span,
                help=f"give several, as in `{name}([x, y])`; `global_avg_pool` and "
                "`global_max_pool` take the mean and maximum of all positions, `channel_mean` and "
                "`channel_max` those of all channels",
            )

    def _operator(
        self, constructor: OpConstructor, given: Sequence[Given], frame: Frame, node: ast.Call
    ) -> Value:
        """A layer; or, where tensors come first or none is taken, its result: `concat(x, y)`."""
        operands = []
        for argument in given:
            if argument.name is not None or not _is_operand(argument.value):
                break
            operands.append(argument.value)
        if constructor.cls.arity is None and given and given[0].value in ([], ()):
            message = f"`{constructor.name}` needs at least one tensor; this list is empty"
            raise error("E0201", message, given[0].span)
        applied = operands[0] if operands else self._applied_to(node)
        made = self._make_op(constructor, given[len(operands) :], frame, node.span, applied)
        if constructor.cls.arity == 0:
            made.variable = frame.hint[:1] if node is frame.assigned else None
            return self.builder.apply_op(made, (), None, frame, node.span)
        if not operands:
            return made
        value = operands[0] if len(operands) == 1 else tuple(operands)
        return self.apply(made, value, None, frame, node.span)

    def _applied_to(self, node: ast.Call) -> Value:
        """What a pipe is about to apply the layer of a call to; None outside of pipes."""
        call, value = self._stage
        return value if call is node else None

    def _make_op(
        self,
        constructor: OpConstructor,
        given: Sequence[Given],
        frame: Frame,
        span: Span,
        applied: Value = None,
    ) -> MadeLayer:
        operand = applied.type if isinstance(applied, Tensor) else None
        require_names(constructor.cls, given, operand)
        require_own_names(constructor.cls, given, operand)
        slots = {item.name: item.required for item in parameters(constructor.cls)}
        bound = bind(constructor.name, slots, given, span)
        return self.builder.make_op(constructor, bound, frame, span)

    def _block(
        self, constructor: BlockConstructor, given: Sequence[Given], frame: Frame, span: Span
    ) -> MadeLayer:
        self._refuse_tensors(constructor.name, given, span)
        hyper = self.bind_block(constructor, given, frame, span)
        return self.builder.make_block(constructor, hyper, frame, span)

    def _refuse_tensors(self, name: str, given: Sequence[Given], span: Span) -> None:
        if any(argument.name is None and _is_operand(argument.value) for argument in given):
            raise error(
                "E0215",
                f"`{name}(...)` makes a layer; it takes no tensors",
                span,
                help=f"apply the layer: `x -> {name}(...)`",
                fix=_applied(name, given, span),
            )

    def bind_block(
        self, constructor: BlockConstructor, given: Sequence[Given], frame: Frame, span: Span
    ) -> dict[str, Value]:
        """Hyperparameters of a block by name; a default may use the parameters before it."""
        declared = constructor.declaration.parameters
        slots = {item.name.name: item.default is None for item in declared}
        presets = self._presets(constructor, slots, frame)
        slots = {name: required and name not in presets for name, required in slots.items()}
        bound = {**presets, **bind(constructor.name, slots, given, span)}
        return self._declared(declared, bound, Frame(constructor.scope, frame.region))

    def _declared(
        self, declared: Sequence[ast.Parameter], bound: Mapping[str, Given], own: Frame
    ) -> dict[str, Value]:
        """Parameters by name, with the defaults of those that are not given; `own` binds them."""
        for item in declared:
            name = item.name.name
            if name in bound:
                value, place = bound[name].value, bound[name].span
            else:
                assert item.default is not None
                value, place = self.evaluate(item.default, own), item.default.span
            own.bind(name, check_kind(name, item.kind, value, place))
        return own.names

    def _extern(
        self, constructor: ExternConstructor, given: Sequence[Given], frame: Frame, span: Span
    ) -> MadeLayer:
        self._refuse_tensors(constructor.name, given, span)
        declared = constructor.declaration.parameters
        slots = {item.name.name: item.default is None for item in declared}
        own = Frame(constructor.scope, frame.region)
        hyper = self._declared(declared, bind(constructor.name, slots, given, span), own)
        return self.builder.make_extern(make_extern(constructor, self, own), hyper, frame, span)

    def _presets(
        self, constructor: BlockConstructor, slots: Mapping[str, bool], frame: Frame
    ) -> dict[str, Given]:
        """What the variants set: the outermost has the last word."""
        found: dict[str, Given] = {}
        optional = dict.fromkeys(slots, False)
        for variant, home in reversed(constructor.variants):
            given = self.given(variant.arguments, Frame(home, frame.region))
            for item in given:
                if item.name is None:
                    first = f"write `{next(iter(slots))}=...`" if slots else None
                    raise error("E0316", "a variant names its arguments", item.span, help=first)
            found.update(bind(variant.base.name, optional, given, variant.span))
        return found

    # ---------------------------------------------------------------- pipes

    def _pipe(self, node: ast.Pipe, frame: Frame) -> Value:
        value = self.evaluate(node.head, frame)
        for stage in node.stages:
            label = self._tag(stage, frame)
            self._stage = (stage.layer, value)
            layer = self.evaluate(stage.layer, frame)
            if isinstance(layer, list | tuple):
                raise _list_applied(stage.layer)
            hidden = self._hidden(stage.layer, frame)
            if hidden.help and isinstance(layer, Tensor | int | float | str):
                message = f"`->` needs a layer on its right, not {describe(layer)}"
                raise error("E0217", message, stage.span, *hidden.labels, help=hidden.help)
            value = self.apply(layer, value, label, frame, stage.span)
        return value

    def _tag(self, stage: ast.Stage, frame: Frame) -> Tag | None:
        if stage.label is None:
            return None
        return Tag(self.text(stage.label, frame), stage.label.span)

    def apply(
        self, layer: Value, value: Value, label: Tag | None, frame: Frame, span: Span
    ) -> Value:
        """`value -> label: layer`."""
        operands = self._operands(value, span)
        made = self._layer(layer, frame, span)
        if isinstance(made.maker, BlockConstructor):
            return self._apply_block(made, operands, label, frame, span)
        return self.builder.apply(made, operands, label, frame, span)

    def _operands(self, value: Value, span: Span) -> list[Tensor]:
        operands = list(value) if isinstance(value, list | tuple) else [value]
        self.budget.spend(len(operands), span)
        for operand in operands:
            if not isinstance(operand, Tensor):
                help = None
                if isinstance(operand, Constructor | MadeLayer):
                    help = "a layer is applied to a tensor: `x -> a -> b` applies a, then b"
                raise error(
                    "E0216", f"a layer takes tensors, not {describe(operand)}", span, help=help
                )
        return operands

    def _layer(self, value: Value, frame: Frame, span: Span) -> MadeLayer:
        match value:
            case MadeLayer():
                return value
            case Builtin() if value.name in OPS:
                return self._make_op(OpConstructor(OPS[value.name]), (), frame, span)
            case OpConstructor():
                return self._make_op(value, (), frame, span)
            case BlockConstructor():
                return self._block(value, (), frame, span)
            case ExternConstructor():
                return self._extern(value, (), frame, span)
            case Tensor():
                help = "`concat(x, y)` and `x + y` join tensors; `->` applies a layer"
                raise error("E0217", "a tensor cannot be applied to a tensor", span, help=help)
        raise error("E0217", f"`->` needs a layer on its right, not {describe(value)}", span)


def _list_applied(layer: ast.Expr) -> ArchError:
    """`x -> [conv(8, 3), relu]`, or a variable of such layers."""
    message = "`->` needs a layer on its right, not a list"
    if isinstance(layer, ast.List):
        pipe = " -> ".join(item.span.text for item in layer.items)
        help, fix = "layers are applied in turn by `->`", replaced(layer.span, pipe)
    else:
        help, fix = f"loop over it: `for layer in {layer.span.text} {{ x = x -> layer }}`", ()
    return error("E0217", message, layer.span, help=help, fix=fix)


def _applied(name: str, given: Sequence[Given], span: Span) -> Fix:
    """`Fuse(8)(x, y)` for `Fuse(x, y, 8)`."""
    operands = [item for item in given if item.name is None and _is_operand(item.value)]
    hyper = ", ".join(item.span.text for item in given if item not in operands)
    tensors = ", ".join(item.span.text for item in operands)
    return replaced(span, f"{name}({hyper})({tensors})")


def _is_operand(value: Value) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, Tensor) for item in value)
    return isinstance(value, Tensor)


def _tensors_in(argument: Given) -> bool:
    value = argument.value
    items = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(item, Tensor) for item in items)
