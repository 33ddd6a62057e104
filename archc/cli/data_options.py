"""Options of the commands that read a data set."""

from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Option(metavar="NAME[:PATH]", help="The data set, as `digits` or `imagefolder:cats`."),
]
DataDir = Annotated[
    str, typer.Option("--data-dir", metavar="FOLDER", help="Where the files of data sets are.")
]
Val = Annotated[
    float,
    typer.Option("--val", metavar="N", min=0, help="Images to hold out, or a share below 1."),
]
ImageSize = Annotated[
    int, typer.Option("--image-size", min=1, help="The side of the images of a folder, in pixels.")
]
Workers = Annotated[
    int, typer.Option("--workers", min=0, help="Processes that read the images of a folder.")
]
Download = Annotated[bool, typer.Option("--download", help="Get a data set that is not here.")]
