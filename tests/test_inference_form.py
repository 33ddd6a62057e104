"""Nets that only infer: batch norms are folded, dropout is gone, and outputs are as before."""

from pathlib import Path
from typing import Any

import emitted
import pytest
import torch
from command_line import run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from archc.api import Model
from archc.compiler import Compilation, Request, compile_spec
from archc.ops.normalization import BatchNorm
from archc.passes.fold_norms import FoldNorms
from archc.passes.parse import parse_passes
from archc.passes.pipeline import DEFAULT, for_inference
from archc.testing.models import inputs_of, model_of, randomise
from archc.testing.spec import Spec, specs
from archc.train.tensors import read_weights
from archc.weights.inference import inference_form, inference_weights

NETS: dict[str, tuple[dict[str, Any], int, int, int]] = {
    "resnet ResNet18": ({"classes": 10}, 32, 20, 0),
    "densenet_cifar DenseNetBC": ({"depth": 16, "growth": 4, "size": 8}, 8, 15, 9),
    "mobilenet_v2 MobileNetV2": ({"classes": 10}, 32, 52, 0),
    "msdnet_cifar MSDNetAnytime": ({"exits": 3, "base": 1, "step": 1, "hidden": 8}, 32, 34, 0),
    "ghostnet GhostNet": ({"classes": 10}, 32, 80, 0),
    "vgg_cifar VGG11": ({}, 32, 8, 0),
    "preact_resnet_cifar PreActResNet164": ({"depth": 11}, 32, 10, 3),
}
"""Settings, the size of images, and how many batch norms there are, before and after."""


def outputs(net: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    with torch.no_grad():
        result = net.eval()(*inputs)
    return [result] if isinstance(result, Tensor) else list(result)


def assert_equal(ours: list[Tensor], theirs: list[Tensor]) -> None:
    """In double precision; elements near zero are measured by the largest one."""
    for our, their in zip(ours, theirs, strict=True):
        largest = their.abs().max().item()
        torch.testing.assert_close(our, their, rtol=1e-9, atol=1e-9 * largest, equal_nan=True)


def vary_norms(net: nn.Module) -> None:
    """Statistics, scales and shifts as no net begins with."""
    generator = torch.Generator().manual_seed(3)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            randomise(module, generator)


def count_norms(net: nn.Module) -> int:
    return sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules())


@pytest.mark.parametrize("name", NETS)
def test_shipped_nets_infer_what_they_did(name: str) -> None:
    options, size, before, after = NETS[name]
    spec, net = name.split()
    made = emitted.emit(spec, net, **options)
    trained = made.build().double()
    vary_norms(trained)
    folded = emitted.emit(spec, net, for_inference(DEFAULT), **options).build().double()
    folded.load_state_dict(inference_weights(trained.state_dict(), made.compilation))
    assert (count_norms(trained), count_norms(folded)) == (before, after)
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(2, 3, size, size, generator=generator, dtype=torch.float64)
    assert_equal(outputs(folded, [images]), outputs(trained, [images]))
    if hasattr(folded, "exit_names"):
        for k in range(options["exits"]):
            with torch.no_grad():
                assert_equal([folded(images, exit=k)], [trained(images, exit=k)])


def test_generated_nets_infer_what_they_did() -> None:
    folded = 0

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(("bn", "dropout", "drop_path")).flatmap(specs))
    def check(spec: Spec) -> None:
        nonlocal folded
        compilation = compile_spec(Request("<drawn>", text=spec.text, passes=()))
        trained, form = model_of(compilation.graph).double(), inference_form(compilation)
        generator = torch.Generator().manual_seed(1)
        randomise(trained, generator)
        found = model_of(form.graph).double()
        found.load_state_dict(inference_weights(trained.state_dict(), compilation))
        inputs = inputs_of(compilation.graph, generator)
        assert_equal(outputs(found, inputs), outputs(trained, inputs))
        folded += norms(compilation) - norms(form)

    check()
    assert folded


def norms(compilation: Compilation) -> int:
    """The batch norms of a net."""
    return sum(isinstance(node.op, BatchNorm) for node, _ in compilation.graph.weights())


BODIES = {
    "behind a convolution": ("x = image -> a: conv(4, 3) -> n: bn", {"a.weight", "a.bias"}),
    "behind grouped transposition": (
        "x = image -> a: conv(6, 1) -> t: conv_transpose(4, 2, stride=2, groups=2, bias=true) "
        "-> n: bn(affine=false)",
        {"a.weight", "t.weight", "t.bias"},
    ),
    "behind a linear layer": (
        "x = image -> flatten -> a: linear(4) -> n: bn",
        {"a.weight", "a.bias"},
    ),
    "with dropout between": (
        "x = image -> a: conv(4, 3) -> d: dropout(0.5) -> n: bn",
        {"a.weight", "a.bias"},
    ),
    "what another reads": (
        "y = image -> a: conv(4, 3)\n x = (y -> n: bn) + y",
        {"a.weight", "n.*"},
    ),
    "what is an exit": (
        "y = image -> a: conv(4, 3)\n exit y\n x = y -> n: bn",
        {"a.weight", "n.*"},
    ),
    "shared with its norm": (
        "a = conv(2, 3)\n n = bn()\n x = image -> a -> n -> relu -> a -> n",
        {"a.weight", "a.bias"},
    ),
    "shared without it": (
        "a = conv(2, 3)\n x = image -> a -> n: bn -> relu -> a",
        {"a.weight", "n.*"},
    ),
    "norm shared by two": (
        "n = bn()\n x = (image -> a: conv(2, 3) -> n) + (image -> b: conv(2, 3) -> n)",
        {"a.weight", "b.weight", "n.*"},
    ),
}
"""Nets of an image [2, 8, 8], and the keys that are left."""

_OF_A_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@pytest.mark.parametrize("case", BODIES)
def test_norms_are_folded_where_that_is_exact(case: str) -> None:
    body, keys = BODIES[case]
    text = f"net N()(image: [2, 8, 8]) {{\n {body}\n return x\n}}"
    compilation = compile_spec(Request("<text>", text=text))
    trained, folded = (
        Model(c).build().double() for c in (compilation, inference_form(compilation))
    )
    vary_norms(trained)
    folded.load_state_dict(inference_weights(trained.state_dict(), compilation))
    expected = {
        key.replace("*", name) for key in keys for name in (_OF_A_NORM if "*" in key else ("",))
    }
    assert folded.state_dict().keys() == expected
    assert not any(isinstance(module, nn.Dropout) for module in folded.modules())
    images = torch.randn(3, 2, 8, 8, dtype=torch.float64)
    assert_equal(outputs(folded, [images]), outputs(trained, [images]))


def test_a_dropped_branch_keeps_its_factor() -> None:
    text = """net N()(image: [2, 8, 8]) {
        return image + (image -> a: conv(2, 3) -> n: bn -> drop_path(survival=0.5))
    }"""
    compilation = compile_spec(Request("<text>", text=text))
    form = inference_form(compilation)
    assert "drop_path" not in form.source()
    trained, folded = (Model(each).build().double() for each in (compilation, form))
    folded.load_state_dict(inference_weights(trained.state_dict(), compilation))
    images = torch.randn(3, 2, 8, 8, dtype=torch.float64)
    assert_equal(outputs(folded, [images]), outputs(trained, [images]))
    assert not torch.equal(trained(images), images)


def test_the_pass_has_its_place() -> None:
    assert [str(each) for each in for_inference(DEFAULT)] == ["simplify", "fold-norms"]
    assert for_inference(for_inference(DEFAULT)) == for_inference(DEFAULT)
    assert for_inference(()) == (FoldNorms(),)
    assert parse_passes("simplify,fold-norms") == for_inference(DEFAULT)


def test_the_commands_make_a_net_and_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ("resnet_cifar", "--set", "depth=8")
    trained = emitted.emit("resnet_cifar", depth=8).build()
    vary_norms(trained)
    save_file(trained.state_dict(), "trained.safetensors")
    assert run("compile", *settings, "--for", "inference", "-o", "net.py").exit_code == 0
    options = ("trained.safetensors", "-o", "net.safetensors", "--for", "inference")
    assert run("weights", *settings[:1], *options, *settings[1:]).exit_code == 0
    assert "--passes simplify,fold-norms" in Path("net.py").read_text()
    net = emitted.build_from(Path("net.py").resolve())
    state, _ = read_weights(Path("net.safetensors"))
    net.load_state_dict(state)
    images = torch.randn(2, 3, 32, 32)
    (ours,), (theirs,) = outputs(net, [images]), outputs(trained, [images])
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()
    refused = run("compile", *settings, "-O0", "--for", "inference")
    assert refused.exit_code == 2
