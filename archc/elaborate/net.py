"""From a parsed program to the graph of one of its nets."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from archc.diagnostics import ArchError, Diagnostic, Source, did_you_mean, error
from archc.elaborate.arguments import check_kind
from archc.elaborate.execute import Executor
from archc.elaborate.exits import Returned
from archc.elaborate.files import FileScope
from archc.elaborate.finish import finish, warn_finished, warn_unused
from archc.elaborate.frame import Frame, Site, variant_constructor
from archc.elaborate.graph_builder import GraphBuilder
from archc.elaborate.limits import Budget, LimitError, Limits, deep_recursion
from archc.elaborate.resolve import check_names
from archc.elaborate.shapes import input_types
from archc.elaborate.trial import Trial
from archc.elaborate.values import (
    BlockConstructor,
    Given,
    Poison,
    Poisoned,
    Tensor,
    describe,
    hyper_of,
    is_int,
)
from archc.ir.graph import Graph, Input, Layer, NetInfo, Node, Output, Region
from archc.ops.op import TensorType
from archc.syntax import ast
from archc.syntax.parser import parse_expression

Net = ast.Block | ast.Variant


@dataclass(frozen=True)
class Elaboration:
    """A graph, and what is to be said of its spec that is no error."""

    graph: Graph
    notes: tuple[Diagnostic, ...]
    """Which of several nets it is."""
    warnings: tuple[Diagnostic, ...]
    budget: Budget
    affords_variations: bool
    """Whether the budget admits four elaborations more: see `variations`."""


def choose_net(program: FileScope, name: str | None) -> tuple[Net, tuple[Diagnostic, ...]]:
    """The named net, or the first; with a note of the others, unless all are one net's variants."""
    nets = program.nets
    if not nets:
        raise error(
            "E0309",
            f"`{program.source.path}` declares no net",
            help="a net is written `net Name(classes=10)(image: [3, 32, 32]) { ... }`",
        )
    if name is None:
        if _one_family(nets):
            return nets[0], ()
        others = ", ".join(net.name.name for net in nets[1:])
        message = f"compiling `{nets[0].name.name}`, the first net; `--net` chooses among {others}"
        return nets[0], (Diagnostic("", message, severity="note"),)
    for net in nets:
        if net.name.name == name:
            return net, ()
    known = [net.name.name for net in nets]
    help = did_you_mean(name, known) or f"its nets are {', '.join(known)}"
    raise error("E0310", f"`{program.source.path}` has no net `{name}`", help=help)


def _one_family(nets: Sequence[Net]) -> bool:
    """Whether all are variants of one net, which is among them or imported; or there is but one."""
    names = {net.name.name for net in nets}
    bases = {(net.base if isinstance(net, ast.Variant) else net.name).name for net in nets}
    written = {net.name.name for net in nets if isinstance(net, ast.Block)}
    return len(bases - names | written) <= 1


def elaborate(
    program: FileScope,
    net: str | None = None,
    arguments: Mapping[str, str] | None = None,
    budget: Budget | None = None,
    channels: int | None = None,
    trial: Trial | None = None,
) -> Elaboration:
    """The graph of a net, its parameters set by the texts in `arguments`. Raises ArchError.

    `budget` is what this net shares with others, by default a new one; `channels` replaces those
    of the first input; `trial` is for a text that says what layers get.
    """
    declaration, notes = choose_net(program, net)
    check_names(program)
    budget = budget or Budget(Limits())
    before = budget.shared
    run = _Elaborator(program, declaration, budget)
    run.builder.trial = trial
    graph = run.elaborate(arguments or {}, channels)
    spent = zip(budget.shared, before, strict=True)
    affords = budget.affords(*(4 * (after - first) for after, first in spent))
    return Elaboration(graph, notes, tuple(run.builder.warnings), budget, affords)


class _Elaborator:
    """One elaboration of one net; a `quiet` one does not look for what to warn of."""

    def __init__(
        self, program: FileScope, net: Net, budget: Budget, *, quiet: bool = False
    ) -> None:
        self.quiet = quiet
        self.program = program
        self.net = net
        self.graph = Graph(NetInfo(net.name.name, (), (), net.name.span))
        definition = net.name.span
        self.root = Region(self.graph.new_id(), None, (), None, 0, (), (), (), definition, net.span)
        self.builder = GraphBuilder(self.graph, budget)
        self.executor = Executor(self.builder)
        self.evaluator = self.executor.evaluator

    def elaborate(self, overrides: Mapping[str, str | int], channels: int | None = None) -> Graph:
        """Run the net's body. `channels` replaces the channels of the first input."""
        try:
            with deep_recursion(self.net.name.span):
                self.builder.budget.begin_net(self.net.name.span)
                return self._elaborate(overrides, channels)
        except LimitError as limit:
            raise LimitError((*self.builder.diagnostics, *limit.diagnostics)) from None

    def _elaborate(self, overrides: Mapping[str, str | int], channels: int | None) -> Graph:
        frame, block = self._open(overrides)
        types = input_types(block, self.evaluator, frame)
        if channels is not None:
            types[0] = TensorType((channels, *types[0].shape[1:]))
        for item, type_ in zip(block.inputs, types, strict=True):
            frame.bind(item.name.name, self._input(item, type_))
        returned = self.executor.run(block.body, frame)
        self.graph.outputs = (*self.executor.exits.outputs, *self._return(returned))
        self._fail()
        if not self.graph.outputs:
            raise error(
                "E0219",
                f"the net `{block.name.name}` returns nothing",
                block.name.span,
                help="end it with `return`, or mark exits with `exit`",
            )
        if not self.quiet:
            warn_unused(self.builder)
        finish(self.builder)
        self._fail()
        if not self.quiet:
            warn_finished(self.builder)
        return self.graph

    def _fail(self) -> None:
        if self.builder.diagnostics:
            raise ArchError(tuple(self.builder.diagnostics))

    def _open(self, overrides: Mapping[str, str | int]) -> tuple[Frame, ast.Block]:
        """Bind the net's parameters and record what is known of it."""
        if isinstance(self.net, ast.Block):
            constructor = BlockConstructor(self.net, self.program)
        else:
            constructor = variant_constructor(self.net, self.program)
        block = constructor.declaration
        outside = Frame(self.program, self.root)
        given = [self._override(name, v, block, outside) for name, v in overrides.items()]
        try:
            hyper = self.evaluator.bind(constructor, given, Site(outside, block.span)).names
        except ArchError as problem:
            raise _alone(problem) from None
        frame = Frame(constructor.scope, self.root, hyper)
        work = self.builder.budget.at(block.span)
        of_variants = (variant.annotations for variant, _ in reversed(constructor.variants))
        written = [each for several in (block.annotations, *of_variants) for each in several]
        annotations = self.executor.annotations(written, "net", frame)
        last = {each.name: each for each in annotations}  # a variant's replaces the base's
        self.root = replace(self.root, parameters=hyper_of(hyper, work), definition=block.name.span)
        self.graph.add_region(self.root)
        docs = [variant.doc for variant, _ in constructor.variants if variant.doc]
        self.graph.info = replace(
            self.graph.info,
            parameters=hyper_of(hyper, work),
            given=hyper_of({name: hyper[name] for name in overrides}, work),
            doc=docs[0] if docs else block.doc,
            annotations=tuple(last.values()),
            parameter_docs=tuple(
                (item.name.name, item.doc) for item in block.parameters if item.doc
            ),
        )
        return replace(frame, region=self.root), block

    def _override(self, name: str, value: str | int, block: ast.Block, outside: Frame) -> Given:
        parameters = {item.name.name: item for item in block.parameters}
        if name not in parameters:
            help = did_you_mean(name, parameters) or f"its parameters are {', '.join(parameters)}"
            raise error("E0312", f"`{block.name.name}` has no parameter `{name}`", help=help)
        if isinstance(value, int):
            return Given(name, value, block.name.span)
        try:
            expr = parse_expression(Source(f"--set {name}", value))
            found = self.evaluator.evaluate(expr, outside)
            return Given(name, check_kind(name, parameters[name].kind, found, expr.span), expr.span)
        except ArchError as problem:
            raise _quoted(problem, parameters[name], value) from None

    def _input(self, item: ast.Input, type_: TensorType) -> Tensor:
        layer = Layer(Input(type_), None, self.builder.next_order(), item.span)
        node = Node(self.graph.new_id(), layer, type_, self.root.id, item.name.name, item.span)
        self.graph.add_node(node, ())
        return Tensor(node.id, type_)

    def _return(self, returned: Returned | None) -> Iterator[Output]:
        if returned is None or isinstance(returned.value, Poison):
            return
        given = returned.value
        values = given if isinstance(given, tuple | list) else (given,)
        for index, value in enumerate(values):
            self.builder.budget.spend_output(index, returned.span)
            if not isinstance(value, Tensor):
                message = f"a net returns tensors, not {describe(value)}"
                raise error("E0219", message, returned.span)
            yield Output(value.node, None, returned.span)


def _alone(problem: ArchError) -> ArchError:
    """A net that lacks an argument though nothing else calls it: it is compiled by itself."""
    first = problem.diagnostics[0]
    if first.code != "E0314":
        return problem
    name = first.message.split("`")[3]
    help = (
        f"{first.help}; a net is compiled by itself, too: give `{name}` a default, or a value by "
        f"`--set {name}=...`; what is only a part of other nets is a `block`"
    )
    return ArchError((replace(first, help=help),))


def _quoted(problem: ArchError, parameter: ast.Parameter, text: str) -> ArchError:
    """What is wrong with `--set`; where a string is awaited, the help is its quotes.

    The shell takes those that are written without others around them.
    """
    is_string = parameter.kind == "string" or isinstance(parameter.default, ast.String)
    if not is_string or any(char in text for char in "'\"\\{}\n"):
        return problem
    option = f"--set '{parameter.name.name}=\"{text}\"'"
    help = f"a string is given in quotes, within those of the shell: `{option}`"
    return ArchError((replace(problem.diagnostics[0], help=help, fix=()),))


@dataclass(frozen=True)
class Variation:
    """The same net with one number changed: what differential elaboration compares.

    `argument` is the constructor argument that it may become, `base` its value in the spec,
    `value` the value here.
    """

    argument: str
    base: int
    value: int
    graph: Graph


def variations(
    program: FileScope,
    net: str | None,
    arguments: Mapping[str, str] | None,
    elaboration: Elaboration,
) -> tuple[Variation, ...]:
    """The net with other numbers of classes and input channels, two of each where they elaborate.

    A change that the spec refuses (an assertion, a shape) gives none: the number is fixed. So are
    both where five elaborations take more than the budget; `Elaboration.warnings` says that.
    """
    if not elaboration.affords_variations:
        return ()
    declaration, _ = choose_net(program, net)
    inputs = elaboration.graph.inputs()
    channels = inputs[0].type.channels if len(inputs) == 1 else None
    found: list[Variation] = []

    def vary(argument: str, base: int) -> None:
        for value in (base + 1, base + 7):
            run = _Elaborator(program, declaration, elaboration.budget, quiet=True)
            overrides: dict[str, str | int] = {**(arguments or {})}
            if argument == "num_classes":
                overrides["classes"] = value
            with suppress(ArchError, Poisoned):
                graph = run.elaborate(overrides, value if argument == "in_chans" else channels)
                found.append(Variation(argument, base, value, graph))

    classes = dict(elaboration.graph.info.parameters).get("classes")
    if is_int(classes):
        vary("num_classes", classes)
    if channels is not None:
        vary("in_chans", channels)
    return tuple(found)
