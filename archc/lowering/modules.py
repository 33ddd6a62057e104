"""From a graph to its modules: what each one owns, what it is given, what it runs, in order."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from archc.ir.graph import Graph, Layer, Node, Path, Region
from archc.ops.extern import Result
from archc.ops.op import TensorType, TorchFunction, TorchModule
from archc.program.template import folded, written
from archc.program.tree import Call, Expr, Hole

_Item = TypeVar("_Item", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Member(Hole):
    """A layer or module by its path: that of the graph, or that below the module that calls it.

    What another module owns has in such a module its whole path after an empty name.
    """

    path: Path


@dataclass(frozen=True, slots=True)
class Operand(Hole):
    """A value that a step reads, by its place among the operands."""

    index: int


@dataclass(frozen=True, slots=True)
class Step:
    """One application inside a module: of an operator (`node`) or of a block (`region`).

    `code` has holes: `Operand`s, `Member`s and `Slot`s. `operands` and `results` are node ids;
    `callee` is the path of the layer or module that is called, None for a function.
    """

    code: Expr
    callee: Path | None
    node: Node | None
    region: Region | None
    operands: tuple[int, ...]
    results: tuple[int, ...]


@dataclass(slots=True)
class Application:
    """One run of a module's body: a region with its steps, and what flows in and out."""

    region: Region
    steps: list[Step] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    modules: list[Path] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Module:
    """One module of the emitted net: its path, what it owns, and its applications."""

    path: Path
    applications: list[Application]
    layers: list[Layer] = field(default_factory=list)
    children: list["Module"] = field(default_factory=list)

    @property
    def first(self) -> Application:
        return self.applications[0]

    @property
    def region(self) -> Region:
        return self.first.region

    @property
    def owned(self) -> dict[Path, int]:
        """What it constructs, by the paths below its own, with the order of making."""
        made = [(layer.path, layer.order) for layer in self.layers if layer.path is not None]
        made += [(child.path, child.region.order) for child in self.children]
        return {path[len(self.path) :]: order for path, order in made}


@dataclass(slots=True)
class Modules:
    """All modules of a graph, and how its layers are written in torch."""

    graph: Graph
    by_path: dict[Path, Module] = field(default_factory=dict)
    applications: dict[int, Application] = field(default_factory=dict)
    types: dict[int, tuple[TensorType, ...]] = field(default_factory=dict)
    makers: dict[Path, Node] = field(default_factory=dict)
    unused: set[Path] = field(default_factory=set)
    """The layers that no module applies."""
    _added: set[tuple[int, Hashable]] = field(default_factory=set)

    @classmethod
    def of(cls, graph: Graph) -> "Modules":
        self = cls(graph)
        self._collect()
        self._flow()
        self._own()
        return self

    @property
    def root(self) -> Module:
        return self.by_path[()]

    def torch_module(self, path: Path) -> TorchModule:
        """How the layer at a path is constructed."""
        node = self.makers[path]
        module = node.op.module(*self.types[node.id])
        assert module is not None
        return module

    def is_unused(self, path: Path) -> bool:
        """Whether nothing at a path is applied, be it a layer or a module of such layers."""
        module = self.by_path.get(path)
        if module is None:
            return path in self.unused
        owned = [path + label for label in module.owned]
        return bool(owned) and all(map(self.is_unused, owned))

    def torch_function(self, node: Node) -> TorchFunction:
        """How an unlabelled operator is written."""
        function = node.op.function(*self.types[node.id])
        assert function is not None
        return function

    # ------------------------------------------------------------- collect

    def _collect(self) -> None:
        for id in sorted(self.graph.regions):
            region = self.graph.regions[id]
            self.applications[id] = Application(region)
        for node in self.graph.nodes():
            self.types[node.id] = self.graph.operand_types(node.id)
            if node.layer.path is not None:
                self.makers.setdefault(node.layer.path, node)
        for id, unused in self.graph.unused.items():
            path = unused.node.layer.path
            assert path is not None
            if path not in self.makers:
                self.types[id] = unused.types
                self.makers[path] = unused.node
                self.unused.add(path)
        used = self.graph.inhabited()
        for id, application in self.applications.items():
            if id in used:
                module = self.by_path.setdefault(
                    application.region.path, Module(application.region.path, [])
                )
                module.applications.append(application)

    def _ancestors(self, id: int) -> Iterator[Region]:
        """A region and those around it, innermost first."""
        region: Region | None = self.graph.regions[id]
        while region is not None:
            yield region
            region = None if region.parent is None else self.graph.regions[region.parent]

    # ---------------------------------------------------------------- flow

    def _flow(self) -> None:
        """Inputs, outputs and passed-along layers of every application, then its steps."""
        final = {output.node for output in self.graph.outputs}
        chains = {id: [region.id for region in self._ancestors(id)] for id in self.applications}
        for node in self.graph.nodes():
            inside = chains[node.region]
            for operand in self.graph.operands(node.id):
                around = set(chains[self.graph.node(operand).region])
                for region in inside:
                    if region not in around:
                        self._add(self.applications[region].inputs, operand)
                        continue
                    break
            self._pass_along(inside, node)
            readers = [self.graph.node(user).region for user, _ in self.graph.users(node.id)]
            for region in inside[:-1]:
                if node.id in final or any(region not in chains[reader] for reader in readers):
                    self._add(self.applications[region].outputs, node.id)
        root = self.applications[min(self.applications)]
        root.inputs = [node.id for node in self.graph.inputs()]
        root.outputs = [output.node for output in self.graph.outputs]
        for application in self.applications.values():
            order = {node: i for i, (_, node) in enumerate(application.region.inputs)}
            application.inputs.sort(key=lambda node: order.get(node, len(order)))
        self._steps(chains)

    def _add(self, items: list[_Item], item: _Item) -> None:
        """Append what is not there yet."""
        if (id(items), item) not in self._added:
            self._added.add((id(items), item))
            items.append(item)

    def _pass_along(self, inside: list[int], node: Node) -> None:
        """What was made outside of a region and is applied inside is an argument of its forward.

        That is a layer, or the module of an inner region, which then brings what it owns.
        """
        applied = [] if node.layer.path is None else [node.layer.path]
        for region in inside:
            own = self.graph.regions[region].path
            applied = [path for path in applied if path[: len(own)] != own]
            for path in applied:
                self._add(self.applications[region].modules, path)
            applied.append(own)

    def _steps(self, chains: dict[int, list[int]]) -> None:
        entered: set[int] = set()
        for node in self.graph.nodes():
            outward = chains[node.region]
            for inner, outer in zip(outward, outward[1:], strict=False):
                if inner not in entered:
                    entered.add(inner)
                    self._enter(self.applications[inner], self.applications[outer])
            one_of_several = isinstance(node.op, Result)  # which the call of its layer gives
            if node.op.name != "input" and not one_of_several:
                self.applications[node.region].steps.append(self.step_of(node))

    def step_of(self, node: Node) -> Step:
        """The application of an operator."""
        path = node.layer.path
        operands = self.graph.operands(node.id)
        results: tuple[int, ...] = (node.id,)
        if node.type.others:
            results = tuple(user for user, _ in self.graph.users(node.id))
        return Step(self._code(node), path, node, None, operands, results)

    def _code(self, node: Node) -> Expr:
        """An operator as torch's text says it."""
        path = node.layer.path
        operands = [Operand(i) for i in range(len(self.graph.operands(node.id)))]
        if path is not None:
            return written(self.torch_module(path).text, operands, layer=Member(path))
        function = self.torch_function(node)
        if function.folds:
            return folded(function.template, operands)
        args = [(arg.name, arg.positional) for arg in function.args]
        return written(function.template, operands, args)

    def _enter(self, inner: Application, outer: Application) -> None:
        """The call of a module, with the layers that it is passed."""
        own, path = outer.region.path, inner.region.path
        if path[: len(own)] != own:
            self._add(outer.modules, path)
        outer.steps.append(self.call_of(inner))

    def call_of(self, inner: Application) -> Step:
        """The application of a block."""
        path = inner.region.path
        operands = [Operand(i) for i in range(len(inner.inputs))]
        code = Call(Member(path), (*operands, *map(Member, inner.modules)))
        inputs, outputs = tuple(inner.inputs), tuple(inner.outputs)
        return Step(code, path, None, inner.region, inputs, outputs)

    # ----------------------------------------------------------------- own

    def _own(self) -> None:
        """Each layer and module belongs to the module whose path its own extends."""
        for path, node in self.makers.items():
            self.owner(path).layers.append(node.layer)
        for path, module in self.by_path.items():
            if path:
                self.owner(path).children.append(module)

    def owner(self, path: Path) -> Module:
        """The module that constructs what lies at a path."""
        for length in range(len(path) - 1, -1, -1):
            if path[:length] in self.by_path:
                return self.by_path[path[:length]]
        raise AssertionError(path)
