"""Options of the commands that read a data set; what is not given, a run or `Origin` has."""

from typing import Annotated

import typer

_DATA = typer.Option(metavar="NAME[:PATH]", help="The data set, as `digits` or `imagefolder:cats`.")
_FOLDER = typer.Option(
    "--data-dir", metavar="FOLDER", help="Where the files of data sets are; `data` by default."
)
_SIZE = typer.Option(
    "--image-size", min=1, help="The side of the images of a folder, in pixels; 224 by default."
)

Data = Annotated[str | None, _DATA]
DataDir = Annotated[str | None, _FOLDER]
ImageSize = Annotated[int | None, _SIZE]
Val = Annotated[
    float | None,
    typer.Option("--val", metavar="N", min=0, help="Images to hold out, or a share below 1."),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=0, help="Processes that read the images of a folder.")
]
Download = Annotated[bool, typer.Option("--download", help="Get a data set that is not here.")]
