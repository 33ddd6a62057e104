"""After elaboration: dead operators go, shared modules must agree, drop_path must have its sum."""

from collections.abc import Iterator

from archc.diagnostics import ArchError, Label, error
from archc.elaborate.graph_builder import GraphBuilder
from archc.elaborate.limits import Limits, exceeded
from archc.elaborate.schedule import schedule
from archc.ir.branches import branch_of, drop_paths
from archc.ir.graph import Graph, Node, Path
from archc.ir.initialisation import reach_of
from archc.ops.arithmetic import Add, Sum
from archc.ops.regularization import DropPath


def finish(builder: GraphBuilder) -> None:
    """Prune what no output needs, and check what only the whole graph shows."""
    for problem in _set_aside(builder):
        builder.report(problem)
    graph = builder.graph
    graph.remove_dead()
    for check in (_outputs, _shared_weights, _same_children, _drop_paths):
        for problem in check(graph):
            builder.report(problem)
    schedule(graph)
    _check_totals(graph, builder.budget.limits)


def _set_aside(builder: GraphBuilder) -> Iterator[ArchError]:
    """Keep the layers of what `@unused` stands before."""
    graph = builder.graph
    live = graph.live() if builder.aside else set()
    for id, span in builder.aside.items():
        if id in live:
            yield error(
                "E0607",
                "an output depends on what `@unused` leaves out",
                Label(graph.node(id).span, "this is applied"),
                Label(span),
                help="leave out `@unused`, or do not use its value",
            )
        elif graph.node(id).layer.path is not None:
            graph.set_aside(id)


def warn_unused(builder: GraphBuilder) -> None:
    """Warn of what was made for nothing, before it is pruned."""
    for made in builder.made:
        if not made.applied:
            builder.warn("W0001", f"this `{made.name}` layer is made, but never applied", made.span)
    graph = builder.graph
    kept = graph.live(builder.muted) | builder.aside.keys()  # of these another warning speaks
    for node in graph.nodes():
        if node.id not in kept and _has_weights(graph, node):
            message = "this layer has weights, but no output depends on it"
            builder.warn("W0003", message, node.span)


def warn_finished(builder: GraphBuilder) -> None:
    """Warn of what only the pruned graph shows."""
    _warn_counted(builder)
    _warn_idle_init(builder)


def _has_weights(graph: Graph, node: Node) -> bool:
    return node.op.opaque or bool(node.op.weights(*graph.operand_types(node.id)))


def _warn_counted(builder: GraphBuilder) -> None:
    """Once a net: names from counters change when a layer is inserted."""
    owners = {
        path[:length]
        for node in builder.graph.nodes()
        if _has_weights(builder.graph, node) and (path := node.layer.path) is not None
        for length in range(1, len(path) + 1)
    }
    weighty = [made for made in builder.register.counted if made.path in owners]
    if weighty:
        layers = "one layer" if len(weighty) == 1 else f"{len(weighty)} layers"
        builder.warn(
            "W0004",
            f"{layers} without a label: names in the state_dict as "
            f"`{'.'.join(weighty[0].path or ())}` are counted, and shift with the text",
            weighty[0].span,
            help="label layers with weights: `-> norm1: bn`",
        )


def _warn_idle_init(builder: GraphBuilder) -> None:
    """An `@init` that initialises nothing: what its author believes is not what is trained."""
    graph = builder.graph
    reach = reach_of(graph)
    if reach is None:
        _warn_inner_init(builder)
        return
    place = reach.annotation.span
    kept = ", ".join(f"{count} {name}" for name, count in reach.default)
    if reach.idle and not reach.reached:
        message = f"`@init` reaches no layer of `{graph.name}`"
        if kept:
            message += f": PyTorch's initial values stay ({kept})"
        builder.warn("W0008", message, place, help="remove it, or name what it is to initialise")
        return
    for name in reach.idle:
        if name in dict(reach.annotation.arguments):
            message = f"`{name}` of `@init` reaches no layer of `{graph.name}`"
            builder.warn("W0008", message, place, help=f"remove `{name}`")


def _warn_inner_init(builder: GraphBuilder) -> None:
    """The `@init` of a net does not apply where it is a block."""
    for region in builder.graph.regions.values():
        for annotation in region.annotations:
            if annotation.name == "init" and region.parent is not None:
                builder.warn(
                    "W0008",
                    f"the `@init` of `{region.block}` does not apply where it is a block",
                    Label(region.span, "PyTorch's initial values stay"),
                    Label(annotation.span),
                    help=f"give `{builder.graph.name}` an `@init`, which reaches all its layers",
                )


def _outputs(graph: Graph) -> Iterator[ArchError]:
    """A net gives one result for each sample of the batch."""
    for output in graph.outputs:
        if not graph.node(output.node).type.batched:
            yield error(
                "E0223",
                "a net cannot give a learned tensor: it has no batch axis",
                output.span,
                help="add it to a tensor, or multiply one by it",
            )


def _applications(graph: Graph) -> Iterator[tuple[Node, Path]]:
    """All applications of modules, of those that are kept for their weights, too."""
    for node in (*graph.nodes(), *(each.node for each in graph.unused.values())):
        if node.layer.path is not None:
            yield node, node.layer.path


def _shared_weights(graph: Graph) -> Iterator[ArchError]:
    """Applications of one module must have equal weight shapes."""
    shapes: dict[Path, tuple[Node, object]] = {}
    for node, path in _applications(graph):
        needed = node.op.sharing_key(*graph.operand_types(node.id))
        first, known = shapes.setdefault(path, (node, needed))
        if known != needed:
            yield error(
                "E0406",
                f"`{'.'.join(path)}` is applied to tensors that need different weights",
                Label(node.span, _operands_text(graph, node)),
                Label(first.span, _operands_text(graph, first)),
                help="a shared layer has one set of weights; make two layers instead of one",
            )


def _operands_text(graph: Graph, node: Node) -> str:
    return "applied to " + ", ".join(str(type_) for type_ in graph.operand_types(node.id))


def _same_children(graph: Graph) -> Iterator[ArchError]:
    """Applications of one module must make the same layers."""
    children: dict[int, set[Path]] = {id: set() for id in graph.regions}
    for node, path in _applications(graph):
        region = graph.regions[node.region]
        if path[: len(region.path)] == region.path:
            children[region.id].add(path)
    first: dict[Path, int] = {}
    for region in graph.regions.values():
        other = first.setdefault(region.path, region.id)
        if differing := children[region.id] ^ children[other]:
            yield error(
                "E0406",
                f"`{'.'.join(region.path)}` is applied twice, but only one application "
                f"makes `{min(differing)[-1]}`",
                Label(region.span, "applied here"),
                Label(graph.regions[other].span, "and here"),
                help="a module has one list of layers; make two layers instead of one",
            )


def _drop_paths(graph: Graph) -> Iterator[ArchError]:
    """drop_path drops a branch of a sum: its only reader is one, and none lies in another."""
    outputs = {output.node for output in graph.outputs}
    for node in drop_paths(graph):
        readers = [graph.node(user) for user, _ in graph.users(node.id)]
        if node.id in outputs or not all(isinstance(r.op, Add | Sum) for r in readers):
            yield error(
                "E0602",
                "the result of `drop_path` must be an operand of a sum",
                node.span,
                help="place it at the end of the residual branch: `skip + (y -> drop_path)`",
            )
        for inner in map(graph.node, branch_of(graph, node.id)):
            if isinstance(inner.op, DropPath):
                yield error(
                    "E0603",
                    "a `drop_path` inside the branch of another one",
                    Label(inner.span, "the inner one"),
                    Label(node.span, "the outer one"),
                    help="drop either the inner branch or the outer one",
                )


def _check_totals(graph: Graph, limits: Limits) -> None:
    """Refuse a net beyond the limits of parameters and multiply-accumulates, at the layer."""
    parameters = macs = 0
    for node, weights in graph.weights():
        parameters += sum(weight.elements for weight in weights)
        if parameters > limits.parameters:
            what = f"more than {limits.parameters:,} parameters"
            raise exceeded("E0905", what, node.span, "parameters")
    for node in graph.nodes():
        macs += node.op.macs(graph.operand_types(node.id), node.type) or 0
        if macs > limits.macs:
            what = f"more than {limits.macs:,} multiply-accumulates"
            raise exceeded("E0906", what, node.span, "macs")
