"""How much of the language a run of generated specs has covered."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from archc.ir.graph import Graph
from archc.ir.sharing import Sharing
from archc.ops.registry import OPS
from archc.ops.size import Size
from archc.testing import Spec


@dataclass
class Coverage:
    """How many specs had what, read off the graphs and the emitted text."""

    ops: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)
    specs: int = 0
    nodes: int = 0

    def add(self, spec: Spec, graph: Graph, text: str, sharing: Sharing) -> None:
        """A spec with its graph and text as they are without passes, and what passes found."""
        self.specs += 1
        self.nodes += len(graph)
        self.ops.update(node.op.name for node in graph.nodes())
        found = {*features_of(graph, text), *_declared(spec.text), *_shared(graph, sharing)}
        self.features.update(found)

    def rare(self, specs: int) -> dict[str, int]:
        """What was seen too seldom, by name, for a run of so many specs."""
        least = {name: count * specs // SPECS for name, count in LEAST.items()}
        few = {name: self.features[name] for name in least if self.features[name] < least[name]}
        return few | {name: self.ops[name] for name in OPS if self.ops[name] < 5}

    def __str__(self) -> str:
        lines = [f"\n{self.specs} generated specs, {self.nodes} nodes"]
        lines += [f"  {name:<28} in {self.features[name]:>4} specs" for name in LEAST]
        lines += [f"  {name:<28} {self.ops[name]:>4} times" for name in OPS]
        return "\n".join(lines)


SPECS = 250
LEAST = {
    "concat of three or more": 75,
    "shared layer": 50,
    "shared block": 8,
    "exits": 25,
    "repeated region": 13,
    "rolled loop": 13,
    "loop of several tensors": 5,
    "shared layers in turns": 13,
    "symbolic size": 25,
    "several inputs": 25,
    "several outputs": 25,
    "layer passed along": 13,
    "list of layers": 13,
    "scope": 25,
    "block": 75,
    "nested blocks": 13,
    "block in itself": 5,
    "net as a block": 5,
    "imported block": 8,
    "constant": 13,
    "variant": 25,
    "1 axis": 13,
    "2 axes": 50,
    "3 axes": 13,
    "vector": 3,
    "dense block": 50,
    "basic dense layer": 20,
    "bottleneck": 20,
    "dense layer with dropout": 5,
    "widths that differ in a block": 13,
    "norm and relu behind a block": 20,
    "pool in one with these": 3,
    "shared concat": 75,
    "rebuilt activation": 30,
    "pool before conv": 5,
}
"""In how many of so many specs each has to be, at least."""


def features_of(graph: Graph, text: str) -> Iterator[str]:
    nodes, inputs, outputs = list(graph.nodes()), graph.inputs(), graph.outputs
    modules = Counter(region.path for region in graph.regions.values())
    uses = Counter(node.layer.path for node in nodes if node.layer.path)
    weights = {node.layer.path or () for node, _ in graph.weights()}
    found = {
        "shared layer": any(uses[p] > 1 and modules[p[:-1]] <= 1 for p in weights),
        "shared block": max(modules.values()) > 1,
        "concat of three or more": any(
            node.op.name == "concat" and len(graph.operands(node.id)) > 2 for node in nodes
        ),
        "exits": any(output.name for output in outputs),
        "symbolic size": any(isinstance(n, Size) for node in inputs for n in node.type.shape),
        "rolled loop": re.search(
            r"\bfor \w+(, .*)? in ", text.split("for module in self.modules", maxsplit=1)[0]
        ),
        "shared layers in turns": any(uses[p] > 2 for p in weights),
        "loop of several tensors": re.search(r" for .*\n +\w+, \w+.* = (layer|child)\(", text),
        "several inputs": len(inputs) > 1,
        "several outputs": len(outputs) > 1,
        "list of layers": "nn.ModuleList" in text,
        "layer passed along": any(
            node.layer.path and not _inside(graph, node.region, node.layer.path) for node in nodes
        ),
    }
    yield from (name for name, holds in found.items() if holds)
    yield from _tree_features(graph)
    yield ("vector", "1 axis", "2 axes", "3 axes")[inputs[0].type.rank]


def _inside(graph: Graph, region: int, path: tuple[str, ...]) -> bool:
    own = graph.regions[region].path
    return path[: len(own)] == own


def _tree_features(graph: Graph) -> Iterator[str]:
    applications: Counter[tuple[object, ...]] = Counter()
    for region in graph.regions.values():
        if region.parent is None:
            continue
        parent = graph.regions[region.parent]
        applications[parent.id, region.block, region.path[-1].rstrip("0123456789")] += 1
        yield "scope" if region.block is None else "block"
        if region.block and parent.block and parent.parent is not None:
            yield "nested blocks"
            if region.block == parent.block:
                yield "block in itself"
    if any(count > 1 for (_, block, _), count in applications.items() if block):
        yield "repeated region"


def _shared(graph: Graph, sharing: Sharing) -> Iterator[str]:
    """What the default pipeline lets share memory."""
    layers = [layer for block in sharing.blocks for layer in block.layers]
    widths = [
        {graph.node(layer.convs[-1]).type.channels for layer in block.layers}
        for block in sharing.blocks
    ]
    found = {
        "dense block": layers,
        "basic dense layer": any(len(layer.norms) == 1 for layer in layers),
        "bottleneck": any(len(layer.norms) == 2 for layer in layers),
        "dense layer with dropout": any(any(layer.dropouts) for layer in layers),
        "widths that differ in a block": any(len(each) > 1 for each in widths),
        "norm and relu behind a block": sharing.closings,
        "pool in one with these": any(each.pool is not None for each in sharing.closings),
        "shared concat": sharing.concats,
        "rebuilt activation": sharing.activations,
        "pool before conv": sharing.swaps,
    }
    yield from (name for name, holds in found.items() if holds)


def _declared(text: str) -> Iterator[str]:
    """What only the spec's text shows."""
    if re.search(r"^net \w+ = ", text, re.MULTILINE):
        yield "variant"
    if len(re.findall(r"^net \w+\(", text, re.MULTILINE)) > 1:
        yield "net as a block"
    if re.search(r"^const ", text, re.MULTILINE):
        yield "constant"
    if re.search(r"^import ", text, re.MULTILINE):
        yield "imported block"
