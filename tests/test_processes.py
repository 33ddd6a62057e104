"""Trainings of one process and of two: killed or stopped, they go on to the very same numbers.

And two processes compute what one does.
"""

import os
import re
import signal
import time
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from kills import (
    ended,
    import_torch_once,
    kill,
    order,
    same,
    start,
    train_here,
    train_with_kills,
    until_saved,
)
from torch import nn

from archc.compiler import Request
from archc.train import devices
from archc.train.checkpoint import checkpoints
from archc.train.run import load_run

WITHOUT_DRAWS = """
net Plain(width=6, classes=10)(image: [1, 8, 8]) {
    x = image -> conv1: conv(width, 3) -> bn1: bn -> relu
    exit x -> global_avg_pool -> early: linear(classes)
    x = x -> conv2: conv(width, 3, stride=2) -> bn2: bn -> relu
    return x -> global_avg_pool -> fc: linear(classes)
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Runs that nothing has disturbed, of one process and of two; and how long they took."""
    home = tmp_path_factory.mktemp("finished")
    import_torch_once(home)
    folders = {ranks: home / str(ranks) / "run" for ranks in (1, 2)}
    for ranks, folder in folders.items():
        folder.parent.mkdir()
        began = time.monotonic()
        assert ended(start(order(folder), ranks)) == [0] * ranks
        (folder.parent / "seconds").write_text(str(time.monotonic() - began))
    return folders


@pytest.mark.parametrize("ranks", [1, 2])
def test_kills_change_nothing(finished: dict[int, Path], folder: Path, ranks: int) -> None:
    longest = float((finished[ranks].parent / "seconds").read_text())
    train_with_kills(folder, 3, ranks, longest, seed=time.time_ns())
    same(folder, finished[ranks])


@pytest.mark.full
@pytest.mark.parametrize("ranks", [1, 2])
def test_many_kills_change_nothing(finished: dict[int, Path], folder: Path, ranks: int) -> None:
    longest = float((finished[ranks].parent / "seconds").read_text())
    for each in range(7):
        where = folder.parent / str(each) / "run"
        where.parent.mkdir()
        train_with_kills(where, 3, ranks, longest, seed=time.time_ns())
        same(where, finished[ranks])


def test_a_rank_that_is_killed_ends_the_others_and_the_run_goes_on(
    finished: dict[int, Path], folder: Path
) -> None:
    processes = start(order(folder), 2)
    until_saved(folder)
    began = time.monotonic()
    kill(processes[1:])
    assert ended(processes[:1]) == [1]
    assert time.monotonic() - began < 60
    log = (folder.parent / "log").read_text()
    assert "error[E1008]: another of the 2 processes of this training is gone" in log
    assert "`--resume auto` goes on" in log
    assert ended(start(order(folder), 2)) == [0, 0]
    same(folder, finished[2])


@pytest.mark.parametrize(
    ("number", "code", "ranks"),
    [(signal.SIGTERM, 0, 1), (signal.SIGINT, 130, 1), (signal.SIGTERM, 0, 2)],
)
def test_a_signal_ends_after_a_step_that_is_saved(
    finished: dict[int, Path], folder: Path, number: int, code: int, ranks: int
) -> None:
    arguments = order(folder, every=0)
    processes = start(arguments, ranks)
    until_saved(folder)
    assert processes[0].pid
    os.kill(processes[0].pid, number)
    codes = ended(processes)
    log = (folder.parent / "log").read_text()
    found = re.search(r"stopped after step (\d+), which is saved: `--resume auto` goes on", log)
    assert found, log
    assert codes[0] == code
    assert checkpoints(folder)[0].name == f"step-{found[1]}.ckpt"
    assert ended(start(arguments, ranks)) == [0] * ranks
    same(folder, finished[ranks])


def without_batches(arguments: dict[str, Any]) -> None:
    """Train in float64, batch norms by their running statistics: images do not see each other."""

    def evaluate(self: nn.Module, _: bool = True) -> nn.Module:
        return nn.Module.train(self, mode=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(cast(dict[str, str], devices.PRECISIONS), "fp32", "64-true")
        patch.setattr(nn.BatchNorm2d, "train", evaluate)
        train_here(arguments)


def test_two_processes_and_parts_of_a_step_are_one_process_with_the_whole_batch(
    tmp_path: Path,
) -> None:
    spec = tmp_path / "plain.arch"
    spec.write_text(WITHOUT_DRAWS, encoding="utf-8")
    request = Request(str(spec))
    changes = ("epochs=1", "batch_size=1437", "optimizer={name: SGD, lr: 0.5}", "augmentation={}")
    ways = {"one": (1, 1), "two": (2, 1), "parts": (1, 3), "two with parts": (2, 2)}
    for name, (ranks, parts) in ways.items():
        given = order(tmp_path / name, request=request, changes=(*changes, f"accumulate={parts}"))
        codes = ended(start(given, ranks, without_batches))
        assert codes == [0] * ranks, (tmp_path / "log").read_text()
    whole = load_run(tmp_path / "one").weights()
    for name in list(ways)[1:]:
        shared = load_run(tmp_path / name).weights()
        for key, value in whole.items():
            assert value.dtype == torch.float64 or "num_batches" in key
            error = (shared[key] - value).abs().max() / value.abs().max().clamp(min=1)
            assert error < 1e-9, (name, key)
