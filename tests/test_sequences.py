"""`nn.Sequential`: the pipe, the scope and the loop that a help writes compute what it does."""

import re

import pytest
import torch
from test_doubtful_mends import said
from torch import nn

import archc

NET = "net N()(x: [8, 12, 10]) {{\n    {}\n    return x\n}}\n"
MODULE = "nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU())"


@pytest.mark.parametrize(
    "line",
    [
        f"body = {MODULE}\n    x = body(x)",
        f"body = {MODULE}\n    x = x -> body",
        f"x = x -> body: {MODULE}",
    ],
)
def test_a_scope_has_the_keys_of_a_sequence_with_a_name(line: str) -> None:
    help = said(NET.format(line)).help or ""
    scope = next(part for part in help.split("`") if part.startswith("scope"))
    ours = archc.loads(NET.format(scope), O0=True).build()
    theirs = eval(MODULE, {"nn": nn})
    ours.load_state_dict({f"body.{key}": value for key, value in theirs.state_dict().items()})
    x = torch.randn(2, 8, 12, 10)
    torch.testing.assert_close(ours(x), theirs(x))
    assert "`x -> conv(4, 1, padding=0, bias=true) -> relu()`" in help


def test_a_sequence_that_is_applied_at_once_is_a_pipe() -> None:
    problem = said(NET.format(f"x = {MODULE}(x)"))
    assert "`x -> conv(4, 1, padding=0, bias=true) -> relu()`" in (problem.help or "")


def test_a_long_sequence_or_one_without_mend_has_an_example() -> None:
    for layers in ("nn.ReLU(), " * 12, "nn.PReLU()"):
        problem = said(NET.format(f"body = nn.Sequential({layers})\n    x = x -> body"))
        assert "scope body { x = x -> " in (problem.help or "")


@pytest.mark.parametrize("layers", ["xs", "[conv(8, 3), relu]", "[conv(8, 3) for i in range(2)]"])
def test_the_layers_of_a_list_are_applied_by_a_loop(layers: str) -> None:
    problem = said(NET.format(f"xs = [conv(4, 1), relu]\n    x = x -> nn.Sequential(*{layers})"))
    assert problem.code == "E0158"
    (loop,) = re.findall(r"`(for .*)`", problem.help or "")
    text = f"xs = [conv(4, 1), relu]\n    {loop.replace('in layers', 'in xs')}"
    assert "xs.0.weight" in archc.loads(NET.format(text), O0=True).build().state_dict()
