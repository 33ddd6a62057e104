"""The folder of a run: another process builds the net again, and damage is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from archc.compiler import Request, compile_spec
from archc.diagnostics import ArchError
from archc.passes.pipeline import DEFAULT
from archc.train.data import Origin
from archc.train.run import Run, load_run
from archc.train.training import Order, train

NET = """
net Small(width=4, size=32, classes=100)(image: [3, size, size]) {
    x = image -> conv1: conv(width, 3) -> bn1: bn -> relu
    exit x -> global_avg_pool -> early: linear(classes)
    return x -> flatten -> fc: linear(classes)
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch. Its spec is gone afterwards."""
    home = tmp_path_factory.mktemp("home")
    spec = home / "small.arch"
    spec.write_text(NET, encoding="utf-8")
    train(Order(Request(str(spec)), Origin("digits"), home / "run", changes=("epochs=1",)))
    spec.unlink()
    return home / "run"


@pytest.fixture
def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same in a folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("run.yaml", "model.py", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return load_run(tmp_path)


def test_the_folder_says_what_was_trained_and_with_what(run: Run) -> None:
    config = run.config
    assert config.net == "Small"
    assert config.settings == {"classes": "10", "size": "8"}
    assert (config.channels, config.size) == (1, (8, 8))
    assert config.exits == ("early", "return")
    assert config.passes == tuple(map(str, DEFAULT))
    assert (config.data, config.seed) == (Origin("digits"), 0)
    assert config.recipe.epochs == 1
    assert config.machine == {"device": "cpu", "threads": 1, "processes": 1}
    assert config.versions["torch"] == torch.__version__


def test_the_model_takes_the_weights_without_arguments_and_without_archc(run: Run) -> None:
    program = (
        "import json, sys, model, safetensors.torch\n"
        "net = model.Small()\n"
        "net.load_state_dict(safetensors.torch.load_file('model.safetensors'))\n"
        "print(json.dumps([list(net.conv1.weight.shape), 'archc' in sys.modules]))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=run.folder, env=environment,
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert json.loads(done.stdout) == [[4, 1, 3, 3], False]


def test_the_model_is_what_its_command_compiles(run: Run, tmp_path: Path) -> None:
    (tmp_path / "small.arch").write_text(NET, encoding="utf-8")
    assert "--in-chans 1" in run.source
    request = Request(str(tmp_path / "small.arch"), "Small", run.config.settings, channels=1)
    assert compile_spec(request).source() == run.source


def test_build_and_weights_give_the_net_that_was_trained(run: Run) -> None:
    net = run.build()
    net.load_state_dict(run.weights())
    data = run.data()
    images = run.adapt(next(data.batches(data.test, 3)).images)
    early, last = net.eval()(images)
    assert early.shape == last.shape == (3, 10)


def refused(run: Run, name: str = "model") -> str:
    with pytest.raises(ArchError) as caught:
        run.weights(name)
    assert "error[E1006]" in str(caught.value)
    return str(caught.value)


def test_weights_that_there_are_not_are_named_beside_those_that_there_are(run: Run) -> None:
    assert "there is model" in refused(run, "best")


def test_weights_that_are_cut_off_or_of_another_net_are_refused(run: Run) -> None:
    path = run.folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert "is damaged" in refused(run)
    digest = run.config.spec_sha256.encode()
    path.write_bytes(whole.replace(digest, b"0" * 64))
    assert "another net" in refused(run)


def test_weights_with_a_bit_that_has_changed_are_refused(run: Run) -> None:
    path = run.folder / "model.safetensors"
    whole = bytearray(path.read_bytes())
    whole[-5] ^= 1
    path.write_bytes(whole)
    assert "SHA-256" in refused(run)


@pytest.mark.parametrize("text", [None, "net: [", "nett: Small\n", "a: !!python/name:os.system\n"])
def test_a_folder_without_a_readable_run_is_refused(run: Run, text: str | None) -> None:
    path = run.folder / "run.yaml"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ArchError, match="E1006"):
        load_run(run.folder)


def test_weights_that_were_trained_on_elsewhere_are_read(run: Run, tmp_path: Path) -> None:
    """Their file says nothing of the net."""
    weights = run.weights()
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors")
    assert run.weights().keys() == weights.keys()
