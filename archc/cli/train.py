"""`archc train`: compile a spec and train it by a recipe."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archc.cli.console import show, write_data
from archc.cli.data_options import Data, DataDir, Download, ImageSize, Val, Workers
from archc.cli.options import (
    Limit,
    Net,
    Passes,
    Plain,
    Set,
    compile_net,
    make_limits,
    make_request,
)
from archc.cli.plan import make_plan

if TYPE_CHECKING:
    from archc.compiler import Request
    from archc.train.data import Origin
    from archc.train.training import Prepared

_RECIPE, _SAVING, _MACHINE = "The recipe", "Saving", "The machine"


def train_command(
    run_or_spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC|RUN",
            help="A path, the name of a shipped spec, or the folder of a run to train further.",
            show_default=False,
        ),
    ],
    data: Data = None,
    data_dir: DataDir = None,
    val: Val = None,
    image_size: ImageSize = None,
    workers: Workers = None,
    download: Download = False,
    net: Net = None,
    set_: Set = None,
    passes: Passes = None,
    plain: Plain = False,
    limit: Limit = None,
    recipe: Annotated[
        str,
        typer.Option(metavar="NAME|FILE", help="How to train.", rich_help_panel=_RECIPE),
    ] = "default",
    recipe_set: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe-set",
            metavar="KEY=VALUE",
            help="Change the recipe, as `optimizer.lr=0.05`.",
            rich_help_panel=_RECIPE,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Times over the data.", show_default=False, rich_help_panel=_RECIPE),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Images a step, of all processes.", show_default=False, rich_help_panel=_RECIPE
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="The learning rate at the start.", show_default=False, rich_help_panel=_RECIPE
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="fp32|bf16|fp16", show_default=False, rich_help_panel=_RECIPE),
    ] = None,
    sync_batchnorm: Annotated[
        bool,
        typer.Option(
            "--sync-batchnorm",
            help="Batch norms take the statistics of all processes.",
            rich_help_panel=_RECIPE,
        ),
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Safetensors to begin with; those of a run by default.",
            show_default=False,
        ),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option("--from-scratch", help="Begin with new weights, not with those of a run."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of all that is random.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="For all that the run leaves; `runs/SPEC-DATA` by default.",
            show_default=False,
            rich_help_panel=_SAVING,
        ),
    ] = None,
    resume: Annotated[
        str,
        typer.Option(
            metavar="auto|never|FILE",
            help="Go on from the newest whole checkpoint in FOLDER, or from a certain one.",
            rich_help_panel=_SAVING,
        ),
    ] = "never",
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a run in FOLDER.", rich_help_panel=_SAVING),
    ] = False,
    checkpoint_every: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Write a checkpoint after each N steps, not only after each epoch.",
            show_default=False,
            rich_help_panel=_SAVING,
        ),
    ] = 0,
    keep: Annotated[
        int,
        typer.Option(min=1, help="Checkpoints that are kept.", rich_help_panel=_SAVING),
    ] = 2,
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda", rich_help_panel=_MACHINE)
    ] = "auto",
    devices: Annotated[
        int,
        typer.Option(min=1, help="Processes, one a device.", rich_help_panel=_MACHINE),
    ] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.", rich_help_panel=_MACHINE)] = 1,
    threads: Annotated[
        int,
        typer.Option(min=1, help="Threads of a process on a CPU.", rich_help_panel=_MACHINE),
    ] = 1,
    strategy: Annotated[str, typer.Option(metavar="auto|ddp", rich_help_panel=_MACHINE)] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be trained, and how.")
    ] = False,
) -> None:
    """Train a net on a data set, and print its test accuracy.

    For example: [cyan]archc train densenet_cifar --set depth=40 --data digits[/cyan]
    """
    sys.path.append("")  # extern layers may be modules of this folder, as with `python -m`
    where = {"name": data, "folder": data_dir, "val": val, "size": image_size, "workers": workers}
    given: dict[str, Any] = {name: value for name, value in where.items() if value is not None}
    given["download"] = download
    if Path(run_or_spec).is_dir():
        if net or set_ or passes or plain:
            raise typer.BadParameter("a run has its net: `--net`, `--set` and passes are for specs")
        request, origin = _of_run(Path(run_or_spec), limit, given)
        if weights is None and not from_scratch:
            weights = Path(run_or_spec) / "model.safetensors"
    else:
        request, origin = _of_spec(
            make_request(run_or_spec, net, set_, limit, passes, plain), given
        )
    from archc.train.devices import Machine
    from archc.train.training import Order, prepare, train

    short = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer.lr": lr,
        "precision": precision,
        "sync_batchnorm": "true" if sync_batchnorm else None,
    }
    changes = [f"{key}={value}" for key, value in short.items() if value is not None]
    order = Order(
        request=request,
        data=origin,
        out=out or Path("runs") / f"{Path(run_or_spec).stem}-{origin.name.partition(':')[0]}",
        recipe=recipe,
        changes=(*(recipe_set or ()), *changes),
        weights=weights,
        seed=seed,
        machine=Machine(device, devices, nodes, threads, strategy),
        resume=resume,
        force=force,
        every=checkpoint_every,
        keep=keep,
    )
    if dry_run:
        write_data(_outline(prepare(order)))
        return
    write_data(train(order, warn=show).report())


def _of_run(
    folder: Path, limit: list[str] | None, given: dict[str, Any]
) -> "tuple[Request, Origin]":
    """The net and the data of a run, with other data where it is given."""
    from archc.slim.runs import request_of
    from archc.train.run import load_run

    run = load_run(folder)
    return replace(request_of(run), limits=make_limits(limit)), run.origin(**given)


def _of_spec(request: "Request", given: dict[str, Any]) -> "tuple[Request, Origin]":
    from archc.train.data import Origin

    if "name" not in given:
        raise typer.BadParameter("`--data NAME` names the data set, as `digits`")
    return request, Origin(**given)


def _outline(prepared: "Prepared") -> str:
    """What would run, and what it would cost."""
    from archc.train.recipe_file import describe

    order, recipe, data = prepared.order, prepared.recipe, prepared.data
    config, machine = prepared.config, order.machine
    compilation = compile_net(prepared.fitted.request)
    processes, parts = machine.processes, machine.processes * recipe.accumulate
    summary = prepared.fitted.model.summary()
    dtype = "float32" if recipe.precision == "fp32" else "bf16"
    batch = -(-recipe.batch_size // parts)
    sizes = [f"{name}={value}" for name, value in prepared.fitted.symbols.items()]
    plan = make_plan(compilation, batch, "keep", dtype, sizes)
    macs = "" if summary.macs is None else f", {summary.macs:,} multiply-accumulates an image"
    if summary.macs and summary.expected_macs and summary.expected_macs < summary.macs:
        macs += f", {summary.expected_macs:,.0f} on average in training"
    plural = "" if processes == 1 else "es"
    return "\n".join(
        [
            f"net       {config.net}: {summary.params:,} parameters{macs}",
            f"data      {data.name}: {len(data.train.labels):,} images to train on, "
            f"{len(data.test.labels):,} to test on",
            f"steps     {prepared.steps:,} in {recipe.epochs} epochs",
            f"machine   {processes} process{plural} ({machine.kind}, {recipe.precision})",
            f"memory    {plan.planned.peak / 2**20:,.1f} MiB at the most, {batch} images at once",
            f"folder    {order.out}",
            *(f"{'recipe' if not i else '':10}{line}" for i, line in enumerate(describe(recipe))),
            "",
        ]
    )
