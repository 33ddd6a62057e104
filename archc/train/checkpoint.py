"""Checkpoints as files: whole or not there, and never believed if a bit of them has changed.

A file is a line with the SHA-256 of what follows, and what `torch.save` writes: torch's own loader
takes most flipped bits for numbers.
"""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from archc.writing import write_atomically

HEAD = b"archc checkpoint, sha256 "


class DamagedError(Exception):
    """A checkpoint is not what was written, or not of this run."""


def path_of(folder: Path, step: int) -> Path:
    return folder / "checkpoints" / f"step-{step}.ckpt"


def write_checkpoint(folder: Path, content: dict[str, Any], keep: int) -> None:
    """Write the checkpoint of `content["step"]`, then remove all but the newest `keep`."""
    payload = io.BytesIO()
    torch.save(content, payload)
    data = payload.getvalue()
    path = path_of(folder, content["step"])
    path.parent.mkdir(exist_ok=True)
    digest = hashlib.sha256(data).hexdigest().encode()
    write_atomically(path, HEAD + digest + b"\n" + data)
    for old in checkpoints(folder)[keep:]:
        old.unlink()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content, on the CPU. Raises DamagedError."""
    head, _, data = path.read_bytes().partition(b"\n")
    if not head.startswith(HEAD):
        raise DamagedError("it does not begin as a checkpoint does")
    if head != HEAD + hashlib.sha256(data).hexdigest().encode():
        raise DamagedError("its SHA-256 is not that of its content")
    content: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return content


def checkpoints(folder: Path) -> list[Path]:
    """The files, that of the latest step first."""
    found = (folder / "checkpoints").glob("step-*.ckpt")
    steps = {path: path.stem.removeprefix("step-") for path in found}
    numbered = [path for path, step in steps.items() if step.isdecimal()]
    return sorted(numbered, key=lambda path: int(steps[path]), reverse=True)


def newest(folder: Path, warn: Callable[[str], object]) -> dict[str, Any] | None:
    """The content of the newest whole checkpoint, if there is one; damaged ones are told."""
    for path in checkpoints(folder):
        try:
            return read_checkpoint(path)
        except DamagedError as problem:
            warn(f"warning: {path} is damaged and left aside: {problem}")
    return None
