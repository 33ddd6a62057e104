"""The canonical text of a graph: equal graphs give equal text, on every machine.

A line is a value, `%5 y: [64, 56, 56] = conv(64)(%4) @ layer1.0.conv1`: its number, the variable
that it was bound to, its shape, the operator and its operands, and the path of the layer if it is
an attribute of a module. Lines stand below the heading of their region, which has the values that
it reads and gives: `layer1.0: Bottleneck(planes=64)(%4: [64, 56, 56]) -> %16: [256, 56, 56]`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import takewhile

from archc.ir.graph import Graph, Hyper, Node, Output, Reference
from archc.ir.regions import boundaries, chains, find_region


def dump(graph: Graph, *, depth: int | None = None, path: str = "") -> str:
    """Nodes in order under their regions, numbered anew so that removed nodes leave no gap.

    `depth` closes the regions inside so many others: each is one line, with the number of its
    operators. `path` shows one region alone, as `features.denseblock1`, and `depth` counts inside
    of it. Raises ArchError if no region has that path.
    """
    lines = _Lines(graph, depth, path)
    return "\n".join([f"net {graph.name}({_arguments(graph.info.parameters)})", *lines]) + "\n"


def _kind(output: Output) -> str:
    return "return" if output.name is None else f"exit {output.name}"


def _arguments(parameters: tuple[tuple[str, Hyper], ...]) -> str:
    return ", ".join(f"{name}={hyper_text(value)}" for name, value in parameters)


def hyper_text(value: Hyper) -> str:
    """A compile-time value as the language would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, Reference):
        return value.name
    if isinstance(value, tuple):
        return f"[{', '.join(map(hyper_text, value))}]"
    return repr(value)


class _Lines:
    """The lines of a graph below its name."""

    def __init__(self, graph: Graph, depth: int | None, path: str) -> None:
        self.graph = graph
        self.numbers = {node.id: i for i, node in enumerate(graph.nodes())}
        self.chains = {id: chain[1:] for id, chain in chains(graph).items()}
        self.boundaries = boundaries(graph)
        self.sizes = Counter(id for node in graph.nodes() for id in self.chains[node.region])
        self.alone = find_region(graph, path) if path else []
        self.levels = None if depth is None else depth + bool(self.alone)

    def __iter__(self) -> Iterator[str]:
        yield from self._body()
        yield from self._unused()
        if not self.alone:
            for output in self.graph.outputs:
                yield f"{_kind(output)} %{self.numbers[output.node]}"

    def _body(self) -> Iterator[str]:
        above: tuple[int, ...] = ()
        closed: set[int] = set()
        for node in self.graph.nodes():
            chain = self._chain(node)
            if chain is None:
                continue
            opened = chain[: self.levels]
            pairs = zip(above, opened, strict=False)
            known = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            for level, region in enumerate(opened[known:], start=known + 1):
                yield f"{'  ' * level}{self._heading(region)}"
            above = opened
            indent = "  " * (len(opened) + 1)
            if opened == chain:
                yield f"{indent}{self._line(node)}"
            elif chain[len(opened)] not in closed:
                region = chain[len(opened)]
                closed.add(region)
                yield f"{indent}{self._heading(region)}, {_count(self.sizes[region])}"

    def _unused(self) -> Iterator[str]:
        """The layers that are made and not applied, with what they would be applied to."""
        for node, types in ((each.node, each.types) for each in self.graph.unused.values()):
            if self._chain(node) is not None:
                given = ", ".join(map(str, types))
                yield f"unused {node.type} = {node.op}({given}) @ {'.'.join(node.layer.path or ())}"

    def _chain(self, node: Node) -> tuple[int, ...] | None:
        """The regions around a node that have headings, outermost first; None if it is hidden."""
        chain = self.chains[node.region]
        if not self.alone:
            return chain
        return next((chain[i:] for i, region in enumerate(chain) if region in self.alone), None)

    def _heading(self, id: int) -> str:
        region, boundary = self.graph.regions[id], self.boundaries[id]
        block = f"{region.block}({_arguments(region.parameters)})" if region.block else "scope"
        reads, gives = self._values(boundary.reads), self._values(boundary.gives)
        return f"{'.'.join(region.path)}: {block}({reads}) -> {gives}"

    def _values(self, nodes: Iterable[int]) -> str:
        return ", ".join(f"%{self.numbers[id]}: {self.graph.node(id).type}" for id in nodes)

    def _line(self, node: Node) -> str:
        operands = ", ".join(f"%{self.numbers[id]}" for id in self.graph.operands(node.id))
        where = f" @ {'.'.join(node.layer.path)}" if node.layer.path else ""
        return f"%{self.numbers[node.id]} {node.name}: {node.type} = {node.op}({operands}){where}"


def _count(operators: int) -> str:
    return "1 operator" if operators == 1 else f"{operators} operators"
