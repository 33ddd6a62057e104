"""`archc plan`: what it says holds, and is what torch's allocator sees."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import emitted
import planned
import pytest
import torch
from dense_specs import BLOCK, BOTTLENECK
from plan_checker import problems
from planned import (
    MODES,
    RERUN,
    Compared,
    Mode,
    compare,
    compare_generated,
    compare_shipped,
    generated,
)
from typer.testing import CliRunner

from archc.analysis.plan.plan import plan_memory
from archc.analysis.plan.readers import PART_BYTES
from archc.analysis.plan.rerun import GENERATOR_BYTES
from archc.analysis.plan.run import Memory
from archc.cli.main import app
from archc.compiler import Request, compile_spec
from archc.runtime import feature_rows
from archc.testing import Spec

WITHIN = 0.02
GENERATED = max(50, len(planned.OPERATORS))
"""Every operator is in one of so many generated nets."""


def agree(compared: Compared) -> None:
    """The two numbers that the issue names, each within 2 %."""
    assert all(abs(ratio - 1) <= WITHIN for ratio in compared.ratios), compared


QUICK = [
    ("densenet_cifar", "-O0"),
    ("densenet_cifar", "keep"),
    ("densenet_cifar", "recompute"),
    ("hardnet", "inference"),
    ("msdnet_cifar", "keep"),
    ("nin", "-O0"),
    ("preact_resnet_cifar", "off"),
]


@pytest.mark.parametrize(("spec", "mode"), QUICK)
def test_shipped_nets_need_what_is_planned(spec: str, mode: str) -> None:
    agree(compare_shipped(spec, MODES[mode]))


@pytest.mark.full
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spec", emitted.SHIPPED)
def test_all_shipped_nets_need_what_is_planned(spec: str, mode: str) -> None:
    agree(compare_shipped(spec, MODES[mode]))


OTHERS = [(spec, net) for spec, (_, *nets) in emitted.SHIPPED.items() for net in nets]
"""All nets of the shipped specs but the first of each."""


@pytest.mark.full
@pytest.mark.parametrize(("spec", "net"), OTHERS)
def test_other_nets_of_shipped_specs_need_what_is_planned(spec: str, net: str) -> None:
    agree(compare_shipped(spec, MODES["keep"], net))


def test_blocks_that_run_again_need_what_is_planned() -> None:
    agree(compare_shipped("resnet_cifar", Mode(RERUN)))


@pytest.mark.parametrize("memory", ["keep", "recompute"])
@pytest.mark.parametrize(
    "arguments", [{"depth": 22}, {"depth": 13, "bottleneck": 0, "dropout_rate": 0.2}], ids=str
)
def test_narrow_dense_blocks_need_what_is_planned(
    arguments: dict[str, Any], memory: Memory
) -> None:
    """Their norms are computed in float32, part by part."""
    found = emitted.emit("densenet_cifar", **arguments)
    mode = Mode(memory=memory, dtype="bfloat16")
    for batch in (2, 24):
        agree(compare(found.compilation, found.path, mode, [(3, 32, 32)], batch))


APPLIED = {
    "blocks": 'x = x -> "block{i}": Block(i)',
    "scopes": 'scope "block{i}" { for j in range(i) { x = x -> "layer{j}": Layer(4) } }',
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("by", APPLIED)
def test_dense_blocks_of_unlike_lengths_need_what_is_planned(
    by: str, mode: str, tmp_path: Path
) -> None:
    """One layer is a dense block beside longer ones of its name, which a scope does not have."""
    net = f"""
net Net()(image: [3, 8, 8]) {{
    x = image -> stem: conv(6, 3)
    for i in range(1, 4) {{
        {APPLIED[by]}
        x = x -> "norm{{i}}": bn -> relu -> "conv{{i}}": conv(6)
    }}
    return x -> global_avg_pool -> classifier: linear(5)
}}
"""
    spec = Spec(BOTTLENECK + BLOCK + net, ((3, 8, 8),))
    agree(compare_generated(spec, MODES[mode], tmp_path))


@pytest.mark.parametrize("mode", MODES)
def test_a_dense_block_of_one_layer_without_a_loop(mode: str, tmp_path: Path) -> None:
    """Beside a longer one of its name, it is listed by its one layer.

    The convolution behind it is no 1x1: on one thread the kernel of a small one asks torch for
    memory to write, and so gets a copy of the block's features that no other kernel makes.
    """
    net = """
block Pair(layers)(x) {
    x = x -> first: Layer(4)
    if layers > 1 { x = x -> second: Layer(4) }
    return x
}

net Net()(image: [3, 8, 8]) {
    x = image -> stem: conv(6, 3) -> one: Pair(1) -> conv: conv(6, 3) -> two: Pair(2)
    return x -> norm: bn -> relu -> global_avg_pool -> classifier: linear(5)
}
"""
    agree(compare_generated(Spec(BOTTLENECK + net, ((3, 8, 8),)), MODES[mode], tmp_path))


@pytest.mark.parametrize("number", [0, 26])
def test_generated_nets_need_what_is_planned(number: int, tmp_path: Path) -> None:
    check_generated(number, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("number", range(GENERATED))
def test_many_generated_nets_need_what_is_planned(number: int, tmp_path: Path) -> None:
    check_generated(number, tmp_path)


def check_generated(number: int, folder: Path) -> None:
    spec = generated(number)
    for mode in MODES.values():
        agree(compare_generated(spec, mode, folder))


@cache
def compiled(spec: str, mode: str) -> emitted.Emitted:
    return emitted.emit(spec, passes=MODES[mode].passes, **planned.SHIPPED.get(spec, {}))


@pytest.mark.parametrize("mode", ["keep", "inference"])
@pytest.mark.parametrize("spec", sorted({spec for spec, _ in QUICK}))
def test_plans_of_shipped_nets_hold(spec: str, mode: str) -> None:
    check_plan(spec, mode)


@pytest.mark.full
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spec", emitted.SHIPPED)
def test_plans_of_all_shipped_nets_hold(spec: str, mode: str) -> None:
    check_plan(spec, mode)


def check_plan(spec: str, mode: str) -> None:
    compilation = compiled(spec, mode).compilation
    shapes = planned.shapes_of(compilation.graph)
    plan = MODES[mode].plan(compilation, planned.sizes_of(compilation.graph, shapes))
    assert problems(json.loads(json.dumps(plan.to_json()))) == []


@pytest.mark.parametrize("number", range(4))
def test_plans_of_generated_nets_hold(number: int, tmp_path: Path) -> None:
    spec = generated(number)
    file = tmp_path / "net.arch"
    file.write_text(spec.text, encoding="utf-8")
    for mode in (*MODES.values(), Mode(RERUN)):
        compilation = compile_spec(Request(str(file), passes=mode.passes))
        plan = mode.plan(compilation, planned.sizes_of(compilation.graph, spec.shapes))
        assert problems(plan.to_json()) == []


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
    assert not any("..." in line for line in lines)


def test_json_is_a_plan_that_holds() -> None:
    plan = json.loads(command("densenet_cifar", "--set", "depth=22", "--batch", "2", "--json"))
    assert plan["version"] == 1
    assert plan["mode"] == "training"
    assert problems(plan) == []
    assert {step["phase"] for step in plan["schedule"]} == {"forward", "backward", "recompute"}
    decisions = {tensor["decision"] for tensor in plan["tensors"]}
    assert decisions == {"kept", "recomputed", "shared", "freed"}


def test_why_takes_a_layer_of_a_dense_block() -> None:
    text = command(
        "densenet_cifar", "--set", "depth=22", "--why", "features.denseblock1.denselayer2"
    )
    assert "features.denseblock1.denselayer2.conv1: " in text
    assert "freed: what features.denseblock1 grow needs for a moment" in text
    assert "denselayer3" not in text


def test_why_says_what_becomes_of_a_tensor() -> None:
    text = command("densenet_cifar", "--set", "depth=22", "--why", "features.transition1.norm")
    assert "recomputed: " in text


def test_bf16_halves_what_is_not_a_statistic() -> None:
    net = compiled("vgg_cifar", "-O0")
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
