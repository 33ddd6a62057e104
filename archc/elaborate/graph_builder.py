"""Makes layers, applies operators, and keeps the books of one elaboration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from archc.diagnostics import ArchError, Diagnostic, Label, Span, error, warning
from archc.elaborate.arguments import checked_values
from archc.elaborate.frame import Site
from archc.elaborate.limits import REPORT, Budget
from archc.elaborate.naming import Register
from archc.elaborate.pytorch.hidden import hidden_in
from archc.elaborate.pytorch.mends import mend_layer
from archc.elaborate.pytorch.positions import swapped, turned
from archc.elaborate.trial import Trial
from archc.elaborate.values import (
    BlockConstructor,
    Datum,
    Given,
    MadeLayer,
    Tag,
    Tensor,
)
from archc.ir.graph import Graph, Layer, Node, Path, Region
from archc.ops.examine import problem_of
from archc.ops.extern import Result
from archc.ops.op import Op, OpError, TensorType, TorchModule
from archc.ops.registry import OPS, by_name
from archc.plugins import blamed, is_loaded, require
from archc.syntax.edits import without_label


@dataclass
class GraphBuilder:
    """The graph under construction, and what is known of its layers."""

    graph: Graph
    budget: Budget
    trial: Trial | None = None
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

    def make(self, maker: Op | BlockConstructor, hyper: dict[str, Datum], site: Site) -> MadeLayer:
        """A layer; the body of a block is elaborated where it is applied."""
        self.budget.spend_layer(site.span)
        made = MadeLayer(maker, hyper, site.frame.region, self.next_order(), site.span)
        self.made.append(made)
        return made

    def make_op(self, cls: type[Op], given: Mapping[str, Given], site: Site) -> MadeLayer:
        """A layer of an operator; its hyperparameters are checked and converted."""
        for argument in given.values():
            if isinstance(argument.value, list | tuple):
                self.budget.at(argument.span).read(len(argument.value))
        known = by_name(cls)
        beside = {
            name: argument.value
            for name, argument in given.items()
            if isinstance(argument.value, Tensor) and known[name].kind == "tensor"
        }
        plain = {name: argument for name, argument in given.items() if name not in beside}
        values = checked_values(cls, plain, "E0211") | dict.fromkeys(beside, True)
        try:
            with blamed(cls, OpError, at=site.span):
                op = cls(**values)
        except OpError as refusal:
            raise error("E0211", refusal.message, site.span, help=refusal.help) from None
        made = self.make(op, {}, site)
        made.given = given
        made.beside = tuple(beside.values())
        return made

    # ------------------------------------------------------------ applying

    def operate(self, name: str, operands: Sequence[Tensor], site: Site, **values: float) -> Tensor:
        """What an operator gives that the text does not call: `add` for `x + y`."""
        given = {key: Given(key, value, site.span) for key, value in values.items()}
        return self._apply(self.make_op(OPS[name], given, site), operands, site)

    def apply(self, made: MadeLayer, operands: Sequence[Tensor], site: Site) -> Datum:
        """What an operator gives: a tensor, or several in a tuple."""
        whole = self._apply(made, operands, site)
        types = whole.type.parts
        if len(types) == 1:
            return whole
        hint = site.frame.hint
        names = hint if len(hint) == len(types) else ("",) * len(types)
        parts = zip(types, names, strict=True)
        return tuple(
            self._node(Layer(Result(i), None, made.order, made.span), type_, (whole,), name, site)
            for i, (type_, name) in enumerate(parts)
        )

    def _apply(self, made: MadeLayer, operands: Sequence[Tensor], site: Site) -> Tensor:
        """A new node; the layer gets its path if it needs one and has none."""
        op = made.maker
        assert isinstance(op, Op)
        operands = (*operands, *made.beside)
        self.budget.spend_node(len(operands), site.span)
        type_ = self._infer(made, op, operands, site)
        types = [operand.type for operand in operands]
        if self.trial is not None:
            self.trial.apply(made, types)
        if (doubt := swapped(made, types)) is not None:
            self.warn("W0012", doubt[0], made.span, help=doubt[1])
        if (doubt := turned(made)) is not None:
            self.warn("W0013", doubt[0], made.span, help=doubt[1])
        layer = self._layer(made, op, types, site)
        return self._node(layer, type_, operands, "".join(site.frame.hint[:1]), site)

    def _node(
        self, layer: Layer, type_: TensorType, operands: Sequence[Tensor], name: str, site: Site
    ) -> Tensor:
        id, frame = self.graph.new_id(), site.frame
        node = Node(id, layer, type_, frame.region.id, name, site.span, frame.annotations)
        self.graph.add_node(node, tuple(operand.node for operand in operands))
        return Tensor(id, type_)

    def _infer(self, made: MadeLayer, op: Op, operands: Sequence[Tensor], site: Site) -> TensorType:
        given = len(operands) - len(made.beside)
        arity = None if op.arity is None else op.arity - len(made.beside)
        if (arity is not None and given != arity) or (not given and arity is None):
            needs = "at least one tensor" if arity is None else _count(arity)
            several = arity == 1 and given > 1
            one = "give it one of them, as `x[0]`, or join them before: `x -> concat`"
            message = f"`{op.name}` needs {needs}, not {given}"
            raise error("E0201", message, site.span, help=one if several else None)
        types = [operand.type for operand in operands]
        try:
            with blamed(type(op), OpError, at=site.span):
                out = op.infer(*types)
                if is_loaded(type(op)):
                    require(type(op), problem_of(op, types, out))
                return out
        except OpError as refusal:
            labels = self._operand_labels(operands, site)
            help, fix = mend_layer(made, types, site.span, refusal)
            fix = () if hidden_in(fix, site.frame.own) else fix
            message = refusal.message
            raise error("E0204", message, site.span, *labels, help=help, fix=fix) from None

    def _operand_labels(self, operands: Sequence[Tensor], site: Site) -> list[Label]:
        """Where the operands come from, and what they are; with the names that they have here."""
        labels: dict[Span, Label] = {}
        for operand in operands:
            node = self.graph.node(operand.node)
            if node.span.source is site.span.source and node.span != site.span:
                bound = site.frame.names.get(node.name)
                named = isinstance(bound, Tensor) and bound.node == node.id
                name = f"{node.name} is " if named else ""
                labels[node.span] = Label(node.span, f"{name}{operand.type}")
        return list(labels.values())[:4]

    def _layer(self, made: MadeLayer, op: Op, types: Sequence[TensorType], site: Site) -> Layer:
        if made.layer is not None:
            check_relabel(made, site.label)
            return made.layer
        made.applied = True
        functional = not op.weights(*types) and op.function(*types) is not None
        if functional and site.label is None:
            return Layer(op, None, made.order, made.span)
        module = op.module(*types)
        if module is None:
            place = site.label.span if site.label else site.span
            raise error(
                "E0407",
                f"`{op if made.beside else op.name}` has no module form in torch, so it cannot be "
                "labelled",
                place,
                help="leave the label out",
                fix=without_label(place) if site.label else (),
            )
        path = self.path_of(made, site)
        _refuse_listed_parameter(made, module, site)
        made.layer = self._shared(Layer(op, path, made.order, made.span))
        return made.layer

    def path_of(self, made: MadeLayer, site: Site) -> Path:
        """The place of a layer that is applied, which its first application decides."""
        made.applied = True
        if made.path is None:
            made.path = self.register.name_layer(made, site)
        else:
            check_relabel(made, site.label)
        return made.path

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

    def report(self, problem: ArchError) -> None:
        """Keep the errors that are new: one place in a block used 48 times is reported once."""
        self.diagnostics += [each for each in problem.diagnostics if not self._is_said(each)]
        for label in problem.diagnostics[0].labels[:1]:
            self.budget.spend(REPORT, label.span)

    def warn(self, code: str, message: str, *labels: Label | Span, help: str | None = None) -> None:
        """Say something that does not stop the compile, once for a place."""
        found = warning(code, message, *labels, help=help)
        if not self._is_said(found):
            self.warnings.append(found)

    def _is_said(self, diagnostic: Diagnostic) -> bool:
        """Whether there was a diagnostic of this code at this place; from now on there was."""
        place = (0, 0, 0)
        for label in diagnostic.labels[:1]:
            place = (id(label.span.source), label.span.start, label.span.end)
        known = (diagnostic.code, *place) in self.said
        self.said.add((diagnostic.code, *place))
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


def _refuse_listed_parameter(made: MadeLayer, module: TorchModule, site: Site) -> None:
    """A list of layers is an `nn.ModuleList`, which holds modules only."""
    if site.label is None and made.variable and len(made.variable) > 1 and module.parameter:
        name, index = made.variable
        raise error(
            "E0407",
            f"`{made.name}` is a parameter of the module around it, so it cannot be an element "
            "of a list of layers",
            site.span,
            help=f"label it where it is applied: `-> {name}{index}: {name}[{index}]`",
        )


def _count(arity: int) -> str:
    return {0: "no tensor", 1: "one tensor"}.get(arity, f"{arity} tensors")
