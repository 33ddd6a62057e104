"""MSDNet as it is shipped: what it emits, what its keys are, and that all of its exits train."""

import time

import emitted
import pytest
import torch
from torch import nn
from torch.nn import functional

from archc.checking import check_spec
from archc.compiler import Request, compile_spec
from archc.elaborate.files import find_spec, load_program
from archc.elaborate.limits import Limits
from archc.elaborate.net import elaborate


def losses(net: nn.Module, batch: int, steps: int) -> list[float]:
    """The sum over all exits of the loss, for some steps of training on one batch."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, 32, 32, generator=generator)
    labels = torch.randint(10, (batch,), generator=generator)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.02)
    found = []
    for _ in range(steps):
        loss = torch.stack([functional.cross_entropy(exit, labels) for exit in net(images)]).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert all(weight.grad is not None for weight in net.parameters())
        optimiser.step()
        found.append(loss.item())
    return found


def test_the_cifar_net_is_a_short_file() -> None:
    lines = emitted.emit("msdnet_cifar", "MSDNetAnytime").model_lines
    model = lines[next(i for i, line in enumerate(lines) if line.startswith("__all__")) :]
    assert len(model) <= 256
    classes = [line.split("(")[0] for line in lines if line.startswith("class ")]
    assert [name for name in classes if name.startswith("class MSDLayer")] == [
        "class MSDLayer3To3",
        "class MSDLayer3To2",
        "class MSDLayer2To2",
        "class MSDLayer2To1",
        "class MSDLayer1To1",
    ]


def test_layers_that_the_next_exit_needs_whole_are_a_loop() -> None:
    source = emitted.emit("msdnet", "MSDNetStep7", emitted.O0).source
    assert (
        """\
        for layer in (self.get_submodule(f"layer{i}") for i in range(1, 5)):
            x0, x1, x2, x3 = layer(x0, x1, x2, x3)
"""
        in source
    )


def test_keys_say_layer_scale_and_path() -> None:
    keys = list(emitted.emit("msdnet_cifar", "MSDNetAnytime").build().state_dict())
    assert "stem.scale3.conv.weight" in keys
    assert "layer1.scale1.same.reduce.conv.weight" in keys
    assert "layer7.scale2.down.extract.norm.running_var" in keys
    assert "transition7.scale3.conv.weight" in keys
    assert "classifier7.linear.bias" in keys


def test_no_net_gives_a_warning() -> None:
    assert not check_spec(find_spec("msdnet"), Limits())
    assert not check_spec(find_spec("msdnet_cifar"), Limits())


def test_all_exits_of_the_cifar_net_train() -> None:
    net = emitted.emit("msdnet_cifar", "MSDNetAnytime").build()
    first, second = losses(net, batch=2, steps=2)
    assert second < first


@pytest.mark.parametrize("rule", ["max", "min"])
@pytest.mark.parametrize("net", ["MSDNetAnytime", "MSDNetBudgeted"])
def test_small_nets_learn_a_batch_by_heart(net: str, rule: str) -> None:
    small = emitted.emit("msdnet_cifar", net, exits=3, base=2, step=1, width=4, rule=rule)
    found = losses(small.build(), batch=8, steps=8)
    assert found[-1] < 0.6 * found[0]


def test_with_min_every_scale_lives_until_no_exit_reads_it() -> None:
    """The last layers keep 3, 2, 1 scales; before them all three are alive."""
    settings = {"exits": "3", "base": "2", "step": "2", "rule": '"min"'}
    graph = elaborate(load_program(find_spec("msdnet_cifar")), None, settings).graph
    alive = [len(region.results) for region in graph.regions.values() if region.block == "MSDLayer"]
    assert alive == [3, 3, 3, 3, 2, 1]


def test_the_largest_net_compiles_in_a_moment() -> None:
    start = time.perf_counter()
    compile_spec(Request("msdnet", "MSDNetStep7")).source()
    assert time.perf_counter() - start < 20  # 0.8 s; the bound is for busy machines
