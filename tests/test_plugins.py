"""Passes of other distributions: tiny ones, made in a folder of `sys.path`."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run, run_process
from distributions import Install

import archc
from archc.diagnostics import ArchError
from archc.passes.parse import parse_passes
from archc.passes.pipeline import PASSES

PASS = '''
from dataclasses import dataclass
from typing import ClassVar

from archc.ir.graph import Graph, Node
from archc.ir.rebuild import Visit, rebuild
from archc.ops.regularization import Dropout
from archc.passes.base import Pass


@dataclass(frozen=True)
class RemoveDropout(Pass):
    """Remove unlabelled `dropout`."""

    name: ClassVar[str] = "remove-dropout"
    keeps: ClassVar[str] = "evaluation"
    rate: float = 0.0

    def run(self, graph: Graph) -> Graph:
        return rebuild(graph, self.rule)

    def rule(self, visit: Visit) -> Node:
        node = visit.node
        if isinstance(node.op, Dropout) and node.layer.path is None and node.op.rate >= self.rate:
            return visit.operands[0]
        return visit.keep()
'''
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
    assert "passes: simplify, remove-dropout{rate=0.5};" in " ".join(done.stdout.split())
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
        *((cls.name, None) for cls in PASSES if not cls.last),
        ("remove-dropout", "lab-passes 1.0"),
        *((cls.name, None) for cls in PASSES if cls.last),
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
