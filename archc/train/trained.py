"""A trained net beside its data: that of a run's folder, or of a spec with a file of weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from archc.compiler import Request
from archc.diagnostics import error
from archc.train.data import Dataset, Origin, load_data
from archc.train.fit import fit
from archc.train.run import Run, adapt
from archc.train.tensors import read_weights

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Trained:
    """A net, which takes images of `channels` and `size`, the names of its results, its data, and
    what reads weights for it."""

    name: str
    net: nn.Module
    exits: tuple[str, ...]
    channels: int
    size: tuple[int, int]
    data: Dataset
    read: Callable[[str], Weights]

    def on(self, device: str) -> "Trained":
        """The same net and data on a device."""
        place = torch.device(device)
        return replace(self, net=self.net.to(place), data=self.data.to(place))

    def adapt(self, images: Tensor) -> Tensor:
        return adapt(images, self.channels, self.size)

    def load(self, weights: str) -> None:
        """Take weights. Raises ArchError where they are not those of this net."""
        take(self.net, self.name, weights, self.read(weights))


def take(net: nn.Module, name: str, file: str, weights: Weights) -> None:
    """Load the weights of a file into a net. Raises ArchError where they are not those of it."""
    try:
        net.load_state_dict(dict(weights))
    except RuntimeError as problem:
        _, _, lines = str(problem).partition("\n")
        why = lines.strip().partition("\n")[0]
        raise error("E1030", f"`{file}` does not fit `{name}`: {why}") from None


def trained_run(run: Run, **changes: Any) -> Trained:
    """The net of a run, with its data; `changes` are fields of their origin."""
    config = run.config
    data = load_data(run.origin(**changes))
    fitted = config.exits, config.channels, config.size
    return Trained(config.net, run.build(), *fitted, data, run.weights)


def trained_spec(request: Request, origin: Origin) -> Trained:
    """The net of a spec, fitted to the data; its weights are files."""
    data = load_data(origin)
    found = fit(request, data)
    name, net = found.model.graph.name, found.model.build()
    return Trained(name, net, found.exits, found.channels, found.size, data, read_file)


def read_file(path: str) -> Weights:
    """The tensors of a file of safetensors, binary ones unpacked. Raises ArchError where there is
    none, or no such."""
    try:
        state, _ = read_weights(Path(path))
        return state
    except FileNotFoundError:
        raise error("E1030", f"there is no file `{path}` of weights") from None
    except SafetensorError as problem:
        what = f"`{path}` is no file of safetensors, or a damaged one: {problem}"
        raise error("E1030", what) from None
