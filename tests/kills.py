"""Trainings in processes that can be killed: each is forked from one that has imported torch."""

import multiprocessing
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from archc.compiler import Request
from archc.diagnostics import ArchError
from archc.train.checkpoint import checkpoints, read_checkpoint
from archc.train.data import Origin
from archc.train.run import load_run

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["archc.train.training", "kills"])

NET = """
block Unit(channels)(x) {
    return (x + (x -> conv: conv(channels, 3) -> bn: bn -> drop_path)) -> relu
}

@stochastic_depth(final_survival=0.5)
net Tiny(width=8, classes=10)(image: [1, 8, 8]) {
    x = image -> conv1: conv(width, 3) -> bn1: bn -> relu -> dropout(0.3)
    exit x -> global_avg_pool -> early: linear(classes)
    x = x -> unit1: Unit(width) -> unit2: Unit(width) -> unit3: Unit(width)
    return x -> global_avg_pool -> fc: linear(classes)
}
"""

CHANGES = (
    "epochs=3", "batch_size=256", "ema=0.9", "clip_norm=5", "schedule={name: cyclic, cycles: 2}",
    "augmentation={crop_padding: 1, mixup: 0.4, cutout: 2, label_smoothing: 0.1}",
)  # fmt: skip
"""With all that is random, or that a checkpoint must hold: 18 steps, a cycle ends in an epoch."""


def order(folder: Path, **changes: Any) -> dict[str, Any]:
    """The arguments of an order for a run in `folder`, beside which its spec is."""
    spec = folder.parent / "tiny.arch"
    spec.write_text(NET, encoding="utf-8")
    given = {"changes": CHANGES, "every": 2, "keep": 3, "resume": "auto"}
    request = Request(str(spec))
    return {"request": request, "data": Origin("digits"), "out": folder, **given, **changes}


def train_here(arguments: dict[str, Any]) -> None:
    """Train, and say what is wrong as the command does."""
    from archc.train.training import Order, train

    try:
        train(Order(**arguments))
    except ArchError as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(
    target: Callable[[dict[str, Any]], None],
    arguments: dict[str, Any],
    environment: dict[str, str],
    log: str,
) -> None:
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    target(arguments)


def start(
    arguments: dict[str, Any],
    ranks: int = 1,
    target: Callable[[dict[str, Any]], None] = train_here,
) -> list[BaseProcess]:
    """The processes of a training, as torchrun would start them if there are several."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started: list[BaseProcess] = []
    log = str(arguments["out"].parent / "log")
    cache = {"XDG_CACHE_HOME": str(arguments["out"].parent / "cache"), "OMP_NUM_THREADS": "1"}
    for rank in range(ranks):
        launcher = {
            "TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            "RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0",
            "WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks),
        }  # fmt: skip
        environment = cache | (launcher if ranks > 1 else {})
        process = _CONTEXT.Process(target=_run, args=(target, arguments, environment, log))
        process.start()
        started.append(process)
    return started


def import_torch_once(folder: Path) -> None:
    """Start the process that the others are forked from, so that it is no part of any time."""
    assert ended(start({"out": folder / "run"}, target=print), seconds=300) == [0]


def ended(processes: Sequence[BaseProcess], seconds: float = 60) -> list[int | None]:
    """Their exit codes; those that have not ended within the time are killed, and None."""
    until = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    codes = [process.exitcode for process in processes]
    kill(processes)
    return codes


def kill(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        if process.is_alive() and process.pid:
            os.kill(process.pid, signal.SIGKILL)
        process.join()


def until_saved(folder: Path, count: int = 1, seconds: float = 60) -> None:
    """Wait until there are so many checkpoints."""
    end = time.monotonic() + seconds
    while len(list((folder / "checkpoints").glob("*.ckpt"))) < count:
        assert time.monotonic() < end, (folder.parent / "log").read_text()
        time.sleep(0.005)


def train_with_kills(folder: Path, kills: int, ranks: int, longest: float, seed: int) -> None:
    """A training that is killed at random moments of its first `longest` seconds, then ends."""
    moments = random.Random(seed)
    for _ in range(kills):
        processes = start(order(folder), ranks)
        time.sleep(moments.uniform(0, longest))
        kill(processes)
    assert ended(start(order(folder), ranks)) == [0] * ranks, (folder.parent / "log").read_text()


WEIGHTS = ("model", "best", "ema", "snapshots/cycle-1", "snapshots/cycle-2")


def same(a: Path, b: Path) -> None:
    """Bit for bit: metrics, all weights, and what the last checkpoint holds."""
    assert (a / "metrics.csv").read_text() == (b / "metrics.csv").read_text()
    first, second = load_run(a), load_run(b)
    for name in WEIGHTS:
        ours, theirs = first.weights(name), second.weights(name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours), name
    states = [read_checkpoint(checkpoints(each)[0]) for each in (a, b)]
    assert _plain(states[0]) == _plain(states[1])


def _plain(value: Any) -> Any:
    """A checkpoint's content, but for times, as what can be compared."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in ("seconds", "images_per_second")}
        return {k: _plain(v) for k, v in kept.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
