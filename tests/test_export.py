"""Emitted nets as exported programs and as ONNX models: operators that every reader of them has."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import emitted
import pytest
import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.export import Dim

NETS: dict[str, tuple[dict[str, Any], int]] = {
    "densenet DenseNet121": ({"growth": 4, "stem": 8, "blocks": [2, 3], "classes": 10}, 32),
    "densenet_cifar DenseNetBC": ({"depth": 16, "growth": 8, "size": 8}, 8),
    "resnet_cifar ResNet": ({"depth": 8}, 8),
    "hardnet HarDNet68": (
        {"stem": [4, 8], "layers": [4, 8], "growth": [4, 6], "widths": [8, 12], "halved": [0]},
        32,
    ),
    "msdnet_cifar MSDNetAnytime": ({"exits": 2, "base": 2}, 32),
}
"""Settings, and the size of images, of nets that share memory in different ways, or not at all."""

BATCHES = (2, 3, 7)
each_net = pytest.mark.parametrize("name", NETS)


def _net(name: str) -> nn.Module:
    """Of the default pipeline."""
    spec, net = name.split()
    made = emitted.emit(spec, net, **NETS[name][0])
    assert bool(made.graph.sharing) == (spec != "resnet_cifar")
    return made.build()


def _images(name: str, batch: int = 4) -> Tensor:
    size = NETS[name][1]
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(batch))


def _results(net: nn.Module, images: Tensor) -> list[Tensor]:
    """In inference, where a net runs its plain modules, as an exported program does."""
    torch.manual_seed(3)
    with torch.no_grad():
        result: Tensor | Sequence[Tensor] = net(images)
    return [result] if isinstance(result, Tensor) else list(result)


@each_net
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_exported_programs_hold_operators_of_aten_only(name: str, training: bool) -> None:
    """And compute what the net computes, for any batch."""
    net = _net(name).train(training)
    before = copy.deepcopy(net.state_dict())
    program = torch.export.export(net, (_images(name),), dynamic_shapes=({0: Dim("batch")},))
    called = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert called
    assert all(isinstance(target, OpOverload) for target in called)
    assert {target.namespace for target in called if isinstance(target, OpOverload)} == {"aten"}

    exported = program.module()
    assert before.keys() == program.state_dict.keys()
    net.load_state_dict(before)
    for batch in BATCHES:
        images = _images(name, batch)
        ours, theirs = _results(exported, images), _results(net, images)
        assert len(ours) == len(theirs)
        assert all(map(torch.equal, ours, theirs))
    buffers = dict(exported.named_buffers())
    assert all(torch.equal(buffers[key], value) for key, value in net.named_buffers())


def _operators(graph: Any) -> Iterator[tuple[str, str]]:
    """Domain and name of each operator of an ONNX graph, and of the graphs inside of it."""
    for node in graph.node:
        yield node.domain, node.op_type
        for attribute in node.attribute:
            yield from _operators(attribute.g)


@each_net
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's own words to itself
def test_onnx_models_hold_operators_of_the_standard_only(name: str) -> None:
    """And compute what the net computes, for any batch, by ONNX's reference."""
    onnx: Any = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    reference: Any = pytest.importorskip("onnx.reference")
    net = _net(name).eval()
    exported = torch.onnx.export(
        net, (_images(name),), dynamic_shapes=({0: Dim("batch")},), dynamo=True, verbose=False
    )
    assert exported is not None
    model = exported.model_proto
    onnx.checker.check_model(model, full_check=True)
    called = list(_operators(model.graph))
    assert called
    assert {domain for domain, _ in called} == {""}
    assert not model.functions

    evaluator = reference.ReferenceEvaluator(model)
    for batch in BATCHES:
        images = _images(name, batch)
        ours = evaluator.run(None, {model.graph.input[0].name: images.numpy()})
        for our, their in zip(ours, _results(net, images), strict=True):
            assert (torch.from_numpy(our) - their).abs().max() < 1e-5 * their.abs().max()
