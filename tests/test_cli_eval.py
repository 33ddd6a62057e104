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

PLAIN = """
net Plain(size=32, classes=100)(image: [3, size, size]) {
    return image -> conv1: conv(4, 3) -> relu -> global_avg_pool -> fc: linear(classes)
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


SHIPPED = """
import sys, torch, ensemble
from safetensors.torch import load_file

net = ensemble.Ensemble().eval()
net.load_state_dict(load_file("ensemble.safetensors"))
assert "archc" not in sys.modules
images = torch.load("images.pt")
with torch.no_grad():
    given = net(images)
    given = given if isinstance(given, list) else [given]
    alone = [net(images, exit=k) for k in range(len(given))] if len(given) > 1 else given
    level = given[0].exp().amax(1).median().item()
    left = tuple(net.predict(images, [level])) if len(given) > 1 else None
torch.save((torch.stack(given), torch.stack(alone), level, left), "given.pt")
"""


def shipped(folder: Path, home: Path) -> Any:
    """What the written module says of the test images: of all exits, of each alone, under the
    threshold at which half of them leave."""
    assert run("eval", str(folder), "--ensemble", "last:2", "--emit", str(home / "ensemble.py"))
    data = load_data("digits")
    (batch,) = data.batches(data.test, 360)
    torch.save(batch.images, home / "images.pt")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", SHIPPED], cwd=home, env=environment, check=True, timeout=120
    )
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,I"]
    subprocess.run(
        [*ruff, "--line-length", "100", "--ignore", "E402", str(home / "ensemble.py")], check=True
    )
    return torch.load(home / "given.pt")


def test_an_ensemble_is_a_module_of_its_own(tmp_path: Path) -> None:
    """Loaded without archc it gives the averaged probabilities of the snapshots at each exit, and
    samples leave it as they leave a net."""
    given, alone, level, (label, exit, sure) = shipped(Path("run"), tmp_path)
    kept = load_run(Path("run"))
    whole = averaged([answered(kept, f"snapshots/cycle-{cycle}") for cycle in (2, 10)])
    assert torch.allclose(given, whole.log_probabilities, atol=1e-5)
    assert torch.allclose(alone, given, atol=1e-6)
    surest, classes = given.exp().max(2)
    assert exit.tolist() == (surest[0] < level).long().tolist()
    assert 0 < exit.sum() < len(exit)
    assert torch.allclose(sure, surest.gather(0, exit[None])[0], atol=1e-6)
    assert label.tolist() == classes.gather(0, exit[None])[0].tolist()
    assert len(load_file(tmp_path / "ensemble.safetensors")) == 2 * len(kept.weights())
    path = str(tmp_path / "ensemble.py")
    assert "is there already" in refusal("run", "--ensemble", "all", "--emit", path)


def test_an_ensemble_of_nets_without_exits_gives_one_answer(tmp_path: Path) -> None:
    (tmp_path / "plain.arch").write_text(PLAIN, encoding="utf-8")
    cyclic = ["--recipe-set", "schedule={name: cyclic, cycles: 2}", "--epochs", "2"]
    words = ["train", str(tmp_path / "plain.arch"), "--data", "digits", "--out"]
    assert run(*words, str(tmp_path / "run"), *cyclic).exit_code == 0
    given, *_ = shipped(tmp_path / "run", tmp_path)
    kept = load_run(tmp_path / "run")
    whole = averaged([answered(kept, f"snapshots/cycle-{cycle}") for cycle in (1, 2)])
    assert torch.allclose(given, whole.log_probabilities, atol=1e-5)
    plain = run("eval", str(tmp_path / "run"), "--ensemble", "all", "--budgets")
    assert plain.exit_code == 1
    assert "error[E1051]" in plain.stderr


def test_an_ensemble_leaves_early_as_a_net_does(tmp_path: Path) -> None:
    """Its costs are those of all members, its answers those of their mean."""
    found = report("run", "--ensemble", "last:2", "--budgets")["anytime"]
    single = report("run", "--weights", "snapshots/cycle-2", "--budgets")["anytime"]
    assert [each["macs"] for each in found["exits"]] == [2 * e["macs"] for e in single["exits"]]
    kept = load_run(Path("run"))
    whole = averaged([answered(kept, f"snapshots/cycle-{cycle}") for cycle in (2, 10)])
    accuracies = [each.top1 for each in whole.measures()]
    assert [each["accuracy"] for each in found["exits"]] == pytest.approx(accuracies)
    assert [each["accuracy"] for each in single["exits"]] != pytest.approx(accuracies)


def test_thresholds_of_an_ensemble_are_saved(trained: Path) -> None:
    words = ["--budget", "80%", "--split", "test", "--json"]
    result = run("calibrate", "run", "--ensemble", "last:2", *words)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["weights"] == ["snapshots/cycle-2", "snapshots/cycle-10"]
    assert found["cost"] <= found["budget"] == pytest.approx(0.8 * found["costs"][-1])
    assert found["accuracy"] >= report("run", "--ensemble", "last:2")["exits"][0]["top1"]
    assert run("calibrate", "run", "--ensemble", "all", "--weights", "best", *words).exit_code == 2
    Path("run/thresholds.json").unlink()
