"""Which passes there are, which run by default, in which order, and the running of them.

A pass joins by standing in `PASSES`, or by an entry point of another distribution (docs/passes.md).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from archc import plugins
from archc.ir.graph import Graph
from archc.ir.verify import VerifyError, verify
from archc.passes.base import Pass
from archc.passes.fold_norms import FoldNorms
from archc.passes.share_memory import ShareMemory
from archc.passes.simplify import Simplify
from archc.passes.slim import Slim
from archc.passes.stochastic_depth import StochasticDepth
from archc.timing import Phases

PASSES: tuple[type[Pass], ...] = (
    Simplify,
    Slim,
    FoldNorms,
    StochasticDepth,
    ShareMemory,
)
"""archc's own passes, in the only order in which they may run."""

DEFAULT: tuple[Pass, ...] = (Simplify(), StochasticDepth(), ShareMemory())
"""What runs unless the user asks for something else; at -O0 nothing does."""


def for_inference(passes: Sequence[Pass]) -> tuple[Pass, ...]:
    """The passes that make of a net what only infers: those of `passes` but for what the backward
    pass and dropped branches need, with `fold-norms` in its place."""
    left = [step for step in passes if not isinstance(step, FoldNorms | StochasticDepth)]
    own = [step for step in left if type(step) in PASSES and not step.last]
    others = [step for step in left if type(step) not in PASSES]
    return (*own, FoldNorms(), *others)


BEFORE = "elaborate"
"""The name, for `--dump-after`, of the graph that the first pass gets."""


def run_pipeline(
    graph: Graph,
    passes: Sequence[Pass],
    *,
    dump_after: Callable[[str, Graph], None] | None = None,
    phases: Phases | None = None,
    check: bool = True,
) -> Graph:
    """The graph after all passes; `dump_after` is shown the graph before and after each of them.

    Each pass is a phase of `phases`, by its name. Raises VerifyError, which names the pass that
    broke the graph; ArchError for what a pass of another distribution does wrong.
    """
    phases = phases or Phases()
    if check:
        with phases.measure("verify"):
            verify(graph)
    if dump_after is not None:
        dump_after(BEFORE, graph)
    for step in passes:
        with plugins.blamed(type(step)), _named(step):
            with phases.measure(step.name):
                graph = _run(step, graph)
            if check:
                with phases.measure("verify"):
                    verify(graph)
        if dump_after is not None:
            dump_after(step.name, graph)
    return graph


def _run(step: Pass, graph: Graph) -> Graph:
    result: object = step.run(graph)
    if not isinstance(result, Graph):
        what = "None" if result is None else f"a {type(result).__name__}"
        raise TypeError(f"`run` gave {what}, not a graph")
    return result


@contextmanager
def _named(step: Pass) -> Iterator[None]:
    """Where a pass runs, and what it gives is verified: a graph that is broken is its work."""
    try:
        yield
    except VerifyError as broken:
        raise VerifyError(f"the pass `{step}` broke the graph: {broken}") from None
