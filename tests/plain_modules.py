"""Emitted nets beside plain modules of torch that somebody wrote by hand, with the same weights."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from emitted import O0
from torch import Tensor, nn

from archc.api import Model
from archc.compiler import Request, compile_spec
from archc.passes.base import Pass
from archc.passes.pipeline import DEFAULT

PASSES = [pytest.param(O0, id="-O0"), pytest.param(DEFAULT, id="default")]


def built(folder: Path, spec: str, passes: Sequence[Pass]) -> nn.Module:
    """The emitted net of a spec's first net."""
    path = folder / "spec.arch"
    path.write_text(spec, encoding="utf-8")
    return Model(compile_spec(Request(str(path), passes=tuple(passes)))).build().double()


def assert_equal(ours: nn.Module, theirs: nn.Module, *images: Tensor) -> None:
    """Equal outputs and gradients in training, and outputs in evaluation, with the same weights
    in double precision."""
    theirs = theirs.double()
    theirs.load_state_dict(ours.state_dict())
    for image in images:
        for net in (ours, theirs):
            net.train().zero_grad()
        ours_out, theirs_out = ours(image), theirs(image)
        torch.testing.assert_close(ours_out, theirs_out, rtol=1e-9, atol=1e-12)
        for out in (ours_out, theirs_out):
            (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        wanted = dict(theirs.named_parameters())
        for name, parameter in ours.named_parameters():
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, wanted[name].grad, rtol=1e-9, atol=1e-11)
        with torch.no_grad():
            torch.testing.assert_close(
                ours.eval()(image), theirs.eval()(image), rtol=1e-9, atol=1e-12
            )
