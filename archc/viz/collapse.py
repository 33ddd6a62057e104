"""Graph -> Picture: the groups of nodes as boxes with their words, and the values between them."""

from collections.abc import Sequence
from dataclasses import replace

from archc.analysis.cost import Costs, costs_of, exit_costs, params_text
from archc.diagnostics import ArchError, error
from archc.ir.graph import Graph, Input, Node
from archc.viz import captions, labels
from archc.viz.figures import figures_of, scale
from archc.viz.grouping import Group, groups_of
from archc.viz.picture import Box, BoxKind, Color, Edge, Frame, Layout, Picture
from archc.viz.spatial import Spatial, in_order, needs_rows, size_of, size_text, sizes_of
from archc.viz.view import View, choose_view

MAX_BOXES = 2_000
MAX_EDGES = 8_000
"""Beyond these a picture takes minutes to lay out, and nobody could read it."""


def picture_of(
    graph: Graph,
    open_regions: Sequence[str] = (),
    layout: Layout = Layout.AUTO,
    color: Color = Color.KIND,
) -> Picture:
    """The picture of a graph, the named regions open. Raises ArchError for an unknown region, and
    where there would be too many boxes to draw.

    Without a word on the layout, a net with exits or several sizes alive at once becomes a grid.
    """
    if layout is not Layout.FLOW:
        view = choose_view(graph, open_regions, by_size=True)
        groups = _groups(view)
        sizes = sizes_of(graph, [[node.id for node in group.nodes] for group in groups])
        if layout is Layout.GRID or needs_rows(graph, sizes, list(_values(graph, groups))):
            return _picture(view, groups, color, sizes)
    view = choose_view(graph, open_regions)
    return _picture(view, _groups(view), color, None)


def _groups(view: View) -> list[Group]:
    groups = groups_of(view)
    if len(groups) > MAX_BOXES:
        raise _too_large(f"{len(groups):,} boxes", f"{MAX_BOXES:,}", groups, view)
    return groups


def _picture(
    view: View, groups: list[Group], color: Color, sizes: Sequence[Spatial | None] | None
) -> Picture:
    """With the sizes of its groups a grid, else a flow."""
    graph = view.graph
    edges = [
        Edge(source, target, labels.types(node.type for node in nodes.values()))
        for (source, target), nodes in sorted(_values(graph, groups).items())
    ]
    if len(edges) > MAX_EDGES:
        raise _too_large(f"{len(edges):,} edges", f"{MAX_EDGES:,}", groups, view)
    costs = costs_of(graph)
    figures = figures_of(graph, groups, costs)
    tones: Sequence[int | None] = [None] * len(groups)
    legend = None
    if color is not Color.KIND:
        tones, legend = scale(color, [found.value(color) for found in figures])
    frames, frame_of = _frames(view, groups) if sizes is None else ([], {})
    words = captions.wide if sizes is None else captions.narrow
    boxes = [
        Box(
            tuple(words(view, group, found.lines(color))),
            _kind(graph, group),
            frame_of.get(group.parent.id),
            tone=tone,
            details=captions.details(graph, group, found.details()),
        )
        for group, found, tone in zip(groups, figures, tones, strict=True)
    ]
    at = {node.id: i for i, group in enumerate(groups) for node in group.nodes}
    edges += [
        Edge(at[output.node], len(boxes) + i, str(graph.node(output.node).type))
        for i, output in enumerate(graph.outputs)
    ]
    boxes += _output_boxes(graph, costs)
    picture = Picture(
        graph.name,
        tuple(boxes),
        tuple(edges),
        tuple(frames),
        legend=legend,
        caption=_caption(graph, costs),
    )
    if sizes is None:
        return picture
    given = [size_of(graph.node(output.node).type) for output in graph.outputs]
    return _in_rows(picture, [*sizes, *given])


def _in_rows(picture: Picture, sizes: Sequence[Spatial | None]) -> Picture:
    """The picture with a row for each size. Vectors that lead to outputs only hang below the rows,
    as classifiers do; others have the last row."""
    hang = [not size for size in sizes]
    for edge in sorted(picture.edges, key=lambda edge: edge.source, reverse=True):
        hang[edge.source] = hang[edge.source] and hang[edge.target]
    order = in_order(size or () for size, hangs in zip(sizes, hang, strict=True) if not hangs)
    boxes = [
        replace(box, row=None if hangs else order.index(size or ()))
        for box, size, hangs in zip(picture.boxes, sizes, hang, strict=True)
    ]
    return replace(picture, boxes=tuple(boxes), rows=tuple(map(size_text, order)))


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


def _values(graph: Graph, groups: Sequence[Group]) -> dict[tuple[int, int], dict[int, Node]]:
    """The values between groups: for each two, the nodes of one that the other reads."""
    at = {node.id: i for i, group in enumerate(groups) for node in group.nodes}
    values: dict[tuple[int, int], dict[int, Node]] = {}
    for node in graph.nodes():
        target = at[node.id]
        for operand in graph.operands(node.id):
            if at[operand] != target:
                values.setdefault((at[operand], target), {})[operand] = graph.node(operand)
    return values


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
            label = labels.relative(region.path, parent.path)
            label += f": {region.block}" if region.block else ""
            frame_of[region.id] = len(frames)
            frames.append(Frame(label, frame_of.get(region.parent)))
    return frames, frame_of


def _kind(graph: Graph, group: Group) -> BoxKind:
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


def _caption(graph: Graph, costs: Costs) -> str:
    """The parameters of a net of several outputs: the boxes have what each of them needs alone."""
    if len(graph.outputs) == 1:
        return ""
    return f"{params_text(costs.total())} params in all; at each output, those that it needs alone"


def _output_boxes(graph: Graph, costs: Costs) -> list[Box]:
    """What the net gives; of several outputs, each with what it costs alone."""
    names = graph.output_names()
    figures = exit_costs(graph, costs)
    return [
        Box(
            (name if output.name is None else f"exit {name}", *labels.cost(cost.lazy)),
            "output" if output.name is None else "exit",
        )
        for name, output, cost in zip(names, graph.outputs, figures, strict=True)
    ]
