"""The folder of a run: what was trained, so that another process can build it again.

`run.yaml` and `model.py` are enough to build the net; weights lie beside them as safetensors.
"""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from archc.cache import import_source
from archc.diagnostics import error, printable
from archc.ir.dump import dump
from archc.ir.graph import Graph
from archc.train.data import Dataset, Origin, load_data
from archc.train.fit import Fitted
from archc.train.recipe import Recipe
from archc.train.tensors import read_weights, weights_file
from archc.version import __version__
from archc.writing import write_atomically

CONFIG, MODEL = "run.yaml", "model.py"


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `run.yaml`: all that decides what a run computes.

    `settings` are the net's parameters as texts of the language, those that followed the data with
    them; `channels` and `size` (height, width) are those of the images that the net takes, `exits`
    the names of its results in order. `machine` and `versions` are
    what trained.
    """

    spec: str
    spec_sha256: str
    net: str
    settings: dict[str, str]
    passes: tuple[str, ...]
    channels: int
    size: tuple[int, int]
    exits: tuple[str, ...]
    data: Origin
    recipe: Recipe
    seed: int
    machine: dict[str, str | int]
    versions: dict[str, str]

    def differences(self, other: "RunConfig") -> list[str]:
        """The keys of all that makes it another run; where and with what it runs is no matter."""
        mine, theirs = self._without_place(), other._without_place()
        return [name for name, value in mine.items() if value != theirs[name]]

    def _without_place(self) -> dict[str, object]:
        data = msgspec.structs.replace(self.data, workers=0, download=False)
        found = {**msgspec.structs.asdict(self), "data": data}
        return {name: v for name, v in found.items() if name not in ("machine", "versions")}


@dataclass(frozen=True)
class Run:
    """A run that was begun in a folder, finished or not."""

    folder: Path
    config: RunConfig

    @cached_property
    def source(self) -> str:
        """The text of `model.py`."""
        return (self.folder / MODEL).read_text(encoding="utf-8")

    def build(self) -> nn.Module:
        """A new instance of the net, for which the weights are made as they are."""
        try:
            module = import_source(self.source, self.config.net)
        except SyntaxError as problem:
            raise error("E1006", f"{self.folder / MODEL} is damaged: {problem}") from None
        net: nn.Module = getattr(module, module.__all__[0])()
        return net

    def adapt(self, images: Tensor) -> Tensor:
        """[N, channels, height, width] of the data to what the net takes."""
        return adapt(images, self.config.channels, self.config.size)

    def weights(self, name: str = "model") -> dict[str, Tensor]:
        """The state_dict in `NAME.safetensors`: `model`, `best`, `ema`, `snapshots/cycle-1`.

        Raises ArchError where there is none, where it is damaged, and where it belongs to another
        net.
        """
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            raise error("E1006", f"{self.folder} has no weights `{name}`", help=self._present())
        try:
            loaded, metadata = read_weights(path)
        except SafetensorError as problem:
            raise error("E1006", f"{path} is damaged: {problem}") from None
        # Weights that were trained on elsewhere say nothing; they fit, or are refused as they load.
        if metadata.get("spec_sha256", self.config.spec_sha256) != self.config.spec_sha256:
            raise error("E1006", f"{path} has the weights of another net than {CONFIG} names")
        return loaded

    def origin(self, **changes: Any) -> Origin:
        """The data set that it was trained on, or one that differs in these fields."""
        return msgspec.structs.replace(self.config.data, **changes)

    def _present(self) -> str:
        found = sorted(self.folder.rglob("*.safetensors"))
        names = [file.relative_to(self.folder).with_suffix("").as_posix() for file in found]
        return f"there is {', '.join(names)}" if names else "no epoch of it was finished"

    def data(self) -> Dataset:
        """The data set that it was trained on. Raises ArchError where that is missing."""
        return load_data(self.config.data)


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run."""
    return (folder / CONFIG).is_file()


def adapt(images: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """Images of the data as a net takes them: resized, and repeated along the channels."""
    if images.shape[2:] != size:
        images = F.interpolate(images, size, mode="bilinear", antialias=True)
    return images.expand(-1, channels, -1, -1)


def load_run(folder: Path) -> Run:
    """The run in a folder. Raises ArchError where there is none, or its `run.yaml` is no such."""
    path = folder / CONFIG
    if not is_run(folder):
        raise error("E1006", f"{folder} is not the folder of a run: it has no {CONFIG}")
    try:
        return Run(folder, msgspec.yaml.decode(path.read_bytes(), type=RunConfig))
    except msgspec.MsgspecError as problem:
        raise error("E1006", f"{path} cannot be read: {printable(str(problem))}") from None


def spec_sha256(graph: Graph) -> str:
    """The hash of the graph's canonical text: equal for nets that compute the same."""
    return hashlib.sha256(dump(graph).encode()).hexdigest()


def make_config(
    fitted: Fitted,
    data: Origin,
    recipe: Recipe,
    seed: int,
    machine: Mapping[str, str | int],
) -> RunConfig:
    """What `run.yaml` says of a run that begins."""
    return RunConfig(
        spec=fitted.request.spec,
        spec_sha256=spec_sha256(fitted.model.graph),
        net=fitted.model.graph.name,
        settings=dict(fitted.request.arguments),
        passes=tuple(map(str, fitted.request.passes)),
        channels=fitted.channels,
        size=fitted.size,
        exits=fitted.exits,
        data=data,
        recipe=recipe,
        seed=seed,
        machine=dict(machine),
        versions={
            "archc": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    )


def begin_run(folder: Path, config: RunConfig, source: str) -> None:
    """Write `run.yaml` and `model.py`; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / MODEL, source.encode())
    write_atomically(folder / CONFIG, msgspec.yaml.encode(config))


def save_weights(path: Path, weights: Mapping[str, Tensor], spec_sha256: str) -> None:
    """Write a state_dict as safetensors, whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, weights_file(weights, {"spec_sha256": spec_sha256}))
