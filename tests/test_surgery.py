"""Nets that share memory compute what their modules say, whatever was done to these."""

import copy

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
from torch import nn


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
