"""`archc train`: compile a spec and train it."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from archc.cli.console import show, write_data
from archc.cli.data_options import Data, DataDir, Download, ImageSize, Val, Workers
from archc.cli.options import Limit, Net, Passes, Plain, Set, Spec, make_request


def train_command(
    spec: Spec,
    data: Data,
    data_dir: DataDir = "data",
    val: Val = 0,
    image_size: ImageSize = 224,
    workers: Workers = 2,
    download: Download = False,
    net: Net = None,
    set_: Set = None,
    epochs: Annotated[
        int | None, typer.Option(help="Times over the data; 20 by default.", show_default=False)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images a step; 64 by default.", show_default=False)
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="The learning rate at the start; 0.1 by default.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of all that is random; 0 by default.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="For all that the run leaves; `runs/SPEC-DATA` by default.",
            show_default=False,
        ),
    ] = None,
    passes: Passes = None,
    plain: Plain = False,
    limit: Limit = None,
) -> None:
    """Train a net on a data set, and print its test accuracy.

    For example: [cyan]archc train densenet_cifar --set depth=40 --data digits[/cyan]
    """
    sys.path.append("")  # extern layers may be modules of this folder, as with `python -m`
    request = make_request(spec, net, set_, limit, passes, plain)
    from archc.train.data import Origin
    from archc.train.digits import train

    numbers = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    given: dict[str, Any] = {name: n for name, n in numbers.items() if n is not None}
    folder = out or Path("runs") / f"{Path(spec).stem}-{data.partition(':')[0]}"
    origin = Origin(data, data_dir, val, image_size, workers, download)
    result = train(request, data=origin, out=folder, device=device, warn=show, **given)
    write_data(result.report())
