"""Graph -> Picture: the groups of nodes as boxes with their words, and the values between them."""

from collections.abc import Sequence

from archc.analysis.cost import Cost, Costs, costs_of, exit_costs, output_names, total
from archc.analysis.table import range_label
from archc.diagnostics import ArchError, error
from archc.ir.graph import Graph, Input, Node, Path
from archc.viz import text
from archc.viz.grouping import Group, groups_of
from archc.viz.picture import Box, Edge, Frame, Kind, Picture
from archc.viz.regions import View, choose_view

MAX_BOXES = 2_000
MAX_EDGES = 8_000
"""Beyond these a picture takes minutes to lay out, and nobody could read it."""


def picture_of(graph: Graph, open_regions: Sequence[str] = ()) -> Picture:
    """The picture of a graph, the named regions open. Raises ArchError for an unknown region, and
    where there would be too many boxes to draw."""
    view = choose_view(graph, open_regions)
    groups = groups_of(view)
    _check_size(groups, view)
    index = {node.id: i for i, group in enumerate(groups) for node in group.nodes}
    edges = _edges(graph, index)
    if len(edges) > MAX_EDGES:
        raise _too_large(f"{len(edges):,} edges", f"{MAX_EDGES:,}", groups, view)
    costs = costs_of(graph)
    frames, frame_of = _frames(view, groups)
    boxes = _boxes(view, groups, costs, frame_of)
    first_output = len(boxes)
    boxes += _output_boxes(graph, costs)
    edges += [
        Edge(index[output.node], first_output + i, str(graph.node(output.node).type))
        for i, output in enumerate(graph.outputs)
    ]
    return Picture(graph.name, tuple(boxes), tuple(edges), tuple(frames))


def _check_size(groups: list[Group], view: View) -> None:
    if len(groups) > MAX_BOXES:
        raise _too_large(f"{len(groups):,} boxes", f"{MAX_BOXES:,}", groups, view)


def _too_large(what: str, most: str, groups: list[Group], view: View) -> ArchError:
    """A diagnostic that names the open region with the most boxes: it should be collapsed."""
    sizes: dict[int, int] = {}
    for group in groups:
        sizes[group.parent.id] = sizes.get(group.parent.id, 0) + 1
    fullest = max(sizes, key=sizes.__getitem__)
    region = view.graph.regions[fullest]
    if region.parent is None:
        help = (
            f"{sizes[fullest]:,} of its boxes stand in the net itself: put what belongs together "
            f"into a block or a scope, which is drawn as one box"
        )
    else:
        path = ".".join(region.path)
        help = f"`{path}` alone has {sizes[fullest]:,} boxes: leave it closed"
    return error("E0812", f"the picture would have {what}, more than {most}", help=help)


# --------------------------------------------------------- boxes, edges, frames


def _edges(graph: Graph, index: dict[int, int]) -> list[Edge]:
    """The values between groups; several between the same two are one edge."""
    values: dict[tuple[int, int], dict[int, Node]] = {}
    for node in graph.nodes():
        target = index[node.id]
        for operand in graph.operands(node.id):
            source = index[operand]
            if source != target:
                values.setdefault((source, target), {})[operand] = graph.node(operand)
    return [
        Edge(source, target, text.types(node.type for node in nodes.values()))
        for (source, target), nodes in sorted(values.items())
    ]


def _frames(view: View, groups: list[Group]) -> tuple[list[Frame], dict[int, int]]:
    """A frame for each open region but the net, and the number of each region's frame."""
    frames: list[Frame] = []
    frame_of: dict[int, int] = {}
    for group in groups:
        for region in view.around[group.parent.id][1:]:
            if region.id in frame_of:
                continue
            assert region.parent is not None
            parent = view.graph.regions[region.parent]
            label = text.relative(region.path, parent.path)
            label += f": {region.block}" if region.block else ""
            frame_of[region.id] = len(frames)
            frames.append(Frame(label, frame_of.get(region.parent)))
    return frames, frame_of


def _boxes(view: View, groups: list[Group], costs: Costs, frame_of: dict[int, int]) -> list[Box]:
    boxes: list[Box] = []
    seen: set[Path] = set()
    for group in groups:
        cost, shared = _weights(group, costs, seen)
        weights = text.weights(cost, shared=shared)
        if group.regions:
            lines = _region_lines(view, group, weights)
        else:
            lines = [*_operator_lines(group), *weights]
        boxes.append(Box(tuple(lines), _kind(view.graph, group), frame_of.get(group.parent.id)))
    return boxes


def _weights(group: Group, costs: Costs, seen: set[Path]) -> tuple[Cost, bool]:
    """What the weights cost that a group is the first to apply; whether it applies others, too."""
    paths = {node.layer.path: None for node in group.nodes if node.layer.path in costs.weights}
    mine = [path for path in paths if path is not None and path not in seen]
    seen.update(mine)
    return total(costs.weights[path] for path in mine), len(mine) < len(paths)


def _operator_lines(group: Group) -> list[str]:
    """One line for each operator, labelled ones with their place in the region."""
    lines = []
    for node in group.nodes:
        label = text.relative(node.layer.path, group.parent.path) if node.layer.path else ""
        if isinstance(node.op, Input):
            lines.append(node.name)
        else:
            lines.append(f"{label}: {node.op}" if label else str(node.op))
    return lines


def _region_lines(view: View, group: Group, weights: list[str]) -> list[str]:
    """What is hidden: its name, how often it repeats, and how the channels change; then its
    block, if the title has no room for that, and its weights."""
    first, last = group.regions[0], group.regions[-1]
    prefix = group.parent.path
    name = range_label(text.relative(first.path, prefix), text.relative(last.path, prefix))
    channels = _channels(view.graph, group)
    repeat, block = len(group.regions), first.block
    if repeat == 1:
        repeat, inner = view.repeated(first)
        if repeat > 1 and block is not None:
            return [f"{name} x{repeat}{channels}", ", ".join([block, *weights])]
        block = inner or block
    what = f"{repeat} x {block}" if repeat > 1 else block or ""
    return [f"{name}: {what}{channels}" if what else f"{name}{channels}", *weights]


def _channels(graph: Graph, group: Group) -> str:
    """`, 256 -> 1024`: the channels of the first value that is read, and of the last one given."""
    inside = {node.id for node in group.nodes}
    given = {output.node for output in graph.outputs}
    read = [
        operand
        for node in group.nodes
        for operand in graph.operands(node.id)
        if operand not in inside
    ]
    left = [
        node
        for node in group.nodes
        if node.id in given or any(user not in inside for user, _ in graph.users(node.id))
    ]
    if not read or not left:
        return ""
    return f", {graph.node(read[0]).type.channels} -> {left[-1].type.channels}"


def _kind(graph: Graph, group: Group) -> Kind:
    """By what the first operator does, not by its name."""
    if group.regions:
        return "block"
    node = group.nodes[0]
    types = graph.operand_types(node.id)
    if isinstance(node.op, Input):
        return "input"
    if len(types) > 1:
        return "join"
    if node.op.macs(types, node.type) != 0 or not types:
        return "weights"
    return "elementwise" if types[0] == node.type else "resample"


def _output_boxes(graph: Graph, costs: Costs) -> list[Box]:
    """What the net gives; of several outputs, each with what it costs alone."""
    names = output_names(graph.outputs)
    figures = exit_costs(graph, costs)
    return [
        Box(
            (name if output.name is None else f"exit {name}", *text.cost(cost)),
            "output" if output.name is None else "exit",
        )
        for name, output, cost in zip(names, graph.outputs, figures, strict=True)
    ]
