"""Runs graphviz: `dot` if there is one, else `graphviz-pure`, which pip installs.

No shell, no network, no file: DOT goes in on standard input and the result comes back on standard
output.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

TIMEOUT = 30.0
"""Seconds that one run may take."""

Format = Literal["png", "pdf"]


_OPTIONS: dict[Format, tuple[str, ...]] = {"png": ("-Gdpi=144",)}
"""At graphviz's own 96 dots an inch, small print is hard to read."""


class RenderError(Exception):
    """Graphviz gave no result, and this is why."""


def find_renderers(format: Format) -> list[str]:
    """The programs that there are for a format, the best one first.

    `graphviz-pure` draws no PDF. It is also looked for beside the interpreter: an environment need
    not be on PATH.
    """
    found = [shutil.which("dot")]
    if format != "pdf":
        beside = str(Path(sys.executable).parent)
        found.append(shutil.which("graphviz-pure") or shutil.which("graphviz-pure", path=beside))
    return [program for program in found if program is not None]


def render(dot: str, format: Format) -> bytes:
    """What the first program that succeeds makes of DOT text. Raises RenderError."""
    problems = []
    for program in find_renderers(format):
        try:
            return _run(program, dot, format)
        except RenderError as problem:
            problems.append(f"{Path(program).name}: {problem}")
    raise RenderError("; ".join(problems) or "there is no Graphviz")


def _run(program: str, dot: str, format: Format) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell; the text goes in by stdin
            [program, f"-T{format}", *_OPTIONS.get(format, ())],
            input=dot.encode(),
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RenderError(f"no result after {TIMEOUT:.0f} s") from None
    except OSError as problem:
        raise RenderError(problem.strerror or str(problem)) from None
    if done.returncode or not done.stdout:
        message = done.stderr.decode(errors="replace").strip().splitlines()
        raise RenderError(message[0] if message else f"exit status {done.returncode}")
    return done.stdout
