"""Makes layers, applies operators, and keeps the books of one elaboration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from archc.diagnostics import ArchError, Diagnostic, Label, Span, error, warning
from archc.elaborate.arguments import checked_values
from archc.elaborate.frame import Frame
from archc.elaborate.limits import LAYER, REPORT, Budget
from archc.elaborate.naming import Register
from archc.elaborate.pytorch.hidden import hidden_in
from archc.elaborate.pytorch.mends import mend_layer
from archc.elaborate.pytorch.positions import swapped
from archc.elaborate.values import (
    BlockConstructor,
    Given,
    MadeLayer,
    OpConstructor,
    Tag,
    Tensor,
    Value,
)
from archc.ir.graph import Graph, Layer, Node, Path, Region
from archc.ops.examine import problem_of
from archc.ops.extern import Extern, Result
from archc.ops.op import Op, OpError, TensorType, TorchModule
from archc.ops.registry import parameters
from archc.plugins import blamed, is_loaded, require
from archc.syntax.edits import without_label


@dataclass
class Builder:
    """The graph under construction, and what is known of its layers."""

    graph: Graph
    budget: Budget
    register: Register = field(default_factory=Register)
    made: list[MadeLayer] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    aside: dict[int, Span] = field(default_factory=dict)
    """The nodes whose layers are made for their weights alone, with the text that says so."""
    muted: list[int] = field(default_factory=list)
    """The values of exits that do not apply, because their net stands where a block does."""
    order: int = 0
    layers: dict[Path, Layer] = field(default_factory=dict)
    modules: dict[Path, Region] = field(default_factory=dict)
    said: set[tuple[str, int, int, int]] = field(default_factory=set)

    def next_order(self) -> int:
        self.order += 1
        return self.order

    # -------------------------------------------------------------- making

    def make_op(
        self, constructor: OpConstructor, given: Mapping[str, Given], frame: Frame, span: Span
    ) -> MadeLayer:
        """A layer of an operator; its hyperparameters are checked and converted."""
        kinds = {hyper.name: hyper.kind for hyper in parameters(constructor.cls)}
        beside = {
            name: argument.value
            for name, argument in given.items()
            if kinds[name] == "tensor" and isinstance(argument.value, Tensor)
        }
        plain = {name: argument for name, argument in given.items() if name not in beside}
        values = checked_values(constructor.cls, plain, "E0211") | dict.fromkeys(beside, True)
        try:
            with blamed(constructor.cls, OpError, at=span):
                op = constructor.cls(**values)
        except OpError as refusal:
            raise error("E0211", refusal.message, span, help=refusal.help) from None
        made = self._make(op, {}, frame, span)
        made.given = given
        made.beside = tuple(beside.values())
        return made

    def make_block(
        self, constructor: BlockConstructor, hyper: dict[str, Value], frame: Frame, span: Span
    ) -> MadeLayer:
        """A layer of a block; its body is elaborated where it is applied."""
        return self._make(constructor, hyper, frame, span)

    def make_extern(
        self, op: Extern, hyper: dict[str, Value], frame: Frame, span: Span
    ) -> MadeLayer:
        """A layer of a Python class."""
        return self._make(op, hyper, frame, span)

    def _make(
        self, maker: Op | BlockConstructor, hyper: dict[str, Value], frame: Frame, span: Span
    ) -> MadeLayer:
        self.budget.spend(LAYER, span)
        made = MadeLayer(maker, hyper, frame.region, self.next_order(), span)
        self.made.append(made)
        return made

    # ------------------------------------------------------------ applying

    def apply_op(
        self,
        made: MadeLayer,
        operands: Sequence[Tensor],
        label: Tag | None,
        frame: Frame,
        span: Span,
    ) -> Tensor:
        """A new node; the layer gets its path if it needs one and has none."""
        op = made.maker
        assert isinstance(op, Op)
        operands = (*operands, *made.beside)
        types = tuple(operand.type for operand in operands)
        self.budget.spend_node(len(operands), span)
        type_ = self._infer(made, op, operands, frame, span)
        doubt = swapped(made, types)
        if doubt is not None:
            self.warn("W0012", doubt[0], made.span, help=doubt[1])
        layer = self._layer(made, op, types, label, frame, span)
        node = Node(
            self.graph.new_id(),
            layer,
            type_,
            frame.region.id,
            frame.hint[0] if frame.hint else "",
            span,
            frame.annotations,
        )
        self.graph.add_node(node, tuple(operand.node for operand in operands))
        return Tensor(node.id, type_)

    def apply(
        self,
        made: MadeLayer,
        operands: Sequence[Tensor],
        label: Tag | None,
        frame: Frame,
        span: Span,
    ) -> Value:
        """What an operator gives: a tensor, or several in a tuple."""
        whole = self.apply_op(made, operands, label, frame, span)
        types = whole.type.parts
        if len(types) == 1:
            return whole
        names = frame.hint if len(frame.hint) == len(types) else ("",) * len(types)
        results: list[Tensor] = []
        for i, (type_, name) in enumerate(zip(types, names, strict=True)):
            layer = Layer(Result(i), None, made.order, made.span)
            id, region = self.graph.new_id(), frame.region.id
            node = Node(id, layer, type_, region, name, span, frame.annotations)
            self.graph.add_node(node, (whole.node,))
            results.append(Tensor(id, type_))
        return tuple(results)

    def _infer(
        self, made: MadeLayer, op: Op, operands: Sequence[Tensor], frame: Frame, span: Span
    ) -> TensorType:
        given = len(operands) - len(made.beside)
        arity = None if op.arity is None else op.arity - len(made.beside)
        if (arity is not None and given != arity) or (not given and arity is None):
            needs = "at least one tensor" if arity is None else _count(arity)
            several = arity == 1 and given > 1
            one = "give it one of them, as `x[0]`, or join them before: `x -> concat`"
            raise error(
                "E0201",
                f"`{op.name}` needs {needs}, not {given}",
                span,
                help=one if several else None,
            )
        types = [operand.type for operand in operands]
        try:
            with blamed(type(op), OpError, at=span):
                out = op.infer(*types)
                if is_loaded(type(op)):
                    require(type(op), problem_of(op, types, out))
                return out
        except OpError as refusal:
            labels = self._operand_labels(operands, frame, span)
            help, fix = mend_layer(made, types, span, refusal)
            fix = () if hidden_in(fix, frame.own) else fix
            raise error(
                "E0204", refusal.message, Label(span), *labels, help=help, fix=fix
            ) from None

    def _operand_labels(self, operands: Sequence[Tensor], frame: Frame, span: Span) -> list[Label]:
        """Where the operands come from, and what they are; with the names that they have here."""
        labels: dict[tuple[int, int], Label] = {}
        for operand in operands:
            node = self.graph.node(operand.node)
            place = (node.span.start, node.span.end)
            if node.span.source is span.source and place != (span.start, span.end):
                bound = frame.names.get(node.name)
                named = isinstance(bound, Tensor) and bound.node == node.id
                name = f"{node.name} is " if named else ""
                labels[place] = Label(node.span, f"{name}{operand.type}")
        return list(labels.values())[:4]

    def _layer(
        self,
        made: MadeLayer,
        op: Op,
        types: tuple[TensorType, ...],
        label: Tag | None,
        frame: Frame,
        span: Span,
    ) -> Layer:
        weights = op.weights(*types)
        if made.layer is not None:
            check_relabel(made, label)
            return made.layer
        made.applied = True
        functional = not weights and op.function(*types) is not None
        if functional and label is None:
            return Layer(op, None, made.order, made.span)
        if op.module(*types) is None:
            raise error(
                "E0407",
                f"`{op if made.beside else op.name}` has no module form in torch, so it cannot be "
                "labelled",
                label.span if label else span,
                help="leave the label out",
                fix=without_label(label.span) if label else (),
            )
        path = made.path = self.name_layer(made, label, frame, span)
        self._refuse_listed_parameter(made, op.module(*types), label, span)
        made.layer = self._shared(Layer(op, path, made.order, made.span))
        return made.layer

    def name_layer(self, made: MadeLayer, label: Tag | None, frame: Frame, span: Span) -> Path:
        """The place of a layer that is applied for the first time."""
        return self.register.name_layer(made, label, span, frame.loops_within(made.owner))

    def _refuse_listed_parameter(
        self, made: MadeLayer, module: TorchModule | None, label: Tag | None, span: Span
    ) -> None:
        """A list of layers is an `nn.ModuleList`, which holds modules only."""
        if label is not None or made.variable is None or len(made.variable) == 1:
            return
        if module is not None and module.parameter:
            name, index = made.variable
            raise error(
                "E0407",
                f"`{made.name}` is a parameter of the module around it, so it cannot be an element "
                "of a list of layers",
                span,
                help=f"label it where it is applied: `-> {name}{index}: {name}[{index}]`",
            )

    def _shared(self, layer: Layer) -> Layer:
        """The layer of an earlier application of the same module, if there was one."""
        assert layer.path is not None
        first = self.layers.setdefault(layer.path, layer)
        if first.op != layer.op:
            raise error(
                "E0406",
                f"`{'.'.join(layer.path)}` is applied twice, as different layers",
                Label(layer.span, f"here {layer.op}"),
                Label(first.span, f"there {first.op}"),
                help="a module has one set of weights; make two layers instead of one",
            )
        return first

    def set_aside(self, first: int, span: Span) -> None:
        """What was applied since a node's id is made for its weights alone, as the text says."""
        made = [id for id in range(first, self.graph.new_id()) if id in self.graph]
        if not any(self.graph.node(id).layer.path is not None for id in made):
            raise error(
                "E0607",
                "`@unused` keeps layers, and none is made here",
                span,
                help="label what is to be kept: `_ = x -> project: conv(64)`",
            )
        self.aside.update(dict.fromkeys(made, span))

    # ------------------------------------------------------------- reports

    def report(self, problem: ArchError, note: str | None = None) -> None:
        """Keep the errors that are new: one place in a block used 48 times is reported once."""
        for diagnostic in problem.diagnostics:
            if self._is_said(diagnostic):
                continue
            self.diagnostics.append(diagnostic.with_note(note) if note else diagnostic)
        for label in problem.diagnostics[0].labels[:1]:
            self.budget.spend(REPORT, label.span)

    def warn(self, code: str, message: str, *labels: Label | Span, help: str | None = None) -> None:
        """Say something that does not stop the compile, once for a place."""
        found = warning(code, message, *labels, help=help)
        if not self._is_said(found):
            self.warnings.append(found)

    def _is_said(self, diagnostic: Diagnostic) -> bool:
        """Whether there was a diagnostic of this code at this place; from now on there was."""
        identity = _identity(diagnostic)
        known = identity in self.said
        self.said.add(identity)
        return known


def check_relabel(made: MadeLayer, label: Tag | None) -> None:
    """A layer applied again keeps the name of its first application."""
    assert made.path is not None
    if label is not None and label.text != made.path[-1]:
        raise error(
            "E0405",
            f"this layer is called `{made.path[-1]}` already",
            Label(label.span, f"labelled `{label.text}` here"),
            Label(made.span, "made here"),
            help="leave the label out: a layer keeps the name of its first application",
            fix=without_label(label.span),
        )


def _count(arity: int) -> str:
    return {0: "no tensor", 1: "one tensor"}.get(arity, f"{arity} tensors")


def _identity(diagnostic: Diagnostic) -> tuple[str, int, int, int]:
    if not diagnostic.labels:
        return (diagnostic.code, 0, 0, 0)
    span = diagnostic.labels[0].span
    return (diagnostic.code, id(span.source), span.start, span.end)
