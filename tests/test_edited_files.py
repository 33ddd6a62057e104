"""What is changed in the text of an emitted file, or in its classes, is heard in training, too."""

import copy
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import emitted
import pytest
import torch
from surgery import (
    SPECS,
    assert_as_plain,
    built,
    in_channels_last,
    outcome,
    trained,
    without_runtime,
)
from torch import Tensor, nn

LAYER = "        return torch.cat([x, self.conv2(self.relu2(self.norm2(y)))], 1)\n"
LOOP = "        for layer in self.children():\n            x = layer(x)\n        return x\n"

EDITS = {
    "another activation": (LAYER, LAYER.replace("self.relu2(", "F.silu(")),
    "another order": (LAYER, LAYER.replace("[x, self", "[self").replace("(y)))]", "(y))), x]")),
    "a number": (LAYER, LAYER.replace("[x, ", "[0.5 * x, ")),
    "a dropout": (
        LAYER,
        LAYER.replace("cat([x, ", "cat([x, F.dropout(").replace(
            "], 1", ", 0.5, self.training)], 1"
        ),
    ),
    "a dropout that always acts": (
        LAYER,
        LAYER.replace("cat([x, ", "cat([x, F.dropout(").replace("], 1", ", 0.5)], 1"),
    ),
    "luck": (
        LAYER,
        "        if torch.rand(()) < 0.5:\n            return torch.cat([x, -x[:, :4]], 1)\n"
        + LAYER,
    ),
    "a counter": (
        LAYER,
        "        self.calls = getattr(self, 'calls', 0) + 1\n"
        + LAYER.replace("[x, ", "[x, self.calls * "),
    ),
    "a reading of numbers": (
        LAYER,
        "        if x.mean() > 0:\n            y = -y\n" + LAYER,
    ),
    "the block's end": (LOOP, LOOP.replace("return x", "return 2 * x")),
    "the block's loop": (LOOP, LOOP.replace("x = layer(x)", "x = layer(torch.relu(x))")),
    "the block twice": (
        LOOP,
        LOOP.replace("return x", "return torch.cat([x, x], 1)[:, : x.shape[1]]"),
    ),
    "only some layers": (
        LOOP,
        LOOP.replace("self.children()", "list(self.children())[:2]").replace(
            "return x", "return torch.cat([x, x[:, :4]], 1)"
        ),
    ),
}


def edited(folder: Path, old: str, new: str) -> nn.Module:
    spec = folder / "net.arch"
    spec.write_text(SPECS["dense"])
    text = emitted.emit(spec).source
    assert text.count(old) == 1
    path = folder / "edited.py"
    path.write_text(
        text.replace(old, new).replace(
            "import torch\n", "import torch\nfrom torch.nn import functional as F\n", 1
        )
    )
    return emitted.build_from(path, seed=1).double()


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, nn.Module]:
    return built(tmp_path_factory.mktemp("nets"))


@pytest.mark.filterwarnings("ignore:.*as torch runs it:UserWarning")
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_heard_in_training(tmp_path: Path, edit: str) -> None:
    net = edited(tmp_path, *EDITS[edit])
    plain = without_runtime(net)
    for each in (net, plain):
        in_channels_last(each)
    assert_as_plain(outcome(net), outcome(plain))


def test_an_edit_that_is_still_a_dense_block_shares_storage(tmp_path: Path) -> None:
    """Its text is read again: other names, another rate, one convolution in place of two."""
    new = (
        "        new = self.conv2(F.relu(self.norm2(y)))\n"
        "        return torch.cat((x, F.dropout(new, 0.5, training=self.training)), dim=1)\n"
    )
    net = edited(tmp_path, LAYER, new)
    plain = without_runtime(net)
    for each in (net, plain):
        in_channels_last(each)
    assert_as_plain(trained(net), trained(plain))
    assert is_shared(net)


def is_shared(net: nn.Module) -> bool:
    block = net.get_submodule("block")
    y = block(torch.ones(2, 8, 4, 4, dtype=torch.float64))
    name: str = y.grad_fn.next_functions[0][0].name()
    return name == "DenseBlockFunctionBackward"


def test_why_nothing_is_shared_is_said_once(tmp_path: Path) -> None:
    net = edited(tmp_path, LAYER, LAYER.replace("self.relu2(", "F.silu("))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            trained(net)
    (found,) = said
    assert found.filename == trained.__code__.co_filename  # where the net is called
    message = str(found.message)
    assert message == (
        "DenseBlock is not the dense block that was compiled: "
        "the forward of DenseLayer has `silu`, "
        'so it runs as torch runs it, and keeps as much memory (as with memory="off")'
    )


def test_the_words_for_what_was_done_are_english(nets: dict[str, nn.Module]) -> None:
    net = copy.deepcopy(nets["joined"])
    net.get_submodule("block.stem").norm = nn.Identity()
    with pytest.warns(UserWarning, match="An Identity takes the place of a BatchNorm,") as said:
        trained(net)
    assert {each.filename for each in said} == {trained.__code__.co_filename}


def test_what_is_undone_is_shared_again(nets: dict[str, nn.Module]) -> None:
    net = copy.deepcopy(nets["dense"])
    assert is_shared(net)
    handle = net.get_submodule("block.denselayer2.conv1").register_forward_hook(lambda *_: None)
    with pytest.warns(UserWarning, match="a Conv2d in it has a hook"):
        assert not is_shared(net)
    handle.remove()
    assert is_shared(net)
    layer: Any = net.get_submodule("block.denselayer3")
    norm, layer.norm1 = layer.norm1, nn.Identity()
    with pytest.warns(UserWarning, match="takes the place of a BatchNorm"):
        assert not is_shared(net)
    layer.norm1 = norm
    assert is_shared(net)


def test_an_exchanged_method_of_a_class_is_heard(
    nets: dict[str, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of torch's class, and of the net's own."""
    for spec in SPECS:
        for kind in (nn.BatchNorm2d, nn.Conv2d, type(nets[spec].get_submodule("block"))):
            net = copy.deepcopy(nets[spec])
            plain = without_runtime(net)
            trained(net), trained(plain)
            forward = kind.forward

            def other(self: Any, *xs: Any, forward: Any = forward) -> Any:
                return forward(self, *(1.5 * x for x in xs))

            with monkeypatch.context() as patch, warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*as torch runs it")
                patch.setattr(kind, "forward", other)
                assert_as_plain(trained(net), trained(plain))


def _name(calls: list[str], module: nn.Module, *_: Any) -> None:
    calls.append(type(module).__name__)


def test_a_hook_of_all_modules_runs_as_often_as_in_torch(nets: dict[str, nn.Module]) -> None:
    for spec in SPECS:
        net = copy.deepcopy(nets[spec])
        plain = without_runtime(net)
        seen: list[list[str]] = [[], []]
        for each, calls in zip((net, plain), seen, strict=True):
            hook = nn.modules.module.register_module_forward_hook(partial(_name, calls))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*as torch runs it")
                trained(each)
            hook.remove()
        assert seen[0] == seen[1]


def _note(found: list[Tensor], _module: nn.Module, _: Any, values: Any) -> None:
    found.append(values[0] if isinstance(values, tuple) else values)


def test_hooks_inside_run_in_evaluation(nets: dict[str, nn.Module]) -> None:
    """As Grad-CAM has them: on an inner layer, of its result and of the gradient of that."""
    for spec, path in {"dense": "block.denselayer2.conv2", "joined": "block.first.norm"}.items():
        net = copy.deepcopy(nets[spec]).eval()
        found: list[Tensor] = []
        layer = net.get_submodule(path)
        layer.register_forward_hook(partial(_note, found))
        layer.register_full_backward_hook(partial(_note, found))
        net(torch.randn(2, 3, 12, 12).double())[:, 1].sum().backward()
        assert [each.shape for each in found] == [found[0].shape] * 2
