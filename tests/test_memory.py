"""What the backward pass keeps of whole nets: our sum, and the storages that autograd holds."""

from pathlib import Path
from typing import Any

import emitted
import pytest
import torch

from archc.analysis.memory import kept_bytes

MIXED = """
block Gate(hidden)(x) {
    return x * (x -> global_avg_pool(keep=true) -> a: conv(hidden) -> relu -> b: conv(8) -> sigmoid)
}
net Mixed()(image: [3, 16, 16]) {
    x = image -> conv1: conv(8, 3) -> norm1: bn -> relu
    y = x -> gate: Gate(4)
    z = concat(y, x -> take(4), max_pool(x, 3, 1, padding=1)) -> avg_pool(2) -> gelu
    exit z -> flatten -> early: linear(5)
    return z -> up: conv_transpose(8, 2, 2) -> softmax -> global_avg_pool -> late: linear(5)
}
"""


def held(net: emitted.Emitted, *shape: int) -> int:
    """The bytes of the storages that autograd keeps in training, what is in the model apart."""
    model = net.build()
    own = (*model.parameters(), *model.buffers())
    weights = {tensor.untyped_storage().data_ptr() for tensor in own}
    storages: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage  # held, so that no address is used again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(torch.randn(1, *shape))
    return sum(storage.nbytes() for storage in storages.values())


def claimed(net: emitted.Emitted) -> int:
    values = list(kept_bytes(net.graph).values())
    known = [value for value in values if value is not None]
    assert len(known) == len(values)
    return sum(known)


@pytest.mark.parametrize(
    ("spec", "settings"),
    [("densenet_cifar", {"depth": 22}), ("resnet_cifar", {"depth": 20})],
)
def test_shipped_nets_keep_what_is_said(spec: str, settings: dict[str, Any]) -> None:
    net = emitted.emit(spec, passes=emitted.O0, **settings)
    (image,) = (node.type for node in net.graph.inputs())
    shape = [size for size in image.shape if isinstance(size, int)]
    assert claimed(net) == held(net, *shape)


def test_a_net_of_many_operators_keeps_what_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mixed.arch"
    path.write_text(MIXED)
    net = emitted.emit(path, passes=emitted.O0)
    assert claimed(net) == held(net, 3, 16, 16)
