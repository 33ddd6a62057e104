"""Passes and operators of other distributions: tiny ones, made in a folder of `sys.path`."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import run, run_process

import archc
from archc import plugins
from archc.diagnostics import ArchError
from archc.passes.pipeline import parse_passes

PASS = '''
from dataclasses import dataclass
from typing import ClassVar

from archc.ir.graph import Graph
from archc.ops.regularization import Dropout
from archc.passes.base import Pass


@dataclass(frozen=True)
class RemoveDropout(Pass):
    """Remove unlabelled `dropout`."""

    name: ClassVar[str] = "remove-dropout"
    keeps: ClassVar[str] = "evaluation"
    rate: float = 0.0

    def run(self, graph: Graph) -> Graph:
        result = graph.copy()
        for node in graph.nodes():
            if isinstance(node.op, Dropout) and node.layer.path is None:
                if node.op.rate >= self.rate:
                    result.replace_uses(node.id, *result.operands(node.id))
        result.remove_dead()
        return result
'''
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

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Makes a distribution with these entry points, and the modules that it has."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(name: str, entries: str, **modules: str) -> Path:
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entries)
        package = site / "lab"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        for module, text in modules.items():
            (package / f"{module}.py").write_text(text)
        plugins._scan.cache_clear()
        return site

    yield make
    plugins._scan.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
        del sys.modules[name]


GOOD = "[archc.passes]\nremove-dropout = lab.passes:RemoveDropout\n"
NET = "net N()(x: [3, 8, 8]) { return x -> conv1: conv(4, 3) -> dropout(0.5) -> relu }\n"


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.arch"
    path.write_text(NET)
    return str(path)


def refusal(text: str) -> str:
    with pytest.raises(ArchError) as caught:
        parse_passes(text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.labels
    return f"{diagnostic.code}: {diagnostic.message}"


# ---------------------------------------------------------------------- passes


def test_a_pass_of_another_distribution_runs_by_its_name(install: Install, net: str) -> None:
    install("lab-passes", GOOD, passes=PASS)
    plain = run("compile", net).stdout
    assert "dropout" in plain
    done = run("compile", net, "--passes", "simplify,remove-dropout{rate=0.5}")
    assert done.exit_code == 0, done.stderr
    assert "dropout(" not in done.stdout
    assert "passes: simplify, remove-dropout{rate=0.5}." in done.stdout
    assert "--passes 'simplify,remove-dropout{rate=0.5}'" in done.stdout


def test_it_runs_between_the_built_in_passes_and_once(install: Install) -> None:
    install("lab-passes", GOOD, passes=PASS)
    text = "simplify,remove-dropout,share-memory"
    assert ",".join(map(str, parse_passes(text))) == text
    assert refusal("share-memory,remove-dropout") == (
        "E0715: `remove-dropout` runs before `share-memory`, not after it"
    )
    assert refusal("remove-dropout,simplify") == (
        "E0715: `simplify` runs before `remove-dropout`, not after it"
    )
    assert refusal("remove-dropout,remove-dropout") == (
        "E0715: `remove-dropout` runs once, not twice"
    )


def test_those_of_other_distributions_run_in_the_order_of_the_user(install: Install) -> None:
    second = PASS.replace("remove-dropout", "second").replace("RemoveDropout", "Second")
    entries = f"{GOOD}second = lab.second:Second\n"
    install("lab-passes", entries, passes=PASS, second=second)
    for text in ("remove-dropout,second", "second,remove-dropout", "simplify,second"):
        assert ",".join(map(str, parse_passes(text))) == text
    assert "runs once" in refusal("second,remove-dropout,second")


def test_passes_are_listed_with_their_distribution(install: Install) -> None:
    install("lab-passes", GOOD, passes=PASS)
    done = run("passes")
    assert "remove-dropout, of lab-passes 1.0\n  Remove unlabelled `dropout`." in done.stdout
    listed = json.loads(run("passes", "--json").stdout)["passes"]
    assert [(item["name"], item["distribution"]) for item in listed] == [
        ("simplify", None),
        ("remove-dropout", "lab-passes 1.0"),
        ("share-memory", None),
    ]


def test_an_unknown_name_is_compared_with_those_on_offer(install: Install) -> None:
    install("lab-passes", GOOD, passes="raise RuntimeError")
    with pytest.raises(ArchError, match="did you mean `remove-dropout`"):
        parse_passes("remove-dropuot")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module", "E0721: .*cannot be loaded: ModuleNotFoundError: No module nam"),
        ("raise SystemExit('bye')", "E0721: .*cannot be loaded: SystemExit: bye"),
        ("1 +", "E0721: .*cannot be loaded: SyntaxError: invalid syntax"),
        ("", "E0721: .*cannot be loaded: AttributeError: .*RemoveDropout"),
        ("RemoveDropout = 3", "E0722: .* is `lab.passes:RemoveDropout`, which is not a pass"),
        ("class RemoveDropout: pass", "E0722: .*which is not a pass"),
        (PASS.replace('"remove-dropout"', '"other"'), "E0722: .*a class whose `name` is 'other'"),
        (PASS.replace("rate: float = 0.0", "rate: object = 0"), "E0722: .*its option `rate` is n"),
    ],
)
def test_a_broken_plugin_is_a_diagnostic_that_names_the_distribution(
    install: Install, net: str, text: str, says: str
) -> None:
    install("lab-passes", GOOD, passes=text)
    done = run("compile", net, "--passes", "remove-dropout")
    assert done.exit_code == 1
    assert "Traceback" not in done.stderr
    message = refusal("remove-dropout")
    assert "`remove-dropout` of the distribution `lab-passes 1.0`" in message
    assert re.match(says, message), message
    listed = run("passes")
    assert listed.exit_code == 0
    assert listed.stdout.startswith("simplify, by default")
    assert f"warning[{message[:5]}]" in listed.stderr


RUN = "    def run(self, graph: Graph) -> Graph:\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            "        raise KeyError('name')\n",
            "fails: KeyError: 'name'\n = in `run`, .*passes",
        ),
        ("        raise SystemExit(3)\n", "fails: SystemExit: 3\n = in `run`"),
        ("        return None\n", "fails: TypeError: `run` gave None, not a graph"),
        ("        graph.outputs = ()\n        return graph\n", "the graph has no outputs"),
        (None, "fails: NotImplementedError: it has no method `run`"),
    ],
)
def test_a_pass_that_fails_is_blamed_on_its_distribution(
    install: Install, net: str, body: str | None, says: str
) -> None:
    head = PASS[: PASS.index(RUN)]
    install("lab-passes", GOOD, passes=head if body is None else head + RUN + body)
    done = run("compile", net, "--passes", "remove-dropout")
    assert done.exit_code == 1
    start = "error[E0724]: `remove-dropout` of the distribution `lab-passes 1.0` "
    assert done.stderr.startswith(start)
    assert re.search(says, done.stderr), done.stderr


def test_a_pass_may_refuse_its_options(install: Install) -> None:
    refuses = "\n    def __post_init__(self):\n        if self.rate > 1: raise {}('at most 1')\n"
    install("lab-passes", GOOD, passes=PASS + refuses.format("ValueError"))
    assert refusal("remove-dropout{rate=2.0}") == (
        "E0714: `remove-dropout` refuses its options: at most 1"
    )


def test_one_name_of_two_distributions_is_refused(install: Install) -> None:
    install("lab-b", GOOD, passes=PASS)
    install("lab-a", GOOD)
    assert refusal("remove-dropout") == (
        "E0723: `remove-dropout` is offered by `lab-a 1.0` and `lab-b 1.0`"
    )


def test_archc_s_own_pass_hides_another_of_its_name(install: Install, net: str) -> None:
    install("lab-passes", "[archc.passes]\nsimplify = lab.passes:Other\n", passes="raise OSError")
    assert run("compile", net, "--passes", "simplify").exit_code == 0
    done = run("passes")
    assert "`simplify` of the distribution `lab-passes 1.0` is hidden by archc's own" in done.stderr


def test_a_file_of_entry_points_that_is_garbage_harms_nobody(install: Install) -> None:
    install("lab-broken", "]]\x00 no = = entry\n[archc.passes\nnothing\n")
    install("lab-passes", GOOD, passes=PASS)
    assert [str(step) for step in parse_passes("remove-dropout")] == ["remove-dropout"]


def test_nobody_looks_for_plugins_without_need(install: Install, net: str) -> None:
    """Neither for help nor to compile: importlib.metadata is not even asked."""
    site = install("lab-passes", GOOD, passes="raise RuntimeError")
    program = (
        "import importlib.metadata as metadata\n"
        "def refuse(*args, **kwargs): raise AssertionError('looked')\n"
        "from archc.cli.main import app\n"
        "from typer.testing import CliRunner\n"
        "import archc.compiler\n"  # networkx looks for plugins of its own
        "metadata.distributions = metadata.entry_points = refuse\n"
        f"for words in (['--help'], ['compile', {net!r}], ['list']):\n"
        "    result = CliRunner().invoke(app, words)\n"
        "    assert result.exit_code == 0, (result.output, result.exception)\n"
    )
    command = [sys.executable, "-c", program]
    path = f"{site}:{Path(archc.__file__).parent.parent}"
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr


def test_a_process_of_its_own_finds_them(install: Install, net: str) -> None:
    site = install("lab-passes", GOOD, passes=PASS)
    path = f"{site}:{Path(archc.__file__).parent.parent}"
    done = run_process("compile", net, "--passes", "remove-dropout", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------- operators

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
    assert "of the distribution `lab-ops 1.0`" in diagnostic.message or diagnostic.code == "E0204"


def test_a_name_of_the_file_hides_an_operator(install: Install, tmp_path: Path) -> None:
    install("lab-ops", OPERATORS, ops="raise RuntimeError")
    path = tmp_path / "net.arch"
    path.write_text(
        "block mish()(x) { return x -> relu }\nnet N()(x: [3, 8, 8]) { return x -> m: mish }\n"
    )
    assert run("check", str(path)).exit_code == 0
