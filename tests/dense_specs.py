"""Texts of nets with a dense block, and what share-memory finds in a text."""

from pathlib import Path

import emitted

from archc.ir.graph import Graph
from archc.ir.sharing import Sharing
from archc.passes.share_memory import ShareMemory

LAYER = """
block Layer(growth)(x) {
    y = x -> norm: bn -> relu -> conv: conv(growth, 3)
    return concat(x, y)
}
"""
BOTTLENECK = """
block Layer(growth)(x) {
    y = x -> norm1: bn -> relu -> conv1: conv(4 * growth) -> norm2: bn -> relu
          -> conv2: conv(growth, 3)
    return concat(x, y)
}
"""
BLOCK = """
block Block(layers)(x) {
    for i in range(layers) { x = x -> "layer{i}": Layer(4) }
    return x
}
"""
NET = """
net Net()(image: [3, 8, 8]) {
    x = image -> stem: conv(6, 3) -> block: Block(3)
    return x -> global_avg_pool -> classifier: linear(5)
}
"""


def graph_of(folder: Path, text: str, *, recompute: bool = False) -> Graph:
    """The graph of a spec's text with what was found attached; it can be emitted, too."""
    path = folder / f"net{len(list(folder.iterdir()))}.arch"  # compiled once by its name
    path.write_text(text)
    return emitted.emit(path, passes=(ShareMemory(recompute=recompute),)).graph


def found(folder: Path, text: str, *, recompute: bool = False) -> Sharing:
    return graph_of(folder, text, recompute=recompute).sharing


def label(graph: Graph, id: int) -> str:
    path = graph.node(id).layer.path
    return ".".join(path or ("?",))
