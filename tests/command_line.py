"""The command `archc` run in the test's process or in one of its own, and specs to give it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from typer.testing import CliRunner, Result

import archc
from archc.cli.main import app

TINY = """\
arch 1

## A net of three layers.
net Tiny(width=8, classes=10)(image: [3, 8, 8]) {
    assert width > 0, "width must be positive"
    x = image -> conv1: conv(width, 3) -> identity -> relu
    return x -> global_avg_pool -> classifier: linear(classes)
}

net TinyWide = Tiny(width=16)
"""

BROKEN = "net Broken()(image: [3, 8, 8]) {\n    return imag -> conv1: conv(8, 3)\n}\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="archc")


def run_process(
    *arguments: str, stdout: Any = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The command as its users run it; `variables` are added to the environment."""
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    return subprocess.run(
        [sys.executable, "-m", "archc", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**inherited, "PYTHONPATH": str(Path(archc.__file__).parents[1]), **variables},
        text=True,
        timeout=60,
        check=False,
    )


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def raising(problem: BaseException) -> Callable[..., NoReturn]:
    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise problem

    return fail
