"""Snapshot ensembles: which weights are members, and the module that they are shipped as."""

import re
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch

from archc.diagnostics import error
from archc.train.run import Run
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

    It takes what {net} takes, and gives probabilities [N, classes]. Its weights are in
    {weights}.
    """

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList({net}() for _ in range({count}))

    def forward(self, image: Tensor) -> Tensor:
        outputs = [member(image){last} for member in self.members]
        return torch.stack(outputs).softmax(2).mean(0)
'''


def emit_ensemble(run: Run, members: Sequence[str], path: Path) -> Path:
    """Write a module with the class `Ensemble`, and its weights beside it, whose path is given.

    The module is that of the run with one class more. Raises ArchError where the files are there
    already.
    """
    weights = path.with_suffix(".safetensors")
    for file in (path, weights):
        if file.exists():
            raise error("E1032", f"{file} is there already", help="remove it, or name another file")
    tensors = {
        f"members.{i}.{key}": value
        for i, name in enumerate(members)
        for key, value in run.weights(name).items()
    }
    write_atomically(weights, safetensors.torch.save(tensors))
    write_atomically(path, _source(run, len(members), weights.name).encode())
    return weights


def _source(run: Run, count: int, weights: str) -> str:
    net, source = run.config.net, run.source
    last = "[-1]" if len(run.config.exits) > 1 else ""
    names = f'__all__ = ["{net}"]\n'
    cls = _CLASS.format(net=net, count=count, weights=weights, last=last)
    source = source.replace(names, f'__all__ = ["Ensemble", "{net}"]\n\n\n{cls}', 1)
    if not re.search(r"^import torch$", source, re.MULTILINE):
        source = source.replace("\nfrom torch import", "\nimport torch\nfrom torch import", 1)
    # The checksum of the header is that of the net's own file.
    said = f"Ensemble of {count} nets; "
    return re.sub(r"^Checksum .*?; ", said, source, count=1, flags=re.MULTILINE)
