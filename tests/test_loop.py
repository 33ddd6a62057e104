"""What a step of the loop does, by what it does to the weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from kills import order
from torch import Tensor, nn

from archc.api import load
from archc.compiler import Request
from archc.diagnostics import ArchError
from archc.train.checkpoint import checkpoints, read_checkpoint
from archc.train.losses import add_sparsity, scales_of
from archc.train.recipe import Sparsity
from archc.train.run import load_run
from archc.train.training import Order, Result, blocks_of, train

NET = """
net Plain(width=6, classes=10)(image: [1, 8, 8]) {
    x = image -> conv1: conv(width, 3) -> bn1: bn -> relu
    exit x -> global_avg_pool -> early: linear(classes)
    x = x -> conv2: conv(width, 3, stride=2) -> bn2: bn -> relu
    return x -> global_avg_pool -> fc: linear(classes)
}
"""

SGD = "optimizer={name: SGD, lr: 0.5}"
ALL = "batch_size=1437"
"""An epoch is one step."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "plain.arch").write_text(NET, encoding="utf-8")
    return tmp_path


def arguments(folder: Path, name: str, *changes: str, **fields: Any) -> dict[str, Any]:
    request = Request(str(folder / "plain.arch"))
    changes = ("epochs=1", SGD, "schedule={name: constant}", "augmentation={}", *changes)
    return order(folder / name, request=request, changes=changes, **{"every": 0, **fields})


def run(folder: Path, name: str, *changes: str, **fields: Any) -> Result:
    return train(Order(**arguments(folder, name, *changes, **fields)))


def trained(folder: Path, name: str, *changes: str, **fields: Any) -> dict[str, Tensor]:
    run(folder, name, *changes, **fields)
    return load_run(folder / name).weights()


def initial(folder: Path) -> dict[str, Tensor]:
    """The weights before the first step."""
    torch.manual_seed(0)
    return load(folder / "plain.arch").build().state_dict()


def change(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = [name for name in before if "running" not in name and "num_batches" not in name]
    return {name: after[name] - before[name] for name in names}


def test_sparsity_is_a_subgradient_of_the_chosen_scales(folder: Path) -> None:
    plain = trained(folder, "plain", ALL)
    sparse = trained(folder, "sparse", ALL, "sparsity={strength: 0.01, scales: bn2}")
    for name, value in plain.items():
        difference = (value - sparse[name]).float()
        expected = torch.full_like(difference, 0.5 * 0.01 if name == "bn2.weight" else 0)
        assert torch.allclose(difference, expected, atol=1e-7), name


def test_the_subgradient_of_a_scale_that_is_zero_is_zero() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    (scale,) = scales_of(net, Sparsity(strength=0.1, scales="0"))
    with torch.no_grad():
        scale.copy_(torch.tensor([-2.0, 0.0, 3.0]))
    scale.grad = torch.ones(3)
    add_sparsity([scale], 0.25)
    assert scale.grad.tolist() == [0.75, 1.0, 1.25]


def test_scales_begin_where_the_recipe_wants_them(folder: Path) -> None:
    run(folder, "run", ALL, "optimizer.lr=1e-30", "scale_init=0.5")
    weights = load_run(folder / "run").weights()
    assert weights["bn1.weight"].tolist() == weights["bn2.weight"].tolist() == [0.5] * 6


def test_an_exit_without_weight_is_not_trained(folder: Path) -> None:
    moved = change(initial(folder), trained(folder, "run", ALL, "exit_weights=[0, 1]"))
    still = {name for name, value in moved.items() if not value.any()}
    assert still == {"early.weight", "early.bias"}


def test_gradients_are_clipped_to_their_norm_together(folder: Path) -> None:
    moved = change(initial(folder), trained(folder, "run", ALL, "clip_norm=0.01"))
    norm = torch.cat([value.flatten() for value in moved.values()]).norm()
    assert norm.item() == pytest.approx(0.5 * 0.01, rel=1e-4)


def test_the_moving_average_is_its_formula(folder: Path) -> None:
    changes = ("batch_size=300", "ema=0.75")
    run(folder, "run", *changes, every=1, keep=9)
    states = [read_checkpoint(path) for path in reversed(checkpoints(folder / "run"))]
    assert [state["step"] for state in states] == [1, 2, 3, 4, 5]
    average = states[0]["net"]["conv1.weight"]
    for state in states[1:]:
        average = 0.75 * average + 0.25 * state["net"]["conv1.weight"]
        assert torch.allclose(state["ema"]["module.conv1.weight"], average, atol=1e-6)
    kept = load_run(folder / "run").weights("ema")
    assert torch.equal(kept["conv1.weight"], states[-1]["ema"]["module.conv1.weight"])


def test_bfloat16_and_channels_last_learn_as_well(folder: Path) -> None:
    for change in ("precision=bf16", "channels_last=true"):
        result = run(folder, change, "epochs=3", change)
        assert result.accuracy > 0.2
        weights = load_run(folder / change).weights()
        assert weights["conv1.weight"].dtype == torch.float32
        assert weights["conv1.weight"].is_contiguous()


def test_blocks_that_hold_no_block_are_compiled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = load("densenet_cifar", depth=10).build()
    assert {type(each).__name__ for each in blocks_of(net)} == {"DenseLayer", "Transition"}
    compiled: list[nn.Module] = []

    def compile_(self: nn.Module) -> None:
        compiled.append(self)

    monkeypatch.setattr(nn.Module, "compile", compile_)
    run(folder, "run", ALL, "compile=true")
    assert [type(each).__name__ for each in compiled] == ["Plain"]


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        (("batch_size=300", "optimizer.lr=1e30"), r"what `bn1` gives|what `conv1` gives"),
        (("batch_size=300", "optimizer.lr=.inf"), None),
    ],
)
def test_a_loss_that_is_no_number_names_the_first_tensor(
    folder: Path, changes: tuple[str, ...], first: str | None
) -> None:
    code = "E1010" if first is None else "E1005"
    with pytest.raises(ArchError, match=code) as caught:
        run(folder, "run", *changes)
    if first is not None:
        assert "the first that is not finite" in str(caught.value)
    assert not (folder / "run").exists()


def test_the_number_of_the_paper_stands_beside_ours(folder: Path) -> None:
    claims = (
        "claims=[{net: Plain, data: digits, error: 1.5, source: table 9, settings: {width: 6}}]"
    )
    other = claims.replace("width: 6", "width: 7")
    said = run(folder, "run", ALL, claims).report()
    assert said.endswith("; the paper has 1.50% (table 9)\n")
    assert "the paper" not in run(folder, "other", ALL, other).report()
