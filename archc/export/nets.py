"""What is exported: a net with its weights, and what it takes and gives."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor, nn

from archc.analysis.input_sizes import at_sizes
from archc.anytime.calibration import FILE, load_calibration
from archc.api import Model
from archc.compiler import Compilation
from archc.diagnostics import error, printable
from archc.ops.size import Dim
from archc.train.ensemble import ensemble_of, members_of
from archc.train.run import load_run
from archc.train.trained import read_file, take

NO_EXITS = "`exit x -> head: ...` in a spec is one"


@dataclass(frozen=True)
class Exported:
    """A net in evaluation. `shapes` are those of a sample of each input, without the batch;
    `outputs` name its results, and `folder` is that of its run."""

    name: str
    net: nn.Module
    shapes: tuple[tuple[int, ...], ...]
    outputs: tuple[str, ...]
    folder: Path | None = None
    weights: tuple[str, ...] = ()
    """Those of the run that it has; several of an ensemble."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of what `forward` takes."""
        return tuple(inspect.signature(self.net.forward).parameters)[: len(self.shapes)]

    @property
    def results(self) -> tuple[str, ...]:
        """The names of the results in a file, where no two values may have one name."""
        plain = ["output" if each == "return" else each for each in self.outputs]
        return tuple(f"{each}_out" if each in self.inputs else each for each in plain)

    def examples(self, batch: int) -> tuple[Tensor, ...]:
        """Drawn inputs [batch, *shape], the same ones each time."""
        generator = torch.Generator().manual_seed(batch)
        return tuple(torch.randn(batch, *shape, generator=generator) for shape in self.shapes)

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The results of the net itself."""
        with torch.no_grad():
            found: Tensor | Sequence[Tensor] = self.net(*inputs)
        return [found] if isinstance(found, Tensor) else list(found)


def of_run(folder: Path, weights: str, ensemble: str | None = None) -> Exported:
    """The net of a run with weights of it, as `model` or `best`, or an ensemble of its snapshots,
    as `last:5`. Raises ArchError."""
    run = load_run(folder)
    if ensemble is None:
        names, net = [weights], run.build()
        take(net, run.config.net, weights, run.weights(weights))
    else:
        names = members_of(run, ensemble)
        net = ensemble_of(run, names)
    shape = (run.config.channels, *run.config.size)
    fields = (run.config.net, net.eval(), (shape,), run.config.exits)
    return Exported(*fields, folder, tuple(names))


def of_spec(compilation: Compilation, sizes: Mapping[str, int], weights: str | None) -> Exported:
    """The net of a spec at some sizes, with the weights of a file, or freshly drawn ones, the same
    each time. Raises ArchError where the file has not its weights."""
    graph = compilation.graph
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        net = Model(compilation).build()
    if weights is not None:
        take(net, graph.name, weights, read_file(weights))
    inputs = at_sizes(graph, sizes).inputs() if sizes else graph.inputs()
    shapes = tuple(tuple(filter(_is_number, each.type.shape)) for each in inputs)
    return Exported(graph.name, net.eval(), shapes, graph.output_names())


def _is_number(size: Dim) -> TypeGuard[int]:
    """All sizes are numbers where the symbols have been given theirs."""
    return isinstance(size, int)


def alone(exported: Exported, exit: str) -> Exported:
    """One exit, by its name or number, and no weights but those that it needs.

    The net is changed. Raises ArchError where it has no such exit.
    """
    k = _number(exported, exit)
    net = exported.net
    setattr(net, "forward", partial(net.forward, exit=k))  # noqa: B010 -- it is a method else
    return replace(exported, outputs=(exported.outputs[k],))


def _number(exported: Exported, exit: str) -> int:
    """Names count before numbers, which may be negative, as in Python."""
    names = exported.outputs
    if not hasattr(exported.net, "exit_names"):
        raise error("E1060", f"`{exported.name}` has no exits to choose from", help=NO_EXITS)
    if exit in names:
        return names.index(exit)
    try:
        return range(len(names))[int(exit)]
    except (ValueError, IndexError):
        help = f"exits are {', '.join(names)}, or 0 to {len(names) - 1}"
        what = f"`{exported.name}` has no exit `{printable(exit)}`"
        raise error("E1060", what, help=help) from None


@dataclass(frozen=True)
class Leaving:
    """When samples leave: a threshold for each exit but the last, and how sure it is."""

    thresholds: tuple[float, ...]
    criterion: str


def leaving(exported: Exported, given: str | None, criterion: str | None) -> Leaving:
    """By thresholds that are given, as `0.9,0.8`, or by those that the run was calibrated to.

    Raises ArchError for a net that has no exits, and where thresholds are not one for each of them
    but the last.
    """
    if not hasattr(exported.net, "predict"):
        what = f"`{exported.name}` has no exits at which samples could leave"
        raise error("E1060", what, help=NO_EXITS)
    if given is not None:
        found = Leaving(_numbers(given), criterion or "confidence")
    else:
        saved = load_calibration(exported.folder) if exported.folder else None
        if saved is None:
            raise error(
                "E1060",
                f"there are no thresholds: no `{FILE}`, and none are given",
                help="`archc calibrate` writes those of a run; `--thresholds 0.9,..` gives them",
            )
        if saved.weights != exported.weights:
            theirs, ours = ", ".join(saved.weights), ", ".join(exported.weights)
            what = f"the thresholds in `{FILE}` are for the weights {theirs}, not for {ours}"
            raise error("E1060", what, help="`archc calibrate` has the same options for weights")
        found = Leaving(saved.thresholds, criterion or saved.criterion)
    count = len(exported.outputs) - 1
    if len(found.thresholds) != count:
        what = f"there are {len(found.thresholds)} thresholds, and `{exported.name}` takes {count}"
        raise error("E1060", what, help="give one for each exit but the last")
    return found


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        what = f"`{printable(text)}` are no thresholds"
        raise error("E1060", what, help="they are numbers with commas between: `0.9,0.8`") from None
