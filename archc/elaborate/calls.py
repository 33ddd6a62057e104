"""Calls and pipes: making layers, applying them, and the functions of the language."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import takewhile
from typing import Protocol

from archc.diagnostics import ArchError, Fix, Span, error
from archc.elaborate.arguments import bind, check_kind
from archc.elaborate.arithmetic import checked
from archc.elaborate.builtins import BUILTINS
from archc.elaborate.evaluate import Expressions
from archc.elaborate.externs import make_extern
from archc.elaborate.frame import Frame, Site
from archc.elaborate.graph_builder import GraphBuilder
from archc.elaborate.pytorch.counted_axes import of_length
from archc.elaborate.pytorch.hidden import Hidden, hidden_by, hidden_in
from archc.elaborate.pytorch.near_names import is_elsewhere
from archc.elaborate.pytorch.positions import require_names, require_own_names
from archc.elaborate.pytorch.tensor_words import ABSENT, instead
from archc.elaborate.pytorch.texts import of_arguments, of_layer
from archc.elaborate.pytorch.translated_methods import (
    chunks,
    is_certain,
    method,
    method_help,
    unbatched_method,
)
from archc.elaborate.values import (
    BlockConstructor,
    Builtin,
    Constructor,
    Datum,
    ExternConstructor,
    Given,
    MadeLayer,
    OpConstructor,
    Tensor,
    TensorShape,
    ValuesRefused,
    describe,
)
from archc.ops.op import Op
from archc.ops.registry import OPS, parameters
from archc.syntax import ast
from archc.syntax.edits import replaced
from archc.syntax.habits.interpolated import interpolated


class ApplyBlock(Protocol):
    """Elaborates the body of a block where it is applied."""

    def __call__(self, made: MadeLayer, operands: Sequence[Tensor], site: Site) -> Datum: ...


class Evaluator(Expressions):
    """Evaluates all expressions; applying a block is the executor's business."""

    def __init__(self, builder: GraphBuilder, apply_block: ApplyBlock) -> None:
        super().__init__(builder)
        self._apply_block = apply_block
        self._methods[ast.Call] = self._call
        self._methods[ast.Pipe] = self._pipe

    def _given(self, arguments: Sequence[ast.Argument], frame: Frame) -> list[Given]:
        return [Given(a.name, self.evaluate(a.value, frame), a.span) for a in arguments]

    def _call(self, node: ast.Call, frame: Frame, applied: Datum = None) -> Datum:
        """`applied` is what a pipe is about to apply the layer to."""
        if isinstance(node.callee, ast.Attribute):
            raise self._method(node, node.callee, frame)
        callee = self.evaluate(node.callee, frame)
        given = self._given(node.arguments, frame)
        site = Site(frame, node.span)
        match callee:
            case Builtin() if callee.name in OPS and any(map(_has_tensors, given)):
                if OPS[callee.name].arity is None:
                    _check_fold(callee.name, given)
                return self._operator(OPS[callee.name], given, site, node, applied)
            case Builtin():
                if callee.name == "len" and given and isinstance(given[0].value, TensorShape):
                    self.doubt(of_length(node.arguments[0].value, given[0].value), node.span)
                return self._builtin(callee, given, node.span)
            case OpConstructor():
                return self._operator(callee.cls, given, site, node, applied)
            case BlockConstructor() | ExternConstructor():
                return self._make(callee, given, site)
            case MadeLayer():
                operands = [argument.value for argument in given]
                hidden = self._hidden(node.callee, frame)
                if hidden.help and not all(map(_is_operand, operands)):
                    message = f"{describe(callee)} takes tensors"
                    raise error("E0216", message, node.span, *hidden.labels, help=hidden.help)
                return self._apply_to(callee, operands, site)
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
        if isinstance(value, Tensor):
            help = method_help(node, callee.name, value.type)
        fix = replaced(node.span, ours) if ours is not None else ()
        hidden, certain = hidden_in(fix, frame.own), False
        if hidden is not None:
            help, fix = f"`{hidden}` is the spec's own here: give it another name", ()
        elif ours is not None:
            certain = isinstance(value, Tensor) and is_certain(node, callee)
            in_place = "no tensor is changed in place; " if callee.name.endswith("_") else ""
            help = f"{in_place}write `{ours}`"
        message = f"{describe(value)} has no method `{callee.name}`"
        return error("E0212", message, callee.span, help=help, fix=fix, certain=certain)

    def _instead(self, node: ast.Call, callee: ast.Attribute, value: Datum) -> str | None:
        """What to write for a call of a method; None if that is not known."""
        if isinstance(value, Tensor):
            if not value.type.batched:  # its axes are counted from 0 in PyTorch, too
                return unbatched_method(node, callee)
            parts = chunks(node, callee, value.type)
            return method(node, callee, value.type) if parts is None else parts
        return interpolated(node.span.text) if isinstance(value, str) else None

    def _builtin(self, builtin: Builtin, given: Sequence[Given], span: Span) -> Datum:
        work = self.budget.at(span)
        if builtin.name != "len":
            lists = (a.value for a in given if isinstance(a.value, list | tuple))
            work.read(sum(map(len, lists)))
        named = {argument.name: argument.value for argument in given if argument.name}
        try:
            result = checked(builtin.call(*(a.value for a in given if a.name is None), **named))
        except ValuesRefused as refusal:
            help, fix = of_arguments([a.value for a in given], [a.span for a in given])
            if help is None and any(map(_has_tensors, given)):
                help = instead(builtin.name)
                if help is None and is_elsewhere(builtin.name):
                    help = ABSENT.format(builtin.name)
            raise error("E0214", str(refusal), span, help=help, fix=fix) from None
        except TypeError:
            raise error("E0214", f"`{builtin.name}` does not take these arguments", span) from None
        if isinstance(result, list | range):
            rows = len(given) + 1 if builtin.name in ("enumerate", "zip") else 1
            work.make(rows * len(result))
            return list(result)
        return result

    def _operator(
        self, cls: type[Op], given: Sequence[Given], site: Site, node: ast.Call, applied: Datum
    ) -> Datum:
        """A layer; or, where tensors come first or none is taken, its result: `concat(x, y)`."""
        if cls.arity is None and given and given[0].value in ([], ()):
            message = f"`{cls.name}` needs at least one tensor; this list is empty"
            raise error("E0201", message, given[0].span)
        tensors = takewhile(lambda each: each.name is None and _is_operand(each.value), given)
        operands = [argument.value for argument in tensors]
        first = operands[0] if operands else applied
        made = self._make_op(cls, given[len(operands) :], site, first)
        if cls.arity == 0:
            made.variable = site.frame.hint[:1] if node is site.frame.assigned else None
            return self.builder.apply(made, (), site)
        return self._apply_to(made, operands, site) if operands else made

    def _make(self, constructor: Constructor, given: Sequence[Given], site: Site) -> MadeLayer:
        if isinstance(constructor, OpConstructor):
            return self._make_op(constructor.cls, given, site)
        if any(argument.name is None and _is_operand(argument.value) for argument in given):
            raise error(
                "E0215",
                f"`{constructor.name}(...)` makes a layer; it takes no tensors",
                site.span,
                help=f"apply the layer: `x -> {constructor.name}(...)`",
                fix=_applied(constructor.name, given, site.span),
            )
        own = self.bind(constructor, given, site)
        if isinstance(constructor, BlockConstructor):
            return self.builder.make(constructor, own.names, site)
        return self.builder.make(make_extern(constructor, self, own), own.names, site)

    def _make_op(
        self, cls: type[Op], given: Sequence[Given], site: Site, applied: Datum = None
    ) -> MadeLayer:
        operand = applied.type if isinstance(applied, Tensor) else None
        said = self.builder.trial.said(given) if self.builder.trial else {}
        given = [each for each in given if each.name not in said]
        require_names(cls, given, operand)
        require_own_names(cls, given, operand)
        channels = operand.channels if operand else None
        slots = _slots(cls)  # type: ignore[arg-type]  # a protocol of dataclasses is no Hashable
        made = self.builder.make_op(cls, bind(cls.name, slots, given, site.span, channels), site)
        if said and self.builder.trial:
            self.builder.trial.make(made, said)
        return made

    def bind(
        self,
        constructor: BlockConstructor | ExternConstructor,
        given: Sequence[Given],
        site: Site,
    ) -> Frame:
        """A frame of a declaration's parameters; a default may use the parameters before it."""
        declared = constructor.declaration.parameters
        bound: dict[str, Given] = {}
        if isinstance(constructor, BlockConstructor):
            bound |= self._presets(constructor, site.frame)
        slots = {
            item.name.name: item.default is None and item.name.name not in bound
            for item in declared
        }
        bound |= bind(constructor.name, slots, given, site.span)
        own = Frame(constructor.scope, site.frame.region)
        for item in declared:
            name = item.name.name
            if name in bound:
                value, place = bound[name].value, bound[name].span
            else:
                assert item.default is not None
                value, place = self.evaluate(item.default, own), item.default.span
            own.bind(name, check_kind(name, item.kind, value, place))
        return own

    def _presets(self, constructor: BlockConstructor, frame: Frame) -> dict[str, Given]:
        """What the variants set: the outermost has the last word."""
        found: dict[str, Given] = {}
        names = [item.name.name for item in constructor.declaration.parameters]
        for variant, home in reversed(constructor.variants):
            given = self._given(variant.arguments, Frame(home, frame.region))
            for item in given:
                if item.name is None:
                    first = f"write `{names[0]}=...`" if names else None
                    raise error("E0316", "a variant names its arguments", item.span, help=first)
            optional = dict.fromkeys(names, False)
            found |= bind(variant.base.name, optional, given, variant.span)
        return found

    # ---------------------------------------------------------------- pipes

    def _pipe(self, node: ast.Pipe, frame: Frame) -> Datum:
        value = self.evaluate(node.head, frame)
        for stage in node.stages:
            label = self.tag(stage.label, frame) if stage.label is not None else None
            layer = self._stage(stage.layer, value, frame)
            if isinstance(layer, list | tuple):
                raise _list_applied(stage.layer)
            if isinstance(layer, str):
                help, fix = of_layer(layer, stage.layer)
                message = "`->` needs a layer on its right, not a string"
                raise error("E0217", message, stage.span, help=help, fix=fix)
            hidden = self._hidden(stage.layer, frame)
            if hidden.help and isinstance(layer, Tensor | int | float | str):
                message = f"`->` needs a layer on its right, not {describe(layer)}"
                raise error("E0217", message, stage.span, *hidden.labels, help=hidden.help)
            site = Site(frame, stage.span, label)
            operands = self._operands(value, stage.span)
            value = self._apply(self._layer(layer, site), operands, site)
        return value

    def _stage(self, expr: ast.Expr, applied: Datum, frame: Frame) -> Datum:
        if not isinstance(expr, ast.Call):
            return self.evaluate(expr, frame)
        self.budget.spend(1, expr.span)
        return self._call(expr, frame, applied)

    def _apply_to(self, made: MadeLayer, given: Sequence[Datum], site: Site) -> Datum:
        """`layer(x, y)`, or `layer([x, y])`."""
        value = given[0] if len(given) == 1 else given
        return self._apply(made, self._operands(value, site.span), site)

    def _apply(self, made: MadeLayer, operands: Sequence[Tensor], site: Site) -> Datum:
        if isinstance(made.maker, BlockConstructor):
            return self._apply_block(made, operands, site)
        return self.builder.apply(made, operands, site)

    def _operands(self, value: Datum, span: Span) -> list[Tensor]:
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

    def _layer(self, value: Datum, site: Site) -> MadeLayer:
        if isinstance(value, Builtin) and value.name in OPS:
            value = OpConstructor(OPS[value.name])
        if isinstance(value, Constructor):
            return self._make(value, (), site)
        if isinstance(value, MadeLayer):
            return value
        if isinstance(value, Tensor):
            help = "`concat(x, y)` and `x + y` join tensors; `->` applies a layer"
            raise error("E0217", "a tensor cannot be applied to a tensor", site.span, help=help)
        message = f"`->` needs a layer on its right, not {describe(value)}"
        raise error("E0217", message, site.span)


@cache
def _slots(cls: type[Op]) -> Mapping[str, bool]:
    """Of each parameter of an operator, whether it has to be given."""
    return {item.name: item.required for item in parameters(cls)}


_FOLDS_OF_NUMBERS = {
    "max": "`x -> relu` is the larger of x and 0",
    "min": "`n - relu(n - x)` is the smaller of x and a number n",
    "sum": instead("sum"),
}


def _check_fold(name: str, given: Sequence[Given]) -> None:
    """`sum`, `min` and `max` of tensors take several, and nothing else."""
    for argument in given:
        if argument.name is not None or not _is_operand(argument.value):
            help = _FOLDS_OF_NUMBERS[name]
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


def _is_operand(value: Datum) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, Tensor) for item in value)
    return isinstance(value, Tensor)


def _has_tensors(argument: Given) -> bool:
    value = argument.value
    items = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(item, Tensor) for item in items)
