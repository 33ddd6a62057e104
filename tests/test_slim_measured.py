"""What `archc slim` measures of a run: accuracy, time, and by its images which channels matter."""

import json
import re
from pathlib import Path

import pytest
import torch
from command_line import run
from torch import nn
from torch.nn import functional as F

from archc.channels.plan import read_plan
from archc.diagnostics import ArchError
from archc.elaborate.limits import Limits
from archc.ir.graph import Graph
from archc.slim import targets, taylor
from archc.slim.measured import Latency, latency_of
from archc.slim.runs import open_run
from archc.slim.taylor import taylor_scores
from archc.train.data.augmentation import Augmentation
from archc.train.run import load_run

SPEC = """
net Mine(width=8, classes=10)(x: [1, 8, 8]) {
    x = x -> a: conv(width, 3) -> n: bn -> relu
    return x -> b: conv(width, 3) -> m: bn -> relu -> global_avg_pool -> fc: linear(classes)
}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in `wide`, trained for two epochs."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("mine.arch").write_text(SPEC)
        done = run("train", "mine.arch", "--data", "digits", "--epochs", "2", "--out", "wide")
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def folder(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained


def test_the_report_has_the_accuracies_that_eval_measures(folder: Path) -> None:
    done = run("slim", "wide", "--ratio", "0.4", "-o", "thin", "--batch", "3")
    assert done.exit_code == 0, done.output
    report = json.loads(Path("thin/report.json").read_text())
    for name, when in (("wide", "before"), ("thin", "after")):
        measured = json.loads(run("eval", name, "--json").stdout)
        assert report["accuracy"][when] == measured["exits"][-1]["top1"]
        assert report["accuracy"]["images"] == measured["images"]
    assert report["accuracy"]["before"] != report["accuracy"]["after"]
    assert report["latency"]["batch"] == 3
    assert report["latency"]["rounds"] >= 5
    assert "`--no-eval` leaves it out" in done.stderr
    assert re.search(r"accuracy +[\d.]+% -> +[\d.]+%  on 360 images of digits", done.stdout)
    assert re.search(
        r"latency +[\d.]+ ms -> +[\d.]+ ms  [\d.]+%, batch 3, \d+ CPU thread", done.stdout
    )


def test_without_eval_nothing_is_measured(folder: Path) -> None:
    done = run("slim", "wide", "--ratio", "0.4", "-o", "unmeasured", "--no-eval")
    assert (
        not {"accuracy", "latency"} & json.loads(Path("unmeasured/report.json").read_text()).keys()
    )
    assert "latency" not in done.stdout


def test_data_that_is_gone_is_said_to_be(folder: Path) -> None:
    config = Path("wide/run.yaml").read_text()
    try:
        Path("wide/run.yaml").write_text(config.replace("name: digits", "name: cifar10"))
        done = run("slim", "wide", "--ratio", "0.4", "-o", "other")
    finally:
        Path("wide/run.yaml").write_text(config)
    assert done.exit_code == 0, done.output
    assert "accuracy: not measured: " in done.stdout
    assert "accuracy" not in json.loads(Path("other/report.json").read_text())


class Slow(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(50):
            x = x.sin()
        return x


def test_the_nets_take_turns_and_the_slower_one_takes_longer(folder: Path) -> None:
    graph = open_run(folder / "wide", Limits()).graph
    found = latency_of(Slow(), nn.Identity(), graph, 8)
    assert found is not None
    assert found.before > found.after > 0


def test_a_latency_is_reached_by_measuring(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopwatch that counts channels stands in for the CPU, whose times no test can foresee."""

    def channels(net: nn.Module) -> float:
        return float(sum(p.numel() for n, p in net.named_parameters() if n[:2] in ("n.", "m.")))

    def measure(wide: nn.Module, thin: nn.Module, graph: Graph, batch: int) -> Latency:
        assert batch == 2
        return Latency(batch, 1, 5, channels(wide), channels(thin))

    monkeypatch.setattr(targets, "latency_of", measure)
    wide = open_run(folder / "wide", Limits())
    choice = targets.choose_for(wide, targets.Aim(latency="75%", batch=2))
    assert sum(mask.bit_count() for mask in choice.channels.norms().values()) == 12
    with pytest.raises(ArchError, match=r"the fastest took 12\.5%"):
        targets.choose_for(wide, targets.Aim(latency="3%", batch=2))
    with pytest.raises(ArchError, match=r"as `50%`, not `3ms`"):
        targets.choose_for(wide, targets.Aim(latency="3ms"))


def test_a_latency_on_this_cpu_is_a_share_of_the_wide_nets(folder: Path) -> None:
    options = ("--target-latency", "1000%", "-o", "fast", "--no-eval")
    done = run("slim", "wide", *options)
    assert done.exit_code == 0, done.output
    assert "target_latency: 1000%" in Path("fast/plan.yaml").read_text()


def test_taylor_scores_are_the_squares_of_what_the_loss_loses(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the difference of the loss for a scale that is a little smaller."""
    monkeypatch.setattr(taylor, "BATCHES", 1)
    wide = open_run(folder / "wide", Limits())
    assert wide.run is not None
    scores = taylor_scores(wide, seed=3)
    assert {".".join(path) for path in scores} == {"n", "m"}
    net = wide.net().eval().double()
    data = wide.run.data()
    batch = next(data.epoch(0, batch_size=64, seed=3, augmentation=Augmentation()))
    images, share = wide.run.adapt(batch.images).double(), 1e-4

    def loss() -> float:
        with torch.no_grad():
            return F.cross_entropy(net(images), batch.labels).item()

    for path, each in scores.items():
        scale = net.get_parameter(".".join((*path, "weight"))).data
        for channel, score in enumerate(each):
            kept, sides = scale[channel].item(), []
            for sign in (1, -1):
                scale[channel] = kept * (1 + sign * share)
                sides.append(loss())
            scale[channel] = kept
            slope = (sides[0] - sides[1]) / (2 * share)
            assert slope**2 == pytest.approx(score, rel=1e-3, abs=1e-9)


def test_taylor_chooses_channels_of_its_own(folder: Path) -> None:
    for score in ("taylor", "scale"):
        done = run("slim", "wide", "--ratio", "0.4", "--score", score, "--no-eval", "-o", score)
        assert done.exit_code == 0, done.output
        assert f"score: {score}" in Path(score, "plan.yaml").read_text()
        load_run(folder / score).weights()
    plans = [read_plan(folder / score / "plan.yaml").kept for score in ("taylor", "scale")]
    assert plans[0] != plans[1]
