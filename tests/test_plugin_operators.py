"""Operators of other distributions: tiny ones, made in a folder of `sys.path`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import run
from distributions import Install

import archc
from archc.diagnostics import ArchError

OPS = '''
from dataclasses import dataclass
from typing import ClassVar

from archc.ops.activation import Activation
from archc.ops.op import Op, TensorType, TorchArg, TorchModule, Weight, parameter


@dataclass(frozen=True)
class Mish(Activation):
    """`x * tanh(softplus(x))`."""

    name: ClassVar[str] = "mish"
    torch_module: ClassVar[str] = "nn.Mish"
    torch_function: ClassVar[str] = "F.mish"


@dataclass(frozen=True)
class Maxout(Op):
    """The largest of `pieces` linear maps of the channels at each position."""

    name: ClassVar[str] = "maxout"
    out: int = parameter("int", low=1)
    pieces: int = parameter("int", 2, low=1)

    def rule(self, *types: TensorType) -> TensorType:
        return TensorType((self.out, *types[0].spatial))

    def weights(self, *types: TensorType) -> tuple[Weight, ...]:
        return (Weight("weight", (self.out * self.pieces, types[0].channels, 1, 1)),)

    def macs(self, types, out):
        return 0

    @property
    def channel_rule(self):
        return "mix"

    def module(self, *types: TensorType) -> TorchModule:
        channels = TorchArg("channels", types[0].channels, positional=True)
        out = TorchArg("out", self.out, positional=True)
        pieces = TorchArg("pieces", self.pieces, 2)
        return TorchModule("Maxout", (channels, out, pieces), source="lab.layers")
'''
LAYERS = """
from torch import nn


class Maxout(nn.Module):
    def __init__(self, channels, out, pieces=2):
        super().__init__()
        self.weight = nn.Parameter(nn.init.normal_(nn.Conv2d(channels, out * pieces, 1).weight))
        self.pieces = pieces

    def forward(self, x):
        y = nn.functional.conv2d(x, self.weight)
        return y.unflatten(1, (self.pieces, -1)).amax(1)
"""

OPERATORS = "[archc.ops]\nmish = lab.ops:Mish\nmaxout = lab.ops:Maxout\n"
USING = """
block Part(out)(x) { return x -> max: maxout(out, pieces=3) -> mish }
net N()(x: [3, 8, 8]) { return x -> part1: Part(4) -> part2: Part(6) -> act: mish }
"""


def test_an_operator_of_another_distribution_is_one_of_the_language(
    install: Install, tmp_path: Path
) -> None:
    install("lab-ops", OPERATORS, ops=OPS, layers=LAYERS)
    path = tmp_path / "net.arch"
    path.write_text(USING)
    assert run("check", str(path)).exit_code == 0
    model = archc.load(path)
    assert "from lab.layers import Maxout\n" in model.source
    assert "self.max = Maxout(channels, out, pieces=3)\n" in model.source
    assert model.summary().params == 3 * 12 + 4 * 18
    net: Any = model.build()
    x = torch.randn(2, 3, 8, 8)
    expected = x
    for part in (net.part1, net.part2):
        expected = torch.nn.functional.mish(part.max(expected))
    assert torch.equal(net(x), torch.nn.functional.mish(expected))


def test_its_mistakes_are_those_of_any_operator(install: Install, tmp_path: Path) -> None:
    install("lab-ops", OPERATORS, ops=OPS)
    path = tmp_path / "net.arch"
    path.write_text(USING.replace("pieces=3", "pieces=0"))
    with pytest.raises(ArchError, match="`pieces` must be at least 1, not 0"):
        archc.load(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module", r"error\[E0721\].*`mish` of the distribution `lab-ops 1.0` cann"),
        ("Mish = 3", r"error\[E0722\].*which is not an operator"),
        (OPS.replace('"mish"', '"mush"'), r"error\[E0722\].*a class whose `name` is 'mush'"),
        (
            OPS.replace('    torch_module: ClassVar[str] = "nn.Mish"', "    slope: float = 1.0"),
            r"error\[E0722\].*its field `slope` is not declared by `archc.ops.op.parameter`",
        ),
    ],
)
def test_a_broken_operator_is_a_diagnostic_at_its_name(
    install: Install, tmp_path: Path, text: str, says: str
) -> None:
    install("lab-ops", OPERATORS, ops=text)
    path = tmp_path / "net.arch"
    path.write_text("net N()(x: [3, 8, 8]) { return x -> mish }\n")
    with pytest.raises(ArchError, match=says) as caught:
        archc.load(path)
    assert caught.value.diagnostics[0].labels[0].span.text == "mish"


def test_a_misspelt_operator_is_compared_with_those_on_offer(
    install: Install, tmp_path: Path
) -> None:
    install("lab-ops", OPERATORS, ops="raise RuntimeError")
    path = tmp_path / "net.arch"
    path.write_text("net N()(x: [3, 8, 8]) { return x -> m: maxuot(3) }\n")
    with pytest.raises(ArchError, match="did you mean `maxout`"):
        archc.load(path)


FAILING = """
from dataclasses import dataclass
from archc.ops.activation import Elementwise
from archc.ops.op import OpError, TorchFunction, TorchModule, Weight, parameter


@dataclass(frozen=True)
class Mish(Elementwise):
    name = "mish"

    def function(self, *types):
        return TorchFunction("{{0}}.sin()")

    {}
"""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("def rule(self, *types): return types[3]", "E0724.* fails: IndexError: tuple index out"),
        ("def rule(self, *types): pass", "E0722.* `rule` gives None, not a TensorType"),
        ("def rule(self, *types): raise OpError('only on Tuesdays')", "E0204.*: only on Tuesdays"),
        ("def weights(self, *types): return [3]", "E0722.*`weights` gives .3., not a tuple of We"),
        ("def weights(self, *t): return (Weight('w', (1,)),)", "E0722.* has weights, but no `mod"),
        ("def module(self, *types): return 'nn.Mish'", "E0722.*`module` gives 'nn.Mish', not a T"),
        ("def function(self, *types): return None", "E0722.*neither a `module` nor a `function`"),
        ("def function(self, *t): return TorchFunction('{0}.sin({k})')", "E0722.* asks for `k`"),
        ("def macs(self, types, out): return 1.5", "E0722.*`macs` gives 1.5, not a whole number"),
        ("slope: float = parameter('number', 1.0)", "E0722.*its field `slope` is none of int, fl"),
        ("def __post_init__(self): raise OpError('not both')", "E0211.*: not both"),
        ("def __post_init__(self): raise KeyError('k')", "E0724.* fails: KeyError: 'k'"),
    ],
)
def test_an_operator_that_fails_is_blamed_where_it_stands(
    install: Install, tmp_path: Path, body: str, says: str
) -> None:
    install("lab-ops", "[archc.ops]\nmish = lab.ops:Mish\n", ops=FAILING.format(body))
    path = tmp_path / "net.arch"
    path.write_text("net N()(x: [3, 8, 8]) { return x -> mish }\n")
    with pytest.raises(ArchError, match=says) as caught:
        archc.load(path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.labels[0].span.text == "mish"
    assert "of the distribution `lab-ops 1.0`" in diagnostic.message or "OpError" in body


def test_a_name_of_the_file_hides_an_operator(install: Install, tmp_path: Path) -> None:
    install("lab-ops", OPERATORS, ops="raise RuntimeError")
    path = tmp_path / "net.arch"
    path.write_text(
        "block mish()(x) { return x -> relu }\nnet N()(x: [3, 8, 8]) { return x -> m: mish }\n"
    )
    assert run("check", str(path)).exit_code == 0
