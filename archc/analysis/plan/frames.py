"""How long Python holds a value: until the name that it is bound to is bound again, or returns.

A module is called with its inputs, and the call holds them until it returns. A value that is read
once, by what comes next, is written inside its reader and has no name.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from archc.ir.graph import Graph
from archc.ir.regions import boundaries, chains

_CALL = "call "


@dataclass(frozen=True, slots=True)
class _Item:
    """What a frame does at a time, an operator or a whole call: its first and last node."""

    first: int
    last: int


def released_after(graph: Graph) -> dict[int, int]:
    """The values that frames hold, each with the node after which none does."""
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
        self.rows = self._rows()
        self.bound: dict[int, dict[str, list[int]]] = {region: {} for region in graph.regions}
        self.chain: dict[tuple[int, int], tuple[str, ...]] = {}
        """What is written inside one line, by frame and value, for values without a name."""
        for each in graph.nodes():
            for region in self._frames(each.id):
                if region in self.around[each.region]:
                    self._write(region, each.id)

    def released(self) -> Iterator[tuple[int, int]]:
        """Each value that is held beyond its own uses, with the node that it is held through."""
        returned = {output.node for output in self.graph.outputs}
        for node in self.graph.nodes():
            frames = self._frames(node.id)
            end = max(self._end(region, node.id) for region in frames)
            named = any((region, node.id) not in self.chain for region in frames)
            read_last = end in {user for user, _ in self.graph.users(node.id)}
            if node.id not in returned and (named or not read_last):
                yield node.id, end

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
        inside = self._call(region, node)
        return _Item(node, node) if inside is None else self.extent[inside]

    def _rows(self) -> frozenset[int]:
        """The regions in which nothing is written but modules, one after the other."""
        loose = {n.region for n in self.graph.nodes() if n.layer.path is None}
        for node in self.graph.nodes():
            for region in self._frames(node.id):
                if region in self.around[node.region]:
                    users = self._users(region, node.id)
                    after = self._item(region, node.id).last + 1
                    if len(users) > 1 or any(user.first != after for user in users):
                        loose.add(region)
        return frozenset(self.graph.regions) - loose

    def _users(self, region: int, node: int) -> list[_Item]:
        """What a frame does with a value."""
        return [
            self._item(region, user)
            for user, _ in self.graph.users(node)
            if region in self.around[self.graph.node(user).region]
        ]

    def _end(self, region: int, node: int) -> int:
        """The node after which one frame has let go of a value."""
        last = max((item.last for item in self._users(region, node)), default=node)
        if (region, node) in self.chain:
            return last
        names = self.bound[region].get(self._name(region, node), [])
        again = (bound for bound in names if bound >= last and bound > node)
        return next(again, self.extent[region].last)

    def _write(self, region: int, node: int) -> None:
        """Decide whether a frame has a name for a value that it computes."""
        item = self._item(region, node)
        inside = self._call(region, node)
        reads = self.graph.operands(node) if inside is None else self.edges[inside].reads
        nested = (op for read in reads for op in self.chain.get((region, read), ()))
        ops = (*nested, self._kind(region, node))
        users = self._users(region, node)
        alone = len(users) == 1 and len(self.graph.users(node)) == 1
        if alone and users[0].first == item.last + 1 and not self._restarts(region, users[0], ops):
            self.chain[region, node] = ops
        else:
            self.bound[region].setdefault(self._name(region, node), []).append(item.last)

    def _restarts(self, region: int, user: _Item, ops: tuple[str, ...]) -> bool:
        """Whether a line ends before a reader: it has one of its kind, or blocks follow operators.

        So emitted code is written: `y = conv1(relu(norm1(x)))`, and the second norm is on a line of
        its own. A region of modules in a row is an `nn.Sequential`, and has no lines.
        """
        if region in self.rows:
            return False
        kind, inside = self._kind(region, user.first), self._call(region, user.first)
        if inside is None and self.graph.node(user.first).layer.path is None:
            return False
        calls = [op for op in ops if op.startswith(_CALL)]
        return len(ops) > 1 and (kind in ops or (inside is not None and not calls))

    def _call(self, region: int, node: int) -> int | None:
        """The region inside of a frame's own that a node is in, if it is in one."""
        chain = self.around[self.graph.node(node).region]
        return next(iter(chain[chain.index(region) + 1 :]), None)

    def _kind(self, region: int, node: int) -> str:
        inside = self._call(region, node)
        if inside is None:
            return self.graph.node(node).op.name
        return f"{_CALL}{self.graph.regions[inside].block}"

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
