"""The graph's `Sharing` as rewrites of the lowered net: what is kept once, or computed again.

Steps are rewritten before forms are found, methods after they are written; `archc.runtime` has the
functions that are called.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace

from archc.ir.graph import Graph, Path
from archc.ir.sharing import Closing, Rebuilt
from archc.lowering.modules import Member, Modules, Operand, Step
from archc.program.tree import (
    Argument,
    Constant,
    Evaluate,
    Expr,
    FunctionDef,
    If,
    List,
    Name,
    Return,
    Stmt,
    With,
    call,
)

# ------------------------------------------------------------------- steps


def share(modules: Modules) -> None:
    """Rewrite the steps of all modules as the graph's sharing says."""
    rewrites = _Rewrites(modules)
    for application in modules.applications.values():
        application.steps = [new for step in application.steps for new in rewrites.of(step)]


class _Rewrites:
    def __init__(self, modules: Modules) -> None:
        self.graph = modules.graph
        sharing = self.graph.sharing
        self.steps = {
            step.node.id: step
            for application in modules.applications.values()
            for step in application.steps
            if step.node is not None
        }
        self.instead: dict[int, Step | None] = {}
        """What stands in a node's place; None for nothing."""
        for conv, pool in sharing.swaps:
            self.instead |= self._swapped(conv, pool)
        joined: list[Rebuilt | Closing] = [*sharing.activations, *sharing.closings]
        for each in joined:
            self.instead |= self._joined(each)
        self.reruns = {self.graph.regions[id].path for id in sharing.rows}
        self.concats = frozenset(sharing.concats)

    def of(self, step: Step) -> Iterator[Step]:
        """What stands in a step's place."""
        if step.region is not None:
            yield self._reran(step) if step.callee in self.reruns else step
            return
        assert step.node is not None
        found = self.instead.get(step.node.id, step)
        if found is not None:
            yield self._kept_once(found) if step.node.id in self.concats else found

    def _reran(self, step: Step) -> Step:
        """A region that the backward pass runs again."""
        assert step.callee is not None
        return replace(step, code=rerun(List((Member(step.callee),)), Operand(0)))

    def _kept_once(self, step: Step) -> Step:
        """A concatenation that is kept as its parts."""
        operands = tuple(Operand(i) for i in range(len(step.operands)))
        return replace(step, code=call("concat", List(operands)))

    def _swapped(self, conv: int, pool: int) -> dict[int, Step | None]:
        """A pool before the pointwise convolution that it followed."""
        first, second = self.steps[pool], self.steps[conv]
        if first.callee is not None and pool in pools_of_rebuilt(self.graph):
            first = replace(first, code=call("pooled", Operand(0), Member(first.callee)))
        pooled = replace(first, operands=second.operands, results=(conv,))
        return {conv: pooled, pool: replace(second, operands=(conv,), results=(pool,))}

    def _joined(self, each: Rebuilt | Closing) -> dict[int, Step | None]:
        """A batch norm with what follows it, in one."""
        last = each.last if isinstance(each, Closing) else each.activation
        norm, activation = self.steps[each.norm], self.steps[each.activation]
        assert norm.callee is not None
        args: list[Expr] = [Operand(0), Member(norm.callee)]
        if activation.callee is not None:
            args.append(Member(activation.callee))
        elif _function(activation.code) != call("torch.relu").func:
            args.append(_function(activation.code))
        words: dict[str, Expr] = {}
        if isinstance(each, Closing) and each.pool is not None:
            pool = self.steps[each.pool].callee
            assert pool is not None
            if activation.callee is None:
                words["pool"] = Member(pool)
            else:
                args.append(Member(pool))
        if isinstance(each, Rebuilt) and each.kept:
            words["keep"] = Constant(value=True)
        function = "norm_relu" if isinstance(each, Closing) else "norm_act"
        joined = replace(norm, code=call(function, *args, **words), results=(last,))
        gone: dict[int, Step | None] = {each.norm: None, each.activation: None}
        return gone | {last: joined}


def _function(code: Expr) -> Expr:
    """What a call calls."""
    assert hasattr(code, "func")
    return code.func


def rerun(modules: Expr, operand: Expr) -> Expr:
    """The run of modules in a row, each of which the backward pass runs again."""
    return call("rerun", modules, operand)


def pools_of_rebuilt(graph: Graph) -> Set[int]:
    """The pools that run before a convolution, if one of them reads what is made again."""
    made, swaps = _rebuilt(graph), graph.sharing.swaps
    reads = any(graph.operands(conv)[0] in made for conv, _ in swaps)
    return {pool for _, pool in swaps} if reads else set()


def _rebuilt(graph: Graph) -> set[int]:
    """The values that the backward pass makes again from what it keeps."""
    sharing = graph.sharing
    activations = (each.activation for each in sharing.activations)
    return {*sharing.concats, *activations, *(each.last for each in sharing.closings)}


# ------------------------------------------------------------------ methods


def with_one_buffer(forward: FunctionDef, tensor: str) -> FunctionDef:
    """The `forward` of a dense block, with the other way through it."""
    block = Name("self"), Name(tensor)
    remark = "what follows, as one function"
    other = If(call("shares_storage", *block), (Return(call("dense_block", *block), remark),))
    return replace(forward, body=(other, *forward.body))


def while_rebuilding(graph: Graph, statements: Sequence[Stmt]) -> Sequence[Stmt]:
    """Statements of a net, which may have values that are built again."""
    if not graph.sharing.rebuilds:
        return statements
    return [With(call("Rebuilding", Name("self")), tuple(statements))]


def rebuilds_after(graph: Graph, value: int) -> bool:
    """Whether any node behind a value is built again, or keeps a value that is."""
    rebuilt = _rebuilt(graph) | {id for swap in graph.sharing.swaps for id in swap}
    reran = rerun_paths(graph)
    for node in graph.nodes():
        if node.id > value:
            path = graph.regions[node.region].path
            saved = node.op.saves(graph.operand_types(node.id), node.type)
            operands = graph.operands(node.id)
            kept = {operands[each.operand] for each in saved if each.what == "input"}
            touched = {node.id, *(operands if node.op.opaque else kept)}
            if touched & rebuilt or any(path[:n] in reran for n in range(1, len(path) + 1)):
                return True
    return False


def memory_argument(graph: Graph) -> list[Argument]:
    """The argument of a net's constructor that chooses the memory mode."""
    return [Argument("memory", Name("str"), Constant("keep"))] if graph.sharing else []


def set_memory(graph: Graph) -> list[Stmt]:
    """The statement of the constructor that does it."""
    statement = Evaluate(call("set_memory", Name("self"), Name("memory")))
    return [statement] if graph.sharing else []


# ------------------------------------------------------------------ runtime


def runtime_of(graph: Graph) -> set[str]:
    """The parts of archc's runtime that the rewrites call."""
    sharing = graph.sharing
    wanted = {
        "memory": bool(sharing),
        "recipes": sharing.rebuilds,
        "rebuild": bool(sharing.concats or sharing.activations or pools_of_rebuilt(graph)),
        "rerun": bool(sharing.rows),
        "dense_block": bool(sharing.blocks),
        "norm_relu": bool(sharing.closings),
    }
    return {name for name, needed in wanted.items() if needed}


def dense_blocks(graph: Graph) -> frozenset[int]:
    """The regions whose features lie in one buffer."""
    return frozenset(block.region for block in graph.sharing.blocks)


def rerun_paths(graph: Graph) -> frozenset[Path]:
    """The modules that the backward pass runs again."""
    return frozenset(graph.regions[id].path for id in graph.sharing.rows)
