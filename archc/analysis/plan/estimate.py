"""An estimate of a step's memory from the graph alone: in no time, and without torch.

A value lives from its node to its last reader; where `Op.saves` says that the backward pass needs
it, to that, unless `Graph.sharing` says what is kept in its place. A gradient lives from the last
reader of its value to the node that made it. Nothing is known of kernels, nor of what the code of
archc's runtime holds for a moment: `archc.watch` measures that.
"""

from collections.abc import Mapping

from archc.analysis.input_sizes import at_sizes
from archc.analysis.plan.decisions import shared_parts
from archc.analysis.plan.estimated_step import EstimatedStep
from archc.analysis.plan.plan import Memory, MemoryPlan, Mode
from archc.ir.graph import Graph
from archc.ir.sharing import Sharing


def estimate_memory(
    graph: Graph,
    batch: int,
    *,
    dtype: str = "float32",
    memory: Memory = "keep",
    mode: Mode = "training",
    symbols: Mapping[str, int] | None = None,
) -> MemoryPlan:
    """The plan of a graph after the passes; `symbols` has a number for each symbolic size."""
    sized = at_sizes(graph, symbols or {})
    swaps = Sharing(swaps=graph.sharing.swaps)
    sharing = swaps if memory == "off" or mode == "inference" else graph.sharing
    planned, naive = (
        EstimatedStep(sized, each, batch, dtype, memory, mode == "training").timeline()
        for each in (sharing, Sharing())
    )
    unknown = tuple(dict.fromkeys(node.op.name for node in graph.nodes() if node.op.opaque))
    shared = shared_parts(graph, "off" if sharing is swaps else memory)
    return MemoryPlan(
        graph.name, mode, memory, batch, dtype, planned, naive, shared, estimate=True,
        unknown=unknown,
    )  # fmt: skip
