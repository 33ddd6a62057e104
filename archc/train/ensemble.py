"""Snapshot ensembles: which weights are members, and the module that they are shipped as."""

import re
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
from torch import Tensor, nn

from archc.cache import import_source
from archc.diagnostics import error
from archc.train.data import Dataset
from archc.train.run import Run
from archc.train.trained import Trained
from archc.writing import write_atomically

_CYCLE = re.compile(r"cycle-(\d+)\.safetensors")


def members_of(run: Run, which: str) -> list[str]:
    """The names of a run's snapshots, the oldest first: `all`, or as `last:5` the last 5.

    Raises ArchError where there are not so many.
    """
    word, _, number = which.partition(":")
    if which != "all" and not (word == "last" and number.isdecimal()):
        raise error(
            "E1031", f"`{which}` names no snapshots", help="`all`, or as `last:5` the last 5"
        )
    found = (_CYCLE.fullmatch(path.name) for path in (run.folder / "snapshots").glob("*"))
    cycles = sorted(int(match[1]) for match in found if match)
    count = int(number or len(cycles))
    if not 1 <= count <= len(cycles):
        wanted = f", not {number}" if number else ""
        raise error(
            "E1031",
            f"{run.folder} has {len(cycles)} snapshots{wanted}",
            help="a recipe with a cyclic schedule leaves one after each of its cycles",
        )
    return [f"snapshots/cycle-{cycle}" for cycle in cycles[-count:]]


_CLASS = '''\
class Ensemble(nn.Module):
    """The mean of what {count} snapshots of {net} give (Huang et al., 2017).

    It takes what {net} takes, and gives the logarithms of their mean probabilities
    [N, classes]{where}. Its weights are in {weights}.
    """

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList({net}() for _ in range({count}))
'''

_ANSWER = """
    def forward(self, image: Tensor) -> Tensor:
        outputs = [member(image){last} for member in self.members]
        return torch.stack(outputs).log_softmax(2).logsumexp(0).log_softmax(1)
"""

_EXITS = '''\
        self.exit_names = self.members[0].exit_names
        self.exit_macs = tuple({count} * macs for macs in self.members[0].exit_macs)

    def forward(self, image: Tensor, exit: int | None = None) -> list[Tensor] | Tensor:
        exits = self.iter_exits(image, exit)
        return list(exits) if exit is None else next(exits)

    def iter_exits(self, image: Tensor, exit: int | None = None) -> Iterator[Tensor]:
        """Each exit of all members, from what the one before has left; or one `exit`."""
        members = [member.iter_exits(image, exit) for member in self.members]
        staying = None
        for _ in self.exit_names if exit is None else (exit,):
            scores = torch.stack([member.send(staying) for member in members])
            staying = yield scores.log_softmax(2).logsumexp(0).log_softmax(1)

    def predict(
        self, image: Tensor, thresholds: Sequence[float], criterion: str = "confidence"
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Samples leave at the first exit that is as sure of them as its threshold says."""
        return leave_early(self, self.iter_exits(image), thresholds, criterion)
'''


def ensemble_of(run: Run, members: Sequence[str]) -> nn.Module:
    """Some snapshots of a run as one net, with their weights."""
    net: nn.Module = import_source(_source(run, len(members), "a run"), "ensemble").Ensemble()
    net.load_state_dict(_weights(run, members))
    return net


def trained_ensemble(run: Run, members: Sequence[str], data: Dataset) -> Trained:
    """The same beside its data."""
    config, net = run.config, ensemble_of(run, members)
    fitted = config.exits, config.channels, config.size
    return Trained(f"{len(members)} times {config.net}", net, *fitted, data, run.weights)


def emit_ensemble(run: Run, members: Sequence[str], path: Path) -> Path:
    """Write a module with the class `Ensemble`, and its weights beside it, whose path is given.

    The module is that of the run with one class more. Raises ArchError where the files are there
    already.
    """
    weights = path.with_suffix(".safetensors")
    for file in (path, weights):
        if file.exists():
            raise error("E1032", f"{file} is there already", help="remove it, or name another file")
    write_atomically(weights, safetensors.torch.save(_weights(run, members)))
    write_atomically(path, _source(run, len(members), weights.name).encode())
    return weights


def _weights(run: Run, members: Sequence[str]) -> dict[str, Tensor]:
    return {
        f"members.{i}.{key}": value
        for i, name in enumerate(members)
        for key, value in run.weights(name).items()
    }


def _source(run: Run, count: int, weights: str) -> str:
    """The text of the run's module with the class of the ensemble."""
    net, source = run.config.net, run.source
    has_exits = hasattr(run.build(), "iter_exits")
    last = "[-1]" if len(run.config.exits) > 1 else ""
    where = " of each exit" if has_exits else ""
    cls = (_CLASS + (_EXITS if has_exits else _ANSWER)).format(
        net=net, count=count, weights=weights, last=last, where=where
    )
    names = f'__all__ = ["{net}"]\n'
    source = source.replace(names, f'__all__ = ["Ensemble", "{net}"]\n\n\n{cls}', 1)
    if not re.search(r"^import torch$", source, re.MULTILINE):
        source = source.replace("\nfrom torch import", "\nimport torch\nfrom torch import", 1)
    # The checksum of the header is that of the net's own file.
    said = f"Ensemble of {count} nets; "
    return re.sub(r"^Checksum .*?; ", said, source, count=1, flags=re.MULTILINE)
