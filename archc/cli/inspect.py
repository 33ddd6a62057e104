"""Commands that look at specs: `summary`, `expand`, `viz`, `list`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archc.cli.console import say, terminal_width, write_data, write_json
from archc.cli.options import (
    Limit,
    Net,
    Passes,
    Plain,
    Set,
    Spec,
    compile_net,
    make_request,
)
from archc.cli.plan import Batch, Estimate, make_plan
from archc.cli.size_options import Sizes, given_sizes
from archc.viz.picture import Color, Layout

if TYPE_CHECKING:
    from archc.analysis.plan.plan import MemoryPlan
    from archc.compiler import Compilation
    from archc.elaborate.files import FileScope

_PICTURES = (".svg", ".png", ".pdf", ".dot")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def summary_command(
    spec: Spec,
    depth: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Show N levels of modules; as many as a screen has by default."
        ),
    ] = None,
    as_json: Json = False,
    size: Sizes = None,
    net: Net = None,
    set_: Set = None,
    passes: Passes = None,
    plain: Plain = False,
    limit: Limit = None,
) -> None:
    """Print a net's layers, shapes, parameters and multiply-accumulates.

    For example: [cyan]archc summary densenet --depth 3[/cyan]
    """
    from archc.analysis.input_sizes import at_sizes
    from archc.analysis.summary import summarize

    if as_json and depth is not None:
        raise typer.BadParameter("--json has every layer, so it cannot be given with --depth")
    compilation = compile_net(make_request(spec, net, set_, limit, passes, plain))
    graph = compilation.graph
    summary = summarize(at_sizes(graph, given_sizes(graph, size)) if size else graph)
    if as_json:
        write_json(summary.to_json())
    else:
        write_data(f"{summary.to_text(depth, terminal_width())}\n")


def expand_command(
    spec: Spec,
    depth: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Open regions inside N others; all by default."),
    ] = None,
    path: Annotated[
        str, typer.Option(metavar="REGION", help="Show one region, as `features.block1`.")
    ] = "",
    net: Net = None,
    set_: Set = None,
    passes: Passes = "",
    limit: Limit = None,
) -> None:
    """Print a net's graph as text: regions, operators, shapes.

    For example: [cyan]archc expand densenet --path features.denseblock1 --depth 1[/cyan]
    """
    from archc.ir.dump import dump

    compilation = compile_net(make_request(spec, net, set_, limit, passes))
    write_data(dump(compilation.graph, depth=depth, path=path))


def viz_command(
    spec: Spec,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The picture: .svg, .png, .pdf or .dot."
        ),
    ],
    open_: Annotated[
        list[str] | None,
        typer.Option("--open", metavar="REGION", help="Draw what is inside, as `features.block1`."),
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(
            help="From top to bottom, or with a row for each spatial size; auto: a grid for nets "
            "with exits or several sizes alive at once."
        ),
    ] = Layout.AUTO,
    color: Annotated[
        Color,
        typer.Option(
            help="What colours show: what a box is, its multiply-accumulates, its parameters, or "
            "the memory that it keeps for the backward pass."
        ),
    ] = Color.KIND,
    memory: Annotated[
        bool, typer.Option("--memory", help="Draw the memory of a training step over its steps.")
    ] = False,
    batch: Batch = 1,
    size: Sizes = None,
    estimate: Estimate = False,
    net: Net = None,
    set_: Set = None,
    passes: Passes = None,
    plain: Plain = False,
    limit: Limit = None,
) -> None:
    """Draw a net, its blocks collapsed.

    For example: [cyan]archc viz densenet -o densenet.svg --open features.denseblock1[/cyan]
    """

    if output.suffix.lower() not in _PICTURES:
        raise typer.BadParameter(f"`{output}` should end in one of {', '.join(_PICTURES)}")
    if memory:
        boxes = {"--open": open_, "--layout": layout != Layout.AUTO, "--color": color != Color.KIND}
        _refuse(boxes, "--memory draws no net: it goes with --batch, --size and --estimate")
    else:
        given = {"--batch": batch != 1, "--size": size, "--estimate": estimate}
        _refuse(given, "this goes with --memory only")
    compilation = compile_net(make_request(spec, net, set_, limit, passes, plain))
    from archc.viz.draw import draw

    if memory:
        _draw_memory(compilation, output, batch, size, estimate=estimate)
        return
    draw(compilation.graph, output, tuple(open_ or ()), layout, color)
    say("viz", f"wrote {output}")


def _refuse(given: Mapping[str, object], why: str) -> None:
    """Wrong usage, if any of these options is given."""
    for option, value in given.items():
        if value:
            raise typer.BadParameter(f"{option} cannot be given here: {why}")


def _draw_memory(
    compilation: "Compilation",
    output: Path,
    batch: int,
    sizes: list[str] | None,
    *,
    estimate: bool,
) -> None:
    """Memory over the steps of a training step, as torch runs it and as archc does."""
    from archc.viz.draw import draw_figure
    from archc.viz.timeline import Panel, timeline

    def plan(memory: str) -> "MemoryPlan":
        return make_plan(compilation, batch, memory, "float32", sizes, estimate=estimate)

    keep = plan("keep")
    panels = [Panel("torch as is", keep.naive), Panel("archc, memory keep", keep.planned)]
    if compilation.graph.sharing.blocks:
        panels.append(Panel("archc, memory recompute", plan("recompute").planned))
    title = f"{compilation.graph.name}, batch {batch}, float32: memory of one training step"
    title += " (an estimate)" if keep.estimate else ""
    draw_figure(timeline(title, panels), output)
    say("viz", f"wrote {output}")


def list_command(as_json: Json = False) -> None:
    """List the specs that come with archc, and their nets."""
    from archc.elaborate.files import find_spec, load_program, shipped_specs

    listed = [(name, load_program(find_spec(name))) for name in shipped_specs()]
    if as_json:
        specs = [{"name": name, "nets": _net_names(program)} for name, program in listed]
        write_json({"schema": 1, "specs": specs})
        return
    width = max((len(name) for name, _ in listed), default=0)
    for name, program in listed:
        write_data(f"{name:<{width}}  {', '.join(_net_names(program))}\n")


def _net_names(program: "FileScope") -> list[str]:
    return [net.name.name for net in program.nets]
