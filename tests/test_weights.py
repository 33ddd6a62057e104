"""`archc weights`: whose weights are which, found by name, order and shape."""

import json
import re
from pathlib import Path
from typing import Any

import checkpoints
import emitted
import pytest
import safetensors.torch
import torch
from checkpoints import State
from command_line import run

from archc.diagnostics import ArchError
from archc.weights.checkpoint import Checkpoint, read_checkpoint
from archc.weights.mapping import Mapped, map_checkpoint
from archc.weights.sources import find_sources


def mapped(state: State, net: State, source: str | None = None, ordered: bool = True) -> Mapped:
    if not ordered:  # as files of safetensors have them
        state = dict(sorted(state.items()))
    return map_checkpoint(Checkpoint(state, ordered), net, find_sources(source))


ORDER = {
    "resnet": "ResNet18",
    "mobilenet_v2": "MobileNetV2",
    "googlenet": "GoogLeNet",
    "xnor_net": "XnorNIN",
}


@pytest.mark.parametrize("spec", ORDER)
def test_names_that_say_nothing_are_found_by_order_and_shapes(spec: str) -> None:
    net = checkpoints.keys_of(spec, ORDER[spec])
    state = checkpoints.opaque(checkpoints.numbered(net))
    found = mapped(state, net)
    assert not found.missing
    assert not found.left
    assert checkpoints.same_weights(found.state, net)


def test_equal_names_count_whatever_the_order() -> None:
    net = checkpoints.keys_of("resnet", "ResNet18")
    state = dict(reversed(checkpoints.numbered(net).items()))
    assert checkpoints.same_weights(mapped(state, net).state, net)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("source", ["gpleiss", None])
def test_densenets_of_gpleiss(source: str | None, ordered: bool) -> None:
    net = checkpoints.keys_of("densenet_cifar", "DenseNetBC", depth=22)
    state = checkpoints.renamed(
        checkpoints.numbered(net),
        (r"\b(norm|conv)(?=[12]\.)", r"\1."),
        (r"norm5", "norm_final"),
        (r"^", "module."),
    )
    assert "module.features.denseblock1.denselayer1.norm.1.weight" in state
    found = mapped(state, net, source, ordered)
    assert not found.missing
    assert checkpoints.same_weights(found.state, net)


@pytest.mark.parametrize("net_name", ["MSDNetAnytime", "MSDNetBudgeted"])
def test_msdnets_of_kalviny(net_name: str) -> None:
    net = checkpoints.keys_of("msdnet_cifar", net_name, exits=3)
    state = checkpoints.kalviny_msdnet(checkpoints.numbered(net))
    assert "module.blocks.0.1.layers.1.conv_down.net.4.running_var" in state
    assert list(state)[-1] == f"module.classifier.{len(state_of_heads(net)) - 1}.linear.bias"
    found = mapped(state, net, "kalviny")
    assert not found.missing
    assert checkpoints.same_weights(found.state, net)


def state_of_heads(net: State) -> set[str]:
    return {key.partition(".")[0] for key in net if key.startswith("classifier")}


def test_nets_of_network_slimming() -> None:
    dense = checkpoints.keys_of("densenet_cifar", "DenseNet", depth=13)
    state = checkpoints.slimming_densenet(checkpoints.numbered(dense))
    assert {"dense1.0.select.indexes", "trans1.bn1.weight", "fc.bias"} <= set(state)
    assert checkpoints.same_weights(mapped(state, dense, "slimming").state, dense)
    residual = checkpoints.keys_of("preact_resnet_cifar", "SlimmingResNet164", depth=20)
    selecting = checkpoints.with_selections(checkpoints.numbered(residual))
    assert {"layer1.0.select.indexes", "select.indexes"} <= set(selecting)
    found = mapped(selecting, residual, "slimming", ordered=False)
    assert not found.left
    assert checkpoints.same_weights(found.state, residual)
    selecting["layer1.0.select.indexes"] = torch.arange(16.0) % 2
    with pytest.raises(ArchError, match="selects 8 of 16 channels: the net was pruned"):
        mapped(selecting, residual, "slimming")


def test_mobilenets_of_timm_whose_file_has_lost_the_order() -> None:
    net = checkpoints.keys_of("mobilenet_v2", "MobileNetV2")
    widths = [1, 2, 3, 4, 3, 3, 1]
    places = [(s, i) for s, count in enumerate(widths) for i in range(count)]
    rules = [
        (rf"^features\.{k}\.", f"blocks.{stage}.{i}.") for k, (stage, i) in enumerate(places, 1)
    ]
    state = checkpoints.renamed(
        checkpoints.numbered(net),
        (r"^features\.0\.0\.", "conv_stem."),
        (r"^features\.0\.1\.", "bn1."),
        (r"^features\.18\.0\.", "conv_head."),
        (r"^features\.18\.1\.", "bn2."),
        (r"^classifier\.1\.", "classifier."),
        *rules,
        (r"^(blocks\.0\.0)\.conv\.0\.0\.", r"\1.conv_dw."),
        (r"^(blocks\.0\.0)\.conv\.0\.1\.", r"\1.bn1."),
        (r"^(blocks\.0\.0)\.conv\.1\.", r"\1.conv_pw."),
        (r"^(blocks\.0\.0)\.conv\.2\.", r"\1.bn2."),
        (r"\.conv\.0\.0\.", ".conv_pw."),
        (r"\.conv\.0\.1\.", ".bn1."),
        (r"\.conv\.1\.0\.", ".conv_dw."),
        (r"\.conv\.1\.1\.", ".bn2."),
        (r"\.conv\.2\.", ".conv_pwl."),
        (r"\.conv\.3\.", ".bn3."),
    )
    found = mapped(state, net, "timm", ordered=False)
    assert not found.missing, [each.key for each in found.missing]
    assert checkpoints.same_weights(found.state, net)


@pytest.mark.parametrize("ordered", [True, False])
def test_regnets_of_timm_whose_projection_has_the_shape_of_another_layer(ordered: bool) -> None:
    net = checkpoints.keys_of("regnet", "RegNetY400MF")
    block = r"^trunk_output\.block(\d)\.block\d-(\d+)\."
    state = checkpoints.renamed(
        checkpoints.numbered(net),
        (r"^stem\.0", "stem.conv"),
        (r"^stem\.1", "stem.bn"),
        (rf"{block}proj\.0", r"s\1.b\2.downsample.conv"),
        (rf"{block}proj\.1", r"s\1.b\2.downsample.bn"),
        (rf"{block}f\.se", r"s\1.b\2.se"),
        *(
            (rf"{block}f\.{letter}\.{i}", rf"s\1.b\2.conv{number}.{layer}")
            for number, letter in enumerate("abc", 1)
            for i, layer in enumerate(("conv", "bn"))
        ),
        (r"^fc", "head.fc"),
    )
    state = {  # blocks count from 1, and the projection comes last
        re.sub(r"(?<=\.b)\d+", lambda m: str(int(m[0]) + 1), key): state[key]
        for key in sorted(state, key=lambda key: "downsample" in key)
    }
    assert "s1.b1.downsample.conv.weight" in state
    found = mapped(state, net, "timm", ordered)
    assert not found.missing, [each.key for each in found.missing]
    assert checkpoints.same_weights(found.state, net)


def test_a_convolution_over_its_whole_input_is_a_linear_layer() -> None:
    net = checkpoints.keys_of("vgg", "VGG11", hidden=32)
    weights = {
        key: torch.zeros(tensor.shape) for key, tensor in net.items() if "running" not in key
    }
    head = torch.randn(32, 512, 7, 7, generator=torch.Generator().manual_seed(1))
    state = checkpoints.renamed(
        {**checkpoints.numbered(net), **weights, "classifier.0.weight": head},
        (r"^classifier\.0\.", "pre_logits.fc1."),
        (r"^classifier\.3\.", "pre_logits.fc2."),
        (r"^classifier\.6\.", "head.fc."),
    )
    found = mapped(state, net, "timm")
    assert not found.missing
    assert torch.equal(found.state["classifier.0.weight"], head.flatten(1))
    assert found.state["classifier.6.weight"].shape == (1000, 32)


def test_what_could_be_one_layer_as_well_as_another_is_refused() -> None:
    """The projection stands first here: the order does not fit, and its norm is as the others."""
    net = checkpoints.keys_of("resnet", "ResNet18")
    state = checkpoints.numbered(net)
    moved = sorted(state, key=lambda key: (key.split(".")[:2], "downsample" not in key))
    flat = checkpoints.renamed({k: state[k] for k in moved}, (r"downsample\.(\d)", r"project\1"))
    state = checkpoints.opaque(flat)
    found = mapped(state, net)
    reasons = {each.key: each.why for each in found.missing}
    assert reasons["layer2.0.bn1.weight"].endswith("and nothing says which")
    assert "layer2.0.downsample.1.weight" in reasons
    certain = {row.ours for row in found.rows}
    wanted = {key: tensor for key, tensor in net.items() if key in certain}
    numbers = {k: n for k, n in checkpoints.numbered(net).items() if k in certain}
    assert numbers.keys() == {k for k in wanted if "num_batches" not in k}
    assert all(found.state[k].flatten()[0] == n.flatten()[0] for k, n in numbers.items())


def test_numbers_that_count_other_modules_are_not_taken_for_the_same() -> None:
    """Without activations in a row `features.6` is another layer, at times of the same shape."""
    net = checkpoints.keys_of("vgg_cifar", "VGG19")
    kept = [key for key in dict.fromkeys(key.split(".")[1] for key in net) if key.isdigit()]
    state = {
        re.sub(r"^feature\.(\d+)", lambda m: f"feature.{kept.index(m[1])}", key): tensor
        for key, tensor in checkpoints.numbered(net).items()
    }
    assert any(state[key].shape == net[key].shape for key in state if "30.weight" in key)
    for extra in (state, {"aux.weight": torch.zeros(10, 512, 3), **state}):
        assert checkpoints.same_weights(mapped(extra, net).state, net)


# ------------------------------------------------------------------------------ the command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_torchvisions_first_densenet_computes_the_same(folder: Path, torchvision: Any) -> None:
    torch.manual_seed(3)
    reference = torchvision.models.DenseNet(16, (2, 3), 24).eval()
    legacy = checkpoints.renamed(
        {k: v for k, v in reference.state_dict().items() if "num_batches" not in k},
        (r"(?<=\d\.)(norm|conv)([12])\.", r"\1.\2."),
    )
    assert "features.denseblock1.denselayer1.norm.1.weight" in legacy
    torch.save({"epoch": 90, "state_dict": legacy, "optimizer": {"state": {}}}, "old.pth.tar")
    settings = ("--set", "growth=16", "--set", "blocks=[2, 3]", "--set", "stem=24")
    result = run(
        "weights", "densenet", "old.pth.tar", "-o", "ours.safetensors", *settings, "--json"
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert len(report["mapped"]) == len(legacy)
    assert len(report["counters_at_0"]) == 13
    net = emitted.emit("densenet", None, emitted.O0, growth=16, blocks=[2, 3], stem=24)
    ours = net.build(seed=1).eval()
    ours.load_state_dict(safetensors.torch.load_file("ours.safetensors"), strict=True)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        assert torch.equal(ours(images), reference(images))


@pytest.mark.parametrize(
    ("name", "spec", "net"),
    [
        ("resnet50", "resnet", "ResNet50"),
        ("googlenet", "googlenet", "GoogLeNetPlain"),
        ("mobilenet_v2", "mobilenet_v2", "MobileNetV2"),
        ("vgg16_bn", "vgg", "VGG16"),
    ],
)
def test_torchvisions_nets_need_no_new_names(
    name: str, spec: str, net: str, torchvision: Any
) -> None:
    with torch.device("meta"):
        arguments = {"init_weights": False} if name == "googlenet" else {}
        theirs = getattr(torchvision.models, name)(**arguments).state_dict()
    keys = checkpoints.keys_of(spec, net)
    found = mapped(theirs, keys, "torchvision", ordered=False)
    assert [row.theirs for row in found.rows] == [row.ours for row in found.rows] == list(keys)
    assert all(key.startswith("aux") for key in found.left)
    assert bool(found.left) == (name == "googlenet")


TINY = """\
net Tiny(classes=10)(image: [3, 8, 8]) {
    x = image -> conv1: conv(4, 3) -> bn1: bn -> relu
    return x -> global_avg_pool -> fc: linear(classes)
}
"""


@pytest.fixture
def tiny(folder: Path) -> State:
    """A spec, and a file of its weights by other names and with 7 classes."""
    Path("tiny.arch").write_text(TINY)
    state = emitted.emit(Path("tiny.arch").resolve(), classes=7).build(seed=2).state_dict()
    theirs = checkpoints.renamed(state, ("^bn1", "norm"), ("^fc", "head"), ("^conv1", "stem"))
    torch.save(theirs, "theirs.pth")
    return state


def test_a_head_of_other_classes_is_excepted_by_name(tiny: State, folder: Path) -> None:
    refused = run("weights", "tiny.arch", "theirs.pth", "-o", "ours.safetensors")
    assert refused.exit_code == 1
    assert "missing: fc.weight  [10, 4]: `head` gives 7, not 10" in refused.stdout
    assert "`theirs.pth` has no weights for 1 layer of `Tiny`" in refused.stderr
    assert "`--set classes=7` takes it, `--except fc` begins it anew" in refused.stderr
    assert not Path("ours.safetensors").exists()
    arguments = ("weights", "tiny.arch", "theirs.pth", "--except", "fc", "-o", "ours.safetensors")
    assert run(*arguments).exit_code == 0
    ours = emitted.emit(Path("tiny.arch").resolve()).build()
    written = safetensors.torch.load_file("ours.safetensors")
    ours.load_state_dict(written, strict=True)
    assert torch.equal(ours.get_parameter("conv1.weight"), tiny["conv1.weight"])
    assert written["fc.weight"].std() > 0
    assert run(*arguments).exit_code == 1  # there is such a file
    assert run(*arguments, "--force").exit_code == 0
    again = safetensors.torch.load_file("ours.safetensors")
    assert torch.equal(again["fc.weight"], written["fc.weight"])


def test_the_table_has_their_keys_before_ours(tiny: State) -> None:
    arguments = ("tiny.arch", "theirs.pth", "--set", "classes=7", "-o", "ours.safetensors")
    result = run("weights", *arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == (
        "stem.weight              -> conv1.weight             [4, 3, 3, 3]"
    )
    assert result.stdout.splitlines()[-1] == "8 weights, 0 under the same key"
    with safetensors.safe_open("ours.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["settings"]) == {"classes": "7"}
    assert len(metadata["sha256"]) == 64


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"epoch": 3}, "has no state_dict"),
        ({"a": {"x": torch.ones(1)}, "b": {"x": torch.ones(1)}}, "several state_dicts: `a`, `b`"),
        (torch.nn.Linear(2, 2), "cannot be read"),
        (b"no pickle", "cannot be read"),
        (None, "there is no file"),
    ],
)
def test_files_without_a_state_dict_are_refused(content: Any, said: str, tiny: State) -> None:
    if isinstance(content, bytes):
        Path("odd.pth").write_bytes(content)
    elif content is not None:
        torch.save(content, "odd.pth")
    result = run("weights", "tiny.arch", "odd.pth", "-o", "ours.safetensors")
    assert result.exit_code == 1
    assert "error[E1040]" in result.stderr
    assert said in result.stderr
    assert not Path("ours.safetensors").exists()


def test_a_damaged_file_is_refused(tiny: State) -> None:
    torch.save(tiny, "whole.pth", _use_new_zipfile_serialization=False)
    whole = Path("whole.pth").read_bytes()
    for length in range(0, len(whole), 61):
        Path("part.pth").write_bytes(whole[:length])
        with pytest.raises(ArchError, match="E1040"):
            read_checkpoint(Path("part.pth"))


def test_weights_of_archc_with_a_changed_bit_are_refused(tiny: State) -> None:
    arguments = (
        "weights",
        "tiny.arch",
        "theirs.pth",
        "--set",
        "classes=7",
        "-o",
        "ours.safetensors",
    )
    assert run(*arguments).exit_code == 0
    content = bytearray(Path("ours.safetensors").read_bytes())
    content[-1] ^= 1
    Path("ours.safetensors").write_bytes(content)
    for command in (
        ("weights", "tiny.arch", "ours.safetensors", "--set", "classes=7", "-o", "x.safetensors"),
        ("slim", "tiny.arch", "--weights", "ours.safetensors", "--ratio", "0.5", "-o", "x"),
    ):
        result = run(*command)
        assert result.exit_code == 1
        assert "its SHA-256 is not that of its weights" in result.stderr


@pytest.mark.parametrize("option", [("--from", "timmm"), ("--except", "head")])
def test_words_that_mean_nothing_are_refused(option: tuple[str, str], tiny: State) -> None:
    result = run("weights", "tiny.arch", "theirs.pth", "-o", "ours.safetensors", *option)
    assert result.exit_code == 1
    assert f"error[E1041]: `{option[0]} {option[1]}`" in result.stderr
