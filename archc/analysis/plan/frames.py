"""How long Python holds a value: until the name that it is bound to is bound again, or returns.

A module is called with its inputs, and the call holds them until it returns. A value that is read
once, by what comes next, is written inside its reader and has no name.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from archc.ir.graph import Graph
from archc.ir.regions import boundaries, chains


@dataclass(frozen=True, slots=True)
class _Item:
    """What a frame does at a time, an operator or a whole call: its first and last node."""

    first: int
    last: int


def released_after(graph: Graph) -> dict[int, int]:
    """For each node, the node after which no frame holds its value."""
    return dict(_Frames(graph).released())


class _Frames:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.around = chains(graph)
        self.edges = boundaries(graph)
        self.entered: dict[int, list[int]] = {}
        for region, edge in self.edges.items():
            for node in edge.reads:
                self.entered.setdefault(node, []).append(region)
        self.extent: dict[int, _Item] = {}
        for each in graph.nodes():
            for region in self.around[each.region]:
                first = self.extent[region].first if region in self.extent else each.id
                self.extent[region] = _Item(first, each.id)
        self.bound = self._bound()

    def released(self) -> Iterator[tuple[int, int]]:
        returned = {output.node for output in self.graph.outputs}
        for node in self.graph.nodes():
            ends = [self._end(region, node.id) for region in self._frames(node.id)]
            if node.id not in returned:
                yield node.id, max(ends, default=node.id)

    def _frames(self, node: int) -> list[int]:
        """The regions whose frames see a value: where it is made, those it leaves, those it
        enters."""
        frames = [self.graph.node(node).region]
        frames += self.entered.get(node, [])
        for region in self.around[frames[0]]:
            if node in self.edges[region].gives:
                parent = self.graph.regions[region].parent
                frames += [] if parent is None else [parent]
        return frames

    def _item(self, region: int, node: int) -> _Item:
        """What a frame does when a node runs: the node itself, or the call that it is in."""
        chain = self.around[self.graph.node(node).region]
        inside = chain[chain.index(region) + 1 :]
        return self.extent[inside[0]] if inside else _Item(node, node)

    def _end(self, region: int, node: int) -> int:
        """The node after which one frame has let go of a value."""
        items = [
            self._item(region, user)
            for user, _ in self.graph.users(node)
            if region in self.around[self.graph.node(user).region]
        ]
        last = max((item.last for item in items), default=node)
        if self._is_nested(region, node, items):
            return last
        names = self.bound[region].get(self._name(region, node), [])
        again = (bound for bound in names if bound > last or (bound == last and items))
        return next(again, self.extent[region].last)

    def _is_nested(self, region: int, node: int, items: list[_Item]) -> bool:
        """Whether a value is written inside its only reader, which comes next."""
        inside = region in self.around[self.graph.node(node).region]
        single = len(items) == 1 and len(self.graph.users(node)) == 1
        return inside and single and items[0].first == self._item(region, node).last + 1

    def _bound(self) -> dict[int, dict[str, list[int]]]:
        """For each region and name, the nodes after which the name is bound, in order."""
        bound: dict[int, dict[str, list[int]]] = {region: {} for region in self.graph.regions}
        for node in self.graph.nodes():
            for region in self._frames(node.id):
                if region in self.around[node.region]:
                    users = [
                        self._item(region, user)
                        for user, _ in self.graph.users(node.id)
                        if region in self.around[self.graph.node(user).region]
                    ]
                    if not self._is_nested(region, node.id, users):
                        name = self._name(region, node.id)
                        bound[region].setdefault(name, []).append(self._item(region, node.id).last)
        return bound

    def _name(self, region: int, node: int) -> str:
        """What a frame calls a value."""
        given = self.graph.regions[region].inputs
        if region not in self.around[self.graph.node(node).region]:
            return next((name for name, id in given if id == node), "")
        name = self.graph.node(node).name
        for inside in reversed(self.around[self.graph.node(node).region]):
            if inside == region:
                break
            if self.graph.regions[inside].block is not None:
                name = self.graph.regions[inside].name_of(node)
        return name
