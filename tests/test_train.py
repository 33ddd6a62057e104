"""Training on scikit-learn's digits: it learns, it repeats itself, and what it writes is whole."""

import csv
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

import archc.train
from archc.analysis.summary import summarize
from archc.compiler import Request, compile_spec
from archc.diagnostics import ArchError
from archc.train.data import Origin, load_data
from archc.train.devices import Machine
from archc.train.fit import fit
from archc.train.run import load_run
from archc.train.schedule import Cosine
from archc.train.training import Order, Result, train
from archc.viz.collapse import picture_of

TINY = """
net Tiny(width=8, size=32, classes=100)(image: [3, size, size]) {
    x = image -> conv1: conv(width, 3) -> bn1: bn -> relu
              -> conv2: conv(2 * width, 3, stride=2) -> bn2: bn -> relu
    return x -> global_avg_pool -> fc: linear(classes)
}
"""

EXITS = """
net Exits(width=8, classes=10)(image: [1, 8, 8]) {
    x = image -> conv1: conv(width, 3) -> bn1: bn -> relu
    exit x -> flatten -> early: linear(classes)
    x = x -> conv2: conv(2 * width, 3, stride=2) -> bn2: bn -> relu
    return x -> global_avg_pool -> fc: linear(classes)
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Specs, runs and the cache of emitted modules are in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("tiny.arch").write_text(TINY, encoding="utf-8")
    Path("exits.arch").write_text(EXITS, encoding="utf-8")
    return tmp_path


def order(spec: str = "tiny.arch", **changes: Any) -> Order:
    """Two epochs of digits into the folder `run`, with keys of the recipe or fields of an order."""
    fields = {name: changes.pop(name) for name in list(changes) if name in Order.__annotations__}
    settings = changes.pop("settings", {})
    recipe = {"epochs": 2, **changes}
    arguments: dict[str, Any] = {
        "request": Request(spec, arguments=settings),
        "data": Origin("digits"),
        "out": Path("run"),
        "force": True,
        "changes": tuple(f"{key.replace('__', '.')}={value}" for key, value in recipe.items()),
    }
    merged: dict[str, Any] = {**arguments, **fields}
    return Order(**merged)


def run(spec: str = "tiny.arch", **changes: Any) -> Result:
    return train(order(spec, **changes))


def rows(path: str = "run/metrics.csv") -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def weights(folder: str = "run") -> dict[str, torch.Tensor]:
    return load_run(Path(folder)).weights()


@pytest.mark.parametrize(
    ("ends", "names"),
    [
        ("return y", ("return",)),
        ("exit x -> early: linear(10)\n    return y", ("early", "return")),
        ("exit first: x -> early: linear(10)\n    exit y", ("first", "fc")),
        ("return x -> early: linear(10), y", ("return[0]", "return[1]")),
        (
            "exit x -> early: linear(10)\n    return x -> other: linear(10), y",
            ("early", "return[0]", "return[1]"),
        ),
    ],
)
def test_outputs_have_the_same_names_everywhere(ends: str, names: tuple[str, ...]) -> None:
    text = EXITS.partition("    exit")[0] + "    x = x -> global_avg_pool\n"
    text += "    y = x -> fc: linear(classes)\n" + f"    {ends}\n}}\n"
    Path("ends.arch").write_text(text)
    graph = compile_spec(Request("ends.arch")).graph
    pills = [box.lines[0] for box in picture_of(graph).boxes if box.kind in ("output", "exit")]
    assert tuple(pill.removeprefix("exit ") for pill in pills) == names
    assert tuple(item.name for item in summarize(graph).exits) == names
    assert fit(Request("ends.arch"), load_data("digits")).exits == names


def refusal(spec: str, **changes: Any) -> str:
    with pytest.raises(ArchError) as caught:
        run(spec, **changes)
    assert not Path("run").exists()
    return str(caught.value)


def test_an_unknown_data_set_is_an_error_that_names_the_known_ones() -> None:
    assert "did you mean `digits`?" in refusal("tiny.arch", data=Origin("digit"))
    assert "there is cifar10, " in refusal("tiny.arch", data=Origin("voc"))
    assert "`npz:PATH`" in refusal("tiny.arch", data=Origin("npz"))


def test_a_run_is_replaced_only_by_force() -> None:
    run(epochs=1)
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    with pytest.raises(ArchError, match="run has a run already"):
        run(epochs=1, seed=1, force=False)
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before
    run(epochs=1, seed=1)
    assert load_run(Path("run")).config.seed == 1


def test_a_training_begins_with_the_weights_of_a_file() -> None:
    result = run(epochs=2)
    begun = run(epochs=1, weights=Path("run/model.safetensors"), out=Path("tuned"), seed=1)
    again = run(epochs=1, out=Path("scratch"), seed=1)
    assert begun.rows[0]["train_loss"] < min(
        again.rows[0]["train_loss"], result.rows[0]["train_loss"]
    )
    with pytest.raises(ArchError, match=r"does not fit `Tiny`: size mismatch for"):
        run(weights=Path("run/model.safetensors"), settings={"width": "5"}, out=Path("other"))
    assert not Path("other").exists()


# --------------------------------------------------------------- learning


def test_two_epochs_beat_chance_and_have_a_row_each() -> None:
    result = run()
    first, last = rows()
    assert list(first)[:3] == ["epoch", "step", "lr"]
    assert [first["epoch"], first["step"], last["step"]] == ["1", "23", "46"]
    assert float(last["train_loss"]) < float(first["train_loss"])
    assert float(last["test_accuracy"]) == pytest.approx(result.accuracy, rel=1e-5)
    assert result.accuracy > 0.3
    assert result.report() == f"test accuracy: {result.accuracy:.2%}\n"


def test_one_seed_gives_the_same_numbers_bit_for_bit_and_another_gives_others() -> None:
    for out, seed in (("a", 3), ("b", 3), ("c", 4)):
        run(out=Path(out), seed=seed)
    once, again, other = (Path(out, "metrics.csv").read_bytes() for out in "abc")
    assert once == again != other
    first, second = weights("a"), weights("b")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run(epochs=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_each_step_takes_the_rate_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    real = torch.optim.SGD.step

    def recorded(self: torch.optim.SGD) -> object:
        rates.append(self.param_groups[0]["lr"])
        return real(self)

    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    run(optimizer__lr=0.2)
    assert rates == [0.2 * Cosine().factor(step, 2, 23) for step in range(46)]
    assert float(rows()[-1]["lr"]) == pytest.approx(rates[-1], rel=1e-5)


def test_every_exit_is_trained_and_measured() -> None:
    result = run("exits.arch", epochs=3)
    assert list(result.exits) == ["early", "return"]
    assert min(result.exits.values()) > 0.3
    assert result.accuracy == result.exits["return"]
    assert float(rows()[-1]["test_accuracy.early"]) == pytest.approx(
        result.exits["early"], rel=1e-5
    )
    assert result.report().count("\n") == 3


def test_a_loss_that_is_no_number_stops_at_once() -> None:
    with pytest.raises(ArchError, match=r"epoch 1, step \d: training has diverged"):
        run(optimizer__lr=1e30)
    assert not Path("run").exists()


# ---------------------------------------------------------- net and data


def test_the_net_takes_the_size_the_classes_and_the_channels_of_the_data() -> None:
    run(epochs=1)
    shapes = {name: tuple(value.shape) for name, value in weights().items()}
    assert shapes["conv1.weight"] == (8, 1, 3, 3)
    assert shapes["fc.weight"] == (10, 16)
    assert "size=8" in Path("run/model.py").read_text(encoding="utf-8")


def test_what_the_user_sets_stays() -> None:
    run(epochs=1, settings={"size": "16", "width": "4"})
    assert "[N, 1, 16, 16]" in Path("run/model.py").read_text(encoding="utf-8")
    assert weights()["conv1.weight"].shape[0] == 4


def test_the_folder_has_all_that_it_takes_to_use_the_net() -> None:
    result = run()
    kept = load_run(Path("run"))
    net = kept.build()
    net.load_state_dict(kept.weights())
    data = kept.data()
    (batch,) = data.batches(data.test, 360)
    with torch.no_grad():
        answers = net.eval()(kept.adapt(batch.images)).argmax(1)
    hits = (answers == batch.labels).sum().item()
    assert hits / len(answers) == result.accuracy


@pytest.mark.parametrize(
    ("net", "why"),
    [
        ("(x: [1, 8, 8], y: [1, 8, 8]) { return (x + y) -> c: conv(10) }", "takes 2 tensors"),
        ("(x: [64]) { return x -> fc: linear(10) }", "takes [64]"),
        ("(x: [1, 8, 8]) { return x -> flatten -> fc: linear(7) }", "gives [7]"),
        ("(x: [1, 8, 8]) { return x -> conv1: conv(10, 3) }", "gives [10, 8, 8]"),
    ],
    ids=["two inputs", "no image", "other classes", "a map"],
)
def test_a_net_that_cannot_take_the_data_is_refused(net: str, why: str) -> None:
    Path("odd.arch").write_text(f"net Odd(){net}\n", encoding="utf-8")
    message = refusal("odd.arch")
    assert f"`Odd` cannot be trained on `digits`: it {why}" in message
    assert "odd.arch:1:" in message


def test_images_are_enlarged_and_repeated_for_a_net_that_is_fixed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    text = "(x: [2, 12, 16]) { return x -> c: conv(4, 3, groups=2) -> flatten -> fc: linear(10) }"
    Path("fixed.arch").write_text(f"net Fixed(){text}\n", encoding="utf-8")
    run("fixed.arch", epochs=1)
    assert weights()["fc.weight"].shape == (10, 4 * 12 * 16)
    err = capfd.readouterr().err
    assert "images of 8 x 8 are resized to the net's 12 x 16" in err
    assert "1 epoch of" in err


def test_symbolic_sizes_are_the_least_that_the_net_can_work_with() -> None:
    text = "(x: [1, 4*h, w]) { return x -> max_pool(8) -> max_pool(2) -> global_avg_pool"
    Path("free.arch").write_text(f"net Free(){text} -> fc: linear(10) }}\n", encoding="utf-8")
    assert run("free.arch", epochs=1).accuracy > 0


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1},
        {"every": -1},
        {"keep": 0},
        {"batch_size": 3, "accumulate": 4},
        {"exit_weights": [1, 1]},
        {"sync_batchnorm": "true", "machine": {"device": "cpu"}},
        {"sparsity": "{strength: 1e-4, scales: nothing}"},
        {"machine": {"device": "tpu"}},
        {"machine": {"threads": 0}},
        {"machine": {"devices": 0}},
        {"machine": {"strategy": "fsdp"}},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(change: dict[str, Any]) -> None:
    machine = change.pop("machine", {})
    with pytest.raises(ArchError, match="E1003"):
        run(machine=Machine(**machine), **change)
    assert not Path("run").exists()


def test_warnings_of_the_compiler_are_passed_on() -> None:
    text = TINY + TINY.replace("Tiny", "Other")
    Path("two.arch").write_text(text, encoding="utf-8")
    said: list[str] = []
    train(order("two.arch", epochs=1), lambda found: said.extend(each.message for each in found))
    assert any("Other" in message for message in said), said


def test_without_the_training_libraries_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ArchError, match=r"pip install 'archc-compiler\[train\]'"):
        importlib.reload(archc.train)


# ---------------------------------------------------------------- streams


def test_away_from_a_terminal_each_epoch_is_a_line_on_stderr(
    capfd: pytest.CaptureFixture[str],
) -> None:
    run()
    out, err = capfd.readouterr()
    assert out == ""
    assert "Tiny on digits" in err
    assert "seed 0" in err
    assert "resized" not in err
    assert err.count("epoch ") == 2
    assert err.count(" images/s") == 2


def test_the_shipped_spec_learns_with_the_settings_of_the_demo() -> None:
    result = run("densenet_cifar", settings={"depth": "22"}, epochs=4, out=Path("demo"))
    assert result.accuracy > 0.9
