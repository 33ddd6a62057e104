"""Nets that share memory compute what their modules say, whatever was done to these."""

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from surgery import (
    SPECS,
    SURGERIES,
    assert_as_plain,
    built,
    hooked,
    hooked_before,
    in_channels_last,
    outcome,
    without_runtime,
)
from torch import Tensor, nn


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, nn.Module]:
    return built(tmp_path_factory.mktemp("nets"))


@pytest.mark.filterwarnings("ignore:.*as torch runs it:UserWarning")
@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("surgery", SURGERIES)
@pytest.mark.parametrize("spec", SPECS)
def test_surgery(nets: dict[str, nn.Module], spec: str, surgery: str) -> None:
    ours, plain = copy.deepcopy(nets[spec]), without_runtime(nets[spec])
    for net in (ours, plain):
        torch.manual_seed(3)
        SURGERIES[surgery](net, "block")
        in_channels_last(net)
    assert_as_plain(outcome(ours), outcome(plain))


@pytest.mark.filterwarnings("ignore:.*as torch runs it:UserWarning")
@pytest.mark.parametrize("spec", SPECS)
def test_writing_in_place_anywhere(nets: dict[str, nn.Module], spec: str) -> None:
    """Into what a module gives or is given, as hooks do that mask channels."""
    trains = 0
    for path, _ in nets[spec].named_modules():
        for write in (hooked, hooked_before):
            ours, plain = copy.deepcopy(nets[spec]), without_runtime(nets[spec])
            for net in (ours, plain):
                write(net.get_submodule(path))
            expected = outcome(plain)
            assert_as_plain(outcome(ours), expected)
            trains += not isinstance(expected, str)
    assert trains > 10


def loaded(what: Any) -> Any:
    """It, as it comes from a file."""
    with io.BytesIO() as file:
        torch.save(what, file)
        file.seek(0)
        return torch.load(file, weights_only=False)


@pytest.mark.parametrize("spec", SPECS)
def test_what_was_saved_and_loaded_trains(nets: dict[str, nn.Module], spec: str) -> None:
    """Torch crashes where memory that `torch.load` has filled is shared until somebody writes."""
    ours, plain = loaded(copy.deepcopy(nets[spec])), without_runtime(nets[spec])
    assert_as_plain(outcome(ours), outcome(plain))
    ours.load_state_dict(loaded(ours.state_dict()), assign=True)
    assert_as_plain(outcome(ours), outcome(plain))


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("made", [loaded, lambda x: torch.from_numpy(x.numpy().copy())])
def test_images_in_memory_that_torch_did_not_take(
    nets: dict[str, nn.Module], spec: str, made: Callable[[Tensor], Tensor]
) -> None:
    """They may be written into after a step, as those of torch."""
    found = []
    for net in (copy.deepcopy(nets[spec]), without_runtime(nets[spec])):
        images = made(torch.ones(4, 3, 12, 12, dtype=torch.float64).cumsum(2))
        net.zero_grad()
        for _ in range(2):
            torch.autograd.backward(net(images).square().sum())
            images.sin_()
        found.append([p.grad for p in net.parameters() if p.grad is not None])
    assert_as_plain(found[0], found[1])
