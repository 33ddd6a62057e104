"""What reads what inside of each module, in words that another net with the same modules shares.

A value is named by where it comes from: a layer by its path, a function by its operands, another
module by its path and the place of its result, an operand of the block by its position. Names stop
at the border of a module, so that a change in one leaves the descriptions of all others as they
are. A layer without weights is a function, whatever its label. A sum has its operands in any order,
whether it is written at once or pair by pair; and so have products, minima and maxima.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from archc.ir.graph import Graph, Node, Path, Region
from archc.ir.regions import boundaries, chains, receivers
from archc.ops.arithmetic import Add, Sum
from archc.ops.op import Op
from archc.ops.pooling import GlobalPool
from archc.ops.tensor import Flatten


@dataclass(frozen=True, slots=True)
class Connection:
    """Who in a region reads which values, by their names; the last word of its path is for people.

    A module reads its operands one by one; `module` is its name, as the region has it.
    """

    kind: Literal["function", "layer", "module", "result", "output"]
    path: Path
    operands: tuple[str, ...]
    module: str = ""


class ValueNames:
    """The names of a graph's values, each as the region that reads it calls it.

    `own` are the names of nodes in their own regions. Those of functions are hashes of what they
    compute, until `archc.analysis.alignment` gives the functions that two graphs share one name.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.chains = chains(graph)
        self.boundaries = boundaries(graph)
        self.receivers = receivers(graph)
        self.inputs = {node.id: i for i, node in enumerate(graph.inputs())}
        self.modules = _numbered((r.id, r.parent, r.path) for r in graph.regions.values())
        self.layers = _numbered((n.id, n.region, n.layer.path) for n in graph.nodes())
        self.kept = frozenset(
            node.layer.path for node in graph.nodes() if node.op.opaque and node.layer.path
        ) | frozenset(node.layer.path for node, _ in graph.weights() if node.layer.path)
        self.parts = self._parts()
        self.inside: dict[int, list[Node]] = {id: [] for id in graph.regions}
        for node in graph.nodes():
            if node.id not in self.parts:
                self.inside[node.region].append(node)
        self.below: dict[int, list[Region]] = {id: [] for id in graph.regions}
        for region in graph.regions.values():
            if region.parent is not None:
                self.below[region.parent].append(region)
        self.own: dict[int, str] = {}
        for node in graph.nodes():  # operands first
            if node.id not in self.parts:
                self.own[node.id] = self._own_name(node)

    def is_function(self, node: Node) -> bool:
        """Whether a node is neither an input nor a layer whose weights or class are its own."""
        return node.layer.path not in self.kept and node.id not in self.inputs

    def word(self, node: Node) -> str:
        """The text of an operator; a sum is `add`, however it is written, and the vector of a
        global pool that keeps its axes is that of one that does not."""
        if isinstance(node.op, Flatten):
            (operand,) = self.graph.operands(node.id)
            pool = self.graph.node(operand).op
            if operand in self.parts and isinstance(pool, GlobalPool):
                return str(replace(pool, keep=False))
        return Add.name if isinstance(node.op, Sum) else str(node.op)

    def functions(self, region: int) -> list[Node]:
        """The functions directly in a region, operands first; of a sum of sums the whole."""
        return [node for node in self.inside[region] if self.is_function(node)]

    def count(self, node: Node) -> int:
        """How many functions one is: a sum of three tensors is two of two tensors."""
        return max(1, len(self.sources(node.id)) - 1) if node.op.commutes else 1

    def sources(self, node: int) -> list[int]:
        """The operands of a node; of a sum that is an operand of a sum, its own."""
        found = []
        left = list(self.graph.operands(node)[::-1])
        while left:
            operand = left.pop()
            if operand in self.parts:
                left += self.graph.operands(operand)[::-1]
            else:
                found.append(operand)
        return found

    def readers(self, node: int) -> Iterator[int]:
        """The nodes of which one is a source."""
        for user, _ in self.graph.users(node):
            yield self.parts.get(user, user)

    def operands(self, node: Node) -> tuple[str, ...]:
        """What a node reads, in the words of its region."""
        region = self.graph.regions[node.region]
        found = [self.name(operand, region) for operand in self.sources(node.id)]
        return tuple(sorted(found) if node.op.commutes else found)

    def name(self, node: int, reader: Region) -> str:
        """What a region calls a value, which stands in it, inside of it, or around it."""
        here, there = self.chains[reader.id], self.chains[self.graph.node(node).region]
        if here == there:
            return self.own[node]
        if there[: len(here)] == here:
            inner = there[len(here)]
            return f"{self.modules[inner]}[{self._place(node, inner)}]"
        for i, (_, operand) in enumerate(reader.inputs):
            if operand == node:
                return f"operand {i}"
        assert reader.parent is not None
        return f"outside {self.name(node, self.graph.regions[reader.parent])}"

    def known(self, region: Region) -> frozenset[str]:
        """The names of all values that something in a region can read, those outside left out."""
        found = {self.own[node.id] for node in self.inside[region.id]}
        found |= {f"operand {i}" for i in range(len(region.inputs))}
        for inner in self.below[region.id]:
            places = {self._place(node, inner.id) for node in self.boundaries[inner.id].gives}
            places |= {f"result {i}" for i in range(len(inner.results))}
            found |= {f"{self.modules[inner.id]}[{place}]" for place in places}
        return frozenset(found)

    def readings(self, region: Region) -> dict[str, Connection]:
        """Who in a region reads what, and what it gives, each under a name of its own."""
        found: dict[str, Connection] = {}
        for node in self.inside[region.id]:
            if node.id not in self.inputs:
                path, operands = node.layer.path, self.operands(node)
                found[self.own[node.id]] = (
                    Connection("function", (self.word(node),), operands)
                    if path is None or self.is_function(node)
                    else Connection("layer", path, operands)
                )
        for inner in self.below[region.id]:
            module, reads = self.modules[inner.id], self.boundaries[inner.id].reads
            for i, (_, operand) in enumerate(inner.inputs):
                if operand in reads:  # else it may be gone, with all that made it
                    value = self.name(operand, region)
                    found[f"{module}.{i}"] = Connection("module", inner.path, (value,), module)
        if region.parent is None:
            outputs = zip(self.graph.output_names(), self.graph.outputs, strict=True)
            for name, out in outputs:
                value = self.name(out.node, region)
                found[f"output {name}"] = Connection("output", (name,), (value,))
            return found
        for i, result in enumerate(region.results):
            if result in self.boundaries[region.id].gives:
                value = self.name(result, region)
                found[f"result {i}"] = Connection("result", ("result",), (value,))
        others = (id for id in self._read_outside(region) if id not in region.results)
        names = tuple(sorted(self.name(id, region) for id in others))
        found["others"] = Connection("result", ("result",), names)
        return found

    def _parts(self) -> dict[int, int]:
        """The sums that only another sum in their region reads, each with the whole that it is a
        part of; and so products and the like."""
        graph = self.graph
        named = {output.node for output in graph.outputs}
        for region in graph.regions.values():
            named.update((*region.results, *(operand for _, operand in region.inputs)))
        found: dict[int, int] = {}
        for node in reversed(list(graph.nodes())):
            users = graph.users(node.id)
            if len(users) == 1 and node.id not in named and self.is_function(node):
                user = graph.node(users[0][0])
                here = user.region == node.region and self.is_function(user)
                if here and _is_part(node.op, user.op):
                    found[node.id] = found.get(user.id, user.id)
        return found

    def _own_name(self, node: Node) -> str:
        if node.id in self.inputs:
            return f"input {self.inputs[node.id]}"
        if not self.is_function(node):
            return self.layers[node.id]
        text = f"{self.word(node)}({', '.join(self.operands(node))})"
        return f"{node.op.name} {hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def _place(self, node: int, region: int) -> str:
        """Which value that leaves a region one is: a result by its position, else by name."""
        around = self.graph.regions[region]
        if node in around.results:
            return f"result {around.results.index(node)}"
        return self.name(node, around)

    def _read_outside(self, region: Region) -> Iterator[int]:
        """The values that leave a region for more than an output of the net."""
        for node in self.boundaries[region.id].gives:
            users = (self.graph.node(user).region for user, _ in self.graph.users(node))
            if any(region.id not in self.chains[user] for user in users):
                yield node


def _is_part(op: Op, of: Op) -> bool:
    """Whether an operator is a part of the only one that reads it."""
    if isinstance(op, GlobalPool):
        return op.keep and isinstance(of, Flatten)
    return op.commutes and (type(op) is type(of) or {type(op), type(of)} == {Add, Sum})


def by_path(regions: Iterable[Region]) -> dict[Path, list[Region]]:
    """The applications of each module."""
    found: dict[Path, list[Region]] = {}
    for region in regions:
        found.setdefault(region.path, []).append(region)
    return found


def _numbered(items: Iterable[tuple[int, int | None, Path | None]]) -> dict[int, str]:
    """The path of each item, with its number among those of one path in one region."""
    seen: Counter[tuple[int | None, Path]] = Counter()
    found = {}
    for id, region, path in items:
        if path is not None:
            found[id] = f"{'.'.join(path)}({seen[region, path]})"
            seen[region, path] += 1
    return found
