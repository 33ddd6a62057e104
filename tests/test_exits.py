"""Nets with exits that really stop: each exit alone, one after another, and as samples leave."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import emitted
import pytest
import torch
from early_exits import check_exits, close
from slimmed import drawn, graph_of, pair_of
from torch import Tensor

from archc.passes.pipeline import DEFAULT
from archc.passes.slim import thin

NETS = [
    ("msdnet_cifar", "MSDNetAnytime"),
    ("msdnet_cifar", "MSDNetBudgeted"),
    ("dense_grid", "DenseGrid"),
]


@cache
def small() -> Any:
    return emitted.emit("msdnet_cifar", "MSDNetBudgeted", exits=3, classes=4)


def images(count: int, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(count, 3, size, size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("spec", "net"), NETS)
@pytest.mark.parametrize("passes", [emitted.O0, DEFAULT], ids=["O0", "default"])
def test_each_exit_is_what_forward_gives_and_no_more_is_computed(
    spec: str, net: str, passes: Any
) -> None:
    made = emitted.emit(spec, net, passes)
    check_exits(made.build().double(), made.graph, [images(3)])


@pytest.mark.parametrize("batch", [1, 2, 7, 64])
@pytest.mark.parametrize("criterion", ["confidence", "entropy"])
def test_samples_leave_where_they_are_sure_enough(batch: int, criterion: str) -> None:
    net: Any = small().build().double().eval()
    x = images(batch)
    with torch.no_grad():
        scores = net(x)
    sure = [measure(each, criterion) for each in scores]
    thresholds = [float(each.median()) - 1e-7 for each in sure[:-1]]
    found = net.predict(x, thresholds, criterion)
    for i in range(batch):
        k = next((k for k, t in enumerate(thresholds) if sure[k][i] >= t), len(thresholds))
        assert found.exit[i] == k
        assert found.label[i] == scores[k][i].argmax()
        close(found.confidence[i], sure[k][i])


def measure(scores: Tensor, criterion: str) -> Tensor:
    probabilities = scores.softmax(1)
    if criterion == "confidence":
        return probabilities.amax(1)
    entropy = -(probabilities * probabilities.log()).sum(1)
    return 1 - entropy / torch.tensor(scores.shape[1]).double().log()


@pytest.mark.parametrize("exit", [0, 1, 2])
@pytest.mark.parametrize("batch", [1, 5])
def test_every_sample_may_leave_at_every_exit(exit: int, batch: int) -> None:
    net: Any = small().build().double().eval()
    thresholds = [2.0] * exit + [0.0] * (2 - exit)
    found = net.predict(images(batch), thresholds)
    assert found.exit.tolist() == [exit] * batch
    with torch.no_grad():
        assert found.label.tolist() == net(images(batch), exit=exit).argmax(1).tolist()


def test_thresholds_are_one_for_each_exit_but_the_last() -> None:
    net: Any = small().build().double().eval()
    for wrong in ([0.5], [0.5] * 4):
        with pytest.raises(ValueError, match="2 thresholds"):
            net.predict(images(2), wrong)
    assert net.predict(images(2), [0.5, 0.5]).exit.shape == (2,)


def test_what_is_wrong_is_told() -> None:
    net: Any = small().build()
    with pytest.raises(RuntimeError, match=r"net\.eval"):
        net.predict(images(2), [0.5, 0.5])
    net.double().eval()
    with pytest.raises(ValueError, match="criterion"):
        net.predict(images(2), [0.5, 0.5], "surprise")
    with pytest.raises(IndexError):
        net(images(2), exit=3)


@pytest.mark.parametrize("criterion", ["confidence", "entropy"])
def test_samples_whose_scores_are_no_numbers_leave_at_the_last_exit(criterion: str) -> None:
    net: Any = small().build().double().eval()
    x = images(3)
    x[1] = torch.nan
    found = net.predict(x, [0.0, 0.0], criterion)
    assert found.exit.tolist() == [0, 2, 0]
    one: Any = emitted.emit("msdnet_cifar", "MSDNetBudgeted", exits=2, classes=1).build()
    assert one.double().eval().predict(images(2), [1.0], criterion).exit.tolist() == [0, 0]


def test_no_samples_are_no_predictions() -> None:
    net: Any = small().build().double().eval()
    assert [len(each) for each in net.predict(images(0), [0.5, 0.5])] == [0, 0, 0]


def test_exits_are_named_and_their_costs_known() -> None:
    net: Any = emitted.emit("msdnet", "MSDNet").build()
    assert net.exit_names == tuple(f"classifier{k}" for k in range(1, 6))
    assert len(net.exit_macs) == 5
    assert list(net.exit_macs) == sorted(net.exit_macs)


def test_heads_are_replaced_as_in_timm() -> None:
    net: Any = small().build().eval()
    assert net.get_classifier() == tuple(getattr(net, f"classifier{k}").linear for k in (1, 2, 3))
    net.reset_classifier(7)
    assert [list(scores.shape) for scores in net(images(2).float())] == [[2, 7]] * 3
    assert all(head.out_features == 7 for head in net.get_classifier())


def test_a_break_leaves_the_rest_uncomputed() -> None:
    net: Any = small().build().double().eval()
    called: list[str] = []
    for name, module in net.named_children():
        module.register_forward_hook(lambda *_, name=name: called.append(name))
    for _ in net.iter_exits(images(1)):
        break
    assert called[-1] == "classifier1"
    assert "classifier2" not in called


def test_a_compiled_net_gives_the_same() -> None:
    net: Any = small().build().eval()
    x = images(2).float()
    whole: Any = torch.compile(net, fullgraph=True, backend="eager")
    with torch.no_grad():
        for ours, theirs in zip(whole(x), net(x), strict=True):
            torch.testing.assert_close(ours, theirs)
        for k in (1, 0, 2, -1):
            torch.testing.assert_close(whole(x, exit=k), net(x, exit=k))


def test_one_exit_is_exported_alone() -> None:
    net: Any = small().build().eval()
    x = images(2).float()
    program = torch.export.export(net, (x,), {"exit": 0})
    module: Any = program.module()
    with torch.no_grad():
        torch.testing.assert_close(module(x, exit=0), net(x, exit=0))
    convolutions = sum(node.target is torch.ops.aten.conv2d.default for node in program.graph.nodes)
    whole = torch.export.export(net, (x,))
    assert convolutions < sum(
        node.target is torch.ops.aten.conv2d.default for node in whole.graph.nodes
    )


HOSTILE = """
block Unit()(x) { return x + (x -> conv1: conv(4, 3) -> bn1: bn -> drop_path(survival=0.5)) }
block Grown()(x) {
    for i in range(4) {
        x = concat(x, x -> "l{i}": Growing)
        if i == 1 { exit x -> global_avg_pool -> head: linear(3) }
    }
    return x
}
block Growing()(x) { return x -> norm: bn -> relu -> conv: conv(2, 3) }
net Names()(list: [4, 8, 8], next: [4, 8, 8]) {
    x = list + next
    for i in range(3) { x = x -> "unit{i}": Unit }
    exit x -> global_avg_pool -> "h%1": linear(3)
    range = x -> grown: Grown
    return range -> conv2: conv(4, 3) -> global_avg_pool -> fc: linear(3)
}
"""


@pytest.mark.parametrize("passes", [emitted.O0, DEFAULT], ids=["O0", "default"])
def test_unusual_names_and_blocks(passes: Any, tmp_path: Path) -> None:
    """Inputs have the names of what the code calls, a block made in a loop is opened, a label is no
    name, and branches are skipped."""
    (tmp_path / "names.arch").write_text(HOSTILE)
    made = emitted.emit(tmp_path / "names.arch", None, passes)
    net: Any = made.build().double()
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    check_exits(net, made.graph, [x, x + 1])
    if passes:
        options = ["--strict", "--config-file=", "--cache-dir", str(tmp_path / "cache")]
        command = [sys.executable, "-m", "mypy", *options, str(made.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    torch.manual_seed(0)
    results = {tuple(next(net.train().iter_exits(x, x)).flatten().tolist()) for _ in range(12)}
    assert len(results) > 1, "gates are drawn for each run"


def test_a_slimmed_net_stops_as_well() -> None:
    graph = graph_of("msdnet_cifar MSDNetBudgeted", exits=3, classes=4)
    pair = pair_of(graph, drawn(graph, 0.4))
    slimmed = thin(pair.channels)
    check_exits(pair.narrow.double(), slimmed, [images(3)])
