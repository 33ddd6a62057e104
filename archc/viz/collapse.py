"""Graph -> Picture: what stays apart, what becomes one box, and which values flow between boxes.

Three rules make a picture small. A region that is not open is one box. Consecutive applications of
one block, each reading the one before, are one box. An operator that keeps the shape of its only
operand joins the operator before it if nothing else reads that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from archc.analysis.cost import Costs, costs_of, exit_costs, output_names
from archc.diagnostics import error
from archc.ir.graph import Graph, Input, Node, Path, Region
from archc.viz import text
from archc.viz.picture import Box, Edge, Frame, Kind, Picture
from archc.viz.regions import View, choose_view

MAX_BOXES = 2_000
MAX_EDGES = 8_000
"""Beyond these a picture takes minutes to lay out, and nobody could read it."""


@dataclass(eq=False, slots=True)
class Group:
    """The nodes of one box; `regions` are the collapsed ones, none for operators."""

    parent: Region
    regions: list[Region] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)


def picture_of(graph: Graph, open_regions: Sequence[str] = ()) -> Picture:
    """The picture of a graph, the named regions open. Raises ArchError for an unknown region, and
    where there would be too many boxes to draw."""
    view = choose_view(graph, open_regions)
    groups = _join(graph, _fold(view, _groups(view)))
    _check_size(groups, view)
    index = {node.id: i for i, group in enumerate(groups) for node in group.nodes}
    edges = _edges(graph, index)
    if len(edges) > MAX_EDGES:
        raise _too_large(f"{len(edges):,} edges", f"{MAX_EDGES:,}", groups, view)
    costs = costs_of(graph)
    frames, frame_of = _frames(view, groups)
    boxes = _boxes(graph, groups, costs, frame_of)
    first_output = len(boxes)
    boxes += _output_boxes(graph, costs)
    edges += [
        Edge(index[output.node], first_output + i, str(graph.node(output.node).type))
        for i, output in enumerate(graph.outputs)
    ]
    return Picture(graph.name, tuple(boxes), tuple(edges), tuple(frames))


# ------------------------------------------------------------------ grouping


def _groups(view: View) -> list[Group]:
    """One group for each operator and each collapsed region, in the order of execution."""
    groups: dict[tuple[str, int], Group] = {}
    for node in view.graph.nodes():
        parent, hidden = view.place(node)
        key = ("region", hidden.id) if hidden else ("node", node.id)
        group = groups.setdefault(key, Group(parent, [hidden] if hidden else []))
        group.nodes.append(node)
    return list(groups.values())


def _fold(view: View, groups: list[Group]) -> list[Group]:
    """Put consecutive applications of one block into one group, unless each was asked for."""
    folded: list[Group] = []
    for group in groups:
        last = folded[-1] if folded else None
        if last is not None and _continues(view, last, group):
            last.regions += group.regions
            last.nodes += group.nodes
        else:
            folded.append(group)
    return folded


def _continues(view: View, last: Group, group: Group) -> bool:
    """Whether a group is one more application of the block before it, and reads it."""
    if last.parent is not group.parent or group.parent.id in view.asked:
        return False
    if not last.regions or not group.regions:
        return False
    block = group.regions[0].block
    if block is None or block != last.regions[-1].block:
        return False
    before = {node.id for node in last.nodes}
    return any(before.intersection(view.graph.operands(node.id)) for node in group.nodes)


def _join(graph: Graph, groups: list[Group]) -> list[Group]:
    """Put elementwise operators into the group of the operator before them."""
    at = {group.nodes[0].id: group for group in groups if not group.regions}
    given = {output.node for output in graph.outputs}
    kept: list[Group] = []
    for group in groups:
        node = group.nodes[0]
        operands = () if group.regions else graph.operands(node.id)
        before = at.get(operands[0]) if len(operands) == 1 else None
        if before is None or not _joins(graph, before, group, given):
            kept.append(group)
            continue
        before.nodes.append(node)
        at[node.id] = before
    return kept


def _joins(graph: Graph, before: Group, group: Group, given: set[int]) -> bool:
    (node,) = group.nodes
    producer = before.nodes[-1]
    return (
        before.parent is group.parent
        and not isinstance(producer.op, Input)
        and producer.id not in given
        and len(graph.users(producer.id)) == 1
        and node.op.channel_rule == "same"
        and node.type == producer.type
    )


def _check_size(groups: list[Group], view: View) -> None:
    if len(groups) > MAX_BOXES:
        raise _too_large(f"{len(groups):,} boxes", f"{MAX_BOXES:,}", groups, view)


def _too_large(what: str, most: str, groups: list[Group], view: View) -> Exception:
    """A diagnostic that names the open region with the most boxes: it should be collapsed."""
    sizes: dict[int, int] = {}
    for group in groups:
        sizes[group.parent.id] = sizes.get(group.parent.id, 0) + 1
    fullest = max(sizes, key=lambda id: sizes[id])
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


def _boxes(graph: Graph, groups: list[Group], costs: Costs, frame_of: dict[int, int]) -> list[Box]:
    boxes: list[Box] = []
    seen: set[Path] = set()
    for group in groups:
        params, shared = _weights(group, costs, seen)
        weights = text.weights(params, shared=shared)
        if group.regions:
            lines = _region_lines(graph, group, weights)
        else:
            lines = [*_operator_lines(group), *weights]
        boxes.append(Box(tuple(lines), _kind(graph, group), frame_of.get(group.parent.id)))
    return boxes


def _weights(group: Group, costs: Costs, seen: set[Path]) -> tuple[int, bool]:
    """The parameters that a group is the first to apply, and whether it applies others too."""
    paths = {node.layer.path: None for node in group.nodes if node.layer.path in costs.weights}
    mine = [path for path in paths if path is not None and path not in seen]
    seen.update(mine)
    return sum(costs.weights[path].params for path in mine), len(mine) < len(paths)


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


def _region_lines(graph: Graph, group: Group, weights: list[str]) -> list[str]:
    """What is hidden: its name, how often it repeats, and how the channels change; then its
    block, if the title has no room for that, and its weights."""
    first, last = group.regions[0], group.regions[-1]
    prefix = group.parent.path
    name = text.range_of(text.relative(first.path, prefix), text.relative(last.path, prefix))
    channels = _channels(graph, group)
    repeat, block = len(group.regions), first.block
    if repeat == 1:
        repeat, inner = _repeated(graph, first)
        if repeat > 1 and block is not None:
            return [f"{name} x{repeat}{channels}", ", ".join([block, *weights])]
        block = inner or block
    what = f"{repeat} x {block}" if repeat > 1 else block or ""
    return [f"{name}: {what}{channels}" if what else f"{name}{channels}", *weights]


def _repeated(graph: Graph, region: Region) -> tuple[int, str | None]:
    """How many applications of one block a region consists of, and the block's name."""
    children = [child for child in graph.regions.values() if child.parent == region.id]
    blocks = {child.block for child in children}
    if len(children) < 2 or len(blocks) != 1:
        return 1, None
    return len(children), children[0].block


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
