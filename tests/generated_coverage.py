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

    def share(self, feature: str) -> float:
        return self.features[feature] / self.specs

    def check(self) -> None:
        rare = [name for name in OPS if self.ops[name] < 5]
        assert not rare, f"too rare in generated specs: {rare}"
        low = {name: self.share(name) for name, least in LEAST.items() if self.share(name) < least}
        assert not low, f"too few specs with {low}"

    def __str__(self) -> str:
        lines = [f"\n{self.specs} generated specs, {self.nodes} nodes"]
        lines += [f"  {name:<28} {self.share(name):4.0%} of the specs" for name in LEAST]
        lines += [f"  {name:<28} {self.ops[name]:>4} times" for name in OPS]
        return "\n".join(lines)


LEAST = {
    "concat of three or more": 0.3,
    "shared layer": 0.2,
    "shared block": 0.03,
    "exits": 0.1,
    "repeated region": 0.05,
    "rolled loop": 0.05,
    "loop of several tensors": 0.02,
    "shared layers in turns": 0.05,
    "symbolic size": 0.1,
    "several inputs": 0.1,
    "several outputs": 0.1,
    "layer passed along": 0.05,
    "list of layers": 0.05,
    "scope": 0.1,
    "block": 0.3,
    "nested blocks": 0.05,
    "block in itself": 0.02,
    "net as a block": 0.02,
    "imported block": 0.03,
    "constant": 0.05,
    "variant": 0.1,
    "1 axis": 0.05,
    "2 axes": 0.2,
    "3 axes": 0.05,
    "vector": 0.01,
    "dense block": 0.2,
    "basic dense layer": 0.08,
    "bottleneck": 0.08,
    "dense layer with dropout": 0.02,
    "widths that differ in a block": 0.05,
    "norm and relu behind a block": 0.08,
    "pool in one with these": 0.01,
    "shared concat": 0.3,
    "rebuilt activation": 0.12,
    "pool before conv": 0.02,
}
"""The least share of the specs that has to have each."""


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
        "shared layers in turns": re.search(r"\n        for _ in range\(\d\):\n", text),
        "loop of several tensors": re.search(r" for .*\n +\w+, \w+.* = (layer|child)\(", text),
        "several inputs": len(inputs) > 1,
        "several outputs": len(outputs) > 1,
        "list of layers": "nn.ModuleList" in text or "nn.ModuleDict" in text,
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
