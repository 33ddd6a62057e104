"""Checkpoints and what else a run leaves: damage, full disks, other runs, and going on."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from kills import order, same

from archc.diagnostics import ArchError
from archc.train import checkpoint
from archc.train.checkpoint import DamagedError, checkpoints, newest, read_checkpoint
from archc.train.record import Record
from archc.train.run import load_run
from archc.train.training import Order, Result, train


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "run"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(folder)
    return folder


def run(folder: Path, **changes: Any) -> Result:
    given: dict[str, Any] = order(folder, **{"resume": "never", "every": 0, **changes})
    return train(Order(**given))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_damaged_checkpoint_is_left_aside_with_a_warning(
    finished: Path, folder: Path, capfd: pytest.CaptureFixture[str]
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
    same(folder, finished)


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


def test_a_certain_checkpoint_is_gone_on_from(finished: Path, folder: Path) -> None:
    run(folder, keep=5)
    first = checkpoints(folder)[-1]
    run(folder, resume=str(first))
    same(folder, finished)


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


def test_weights_are_no_checkpoint(finished: Path, folder: Path) -> None:
    with pytest.raises(ArchError, match="it does not begin as a checkpoint does") as caught:
        run(folder, resume=str(finished / "model.safetensors"))
    assert "--weights FILE" in str(caught.value)


def test_a_new_run_takes_the_place_of_one_before_with_its_first_epoch(folder: Path) -> None:
    run(folder, changes=("epochs=2", "batch_size=512"), keep=9)
    run(folder, changes=("epochs=1", "batch_size=512", "optimizer.lr=0.2"), force=True)
    assert [path.stem for path in checkpoints(folder)] == ["step-3"]
    assert load_run(folder).config.recipe.optimizer["lr"] == 0.2
    kept = files(folder)
    with pytest.raises(ArchError, match="E1005"):
        run(folder, changes=("epochs=1", "batch_size=512", "optimizer.lr=1e30"), force=True)
    assert files(folder) == kept


@pytest.mark.parametrize("name", ["step-12.ckpt", "model.safetensors", "metrics.csv"])
def test_a_full_disk_leaves_what_was_saved(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, finished: Path
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
    same(folder, finished)
