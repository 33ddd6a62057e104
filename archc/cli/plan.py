"""`archc plan`: where a net's memory goes, before anything runs."""

import sys
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archc.cli.console import show, terminal_width, write_data, write_json
from archc.cli.options import Limit, Net, Passes, Plain, Set, Spec, compile_net, make_request
from archc.cli.size_options import Sizes, given_sizes
from archc.diagnostics import Diagnostic

if TYPE_CHECKING:
    from archc.analysis.plan.plan import MemoryPlan
    from archc.compiler import Compilation

_MODES = ("keep", "recompute", "off")
_DTYPES = {"float32": "float32", "bf16": "bfloat16"}

Batch = Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Samples in a batch.")]
Memory = Annotated[
    str, typer.Option("--memory", metavar="MODE", help="keep, recompute or off, as the net's own.")
]
Dtype = Annotated[str, typer.Option("--dtype", metavar="TYPE", help="float32 or bf16.")]

Estimate = Annotated[
    bool,
    typer.Option("--estimate", help="Do not run the net on shapes: at once, and less exact."),
]


def plan_command(
    spec: Spec,
    batch: Batch = 1,
    memory: Memory = "keep",
    dtype: Dtype = "float32",
    size: Sizes = None,
    inference: Annotated[
        bool, typer.Option("--inference", help="Plan one forward pass without gradients.")
    ] = False,
    estimate: Estimate = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    why: Annotated[
        str | None,
        typer.Option("--why", metavar="PATH", help="Say what becomes of a region's tensors."),
    ] = None,
    net: Net = None,
    set_: Set = None,
    passes: Passes = None,
    plain: Plain = False,
    limit: Limit = None,
) -> None:
    """Predict the memory of a training step, tensor by tensor: with torch the net runs on shapes
    alone, without it there is an estimate.

    For example: [cyan]archc plan densenet --batch 8 --memory recompute[/cyan]
    """
    from archc.analysis.plan.decisions import branches_text, computed_branches
    from archc.analysis.plan.plan_table import explain, to_text

    check_words(memory, dtype)
    compilation = compile_net(make_request(spec, net, set_, limit, passes, plain))
    plan = make_plan(
        compilation, batch, memory, dtype, size, inference=inference, estimate=estimate
    )
    graph = compilation.graph
    declined, computed = graph.sharing.declined, computed_branches(graph)
    if as_json:
        branches = [asdict(each) for each in computed]
        write_json({**plan.to_json(), "declined": declined, "computed_branches": branches})
        return
    text = explain(plan, why) if why else to_text(plan, terminal_width())
    remarks = (declined, branches_text(graph))
    write_data("\n\n".join((text, *filter(None, remarks))) + "\n")


def check_words(memory: str, dtype: str) -> None:
    """Refuse modes and types that there are none of."""
    if memory not in _MODES:
        raise typer.BadParameter(f"--memory is one of {', '.join(_MODES)}, not `{memory}`")
    if dtype not in _DTYPES:
        raise typer.BadParameter(f"--dtype is one of {', '.join(_DTYPES)}, not `{dtype}`")


def make_plan(
    compilation: "Compilation",
    batch: int,
    memory: str,
    dtype: str,
    sizes: list[str] | None,
    *,
    inference: bool = False,
    estimate: bool = False,
) -> "MemoryPlan":
    """The plan of a compiled net, with numbers for its symbolic sizes: by running it on shapes if
    there is torch, unless an estimate is asked for."""
    from archc.analysis.plan.estimate import estimate_memory

    asked: dict[str, Any] = {
        "dtype": _DTYPES[dtype],
        "memory": memory,
        "mode": "inference" if inference else "training",
        "symbols": given_sizes(compilation.graph, sizes),
    }
    if not estimate and find_spec("torch") is not None:
        from archc.watch.plan import CannotWatchError, watch_memory

        sys.path.append("")  # extern layers may be modules of this folder, as with `python -m`
        try:
            return watch_memory(compilation, batch, **asked)
        except CannotWatchError as problem:
            note = f"the net does not run on shapes alone, so this is an estimate: {problem}"
            show([Diagnostic("", note, severity="note")])
    return estimate_memory(compilation.graph, batch, **asked)
