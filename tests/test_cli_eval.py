"""`archc eval`: runs, specs with weights, ensembles and the module that they are shipped as."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import run
from safetensors.torch import load_file

from archc.train.data import load_data
from archc.train.evaluation import Answers, answers, averaged
from archc.train.run import Run, load_run, save_weights

NET = """
net Small(width=4, size=32, classes=100)(image: [3, size, size]) {
    x = image -> conv1: conv(width, 3) -> bn1: bn -> relu
    exit early: x -> global_avg_pool -> head: linear(classes)
    return x -> flatten -> fc: linear(classes)
}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, and a run of it with three snapshots."""
    home = tmp_path_factory.mktemp("home")
    (home / "small.arch").write_text(NET, encoding="utf-8")
    arguments = [str(home / "small.arch"), "--data", "digits", "--epochs", "1"]
    assert run("train", *arguments, "--out", str(home / "run")).exit_code == 0
    trained = load_run(home / "run")
    generator = torch.Generator().manual_seed(0)
    for cycle in (1, 2, 10):  # whose numbers are sorted, not their texts
        weights = {
            name: value + 0.05 * cycle * torch.randn(value.shape, generator=generator)
            if value.is_floating_point() and "running" not in name
            else value
            for name, value in trained.weights().items()
        }
        path = home / "run" / f"snapshots/cycle-{cycle}.safetensors"
        save_weights(path, weights, trained.config.spec_sha256)
    return home


@pytest.fixture(autouse=True)
def place(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)


def answered(kept: Run, name: str = "model") -> Answers:
    net = kept.build()
    net.load_state_dict(kept.weights(name))
    data = load_data("digits")
    return answers(net, kept.adapt, data.batches(data.test, 360))


def report(*arguments: str) -> dict[str, Any]:
    result = run("eval", *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refusal(*arguments: str) -> str:
    result = run("eval", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    return result.stderr


def test_a_run_is_measured_as_its_training_did() -> None:
    found = report("run")
    last = Path("run/metrics.csv").read_text(encoding="utf-8").splitlines()[-1].split(",")
    header = Path("run/metrics.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    row = dict(zip(header, map(float, last), strict=True))
    early, whole = found["exits"]
    assert [early["name"], whole["name"]] == ["early", "return"]
    assert whole["top1"] == pytest.approx(row["test_accuracy"], rel=1e-5)
    assert early["top1"] == pytest.approx(row["test_accuracy.early"], rel=1e-5)
    assert early["loss"] + whole["loss"] == pytest.approx(row["test_loss"], rel=1e-4)
    assert (found["schema"], found["net"], found["data"]) == (1, "Small", "digits")
    assert (found["split"], found["images"]) == ("test", 360)
    assert "members" not in found


def test_classes_and_the_confusion_matrix_are_of_the_last_exit() -> None:
    found = report("run")
    given = answered(load_run(Path("run")))
    for k, (row, each) in enumerate(zip(found["confusion"], found["classes"], strict=True)):
        mine = given.labels == k
        assert row == [int((given.predicted[mine] == j).sum()) for j in range(10)]
        assert (each["name"], each["images"]) == (str(k), int(mine.sum()))
        assert each["accuracy"] == pytest.approx(row[k] / sum(row))


def test_a_spec_is_measured_with_a_file_of_weights() -> None:
    weights = ["--weights", "run/model.safetensors", "--data", "digits"]
    assert report("small.arch", *weights) == report("run")
    wider = refusal("small.arch", "--set", "width=5", *weights)
    assert "error[E1030]: `run/model.safetensors` does not fit `Small`" in wider
    assert "size mismatch for conv1.weight" in wider
    assert "there is no file `none`" in refusal("small.arch", "--weights", "none", *weights[2:])
    assert "no file of safetensors" in refusal(
        "small.arch", "--weights", "small.arch", *weights[2:]
    )


def test_other_weights_and_other_images_are_measured_where_they_are_asked_for() -> None:
    snapshot = report("run", "--weights", "snapshots/cycle-10", "--split", "train")
    assert snapshot["images"] == 1437
    assert snapshot["exits"] != report("run", "--split", "train")["exits"]
    assert "has no weights `ema`" in refusal("run", "--weights", "ema")
    assert "has no images to choose by" in refusal("run", "--split", "val")
    assert "there is no data set `digit`" in refusal("run", "--data", "digit")
    assert "there is no device `tpu`" in refusal("run", "--device", "tpu")


@pytest.mark.parametrize(("which", "cycles"), [("all", [1, 2, 10]), ("last:2", [2, 10])])
def test_an_ensemble_is_measured_beside_its_members(which: str, cycles: list[int]) -> None:
    found = report("run", "--ensemble", which)
    kept = load_run(Path("run"))
    names = [f"snapshots/cycle-{cycle}" for cycle in cycles]
    members = [answered(kept, name) for name in names]
    whole = averaged(members)
    for given, expected in zip(found["exits"], whole.measures(), strict=True):
        assert given["top1"] == pytest.approx(expected.top1)
        assert given["loss"] == pytest.approx(expected.loss, rel=1e-5)
    assert [each["weights"] for each in found["members"]] == names
    top1 = [(each.predicted == each.labels).double().mean().item() for each in members]
    assert [each["top1"] for each in found["members"]] == pytest.approx(top1)
    assert found["best_member"] == names[max(range(len(names)), key=top1.__getitem__)]
    assert found["agreements"][0][1] == pytest.approx(
        (members[0].predicted == members[1].predicted).double().mean().item()
    )


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("last:4", "has 3 snapshots, not 4"),
        ("last:0", "has 3 snapshots, not 0"),
        ("last", "names no snapshots"),
        ("last:", "names no snapshots"),
        ("all:2", "names no snapshots"),
    ],
)
def test_snapshots_that_there_are_not_are_refused(which: str, why: str) -> None:
    assert f"{why}" in refusal("run", "--ensemble", which)


def test_what_people_read_has_all_of_it() -> None:
    text = run("eval", "run", "--ensemble", "all").stdout
    assert text.startswith("Small on 360 images of digits (test)\n")
    for words in ("early", "ensemble", "snapshots/cycle-10", "two members agree on", "class"):
        assert words in text
    assert len({line for line in text.splitlines() if line.endswith("%")}) >= 10


def test_the_confusion_matrix_is_drawn(tmp_path: Path) -> None:
    assert run("eval", "run", "--confusion", str(tmp_path / "c.svg")).exit_code == 0
    assert "Small on digits</title>" in (tmp_path / "c.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ["small.arch", "--weights", "run/model.safetensors"],
        ["small.arch", "--data", "digits"],
        ["small.arch", "--data", "digits", "--weights", "w", "--ensemble", "all"],
        ["run", "--net", "Small"],
        ["run", "--ensemble", "all", "--weights", "model"],
        ["run", "--emit", "ensemble.py"],
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_wrong_usage(arguments: list[str]) -> None:
    assert run("eval", *arguments).exit_code == 2


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    assert "error[E1006]" in refusal(str(tmp_path))


# ------------------------------------------------------------------------- to be shipped


def test_an_ensemble_is_a_module_of_its_own(tmp_path: Path) -> None:
    """Loaded without archc it gives the averaged probabilities of the snapshots."""
    path = tmp_path / "ensemble.py"
    assert run("eval", "run", "--ensemble", "last:2", "--emit", str(path)).exit_code == 0
    data = load_data("digits")
    (batch,) = data.batches(data.test, 360)
    torch.save(batch.images, tmp_path / "images.pt")
    program = (
        "import sys, torch, ensemble\n"
        "from safetensors.torch import load_file\n"
        "net = ensemble.Ensemble().eval()\n"
        "net.load_state_dict(load_file('ensemble.safetensors'))\n"
        "assert 'archc' not in sys.modules\n"
        "torch.save(net(torch.load('images.pt')).detach(), 'given.pt')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, timeout=120
    )
    kept = load_run(Path("run"))
    whole = averaged([answered(kept, f"snapshots/cycle-{cycle}") for cycle in (2, 10)])
    given = torch.load(tmp_path / "given.pt")
    assert torch.allclose(given, whole.log_probabilities[-1].exp(), atol=1e-6)
    assert len(load_file(path.with_suffix(".safetensors"))) == 2 * len(kept.weights())
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,I", str(path)]
    subprocess.run([*ruff, "--line-length", "100", "--ignore", "E402"], check=True)
    assert "is there already" in refusal("run", "--ensemble", "all", "--emit", str(path))
