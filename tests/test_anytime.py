"""`archc calibrate`, and `archc eval --anytime` and `--budgets`, of a small net with exits."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import run
from typer.testing import Result

from archc.anytime.calibration import parse_budget
from archc.anytime.costs import counted_macs
from archc.anytime.report import measure
from archc.diagnostics import ArchError
from archc.train.run import load_run
from archc.train.trained import trained_run

NET = """
net Early(classes=10)(image: [1, 8, 8]) {
    x = image -> conv1: conv(6, 3) -> bn1: bn -> relu
    exit x -> global_avg_pool -> fc1: linear(classes)
    x = x -> conv2: conv(12, 3, stride=2) -> bn2: bn -> relu
    exit x -> global_avg_pool -> fc2: linear(classes)
    x = x -> conv3: conv(24, 3) -> bn3: bn -> relu
    return x -> flatten -> fc: linear(classes)
}
net Plain(classes=10)(image: [1, 8, 8]) { return image -> flatten -> fc: linear(classes) }
"""


def command(*words: object) -> Result:
    return run(*map(str, words))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("anytime")
    (place / "early.arch").write_text(NET)
    for net in ("Early", "Plain"):
        words = ("--data", "digits", "--val", "0.2", "--epochs", "3", "--out", str(place / net))
        assert command("train", place / "early.arch", "--net", net, *words).exit_code == 0
    return place


def test_thresholds_are_saved_that_keep_the_budget(folder: Path) -> None:
    result = command("calibrate", folder / "Early", "--budget", "60%")
    assert result.exit_code == 0, result.output
    saved = json.loads((folder / "Early" / "thresholds.json").read_text())
    trained = trained_run(load_run(folder / "Early"))
    trained.load("model")
    assert saved["costs"] == counted_macs(trained.net, torch.zeros(1, 1, 8, 8))
    assert saved["cost"] <= saved["budget"] == pytest.approx(0.6 * saved["costs"][-1])
    batch = next(trained.data.batches(trained.data.val, 1000))  # type: ignore[arg-type]
    net: Any = trained.net.eval()
    found = net.predict(batch.images, saved["thresholds"])
    counts = torch.bincount(found.exit, minlength=3).tolist()
    assert counts == saved["leave"]
    right = (found.label == batch.labels).double().mean().item()
    assert right == pytest.approx(saved["accuracy"])
    assert f"{saved['accuracy']:.2%}" in result.stdout


@pytest.mark.parametrize("options", [("--criterion", "entropy"), ("--unit", "ms"), ("--json",)])
def test_other_ways_to_calibrate(folder: Path, options: tuple[str, ...]) -> None:
    result = command("calibrate", folder / "Early", "--budget", "90%", "--split", "test", *options)
    assert result.exit_code == 0, result.output
    saved = json.loads((folder / "Early" / "thresholds.json").read_text())
    assert saved["criterion"] == ("entropy" if "entropy" in options else "confidence")
    assert saved["unit"] == ("ms" if "ms" in options else "macs")
    assert "--json" not in options or json.loads(result.stdout) == saved


@pytest.mark.parametrize(
    ("net", "options", "code"),
    [
        ("Early", ("--budget", "1"), "E1050"),
        ("Early", ("--budget", "much"), "E1050"),
        ("Early", ("--budget", "-3M"), "E1050"),
        ("Early", ("--budget", "50%", "--criterion", "luck"), "E1003"),
        ("Plain", ("--budget", "50%"), "E1051"),
    ],
)
def test_what_is_wrong_is_told(folder: Path, net: str, options: tuple[str, ...], code: str) -> None:
    before = sorted((folder / net).iterdir())
    result = command("calibrate", folder / net, *options)
    assert result.exit_code == 1
    assert f"error[{code}]" in result.stderr
    assert sorted((folder / net).iterdir()) == before


def test_the_least_percentage_is_told_and_is_a_budget(folder: Path) -> None:
    result = command("calibrate", folder / "Early", "--budget", "0.1%")
    told = re.search(r"costs\s+\S+ M?\S*.*?,\s+([\d.]+%)\s+of\s+what", result.stderr, re.DOTALL)
    assert told is not None, result.stderr
    assert command("calibrate", folder / "Early", "--budget", told[1]).exit_code == 0


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [("40M", 40e6, "macs"), ("1.5G", 1.5e9, "macs"), ("250000", 250000, "macs"),
     ("2.5ms", 2.5, "ms"), ("60%", 0.6, "macs")],
)  # fmt: skip
def test_budgets_are_read(text: str, amount: float, unit: str) -> None:
    found = parse_budget(text)
    assert found.amount == pytest.approx(amount)
    assert found.unit == unit
    for wrong in ("nan", "inf", "40MM", "4kM", "0", "", "5 apples", "%"):
        with pytest.raises(ArchError, match="E1050"):
            parse_budget(wrong)


def test_accuracy_against_compute_is_measured_and_drawn(folder: Path) -> None:
    place = folder / "Early"
    result = command("eval", place, "--anytime", "--budgets")
    assert result.exit_code == 0, result.output
    assert "thresholds were chosen by the val images" in result.stdout
    for name in ("anytime.svg", "budgets.svg", "budgets-time.svg"):
        assert (place / name).read_text().startswith("<svg")
    assert (place / "leaving.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(command("eval", place, "--budgets", "--json").stdout)["anytime"]
    assert [row["name"] for row in found["exits"]] == list(load_run(place).config.exits)
    for row in found["budgets"]:
        assert sum(row["leave"]) == 360
        assert row["macs"] <= found["exits"][-1]["macs"]
    assert "several exits" in command("eval", folder / "Plain", "--anytime").stderr


def test_those_that_leave_first_are_the_surest_of_the_first_exit(folder: Path) -> None:
    trained = trained_run(load_run(folder / "Early"))
    trained.load("model")
    found = measure(trained, "test", "confidence")
    assert sorted(found.order.tolist()) == list(range(360))
    batch = next(trained.data.batches(trained.data.test, 360))
    with torch.no_grad():
        scores = trained.net.eval()(batch.images)
    first = found.order[: found.budgets[4].leave[0]]
    sure = scores[0].softmax(1).amax(1)[first]
    assert torch.equal(sure, sure.sort(descending=True).values)
