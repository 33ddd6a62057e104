"""`archc plan`: what it says holds, and is what torch's allocator sees."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import emitted
import pytest
import torch
from allocations import Measured, measure
from hypothesis import HealthCheck, Phase, given, seed, settings
from plan_checker import problems
from torch import nn
from typer.testing import CliRunner

from archc.analysis.plan.dense import PART_BYTES
from archc.analysis.plan.plan import MemoryPlan, Mode, plan_memory, symbols_of
from archc.analysis.plan.rerun import GENERATOR_BYTES
from archc.analysis.plan.run import Memory
from archc.cli.main import app
from archc.compiler import Request, compile_spec
from archc.ir.graph import Graph
from archc.ops.size import Size
from archc.passes.base import Pass
from archc.passes.pipeline import DEFAULT, parse_passes
from archc.runtime import feature_rows
from archc.testing import Spec, specs

WITHIN = 0.02
SIZE = 64
RERUN = parse_passes("simplify,share-memory{recompute=true}")

SHIPPED: dict[str, dict[str, Any]] = {
    name: {} for name in emitted.SHIPPED if not name.startswith(("preact_resnet", "resnext_cifar"))
} | {
    "densenet_cifar": {"depth": 22},
    "preact_resnet": {"blocks": [1, 2, 1, 1]},
    "preact_resnet_cifar": {"depth": 20},
    "resnet_cifar": {"depth": 20},
    "resnext_cifar": {"depth": 11},
}
"""A net of each shipped spec, small where its first one is large."""


def shape_of(graph: Graph) -> dict[str, int]:
    return dict.fromkeys(symbols_of(graph), SIZE)


def inputs_of(graph: Graph, batch: int, sizes: dict[str, int]) -> list[torch.Tensor]:
    shapes = [
        [d.at(sizes[d.symbol]) if isinstance(d, Size) else d for d in node.type.shape]
        for node in graph.inputs()
    ]
    return [torch.randn(batch, *shape) for shape in shapes]


@cache
def compiled(spec: str, passes: tuple[Pass, ...]) -> emitted.Emitted:
    return emitted.emit(spec, passes=passes, **SHIPPED[spec])


def with_memory(net: nn.Module, memory: Memory) -> nn.Module:
    for module in net.modules():
        module.memory = memory  # type: ignore[assignment]  # a word, as the constructor sets it
    return net


def near(predicted: int, measured: int) -> bool:
    return abs(predicted - measured) <= WITHIN * measured


def agree(plan: MemoryPlan, measured: Measured) -> None:
    """The two numbers that the issue names, each within 2 %."""
    planned = plan.planned
    assert near(planned.saved, measured.saved), f"saved {planned.saved}, not {measured.saved}"
    assert near(planned.peak, measured.peak), f"peak {planned.peak}, not {measured.peak}"


MODES: dict[str, tuple[tuple[Pass, ...], Memory]] = {
    "as torch does": ((), "off"),
    "keep": (DEFAULT, "keep"),
    "recompute": (DEFAULT, "recompute"),
}

QUICK = [
    ("densenet_cifar", "as torch does"),
    ("densenet_cifar", "keep"),
    ("densenet_cifar", "recompute"),
    ("msdnet_cifar", "keep"),
    ("nin", "as torch does"),
    ("preact_resnet_cifar", "as torch does"),
]


def check_shipped(spec: str, passes: tuple[Pass, ...], memory: Memory) -> None:
    net = compiled(spec, passes)
    sizes = shape_of(net.graph)
    plan = plan_memory(net.graph, 2, net.compilation.held, memory=memory, symbols=sizes)
    model = with_memory(net.build(), memory)
    agree(plan, measure(model, inputs_of(net.graph, 2, sizes)))


@pytest.mark.parametrize(("spec", "mode"), QUICK)
def test_shipped_nets_need_what_is_planned(spec: str, mode: str) -> None:
    check_shipped(spec, *MODES[mode])


@pytest.mark.full
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spec", SHIPPED)
def test_all_shipped_nets_need_what_is_planned(spec: str, mode: str) -> None:
    check_shipped(spec, *MODES[mode])


def test_blocks_that_run_again_need_what_is_planned() -> None:
    check_shipped("resnet_cifar", RERUN, "keep")


@pytest.mark.parametrize("mode", ["training", "inference"])
@pytest.mark.parametrize("spec", sorted({spec for spec, _ in QUICK}))
def test_plans_of_shipped_nets_hold(spec: str, mode: Mode) -> None:
    check_plan(spec, mode)


@pytest.mark.full
@pytest.mark.parametrize("mode", ["training", "inference"])
@pytest.mark.parametrize("spec", SHIPPED)
def test_plans_of_all_shipped_nets_hold(spec: str, mode: Mode) -> None:
    check_plan(spec, mode)


def check_plan(spec: str, mode: Mode) -> None:
    net = compiled(spec, DEFAULT)
    sizes = shape_of(net.graph)
    plan = plan_memory(net.graph, 2, net.compilation.held, mode=mode, symbols=sizes)
    assert problems(json.loads(json.dumps(plan.to_json()))) == []


LEAST = 4096
"""A net counts that keeps so many bytes: a number of Python's in a sum is eight."""


def test_generated_nets_need_what_is_planned(tmp_path: Path) -> None:
    check_many(tmp_path, 8)


@pytest.mark.full
def test_many_generated_nets_need_what_is_planned(tmp_path: Path) -> None:
    check_many(tmp_path, 50)


def check_many(folder: Path, count: int) -> None:
    """Saved bytes and the peak of the backward pass of each net; the whole peak of four in five.

    In the others the forward pass is the peak, and a name holds a value longer than the rules know.
    """
    seen: list[bool] = []

    @seed(7)
    @settings(
        max_examples=10 * count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(specs())
    def check(spec: Spec) -> None:
        if len(seen) >= 2 * count:
            return
        file = folder / f"net{len(seen)}.arch"
        file.write_text(spec.text, encoding="utf-8")
        for mode in ("as torch does", "keep"):
            seen.extend(check_generated(file, spec.shapes, *MODES[mode]))

    check()
    assert len(seen) >= 2 * count
    assert sum(seen) >= 0.8 * len(seen)


def check_generated(
    file: Path, shapes: tuple[tuple[int, ...], ...], passes: tuple[Pass, ...], memory: Memory
) -> Iterator[bool]:
    """Whether the whole peak is within 2 %; asserts what has to be so in any case.

    Nets with norms behind dense blocks are left out: what works in parts is not yet planned that
    well where all is as small as here.
    """
    compilation = compile_spec(Request(str(file), passes=passes))
    if compilation.graph.sharing.closings:
        return
    sizes = sizes_of(compilation.graph, shapes)
    held = compilation.held
    plan = plan_memory(compilation.graph, 2, held, memory=memory, symbols=sizes)
    assert problems(plan.to_json()) == []
    planned = plan.planned
    backward = max(planned.bytes[planned.schedule.backward_start :], default=0)
    if not backward or planned.saved < LEAST:
        return
    path = file.with_name(f"{file.stem}_{memory}.py")
    path.write_text(compilation.source(), encoding="utf-8")
    net = with_memory(emitted.build_from(path), memory)
    measured = measure(net, [torch.randn(2, *shape) for shape in shapes])
    assert near(planned.saved, measured.saved), (planned.saved, measured, file.read_text())
    assert near(backward, measured.backward), (backward, measured, file.read_text())
    yield near(planned.peak, measured.peak)


def sizes_of(graph: Graph, shapes: tuple[tuple[int, ...], ...]) -> dict[str, int]:
    pairs = [
        (dim, size)
        for node, shape in zip(graph.inputs(), shapes, strict=True)
        for dim, size in zip(node.type.shape, shape, strict=True)
    ]
    return {dim.symbol: size // dim.a for dim, size in pairs if isinstance(dim, Size)}


def test_what_is_known_of_torch_and_of_the_runtime() -> None:
    assert torch.get_rng_state().numel() == GENERATOR_BYTES
    assert feature_rows.PART_BYTES == PART_BYTES


def test_memory_grows_linearly_with_the_depth_of_a_dense_block() -> None:
    peaks = {}
    for depth in (52, 196):  # 8 and 32 layers a block
        request = Request("densenet_cifar", None, {"depth": str(depth)})
        compilation = compile_spec(request)
        plan = plan_memory(compilation.graph, 64, compilation.held)
        peaks[depth] = (plan.planned.saved, plan.naive.saved)
    planned, naive = (peaks[196][i] / peaks[52][i] for i in (0, 1))
    assert planned < 4.1
    assert naive > 8


@pytest.mark.full
def test_a_deep_resnet_runs_its_blocks_again() -> None:
    request = Request("resnet_cifar", None, {"depth": "1202"}, passes=RERUN)
    compilation = compile_spec(request)
    plan = plan_memory(compilation.graph, 8, compilation.held)
    assert plan.planned.saved < 200 * 2**20
    assert plan.naive.saved > 700 * 2**20


# --------------------------------------------------------------- the command


def command(*words: str) -> str:
    result = CliRunner().invoke(app, ["plan", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table_names_what_is_largest_first() -> None:
    lines = command("densenet_cifar", "--set", "depth=40", "--batch", "8").splitlines()
    assert lines[0] == "DenseNetBC, training, batch 8, float32, memory keep"
    assert lines[2].split() == ["torch", "as", "is", "planned"]
    assert "features.denseblock1" in lines[10]
    assert max(map(len, lines)) <= 100


def test_json_is_a_plan_that_holds() -> None:
    plan = json.loads(command("densenet_cifar", "--set", "depth=22", "--batch", "2", "--json"))
    assert plan["version"] == 1
    assert plan["mode"] == "training"
    assert problems(plan) == []
    assert {step["phase"] for step in plan["schedule"]} == {"forward", "backward", "recompute"}
    decisions = {tensor["decision"] for tensor in plan["tensors"]}
    assert decisions == {"kept", "recomputed", "shared", "freed"}


def test_why_says_what_becomes_of_a_tensor() -> None:
    text = command("densenet_cifar", "--set", "depth=22", "--why", "features.transition1.norm")
    assert "recomputed: " in text


def test_bf16_halves_what_is_not_a_statistic() -> None:
    net = compiled("vgg_cifar", ())
    held = net.compilation.held
    plans = [plan_memory(net.graph, 2, held, dtype=dtype) for dtype in ("float32", "bfloat16")]
    assert 0.5 <= plans[1].naive.saved / plans[0].naive.saved < 0.7


@pytest.mark.parametrize(
    "words",
    [["--memory", "most"], ["--dtype", "int8"], ["--size", "H=0"], ["--size", "W=3"]],
    ids=" ".join,
)
def test_wrong_words_are_refused(words: list[str]) -> None:
    result = CliRunner().invoke(app, ["plan", "densenet_cifar", *words])
    assert result.exit_code == 2


def test_an_unknown_region_is_refused() -> None:
    result = CliRunner().invoke(app, ["plan", "densenet_cifar", "--why", "features.nothing"])
    assert result.exit_code == 1
