"""What the backward pass keeps: bytes of one sample, by the node whose value or work they are.

Values are float32, masks of one byte an element, indices int64. A tensor that several operators
keep counts once, at the node that computes it; a view counts as the tensor in whose storage it
lies. Weights and buffers are not in it: they stay in any case.
"""

from archc.ir.graph import Graph
from archc.ops.op import Saved
from archc.ops.size import product

_BYTES = {"float": 4, "float32": 4, "mask": 1, "int64": 8}


def kept_bytes(graph: Graph) -> dict[int, int | None]:
    """For each node, the bytes that are kept of its value and of what else it computes; None where
    that depends on a symbolic size, or on an extern layer."""
    storage = _storages(graph)
    found: dict[int, int | None] = {
        node.id: None if node.op.opaque else 0 for node in graph.nodes()
    }
    kept: set[int] = set()
    for node in graph.nodes():
        operands = graph.operands(node.id)
        for saved in node.op.saves(graph.operand_types(node.id), node.type):
            if saved.what == "new":
                found[node.id] = _sum(found[node.id], _new_bytes(saved))
            else:
                kept.add(storage[node.id if saved.what == "output" else operands[saved.operand]])
    for id in kept:
        node = graph.node(id)
        learned = not node.type.batched and not graph.operands(id)
        if not learned:
            elements = node.type.elements
            whole = None if elements is None else elements * _BYTES["float"]
            found[id] = _sum(found[id], whole)
    return found


def _storages(graph: Graph) -> dict[int, int]:
    """For each node, the one that computes the tensor in whose storage its value lies."""
    storage: dict[int, int] = {}
    for node in graph.nodes():
        is_view = node.op.view(*graph.operand_types(node.id))
        storage[node.id] = storage[graph.operands(node.id)[0]] if is_view else node.id
    return storage


def _new_bytes(saved: Saved) -> int | None:
    elements = product(saved.shape)
    return None if elements is None else elements * _BYTES[saved.dtype]


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b
