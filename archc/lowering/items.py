"""A module's body as items with local value numbers: what two modules must share to be one class.

An item's `key` is its structure with all attributes erased; its `slots` are the attributes, in a
fixed order. Consecutive children of one form, each consuming only its predecessor, are one loop
whose count is an attribute: one tensor or several go from turn to turn. A scope that is a chain of
modules called 0, 1, 2, ... is an `nn.Sequential`.
"""

import re
from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from archc.ir.graph import Path
from archc.lowering.modules import Application, Member, Module, Modules, Operand, Step
from archc.lowering.sharing import rerun, rerun_paths
from archc.ops.op import TorchArg, TorchModule
from archc.program.tree import Call, Expr, Hole, List, Name, filled, holes


@dataclass(frozen=True, slots=True)
class FunctionItem:
    """An operator written in `forward`; the values of its `args` are slots of `code`."""

    code: Expr
    args: tuple[TorchArg, ...]
    operands: tuple[int, ...]
    result: int
    op: str

    @property
    def key(self) -> Hashable:
        return (self.code, tuple(arg.name for arg in self.args), self.operands)


@dataclass(frozen=True, slots=True)
class ModuleItem:
    """The call of a layer, or of a child module; `form` is the child's, None for a layer.

    It is `external` where the callee itself was given to this module, and `passing` where layers
    are given along.
    """

    code: Expr
    label: Path
    form: int | None
    module: TorchModule | None
    operands: tuple[int, ...]
    results: tuple[int, ...]
    external: bool
    passing: bool
    op: str
    rerun: bool = False

    @property
    def key(self) -> Hashable:
        layer = None if self.module is None else layer_key(self.module)
        return (self.code, self.label, self.form, layer, self.operands, len(self.results))


@dataclass(frozen=True, slots=True)
class LoopItem:
    """Children `prefix + start`, `prefix + start + 1`, ... of one form, each fed to the next.

    `nodes` are the nodes behind the results of each child. With `rerun`, the backward pass runs
    each child again.
    """

    container: Path
    prefix: str
    start: int
    form: int
    children: tuple[Path, ...]
    nodes: tuple[tuple[int, ...], ...]
    operands: tuple[int, ...]
    results: tuple[int, ...]
    op: str
    rerun: bool

    @property
    def key(self) -> Hashable:
        place = (self.container, self.prefix, self.start)
        return ("loop", *place, self.form, self.operands, self.rerun)


@dataclass(frozen=True, slots=True)
class ChainItem:
    """A scope written as `nn.Sequential`: the items of its body call each other in a row."""

    label: Path
    path: Path
    body: "Body"
    operand: int
    result: int
    rerun: bool

    @property
    def key(self) -> Hashable:
        return ("chain", self.label, self.operand, self.body.key, self.rerun)


Item = FunctionItem | ModuleItem | LoopItem | ChainItem


def layer_key(module: TorchModule) -> Hashable:
    """What two layers must share to be constructed alike, but for the values of arguments."""
    names = tuple(arg.name for arg in module.args)
    return (module.source, module.cls, module.text, module.parameter, module.times, names)


@dataclass(frozen=True, slots=True)
class Body:
    """An application's items, and its values by number: inputs first, then results."""

    items: tuple[Item, ...]
    inputs: int
    outputs: tuple[int, ...]
    values: tuple[int, ...]
    """The node behind each local number."""
    absent: Mapping[int, int | None] = field(default_factory=dict)
    """The results that this instance of a form does without, and the values read in their place."""

    @property
    def key(self) -> Hashable:
        return (self.inputs, self.outputs, tuple(item.key for item in self.items))


_NUMBERED = re.compile(r"(.*?)(0|[1-9][0-9]*)")


class BodyBuilder:
    """Builds the body of an application; `forms` tells the forms of modules inside it."""

    def __init__(
        self, modules: Modules, forms: Mapping[Path, int], chains: Mapping[Path, Body]
    ) -> None:
        self.modules = modules
        self.forms = forms
        self.chains = chains
        self.rerun = rerun_paths(modules.graph)

    def build(self, module: Module, application: Application) -> Body:
        numbers = {node: i for i, node in enumerate(application.inputs)}
        items: list[Item] = []
        for step in application.steps:
            operands = tuple(numbers[operand] for operand in step.operands)
            for result in step.results:
                numbers[result] = len(numbers)
            results = tuple(numbers[result] for result in step.results)
            items.append(self._item(module, step, operands, results))
        outputs = tuple(numbers[node] for node in application.outputs)
        rolled = _roll(items, outputs, tuple(numbers))
        body = _renumbered(rolled, len(application.inputs), outputs, tuple(numbers))
        return unroll(body, self._parts_of_lists(module, body))

    def _parts_of_lists(self, module: Module, body: Body) -> set[int]:
        """Loops over some elements of a list of layers: only a whole list is one loop."""
        lists: dict[Path, set[Path]] = {}
        for label in module.owned:
            lists.setdefault(label[:-1], set()).add(label)
        return {
            position
            for position, item in enumerate(body.items)
            if isinstance(item, LoopItem)
            and item.container
            and (item.start or lists.get(item.container) != {*item.children})
        }

    def _item(
        self, module: Module, step: Step, operands: tuple[int, ...], results: tuple[int, ...]
    ) -> Item:
        path, own = step.callee, module.path
        if path is None:
            node = step.node
            assert node is not None
            args = self.modules.torch_function(node).args
            code = _below(own, step.code)
            return FunctionItem(code, args, operands, results[0], node.op.name)
        external = path[: len(own)] != own
        label = _place(path, own)
        rerun = path in self.rerun
        if step.region is not None and path in self.chains:
            children = {child.path for child in self.modules.by_path[path].children}
            rerun = bool(children) and children <= self.rerun
            return ChainItem(label, path, self.chains[path], operands[0], results[0], rerun)
        passing = sum(isinstance(hole, Member) for hole in holes(step.code)) > 1
        code = _below(own, step.code)
        form, layer = None, None
        if step.region is not None:
            form, op = self.forms[path], step.region.block or "scope"
        else:
            assert step.node is not None
            layer, op = self.modules.torch_module(path), step.node.op.name
        fields = (operands, results, external, passing, op, rerun)
        return ModuleItem(code, label, form, layer, *fields)


def _below(own: Path, code: Expr) -> Expr:
    """A step's code with the places of layers and modules as seen from a module."""

    def fill(leaf: Hole | Name) -> Expr:
        return Member(_place(leaf.path, own)) if isinstance(leaf, Member) else leaf

    return filled(code, fill)


def _place(path: Path, own: Path) -> Path:
    return path[len(own) :] if path[: len(own)] == own else ("", *path)


def _renumbered(
    items: list[Item], inputs: int, outputs: tuple[int, ...], values: tuple[int, ...]
) -> Body:
    """Values numbered without those inside loops, so that a loop's count leaves no trace."""
    kept = [*range(inputs), *(result for item in items for result in results_of(item))]
    numbers = {old: new for new, old in enumerate(kept)}

    def renumber(item: Item) -> Item:
        reads, gives = operands_of(item), results_of(item)
        return renumbered(item, [numbers[v] for v in reads], [numbers[v] for v in gives])

    return Body(
        tuple(map(renumber, items)),
        inputs,
        tuple(numbers[output] for output in outputs),
        tuple(values[old] for old in kept),
    )


def renumbered(item: Item, operands: Sequence[int], results: Sequence[int]) -> Item:
    """An item that reads and gives other local numbers."""
    if isinstance(item, ChainItem):
        return replace(item, operand=operands[0], result=results[0])
    if isinstance(item, FunctionItem):
        return replace(item, operands=tuple(operands), result=results[0])
    return replace(item, operands=tuple(operands), results=tuple(results))


def operands_of(item: Item) -> tuple[int, ...]:
    """The local numbers that an item reads."""
    return (item.operand,) if isinstance(item, ChainItem) else item.operands


def results_of(item: Item) -> tuple[int, ...]:
    """The local numbers that an item defines."""
    return item.results if isinstance(item, ModuleItem | LoopItem) else (item.result,)


def labels_of(item: Item) -> tuple[Path, ...]:
    """The layers and modules that an item applies."""
    if isinstance(item, LoopItem):
        return item.children
    if isinstance(item, ChainItem):
        return (item.label,)
    return tuple(hole.path for hole in holes(item.code) if isinstance(hole, Member))


def _roll(items: list[Item], outputs: tuple[int, ...], values: tuple[int, ...]) -> list[Item]:
    """Numbered children of one form become loops; a value read elsewhere ends one."""
    reads: dict[int, int] = {}
    for item in items:
        for operand in operands_of(item):
            reads[operand] = reads.get(operand, 0) + 1
    for output in outputs:
        reads[output] = reads.get(output, 0) + 1
    called = [item.label for item in items if isinstance(item, ModuleItem)]
    rolled: list[Item] = []
    for item in items:
        loop = _as_loop(item, called, values)
        if loop is None:
            rolled.append(item)
            continue
        last = rolled[-1] if rolled else None
        if (
            isinstance(last, LoopItem)
            and _continues(last, loop)
            and all(reads[result] == 1 for result in last.results)
        ):
            rolled[-1] = replace(
                last,
                children=last.children + loop.children,
                nodes=last.nodes + loop.nodes,
                results=loop.results,
            )
        else:
            rolled.append(loop)
    return rolled


def _as_loop(item: Item, called: list[Path], values: tuple[int, ...]) -> LoopItem | None:
    if not isinstance(item, ModuleItem) or item.form is None or item.external or item.passing:
        return None
    if len(item.operands) != len(item.results) or called.count(item.label) > 1:
        return None
    match = _NUMBERED.fullmatch(item.label[-1])
    if match is None:
        return None
    prefix, start = match[1], int(match[2])
    container, children = item.label[:-1], (item.label,)
    nodes = (tuple(values[result] for result in item.results),)
    fields = (children, nodes, item.operands, item.results, item.op, item.rerun)
    return LoopItem(container, prefix, start, item.form, *fields)


def written_out(
    bodies: Sequence[Body], paths: Sequence[Path], unlike: Callable[[Path, LoopItem], int]
) -> list[Body]:
    """The bodies of a form with its short loops written out, those inside of `nn.Sequential`s too.

    Two children in every instance are clearer as two calls than as a loop, and no longer; and so
    are some more of one tensor, if several of their arguments differ: `unlike` says how many, for a
    loop of the module at a path.
    """
    items = [list(body.items) for body in bodies]
    short = set()
    for position, column in enumerate(zip(*items, strict=True)):
        loops = [item for item in column if isinstance(item, LoopItem)]
        chains = [item for item in column if isinstance(item, ChainItem)]
        if loops and _is_short(loops, max(map(unlike, paths, loops))):
            short.add(position)
        inner = written_out([chain.body for chain in chains], [c.path for c in chains], unlike)
        for row, chain, body in zip(items, chains, inner, strict=False):
            row[position] = replace(chain, body=body)
    return [
        unroll(replace(body, items=tuple(row)), short)
        for body, row in zip(bodies, items, strict=True)
    ]


def _is_short(loops: Sequence[LoopItem], unlike: int) -> bool:
    counts = {len(loop.children) for loop in loops}
    kept = any(loop.container or loop.rerun for loop in loops)
    several = any(len(loop.results) > 1 for loop in loops)
    most = 6 if unlike > 1 and not several else 2
    return not kept and len(counts) == 1 and max(counts) <= most


def unroll(body: Body, positions: Container[int]) -> Body:
    """The body with some of its loops written out, one call a child."""
    items: list[Item] = []
    values = list(body.values)
    for position, item in enumerate(body.items):
        if not isinstance(item, LoopItem) or position not in positions:
            items.append(item)
            continue
        operands = item.operands
        for child, nodes in zip(item.children, item.nodes, strict=True):
            results = item.results
            if child is not item.children[-1]:
                results = tuple(range(len(values), len(values) + len(nodes)))
                values.extend(nodes)
            called = Member(child)
            reads = tuple(map(Operand, range(len(operands))))
            code = rerun(List((called,)), reads[0]) if item.rerun else Call(called, reads)
            fields = (operands, results, False, False, item.op, item.rerun)
            items.append(ModuleItem(code, child, item.form, None, *fields))
            operands = results
    return replace(body, items=tuple(items), values=tuple(values))


def _continues(loop: LoopItem, next: LoopItem) -> bool:
    return (
        (next.form, next.rerun) == (loop.form, loop.rerun)
        and next.operands == loop.results
        and (next.container, next.prefix) == (loop.container, loop.prefix)
        and next.start == loop.start + len(loop.children)
    )
