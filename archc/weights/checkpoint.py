"""The state_dict in a file, whatever is around it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from archc.diagnostics import ArchError, error, printable
from archc.train.tensors import read_weights

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights")
"""What checkpoints call their state_dict; where several are there, the first."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file by their keys. `ordered` says that they come as their modules were
    made: files of safetensors do not keep that order."""

    state: Mapping[str, Tensor]
    ordered: bool


def read_checkpoint(file: Path) -> Checkpoint:
    """What is in a file of safetensors or of `torch.save`, of which only tensors are read.

    Raises ArchError where there is no such file, or no state_dict in it.
    """
    if not file.is_file():
        raise error("E1040", f"there is no file `{file}` of weights")
    if file.suffix == ".safetensors":
        return Checkpoint(_safetensors(file), ordered=False)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as problem:  # noqa: BLE001 -- a damaged file brings about any of them
        help = (
            "only tensors are read, no code: where the file was written, save `net.state_dict()`, "
            "and not the net; files of safetensors end in `.safetensors`"
        )
        what = str(problem).partition("\n")[0] or type(problem).__name__
        raise error("E1040", f"`{file}` cannot be read: {printable(what)}", help=help) from None
    return Checkpoint(_state_in(content, file), ordered=True)


def _safetensors(file: Path) -> dict[str, Tensor]:
    """The tensors, those that are packed as weights again."""
    try:
        state, _ = read_weights(file)
    except SafetensorError as problem:
        raise error("E1040", f"`{file}` cannot be read: {problem}") from None
    return state


def _state_in(content: Any, file: Path) -> Mapping[str, Tensor]:
    """The state_dict that something loaded is, or has."""
    if found := _tensors(content):
        return found
    states = dict(_states(content))
    for name in _WRAPPERS:
        if name in states:
            return states[name]
    if len(states) == 1:
        return next(iter(states.values()))
    raise _none_or_several(file, list(states))


def _tensors(content: Any) -> dict[str, Tensor]:
    """The tensors, if it is mainly a mapping of names to tensors."""
    if not isinstance(content, Mapping):
        return {}
    found = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    named = all(isinstance(key, str) for key in found)
    return found if named and 2 * len(found) > len(content) else {}


def _states(content: Any) -> Iterator[tuple[str, dict[str, Tensor]]]:
    if isinstance(content, Mapping):
        for name, value in content.items():
            if found := _tensors(value):
                yield str(name), found


def _none_or_several(file: Path, names: list[str]) -> ArchError:
    if not names:
        return error("E1040", f"`{file}` has no state_dict")
    listed = ", ".join(f"`{name}`" for name in names)
    help = "save the one that is meant in a file of its own"
    return error("E1040", f"`{file}` has several state_dicts: {listed}", help=help)
