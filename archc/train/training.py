"""`archc train`: a spec is compiled for a data set, and trained on it by a recipe.

docs/training.md says what is in the folder of a run.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archc.compiler import Request
from archc.diagnostics import Diagnostic, error
from archc.train.checkpoint import DamagedError, newest, read_checkpoint
from archc.train.data import Dataset, Origin, load_data
from archc.train.devices import Machine, is_first, leave_processes, threads
from archc.train.extern_modules import try_externs
from archc.train.fit import Fitted, fit
from archc.train.loop import Loop, other_processes
from archc.train.losses import set_scales
from archc.train.metrics import EpochRow
from archc.train.progress import Progress, say
from archc.train.recipe import Claim, Recipe
from archc.train.recipe_file import load_recipe
from archc.train.record import Record
from archc.train.run import CONFIG, RunConfig, adapt, load_run, make_config
from archc.train.stopping import Stop
from archc.train.trained import read_file, take


@dataclass(frozen=True)
class Order:
    """What is to be trained, and how.

    `recipe` is a path or the name of a shipped one, with `changes` as `optimizer.lr=0.05`. `resume`
    is `never`, `auto` for the newest whole checkpoint of the folder `out`, or the path of one.
    A run that is in the folder is replaced only by `force`. Checkpoints are written after each
    epoch, and after each `every` steps if that is not 0; the newest `keep` stay.

    Raises ArchError for numbers out of range.
    """

    request: Request
    data: Origin
    out: Path
    recipe: str = "default"
    changes: tuple[str, ...] = ()
    weights: Path | None = None
    """A file of safetensors to begin with."""
    seed: int = 0
    machine: Machine = field(default_factory=Machine)
    resume: str = "never"
    force: bool = False
    every: int = 0
    keep: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise error("E1003", f"the seed must be from 0 to 2**63 - 1, not {self.seed}")
        if self.every < 0 or self.keep < 1:
            raise error("E1003", "checkpoints are written every N >= 0 steps, and N >= 1 are kept")


@dataclass(frozen=True)
class Result:
    """What a run came to: a row for each epoch, and what the paper says.

    A run that was `stopped` has fewer rows than epochs. Only the first of several processes is
    `main`.
    """

    names: tuple[str, ...]
    rows: tuple[EpochRow, ...]
    seconds: float
    folder: Path
    claim: Claim | None = None
    stopped: bool = False
    main: bool = True

    @property
    def accuracy(self) -> float:
        """That of the test after the last epoch, from 0 to 1."""
        return self.rows[-1]["test_accuracy"]

    @property
    def exits(self) -> dict[str, float]:
        """The same for each exit."""
        early = {name: self.rows[-1][f"test_accuracy.{name}"] for name in self.names[:-1]}
        return {**early, self.names[-1]: self.accuracy}

    def report(self) -> str:
        """What goes to standard output: a line for each of several exits, and one for the net."""
        if self.stopped or not self.main:
            return ""
        several = self.exits if len(self.exits) > 1 else {}
        lines = [f"test accuracy of {name}: {value:.2%}\n" for name, value in several.items()]
        return "".join([*lines, f"test accuracy: {self.accuracy:.2%}\n", *self._beside_the_paper()])

    def _beside_the_paper(self) -> Iterator[str]:
        if self.claim is not None:
            what = f" for {self.claim.of}" if self.claim.of else ""
            paper = f"the paper has {self.claim.error:.2f}%{what} ({self.claim.source})"
            yield f"test error: {100 * (1 - self.accuracy):.2f}%; {paper}\n"


@dataclass(frozen=True)
class Prepared:
    """A net that was compiled for its data: all that can be known before anything runs."""

    order: Order
    recipe: Recipe
    data: Dataset
    fitted: Fitted

    @cached_property
    def config(self) -> RunConfig:
        order = self.order
        machine: dict[str, str | int] = {
            "device": order.machine.kind,
            "threads": order.machine.threads,
            "processes": order.machine.processes,
        }
        return make_config(self.fitted, order.data, self.recipe, order.seed, machine)

    @property
    def steps(self) -> int:
        """Of all epochs together."""
        return self.recipe.epochs * self.data.steps(self.recipe.batch_size)

    def build(self) -> nn.Module:
        """The net as the recipe wants it at first; all its random numbers follow from the seed."""
        torch.manual_seed(self.order.seed)
        net = self.fitted.model.build()
        if self.order.weights is not None:
            file = str(self.order.weights)
            take(net, self.fitted.model.graph.name, file, read_file(file))
        elif self.recipe.scale_init is not None:
            set_scales(net, self.recipe.scale_init)
        return net

    def claim(self) -> Claim | None:
        """What the paper says of this net on this data, if the recipe knows it."""
        net, parameters = self.config.net, dict(self.fitted.model.graph.info.parameters)
        for claim in self.recipe.claims:
            if (claim.net, claim.data) == (net, self.data.name) and all(
                parameters.get(name) == value for name, value in claim.settings.items()
            ):
                return claim
        return None


def prepare(order: Order) -> Prepared:
    """Read the recipe and the data, and compile the net for them. Raises ArchError."""
    recipe = load_recipe(order.recipe, order.changes)
    data = load_data(order.data)
    fitted = fit(order.request, data)
    prepared = Prepared(order, recipe, data, fitted)
    _check(prepared)
    return prepared


def _check(prepared: Prepared) -> None:
    recipe, exits = prepared.recipe, prepared.fitted.exits
    if recipe.exit_weights and len(recipe.exit_weights) != len(exits):
        raise error(
            "E1003",
            f"the recipe weighs {len(recipe.exit_weights)} exits, but the net has {len(exits)}",
            help=f"its exits are {', '.join(exits)}",
        )
    smallest = len(prepared.data.train.labels) // prepared.data.steps(recipe.batch_size)
    parts = prepared.order.machine.processes * recipe.accumulate
    if smallest < parts:
        raise error("E1003", f"batches of {smallest} images cannot be shared by {parts} parts")
    if prepared.order.machine.kind == "cpu":
        if recipe.sync_batchnorm:
            raise error("E1003", "torch synchronises batch norms on GPUs only")
        if recipe.precision == "fp16":
            raise error("E1003", "fp16 is for GPUs", help="`--precision bf16` or fp32")


def train(order: Order, warn: Callable[[Iterable[Diagnostic]], object] | None = None) -> Result:
    """Train a net; the folder of the run is made.

    Progress goes to stderr, the compiler's warnings to `warn`. SIGTERM and SIGINT end the training
    after a step and a checkpoint, the latter with KeyboardInterrupt. On a CPU the same order gives
    the same numbers, bit for bit, whether it was interrupted or not.

    Raises ArchError if something in the order is wrong, if the net cannot take the data, when the
    loss is not finite, when another process is gone, and where the folder has a run already.
    """
    prepared = prepare(order)
    if warn is not None and is_first():
        warn(prepared.fitted.model.warnings)
    with threads(order.machine.threads):
        return _train(prepared)


def _train(prepared: Prepared) -> Result:
    start = time.monotonic()
    order, recipe, config = prepared.order, prepared.recipe, prepared.config
    content = _resumed(order, config)
    fabric = order.machine.fabric(recipe.precision)
    main = fabric.is_global_zero
    data = prepared.data.to(fabric.device)
    net = _placed(prepared, data, fabric.device)
    source = prepared.fitted.model.source
    record = Record(order.out, config, source, keep=order.keep, writes=main)
    with other_processes(fabric.world_size), Stop() as stop:
        loop = Loop(fabric, config, data, net, record)
        if content is not None:
            loop.state.restore(content, fabric.global_rank, fabric.world_size)
            record.resume(loop.state)
        if main:
            _announce(prepared, net, loop.state.step)
        done = loop.state.step
        with Progress(recipe.epochs, prepared.steps, done, recipe.batch_size, shown=main) as bar:
            loop.run(stop, bar, order.every)
    leave_processes()
    return _ended(prepared, loop, stop, time.monotonic() - start, main=main)


def _ended(prepared: Prepared, loop: Loop, stop: Stop, seconds: float, *, main: bool) -> Result:
    folder, step = prepared.order.out, loop.state.step
    stopped = step < prepared.steps
    if main and stopped:
        say(f"stopped after step {step:,}, which is saved: `--resume auto` goes on")
    elif main:
        say(f"{seconds:.1f} s; model.py, model.safetensors and metrics.csv are in {folder}")
    if stopped and stop.interrupted:
        raise KeyboardInterrupt
    exits, rows = prepared.fitted.exits, tuple(loop.state.rows)
    return Result(exits, rows, seconds, folder, prepared.claim(), stopped, main)


def _placed(prepared: Prepared, data: Dataset, device: torch.device) -> nn.Module:
    """The net on its device, its extern layers tried, its layout and its compilation chosen."""
    recipe, config = prepared.recipe, prepared.config
    net = prepared.build().to(device)
    few = next(data.batches(data.train, 2)).images
    try_externs(prepared.fitted.model.graph, net, adapt(few, config.channels, config.size))
    if recipe.sync_batchnorm:
        synchronised: Any = nn.SyncBatchNorm.convert_sync_batchnorm
        net = synchronised(net)
    if recipe.channels_last:
        net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.compile:
        for block in blocks_of(net):
            block.compile()
    return net


def blocks_of(net: nn.Module) -> list[nn.Module]:
    """The modules of the emitted file's own classes that contain no other such one."""
    own = [each for each in net.modules() if type(each).__module__ == type(net).__module__]
    return [each for each in own if not any(inner in own for inner in list(each.modules())[1:])]


def _resumed(order: Order, config: RunConfig) -> dict[str, Any] | None:
    """The content of the checkpoint to go on from. Raises ArchError if it is of another run."""
    if order.resume == "never":
        _refuse_to_replace(order)
        return None
    if order.resume == "auto":
        if not (order.out / CONFIG).is_file():
            return None
        differing = load_run(order.out).config.differences(config)
        content = newest(order.out, say)
    else:
        differing = []
        try:
            content = read_checkpoint(Path(order.resume))
        except DamagedError as problem:
            raise error(
                "E1007",
                f"{order.resume} is no whole checkpoint: {problem}",
                help="`--resume auto` takes the newest whole one; weights are for `--weights FILE`",
            ) from None
    if content is not None and content["spec_sha256"] != config.spec_sha256:
        differing.append("spec_sha256")
    if differing:
        raise error(
            "E1007",
            f"{order.out} has another run, which differs in {', '.join(dict.fromkeys(differing))}",
            help="name another folder by `--out`, or let `--force` replace the run",
        )
    return content


def _refuse_to_replace(order: Order) -> None:
    if (order.out / CONFIG).is_file() and not order.force:
        raise error(
            "E1007",
            f"{order.out} has a run already",
            help="`--resume auto` goes on with it, `--force` replaces it, `--out` names another",
        )


def _announce(prepared: Prepared, net: nn.Module, done: int) -> None:
    recipe, config = prepared.recipe, prepared.config
    parameters = sum(weight.numel() for weight in net.parameters())
    epochs = f"{recipe.epochs} epoch{'' if recipe.epochs == 1 else 's'}"
    batches = prepared.data.steps(recipe.batch_size)
    say(
        f"{config.net} on {prepared.data.name}: {parameters:,} parameters, {epochs} of {batches} "
        f"steps, seed {config.seed}, {config.machine['device']}"
    )
    given, taken = (prepared.data.size,) * 2, config.size
    if given != taken:
        say(f"images of {_by(given)} are resized to the net's {_by(taken)}")
    if recipe.sync_batchnorm:
        say("batch norms are synchronised: dense blocks run layer by layer, in more memory")
    if prepared.data.val is None:
        say("best.safetensors is chosen by the test images: this data has none to choose by")
    if done:
        say(f"goes on after step {done:,}")


def _by(size: tuple[int, int]) -> str:
    return " x ".join(map(str, size))
