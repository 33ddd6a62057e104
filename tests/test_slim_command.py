"""`archc slim`, and the plans and masks that compile."""

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
import yaml
from command_line import run
from emitted import build_from
from torch import Tensor, nn

import archc
from archc.channels.plan import read_plan
from archc.train.run import load_run

NET = ("densenet_cifar", "--net", "DenseNet", "--set", "depth=10", "--set", "growth=6")


def weights(file: Path) -> dict[str, Tensor]:
    loaded: dict[str, Tensor] = safetensors.torch.load_file(file)
    return loaded


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `wide.safetensors`, as if trained."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    model = archc.load("densenet_cifar", "DenseNet", depth=10, growth=6).build()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.01, 1)
            nn.init.normal_(norm.bias, 0, 0.1)
    safetensors.torch.save_file(model.state_dict(), tmp_path / "wide.safetensors")
    return tmp_path


def slim(*options: str, spec: tuple[str, ...] = NET, file: str = "wide.safetensors") -> Any:
    """What is measured is told by tests of its own."""
    return run("slim", *spec, "--weights", file, "--no-eval", *options)


def fresh(folder: Path, images: Tensor) -> Tensor:
    """What the slimmed net gives in another process, which has its folder alone."""
    torch.save(images, folder / "images.pt")
    program = (
        "import safetensors.torch, torch, model\n"
        "net = getattr(model, model.__all__[0])().eval()\n"
        "net.load_state_dict(safetensors.torch.load_file('model.safetensors'), strict=True)\n"
        "torch.save(net(torch.load('images.pt')).detach(), 'outputs.pt')\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, timeout=120)
    result: Tensor = torch.load(folder / "outputs.pt")
    return result


def loaded(folder: Path) -> nn.Module:
    """The slimmed net of a folder."""
    net = build_from(folder / "model.py").eval()
    net.load_state_dict(weights(folder / "model.safetensors"), strict=True)
    return net


def masked_output(plan: Path, images: Tensor) -> Tensor:
    """What the wide net gives with the scales and shifts of a plan's other channels at zero."""
    model = archc.load("densenet_cifar", "DenseNet", depth=10, growth=6).build().eval()
    state = weights(Path("wide.safetensors"))
    read = read_plan(plan)
    for name, width in read.widths.items():
        gone = [c for c in range(width) if not read.kept[name] >> c & 1]
        state[f"{name}.weight"][gone] = 0
        state[f"{name}.bias"][gone] = 0
    model.load_state_dict(state)
    result: Tensor = model(images).detach()
    return result


def test_a_slimmed_net_is_a_folder_that_another_process_loads(trained: Path) -> None:
    result = slim("--ratio", "0.5", "-o", "thin")
    assert result.exit_code == 0, result.output
    thin = trained / "thin"
    assert sorted(path.name for path in thin.iterdir()) == [
        "model.py", "model.safetensors", "plan.yaml", "report.json", "report.svg",
    ]  # fmt: skip
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(
        fresh(thin, images), masked_output(thin / "plan.yaml", images), rtol=1e-5, atol=1e-5
    )
    report = json.loads((thin / "report.json").read_text())
    assert report["after"]["params"] == sum(
        tensor.numel()
        for key, tensor in weights(thin / "model.safetensors").items()
        if key.endswith((".weight", ".bias"))
    )
    assert "# " not in result.stdout.split("\n")[0]
    assert re.search(r"parameters +[\d,]+ -> +[\d,]+  \d+\.\d%", result.stdout)
    with safetensors.safe_open(thin / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["plan"] == (thin / "plan.yaml").read_text()
    assert "net DenseNet" in metadata["spec"]


def test_the_plan_compiles_to_the_same_text(trained: Path) -> None:
    slim("--ratio", "0.5", "-o", "thin")
    (trained / "thin" / "plan.yaml").rename("plan.yaml")
    passes = 'simplify,slim{plan="plan.yaml"},stochastic-depth,share-memory'
    compiled = run("compile", *NET, "--passes", passes)
    assert compiled.stdout == (trained / "thin" / "model.py").read_text()


def test_at_ratio_0_only_the_header_differs(trained: Path) -> None:
    slim("--ratio", "0", "-o", "thin")
    plain = run("compile", *NET).stdout
    body = plain[plain.index("\nfrom ") :]
    thin = (trained / "thin" / "model.py").read_text()
    assert thin[thin.index("\nfrom ") :] == body


def test_slimming_twice_is_one_plan(trained: Path) -> None:
    slim("--ratio", "0.3", "-o", "once")
    again = slim("--ratio", "0.4", "-o", "twice", file="once/model.safetensors")
    assert again.exit_code == 0, again.output
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    plan = trained / "twice" / "plan.yaml"
    torch.testing.assert_close(
        loaded(trained / "twice")(images), masked_output(plan, images), rtol=1e-5, atol=1e-5
    )
    first, second = read_plan(trained / "once" / "plan.yaml"), read_plan(plan)
    assert all(second.kept[name] & ~first.kept[name] == 0 for name in first.kept)
    assert second.widths == first.widths


def test_a_mask_is_a_plan(trained: Path) -> None:
    slim("--ratio", "0.5", "-o", "thin")
    plan = read_plan(trained / "thin" / "plan.yaml")
    mask = {
        name: [plan.kept[name] >> c & 1 for c in range(width)]
        for name, width in plan.widths.items()
    }
    Path("mask.json").write_text(json.dumps(mask))
    passes = 'simplify,slim{plan="mask.json"},stochastic-depth,share-memory'
    compiled = run("compile", *NET, "--passes", passes).stdout
    thin = (trained / "thin" / "model.py").read_text()
    assert compiled[compiled.index("\nfrom ") :] == thin[thin.index("\nfrom ") :]


def test_a_ratio_may_be_a_percentage(trained: Path) -> None:
    for ratio, folder in (("0.25", "one"), ("25%", "other")):
        assert slim("--ratio", ratio, "-o", folder).exit_code == 0
    assert Path("one/plan.yaml").read_text() == Path("other/plan.yaml").read_text()
    for ratio in ("25", "100%", "-1%", "half", "nan"):
        refused = slim("--ratio", ratio, "-o", "x")
        assert refused.exit_code == 2
        assert "as `0.5` or `50%`" in " ".join(re.sub(r"[│╭╮╰╯─]", " ", refused.output).split())


@pytest.mark.parametrize(
    ("option", "figure"), [("--target-params", "params"), ("--target-macs", "macs")]
)
def test_a_target_is_reached(trained: Path, option: str, figure: str) -> None:
    slim(option, "40%", "-o", "thin")
    report = json.loads((trained / "thin" / "report.json").read_text())
    assert 0.3 < report["after"][figure] / report["before"][figure] <= 0.4
    assert slim(option, "1", "-o", "none").exit_code == 1
    assert not (trained / "none").exists()


def test_each_channel_says_why_it_stays(trained: Path) -> None:
    result = slim("--ratio", "0.5", "--min-channels", "20", "--explain", "features.norm5")
    lines = result.stdout.splitlines()
    assert len(lines) == 48
    said = {line.split("  ")[-1] for line in lines}
    assert said <= {
        "goes", "stays: it is above the threshold", "stays: its norm would keep too few channels",
    }  # fmt: skip
    assert len(said) > 1
    assert sorted(path.name for path in trained.iterdir()) == ["wide.safetensors"]


def test_the_report_says_what_stays_that_would_go(trained: Path) -> None:
    said = slim("--ratio", "0.5", "--min-channels", "20", "-o", "thin").stdout.splitlines()
    stays = json.loads(Path("thin/report.json").read_text())["stays"]
    reasons = [each["why"] for each in stays]
    count = reasons.count("its norm would keep too few channels")
    assert count > 1
    last = f"{count} channels that would go by their scores stay: its norm would keep too few"
    assert f"{last} channels" in said


def test_the_header_says_which_plan_the_command_reads(trained: Path) -> None:
    slim("--ratio", "0.5", "-o", "thin")
    text = " ".join(Path("thin/model.py").read_text().split())
    assert "The command reads plan.yaml in the folder where it runs." in text
    assert "in the folder where it runs" not in run("compile", *NET).stdout


def test_the_runtime_has_the_classes_that_the_net_needs(trained: Path) -> None:
    """A DenseNet selects, and has no sums in which channels are put in their places."""
    slim("--ratio", "0.5", "-o", "thin")
    text = Path("thin/model.py").read_text()
    assert "class SelectChannels" in text
    assert "PlaceChannels" not in text


def test_scores_choose_channels_of_their_own(trained: Path) -> None:
    scores = ("scale", "l1", "l2", "random")
    for score in scores:
        assert slim("--ratio", "0.5", "--score", score, "-o", score).exit_code == 0
    plans = [read_plan(trained / name / "plan.yaml").kept for name in scores]
    assert all(one != other for one, other in combinations(plans, 2))


def test_shifts_are_kept_with_fold_shift(trained: Path) -> None:
    """Basic layers pad; only the constants that transitions read can leave."""
    assert slim("--ratio", "0.5", "--fold-shift", "-o", "thin").exit_code == 0
    plan = yaml.safe_load((trained / "thin" / "plan.yaml").read_text())
    assert plan["fold_shift"] is True
    read = read_plan(trained / "thin" / "plan.yaml")
    model = archc.load("densenet_cifar", "DenseNet", depth=10, growth=6).build().eval()
    state = weights(Path("wide.safetensors"))
    for name, width in read.widths.items():
        state[f"{name}.weight"][[c for c in range(width) if not read.kept[name] >> c & 1]] = 0
    model.load_state_dict(state)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    wanted = model(images).detach()
    torch.testing.assert_close(loaded(trained / "thin")(images), wanted, rtol=1e-5, atol=1e-5)


def test_a_model_that_was_edited_is_left_alone(trained: Path) -> None:
    slim("--ratio", "0.5", "-o", "thin")
    model = trained / "thin" / "model.py"
    model.write_text(model.read_text() + "# mine\n")
    assert slim("--ratio", "0.6", "-o", "thin").exit_code == 1
    assert model.read_text().endswith("# mine\n")


@pytest.mark.parametrize(
    ("code", "options", "words"),
    [
        ("E1030", ("--ratio", "0.5", "-o", "x"), "these are no weights of `DenseNet`"),
        ("E0844", ("--ratio", "0.5", "--rule", "counts", "-o", "x"), "did you mean `count`?"),
        ("E0844", ("--ratio", "0.5", "--score", "hessian", "-o", "x"), "there are scale, l1"),
        ("E0844", ("--ratio", "0.5", "--score", "taylor", "-o", "x"), "needs images"),
        ("E0844", ("--target-macs", "half", "-o", "x"), "a number or a share"),
        ("E0841", ("--ratio", "0.5", "--explain", "features.norm6"), "features.norm5"),
    ],
)
def test_what_is_wrong_is_told(
    trained: Path, code: str, options: tuple[str, ...], words: str
) -> None:
    spec = (*NET[:3], "--set", "depth=13", "--set", "growth=6") if code == "E1030" else NET
    result = slim(*options, spec=spec)
    assert result.exit_code == 1
    assert code in result.stderr
    assert words in result.stderr
    assert not (trained / "x").exists()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"features.norm5": [1, 0]}', "E0841"),
        ('{"features.norm6": [1, 0]}', "E0841"),
        ('{"features.norm5": [1, 2]}', "E0842"),
        ('{"features.norm5"', "E0842"),
        ("norms: {features.norm5: {kept: 0-99, of: 60}}", "E0842"),
        ("norms: {features.norm5: {kept: 3-1, of: 60}}", "E0842"),
        ("- 1", "E0842"),
        ("", "E0842"),
        ("&a [*a]", "E0842"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(folder: Path, text: str, code: str) -> None:
    Path("plan.yaml").write_text(text)
    result = run("compile", *NET, "--passes", "slim{plan=plan.yaml}")
    assert result.exit_code == 1
    assert code in result.stderr
    missing = run("compile", *NET, "--passes", "slim{plan=missing.yaml}")
    assert "E0842" in missing.stderr


MINE = """
net Mine(width=8, classes=10)(x: [1, 8, 8]) {
    x = x -> a: conv(width, 3) -> n: bn -> relu
    return x -> b: conv(width, 3) -> m: bn -> relu -> global_avg_pool -> fc: linear(classes)
}
"""


def test_a_run_is_slimmed_to_a_run_and_that_again(folder: Path) -> None:
    (folder / "mine.arch").write_text(MINE)
    trained = run("train", "mine.arch", "--data", "digits", "--epochs", "1", "--out", "wide")
    assert trained.exit_code == 0, trained.output
    for source, thin in (("wide", "thin"), ("thin", "thinner")):
        assert run("slim", source, "--ratio", "0.4", "-o", thin).exit_code == 0
        slimmed = load_run(folder / thin)
        slimmed.build().load_state_dict(slimmed.weights(), strict=True)
        assert any(step.startswith("slim{") for step in slimmed.config.passes)
    sizes = [
        sum(tensor.numel() for tensor in load_run(folder / name).weights().values())
        for name in ("wide", "thin", "thinner")
    ]
    assert sizes[0] > sizes[1] > sizes[2]
    kept = [read_plan(folder / name / "plan.yaml").kept for name in ("thin", "thinner")]
    assert all(kept[1][norm] & ~mask == 0 for norm, mask in kept[0].items())

    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for target in ("wide", "thin"):
        refused = run("slim", "wide", "--ratio", "0.4", "-o", target)
        assert refused.exit_code == 1
        assert f"{target} has a run already" in refused.stderr
    (folder / "mine.arch").write_text(MINE.replace("relu", "silu"))
    edited = run("slim", "wide", "--ratio", "0.4", "-o", "other")
    assert "another net than the one that wide has" in edited.stderr
    del before[folder / "mine.arch"]
    assert all(path.read_bytes() == content for path, content in before.items())
    assert not (folder / "other").exists()


def test_a_thin_run_is_trained_further_by_its_folder(folder: Path) -> None:
    """With its net, data and weights; what is left of that run is slimmed again."""
    (folder / "mine.arch").write_text(MINE)
    train = ("train", "mine.arch", "--set", "width=6", "--data", "digits", "--val", "300")
    run(*train, "--epochs", "1", "--out", "wide")
    run("slim", "wide", "--ratio", "0.4", "-o", str(folder / "thin-0.4"))
    gentle = ("--lr", "1e-9", "--epochs", "1", "--recipe-set", "optimizer.weight_decay=0")
    for name, more in (("tuned", ()), ("new", ("--from-scratch",)), ("other", ("--val", "0"))):
        done = run("train", "thin-0.4", *gentle, *more, "--out", name)
        assert done.exit_code == 0, done.output
    thin, tuned = load_run(folder / "thin-0.4"), load_run(folder / "tuned")
    assert tuned.config.data == thin.config.data
    assert load_run(folder / "other").config.data.val == 0
    assert tuned.config.settings == thin.config.settings
    assert tuned.config.spec_sha256 == thin.config.spec_sha256
    for name, value in thin.weights().items():
        if "running" not in name and "batches" not in name:
            assert torch.allclose(tuned.weights()[name], value, atol=1e-6)
    new = load_run(folder / "new").weights()
    assert not torch.allclose(new["a.weight"], thin.weights()["a.weight"], atol=1e-2)
    again = run("slim", "tuned", "--ratio", "0.4", "-o", "thinner")
    assert again.exit_code == 0, again.output
    assert run("train", "tuned", "--net", "Mine").exit_code == 2
    assert run("train", "mine.arch").exit_code == 2
    assert "error[E1006]" in run("train", str(folder)).stderr
