"""A training that was killed or stopped goes on to the very numbers of one that was not."""

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from kills import ended, import_torch_once, kill, order, start, train_with_kills, until_saved

from archc.diagnostics import ArchError
from archc.train import checkpoint
from archc.train.checkpoint import DamagedError, checkpoints, newest, read_checkpoint
from archc.train.record import Record
from archc.train.run import load_run
from archc.train.training import Order, Result, train

WEIGHTS = ("model", "best", "ema", "snapshots/cycle-1", "snapshots/cycle-2")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
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


# ------------------------------------------------------------------------ files, in this process


def run(folder: Path, **changes: Any) -> Result:
    given: dict[str, Any] = order(folder, **{"resume": "never", "every": 0, **changes})
    return train(Order(**given))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_damaged_checkpoint_is_left_aside_with_a_warning(
    finished: dict[int, Path], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(folder, keep=5)
    last, before = checkpoints(folder)[:2]
    whole = bytearray(last.read_bytes())
    whole[len(whole) // 2] ^= 1  # a single bit: torch.load would take it
    last.write_bytes(bytes(whole))
    with pytest.raises(DamagedError):
        read_checkpoint(last)
    (folder / "model.safetensors").unlink()
    run(folder, resume="auto")
    err = capfd.readouterr().err
    assert f"{last} is damaged and left aside" in err
    assert f"goes on after step {before.stem.removeprefix('step-')}" in err
    same(folder, finished[1])


def test_every_bit_of_a_checkpoint_counts(folder: Path) -> None:
    folder.mkdir()
    checkpoint.write_checkpoint(folder, {"step": 1, "net": torch.arange(4.0)}, keep=1)
    (path,) = checkpoints(folder)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(bytes(changed))
        assert newest(folder, lambda _: None) is None
    path.write_bytes(whole[:-1])
    assert newest(folder, lambda _: None) is None
    path.write_bytes(whole)
    assert newest(folder, lambda _: None) is not None


def test_metrics_after_the_checkpoint_are_cut_off(folder: Path) -> None:
    run(folder, keep=5)
    whole = (folder / "metrics.csv").read_text()
    checkpoints(folder)[0].unlink()
    assert len(read_checkpoint(checkpoints(folder)[0])["rows"]) == 2

    def stopped(self: Record, *_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Record, "epoch", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(folder, resume="auto")
    assert (folder / "metrics.csv").read_text() == "".join(whole.splitlines(True)[:3])
    run(folder, resume="auto")
    assert (folder / "metrics.csv").read_text() == whole


def test_a_run_that_is_finished_is_only_reported(folder: Path) -> None:
    before = run(folder)
    kept = files(folder)
    after = run(folder, resume="auto")
    assert after.rows == before.rows
    assert files(folder) == kept


def test_a_certain_checkpoint_is_gone_on_from(finished: dict[int, Path], folder: Path) -> None:
    run(folder, keep=5)
    first = checkpoints(folder)[-1]
    run(folder, resume=str(first))
    same(folder, finished[1])


def test_another_run_is_not_gone_on_with(folder: Path) -> None:
    changes = ("epochs=1", "batch_size=512")
    run(folder, changes=changes)
    others: tuple[tuple[dict[str, Any], str], ...] = (
        ({"seed": 1}, "seed"),
        ({"changes": ("epochs=2",)}, "recipe"),
    )
    for change, key in others:
        with pytest.raises(ArchError, match=f"E1007.*which differs in {key}"):
            run(folder, **{"resume": "auto", "changes": changes, **change})


def test_a_new_run_takes_the_place_of_one_before_with_its_first_epoch(folder: Path) -> None:
    run(folder, changes=("epochs=2", "batch_size=512"), keep=9)
    run(folder, changes=("epochs=1", "batch_size=512", "optimizer.lr=0.2"))
    assert [path.stem for path in checkpoints(folder)] == ["step-3"]
    assert load_run(folder).config.recipe.optimizer["lr"] == 0.2
    kept = files(folder)
    with pytest.raises(ArchError, match="E1005"):
        run(folder, changes=("epochs=1", "batch_size=512", "optimizer.lr=1e30"))
    assert files(folder) == kept


@pytest.mark.parametrize("name", ["step-12.ckpt", "model.safetensors", "metrics.csv"])
def test_a_full_disk_leaves_what_was_saved(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, finished: dict[int, Path]
) -> None:
    real = os.replace

    def fail_for_one(source: Path, target: Path) -> None:
        if target.name == name and (folder / "checkpoints" / "step-6.ckpt").exists():
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr("archc.writing.os.replace", fail_for_one)
    with pytest.raises(OSError, match="No space left"):
        run(folder)
    monkeypatch.undo()
    assert not list(folder.rglob(".archc-*"))
    assert read_checkpoint(checkpoints(folder)[0])["step"] == 6
    run(folder, resume="auto")
    same(folder, finished[1])
