"""Generated specs: what archc emits for them computes what the interpreter computes, bit for bit.

ARCHC_EXAMPLES sets how many are drawn; where it raises their number, failures are shrunk, too.
The coverage is printed and asserted, because many trivial specs prove nothing. ARCHC_PART=2/3 draws
the second third of the specs, for a process of its own, and asserts nothing of their coverage.
"""

import importlib.util
import inspect
import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from interpreter import run_graph
from torch import Tensor, nn

from archc.compiler import Compilation, Request, compile_spec
from archc.elaborate.net import elaborate
from archc.ir.graph import Graph
from archc.ir.graph import Path as Path_
from archc.ops.registry import OPS
from archc.ops.size import Size
from archc.passes.base import Pass
from archc.passes.pipeline import DEFAULT, run_pipeline
from archc.testing import Spec, specs
from archc.testing.models import BATCH, backward, randomise

EXAMPLES = int(os.environ.get("ARCHC_EXAMPLES", "250"))
DRAWS = EXAMPLES * 5 // 4  # some draws repeat an earlier text, and are not counted
PART, PARTS = map(int, os.environ.get("ARCHC_PART", "1/1").split("/"))
PIPELINES: dict[str, tuple[Pass, ...]] = {"plain": (), "default": DEFAULT}

torch.set_num_threads(1)

# The specs of a run are the same everywhere; a failure is shrunk only in the long runs.
_phases = [Phase.generate, Phase.shrink] if EXAMPLES > 250 else [Phase.generate]


def test_generated_specs_compute_what_the_interpreter_computes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each operator in turn is surely in some specs; what else is in them is drawn."""
    coverage = Coverage()
    seen: set[str] = set()
    for number, operator in list(enumerate(OPS))[PART - 1 :: PARTS]:

        @seed(number)
        @settings(
            max_examples=math.ceil(DRAWS / len(OPS)),
            database=None,
            deadline=None,
            phases=_phases,
            suppress_health_check=list(HealthCheck),
        )
        @given(specs(operator))
        def check(spec: Spec) -> None:
            note(str(spec))
            if spec.text not in seen:
                check_spec(spec, tmp_path / f"net{len(seen)}", coverage)
                seen.add(spec.text)

        check()
    check_style(tmp_path)
    with capsys.disabled():
        print(f"\n{coverage}")
    if PARTS == 1:
        assert coverage.specs >= 0.9 * EXAMPLES, "the specs are too much alike"
        coverage.check()


def check_spec(spec: Spec, place: Path, coverage: "Coverage") -> None:
    """Compile, import, and compare with the interpreter, with and without passes."""
    file = place.with_suffix(".arch")
    file.write_text(spec.text, encoding="utf-8")
    plain = compile_spec(Request(str(file), passes=()))
    for name, passes in PIPELINES.items():
        graph = run_pipeline(plain.elaboration.graph, passes)
        compilation = replace(plain, request=Request(str(file), passes=passes), graph=graph)
        path = place.with_name(f"{place.name}_{name}.py")
        text = compilation.source()
        path.write_text(text, encoding="utf-8")
        module = import_file(path)
        net = getattr(module, module.__all__[0])()
        assert list(net.state_dict()) == keys_in_order(plain.graph)
        reordered = bool(graph.sharing.blocks or graph.sharing.swaps)
        for training in (True, False):
            if not reordered:
                compare(net, graph, spec.shapes, training=training)
            # A dropout draws in the order of memory, which a dense block changes.
            if passes and not (training and reordered and _draws(graph)):
                compare(net.double(), plain.graph, spec.shapes, training=training, exact=False)
                net.float()
        check_arguments(type(net), plain, spec)
        if not passes:
            coverage.add(spec, graph, text)


def _draws(graph: Graph) -> bool:
    return any(node.op.random for node in graph.nodes())


def import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_arguments(cls: type[nn.Module], plain: Compilation, spec: Spec) -> None:
    """Constructor arguments do what the spec with other numbers does."""
    arguments = inspect.signature(cls).parameters
    if "num_classes" in arguments:
        other = elaborate(plain.program, arguments={"classes": "7"})
        shapes = [list(weight.shape) for _, each in other.graph.weights() for weight in each]
        state = cls(num_classes=7).state_dict()
        assert sorted(list(value.shape) for value in state.values()) == sorted(shapes)
    if "in_chans" in arguments:
        (shape,) = spec.shapes
        cls(in_chans=shape[0] + 2)(torch.zeros(BATCH, shape[0] + 2, *shape[1:]))


def keys_in_order(graph: Graph) -> list[str]:
    """The state_dict keys in order of making.

    What a module or a list of layers holds stands together, where its first part was made, and a
    list by its indices; torch lists the learned tensors of a module before its children.
    """
    regions = {region.path: region.order for region in graph.regions.values()}
    places: dict[Path_, tuple[bool, int]] = {}
    keys: list[Path_] = []
    for node, weights in graph.weights():
        path = node.layer.path
        assert path is not None
        keys += [(*path, weight.name) if weight.name else path for weight in weights]
        places[path] = (any(weight.name for weight in weights), node.layer.order)
        for inner in (path[:length] for length in range(1, len(path))):
            places.setdefault(inner, (True, regions.get(inner, node.layer.order)))
    lists = {path[:-1] for path in places if path[:-1] and path[:-1] not in regions}

    def place(key: Path_) -> list[tuple[bool, int]]:
        paths = [key[:n] for n in range(1, len(key) + 1)]
        return [
            (True, int(path[-1])) if path[:-1] in lists else places[path]
            for path in paths
            if path in places
        ]

    return [".".join(key) for key in sorted(keys, key=place)]


# ------------------------------------------------------------------ the comparison


def compare(
    net: nn.Module,
    graph: Graph,
    shapes: Sequence[tuple[int, ...]],
    *,
    training: bool,
    exact: bool = True,
) -> None:
    """Outputs, gradients of all weights and inputs, and buffers are equal bit for bit.

    Where a pass removed an operator they are equal but for rounding (`exact=False`): autograd adds
    the gradients of a tensor with three readers in another order, and a batch norm adds a view's
    values in another order than a copy's.
    """
    dtype = torch.float32 if exact else torch.float64
    generator = torch.Generator().manual_seed(1)
    randomise(net, generator)
    net.train(training)
    net.zero_grad()
    inputs = [torch.randn(BATCH, *shape, generator=generator, dtype=dtype) for shape in shapes]
    trained = dict(net.named_parameters())
    state = {
        key: value.detach().clone().requires_grad_(key in trained)
        for key, value in net.state_dict().items()
    }
    ours = [x.clone().requires_grad_() for x in inputs]
    theirs = [x.clone().requires_grad_() for x in inputs]
    # Not torch.manual_seed, which asks all devices and takes longer than many a net.
    torch.default_generator.manual_seed(2)
    result = net(*ours)
    torch.default_generator.manual_seed(2)
    expected = run_graph(graph, theirs, state, training=training)
    outputs = [result] if isinstance(result, Tensor) else list(result)
    assert_equal("output", outputs, expected, exact=exact)
    assert isinstance(result, list) == any(output.name for output in graph.outputs)
    backward(outputs)
    backward(expected)
    assert_equal("gradient of input", [x.grad for x in ours], [x.grad for x in theirs], exact=exact)
    for key, value in net.state_dict().items():
        assert_equal(key, [value], [state[key]], exact=exact)
        if key in trained:
            assert_equal(f"gradient of {key}", [trained[key].grad], [state[key].grad], exact=exact)


def assert_equal(
    what: str, ours: Sequence[Tensor | None], theirs: Sequence[Tensor | None], *, exact: bool
) -> None:
    assert len(ours) == len(theirs), f"{len(ours)} {what}s, not {len(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a is None or b is None:
            assert a is b, f"{what} {i}: only one is None"
            continue
        assert a.shape == b.shape, f"{what} {i}: {a.shape} is not {b.shape}"
        if exact:
            same = torch.equal(torch.nan_to_num(a, nan=7.0), torch.nan_to_num(b, nan=7.0))
        else:
            # Rounding goes with the largest number that was added, not with each sum.
            largest = b.abs().nan_to_num().max().item() if b.numel() else 0.0
            same = torch.allclose(a, b, rtol=0, atol=1e-10 * max(1.0, largest), equal_nan=True)
        assert same, f"{what} {i} differs by {(a - b).abs().max()}"


# ------------------------------------------------------------------ the text


def check_style(folder: Path) -> None:
    """ruff has nothing to say, nor to change, at 100 columns.

    Known and not mended yet: sequences of formulas in constructor arguments are not broken over
    lines. Files with such a line are left out of the second check, and may be one in twenty.
    """
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--no-cache", "--line-length=100", "--quiet"]
    lint = [*ruff, "check", *options, f"--select={RULES}", "--output-format=json", str(folder)]
    done = subprocess.run(lint, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout or "[]")
    long = {each["filename"] for each in said if _is_long_formula(each)}
    assert [each for each in said if not _is_long_formula(each)] == []
    files = [str(path) for path in sorted(folder.glob("*.py")) if str(path) not in long]
    assert 20 * len(long) <= len(files)
    form = [*ruff, "format", *options, "--diff", *files]
    done = subprocess.run(form, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _is_long_formula(complaint: dict[str, Any]) -> bool:
    if complaint["code"] != "E501":
        return False
    lines = Path(complaint["filename"]).read_text("utf-8").split("\n")
    return (
        re.search(r"\b(num_classes|in_chans)\b", lines[complaint["location"]["row"] - 1])
        is not None
    )


RULES = "E,F,W,I,UP,B,C4,PIE,RET,SIM"


# ------------------------------------------------------------------ what was covered


@dataclass
class Coverage:
    """How many specs had what, read off the graphs and the emitted text."""

    ops: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)
    specs: int = 0
    nodes: int = 0

    def add(self, spec: Spec, graph: Graph, text: str) -> None:
        self.specs += 1
        self.nodes += len(graph)
        self.ops.update(node.op.name for node in graph.nodes())
        self.features.update({*features_of(graph, text), *_declared(spec.text)})

    def share(self, feature: str) -> float:
        return self.features[feature] / self.specs

    def check(self) -> None:
        rare = [name for name in OPS if self.ops[name] < 5]
        assert not rare, f"too rare in generated specs: {rare}"
        low = {name: self.share(name) for name, least in LEAST.items() if self.share(name) < least}
        assert not low, f"too few specs with {low}"

    def __str__(self) -> str:
        lines = [f"\n{self.specs} generated specs, {self.nodes} nodes"]
        lines += [f"  {name:<28} {self.share(name):4.0%} of the specs" for name in LEAST]
        lines += [f"  {name:<28} {self.ops[name]:>4} times" for name in OPS]
        return "\n".join(lines)


LEAST = {
    "concat of three or more": 0.3,
    "shared layer": 0.2,
    "shared block": 0.03,
    "exits": 0.1,
    "repeated region": 0.05,
    "rolled loop": 0.05,
    "loop of several tensors": 0.02,
    "shared layers in turns": 0.05,
    "symbolic size": 0.1,
    "several inputs": 0.1,
    "several outputs": 0.1,
    "layer passed along": 0.05,
    "list of layers": 0.05,
    "scope": 0.1,
    "block": 0.3,
    "nested blocks": 0.05,
    "block in itself": 0.02,
    "net as a block": 0.02,
    "imported block": 0.03,
    "constant": 0.05,
    "variant": 0.1,
    "1 axis": 0.05,
    "2 axes": 0.2,
    "3 axes": 0.05,
    "vector": 0.01,
}
"""The least share of the specs that has to have each."""


def features_of(graph: Graph, text: str) -> Iterator[str]:
    nodes, inputs, outputs = list(graph.nodes()), graph.inputs(), graph.outputs
    modules = Counter(region.path for region in graph.regions.values())
    uses = Counter(node.layer.path for node in nodes if node.layer.path)
    weights = {node.layer.path or () for node, _ in graph.weights()}
    found = {
        "shared layer": any(uses[p] > 1 and modules[p[:-1]] <= 1 for p in weights),
        "shared block": max(modules.values()) > 1,
        "concat of three or more": any(
            node.op.name == "concat" and len(graph.operands(node.id)) > 2 for node in nodes
        ),
        "exits": any(output.name for output in outputs),
        "symbolic size": any(isinstance(n, Size) for node in inputs for n in node.type.shape),
        "rolled loop": re.search(
            r"\bfor \w+(, .*)? in ", text.split("for module in self.modules", maxsplit=1)[0]
        ),
        "shared layers in turns": re.search(r"\n        for _ in range\(\d\):\n", text),
        "loop of several tensors": re.search(r" for .*\n +\w+, \w+.* = (layer|child)\(", text),
        "several inputs": len(inputs) > 1,
        "several outputs": len(outputs) > 1,
        "list of layers": "nn.ModuleList" in text or "nn.ModuleDict" in text,
        "layer passed along": any(
            node.layer.path and not _inside(graph, node.region, node.layer.path) for node in nodes
        ),
    }
    yield from (name for name, holds in found.items() if holds)
    yield from _tree_features(graph)
    yield ("vector", "1 axis", "2 axes", "3 axes")[inputs[0].type.rank]


def _inside(graph: Graph, region: int, path: tuple[str, ...]) -> bool:
    own = graph.regions[region].path
    return path[: len(own)] == own


def _tree_features(graph: Graph) -> Iterator[str]:
    applications: Counter[tuple[object, ...]] = Counter()
    for region in graph.regions.values():
        if region.parent is None:
            continue
        parent = graph.regions[region.parent]
        applications[parent.id, region.block, region.path[-1].rstrip("0123456789")] += 1
        yield "scope" if region.block is None else "block"
        if region.block and parent.block and parent.parent is not None:
            yield "nested blocks"
            if region.block == parent.block:
                yield "block in itself"
    if any(count > 1 for (_, block, _), count in applications.items() if block):
        yield "repeated region"


def _declared(text: str) -> Iterator[str]:
    """What only the spec's text shows."""
    if re.search(r"^net \w+ = ", text, re.MULTILINE):
        yield "variant"
    if len(re.findall(r"^net \w+\(", text, re.MULTILINE)) > 1:
        yield "net as a block"
    if re.search(r"^const ", text, re.MULTILINE):
        yield "constant"
    if re.search(r"^import ", text, re.MULTILINE):
        yield "imported block"
