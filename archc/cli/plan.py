"""`archc plan`: where a net's memory goes, before anything runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.console import terminal_width, write_data, write_json
from archc.cli.options import Limit, Net, Passes, Plain, Set, Spec, compile_net, make_request
from archc.cli.size_options import Sizes, given_sizes

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


def plan_command(
    spec: Spec,
    batch: Batch = 1,
    memory: Memory = "keep",
    dtype: Dtype = "float32",
    size: Sizes = None,
    inference: Annotated[
        bool, typer.Option("--inference", help="Plan one forward pass without gradients.")
    ] = False,
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
    """Predict the memory of a training step, tensor by tensor, before anything runs.

    For example: [cyan]archc plan densenet --batch 8 --memory recompute[/cyan]
    """
    from archc.analysis.plan.plan_table import explain, to_text

    check_words(memory, dtype)
    compilation = compile_net(make_request(spec, net, set_, limit, passes, plain))
    plan = make_plan(compilation, batch, memory, dtype, size, inference=inference)
    declined = compilation.graph.sharing.declined
    if as_json:
        write_json({**plan.to_json(), "declined": declined})
        return
    text = explain(plan, why) if why else to_text(plan, terminal_width())
    write_data(f"{text}\n\n{declined}\n" if declined else f"{text}\n")


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
) -> "MemoryPlan":
    """The plan of a compiled net, with numbers for its symbolic sizes."""
    from archc.analysis.plan.plan import plan_memory

    return plan_memory(
        compilation.graph,
        batch,
        compilation.held,
        dtype=_DTYPES[dtype],
        memory=memory,  # type: ignore[arg-type]  # one of the modes: it was checked
        mode="inference" if inference else "training",
        symbols=given_sizes(compilation.graph, sizes),
    )
