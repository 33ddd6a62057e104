"""What every pass has to keep, tried on drawn graphs."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from archc.compiler import Request, compile_spec
from archc.ir.dump import dump
from archc.ir.graph import Graph
from archc.ir.verify import verify
from archc.passes.base import Pass
from archc.passes.parse import parse_passes
from archc.passes.pipeline import run_pipeline
from archc.testing.spec import specs


def graphs(operator: str | None = None) -> st.SearchStrategy[Graph]:
    """Graphs as passes get them: generated specs, elaborated. `operator` is surely in each."""
    return specs(operator).map(lambda spec: graph_of(spec.text))


def graph_of(text: str) -> Graph:
    """The graph of a spec's first net, as passes get it. Raises ArchError."""
    with TemporaryDirectory(prefix="archc-") as folder:
        path = Path(folder) / "spec.arch"
        path.write_text(text, encoding="utf-8")
        return compile_spec(Request(str(path), passes=())).graph


def check_pass(
    step: Pass, drawn: st.SearchStrategy[Graph] | None = None, *, examples: int = 50
) -> None:
    """Try a pass on `examples` drawn graphs; by default on those of `graphs()`.

    The graph that it gives is verified; the one that it was given is untouched; run again it gives
    the same; it is written as `--passes` reads it; the emitted nets have the same weights, and
    compute the same with them where `step.keeps` says so (in double precision, up to rounding). A
    pass that changes none of the graphs shows nothing, which is a failure, too: draw graphs that it
    acts on, as in `check_pass(step, graphs("dropout"))`.

    Raises:
        AssertionError: the pass does not keep one of these; hypothesis shows the graph.
    """
    assert parse_passes(str(step), [type(step)]) == (step,), f"`{step}` is read as another pass"
    changed = 0

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(drawn if drawn is not None else graphs())
    def check(graph: Graph) -> None:
        nonlocal changed
        note(dump(graph))
        changed += _check(step, graph)

    check()
    assert changed, f"`{step.name}` changed none of {examples} graphs: draw others, or more"


def _check(step: Pass, graph: Graph) -> bool:
    """Whether the pass changed the graph; fails if it did so wrongly."""
    verify(graph)
    before = dump(graph)
    result = run_pipeline(graph, [step])
    assert dump(graph) == before, f"`{step.name}` changed the graph that it was given"
    after = dump(result)
    assert dump(run_pipeline(graph, [step])) == after, f"`{step.name}` gave another graph again"
    if after == before:
        return False
    for problem in _differences(step, graph, result):
        raise AssertionError(f"`{step.name}` keeps {step.keeps}, but {problem}")
    return True


def _differences(step: Pass, graph: Graph, result: Graph) -> Iterator[str]:
    """How the emitted nets differ, with the same weights, against what the pass says it keeps."""
    import torch

    from archc.testing.models import compared, inputs_of, model_of, randomise, run

    generator = torch.Generator().manual_seed(1)
    ours, theirs = model_of(graph), model_of(result)
    if step.keeps == "nothing":
        return
    randomise(ours, generator)
    state = ours.state_dict()
    wanted = theirs.state_dict()
    odd = [key for key in wanted if key not in state or state[key].shape != wanted[key].shape]
    if odd:
        yield f"the weight `{odd[0]}` is new, or has another shape"
        return
    theirs.load_state_dict({key: state[key] for key in wanted})
    inputs = inputs_of(graph, generator)
    for training in (False, True) if step.keeps == "outputs" else (False,):
        mode = "training" if training else "evaluation"
        pair = (run(net.double(), inputs, training=training) for net in (ours, theirs))
        problems = compared(*pair, gradients=step.keeps == "outputs")
        yield from (f"{problem} in {mode}" for problem in problems)
