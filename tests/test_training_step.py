"""One step of training of small members of the shipped families: the gradient reaches all."""

from typing import Any

import emitted
import pytest
import torch
from torch import Tensor, nn

HARDNET = {"stem": [4, 8], "layers": [4, 8], "growth": [4, 6], "widths": [8, 12], "halved": [0]}
RKCNN: dict[str, Any] = {"growth": [8, 8], "stages": [3, 3], "steps": [2, 1]}
MGIC: dict[str, Any] = {"widths": [32, 64], "blocks": [1, 2], "group": 8, "coarsest": 16}

NETS: list[tuple[str, str, dict[str, Any], tuple[int, int]]] = [
    ("hardnet", "HarDNet68", HARDNET, (32, 32)),
    ("hardnet", "HarDNet39DS", {**HARDNET, "dropout_rate": 0.0}, (32, 32)),
    ("threshnet", "ThreshNet79", {**HARDNET, "dense": 1}, (32, 32)),
    ("rkcnn", "RKCNNE", RKCNN, (32, 32)),
    ("rkcnn", "RKCNNI", {**RKCNN, "updates": [2, 2]}, (32, 32)),
    ("rkcnn", "RKCNNR", {**RKCNN, "updates": [2, 2]}, (32, 32)),
    ("rkcnn", "RKCNNI", {**RKCNN, "dropout_rate": 0.2, "attention": False}, (32, 32)),
    ("mgic", "MGIC34", MGIC, (64, 64)),
    ("mgic", "MGIC34Tied", MGIC, (64, 64)),
    ("min_nets", "CifarMinFP", {"count": 2}, (32, 32)),
    ("min_nets", "DenseMin", {"depth": 16, "growth": 4}, (32, 32)),
    ("xnor_net", "XnorNIN", {}, (32, 32)),
    ("unet", "UNet", {"width": 4, "depth": 3}, (24, 40)),
    ("unet", "UNet", {"width": 4, "depth": 2, "bilinear": True}, (16, 20)),
    ("fpn", "ResNet18FPN", {"blocks": [1, 1, 1, 1], "out": 8}, (64, 96)),
]


@pytest.mark.parametrize(("spec", "net", "settings", "size"), NETS)
def test_a_step_reaches_every_weight(
    spec: str, net: str, settings: dict[str, Any], size: tuple[int, int]
) -> None:
    """All gradients are finite, and all that is no scale or shift changes.

    A scale has no gradient but rounding errors where another normalisation follows it.
    """
    model = emitted.emit(spec, net, **settings).build()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    result = model(torch.randn(4, 3, *size))
    outputs = [result] if isinstance(result, Tensor) else list(result)
    loss = torch.stack([(output - torch.randn_like(output)).square().mean() for output in outputs])
    loss.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    for name, value in model.named_parameters():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
        assert value.dim() == 1 or not torch.equal(value, before[name]), name


def test_a_tied_weight_is_one_parameter() -> None:
    """The way back of a cycle has no weight of its own: the transposed one of the way down."""
    free, tied = (emitted.emit("mgic", net, **MGIC).build() for net in ("MGIC34", "MGIC34Tied"))
    down = sum(p.numel() for name, p in free.named_parameters() if ".restrict." in name)
    back = sum(p.numel() for name, p in free.named_parameters() if ".prolong." in name)
    assert down == back > 0
    assert _parameters(free) - _parameters(tied) == back
    assert len(list(tied.parameters())) == len(list(tied.named_parameters(remove_duplicate=False)))


def test_a_repeated_update_has_the_layers_of_one() -> None:
    once, thrice = (
        emitted.emit("rkcnn", "RKCNNI", **RKCNN, updates=[n, n]).build() for n in (1, 3)
    )
    assert list(once.state_dict()) == list(thrice.state_dict())


def _parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())
