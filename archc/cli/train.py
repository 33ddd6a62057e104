"""`archc train`: compile a spec and train it."""

from pathlib import Path
from typing import Annotated

import typer

from archc.cli.options import Limit, Net, Passes, Plain, Set, Spec, make_request


def train_command(
    spec: Spec,
    data: Annotated[str, typer.Option(metavar="NAME", help="The data set; there is `digits`.")],
    net: Net = None,
    set_: Set = None,
    passes: Passes = None,
    plain: Plain = False,
    limit: Limit = None,
) -> None:
    """Train a net on a data set."""
    raise NotImplementedError
