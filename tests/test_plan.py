"""`archc plan`: what it says is what torch's allocator sees; and what the estimate says, nearly."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import emitted
import planned
import pytest
from dense_specs import BLOCK, BOTTLENECK
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

from archc.analysis.plan.plan import Memory
from archc.cli.main import app
from archc.compiler import Request, compile_spec
from archc.testing import Spec

WITHIN = 0.001
"""Of blocks that run again, and of what small kernels take: some hundred bytes."""
GENERATED = max(50, len(planned.OPERATORS))
"""Every operator is in one of so many generated nets."""


def agree(compared: Compared, within: float = 0.0) -> None:
    """What is kept and the peak are those of a real run: to the byte, if nothing else is said."""
    assert all(abs(ratio - 1) <= within for ratio in compared.ratios), compared


NARROW = Mode(dtype="bfloat16")
QUICK = [
    ("densenet_cifar", MODES["-O0"]),
    ("densenet_cifar", MODES["keep"]),
    ("densenet_cifar", MODES["recompute"]),
    ("densenet_cifar", NARROW),
    ("hardnet", MODES["inference"]),
    ("msdnet_cifar", MODES["keep"]),
    ("preact_resnet_cifar", MODES["off"]),
    ("resnet_cifar", NARROW),
]


@pytest.mark.parametrize(("spec", "mode"), QUICK)
def test_shipped_nets_need_what_is_planned(spec: str, mode: Mode) -> None:
    agree(compare_shipped(spec, mode))


@pytest.mark.full
@pytest.mark.parametrize("mode", [*MODES, "bfloat16"])
@pytest.mark.parametrize("spec", emitted.SHIPPED)
def test_all_shipped_nets_need_what_is_planned(spec: str, mode: str) -> None:
    if (spec, mode) == ("densenet3d", "bfloat16"):
        pytest.skip("on a CPU torch has no average pool of three axes in bfloat16")
    agree(compare_shipped(spec, MODES.get(mode, NARROW)), WITHIN)


OTHERS = [(spec, net) for spec, (_, *nets) in emitted.SHIPPED.items() for net in nets]
"""All nets of the shipped specs but the first of each."""


@pytest.mark.full
@pytest.mark.parametrize(("spec", "net"), OTHERS)
def test_other_nets_of_shipped_specs_need_what_is_planned(spec: str, net: str) -> None:
    agree(compare_shipped(spec, MODES["keep"], net), WITHIN)


def test_blocks_that_run_again_need_what_is_planned() -> None:
    agree(compare_shipped("resnet_cifar", Mode(RERUN)), WITHIN)


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
    agree(compare(found.compilation, found.path, mode, [(3, 32, 32)], 24))


APPLIED = {
    "blocks": 'x = x -> "block{i}": Block(i)',
    "scopes": 'scope "block{i}" { for j in range(i) { x = x -> "layer{j}": Layer(4) } }',
}


@pytest.mark.parametrize("by", APPLIED)
def test_dense_blocks_of_unlike_lengths_need_what_is_planned(by: str, tmp_path: Path) -> None:
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
    agree(compare_generated(spec, MODES["keep"], tmp_path))


@pytest.mark.parametrize("mode", ["keep", "recompute"])
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


@pytest.mark.parametrize("number", [26])
def test_generated_nets_need_what_is_planned(number: int, tmp_path: Path) -> None:
    check_generated(number, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("number", range(GENERATED))
def test_many_generated_nets_need_what_is_planned(number: int, tmp_path: Path) -> None:
    check_generated(number, tmp_path)


def check_generated(number: int, folder: Path) -> None:
    spec = generated(number)
    for mode in MODES.values():
        agree(compare_generated(spec, mode, folder), 0.01)


# -------------------------------------------------------------- the estimate

ESTIMATED = [
    ("densenet_cifar", "-O0"),
    ("densenet_cifar", "keep"),
    ("densenet_cifar", "recompute"),
    ("unet", "keep"),
    ("xnor_net", "-O0"),
]


@pytest.mark.parametrize(("spec", "mode"), ESTIMATED)
def test_the_estimate_is_near_the_plan(spec: str, mode: str) -> None:
    net = emitted.emit(spec, passes=MODES[mode].passes, **planned.SHIPPED.get(spec, {}))
    sizes = planned.sizes_of(net.graph, planned.shapes_of(net.graph))
    near = MODES[mode].estimate(net.compilation, sizes)
    exact = MODES[mode].plan(net.compilation, sizes)
    assert near.planned.saved == pytest.approx(exact.planned.saved, rel=0.01)
    assert near.planned.peak == pytest.approx(exact.planned.peak, rel=0.1)


@pytest.mark.full
def test_the_estimate_is_near_most_plans() -> None:
    """What is kept within 1 %, and the peak within 10 %, in nine of ten rows."""
    saved, peak, rows = 0, 0, 0
    for spec in emitted.SHIPPED:
        for mode in MODES.values():
            net = emitted.emit(spec, passes=mode.passes, **planned.SHIPPED.get(spec, {}))
            sizes = planned.sizes_of(net.graph, planned.shapes_of(net.graph))
            near, exact = (
                plan(net.compilation, sizes).planned for plan in (mode.estimate, mode.plan)
            )
            saved += abs(near.saved - exact.saved) <= 0.01 * exact.saved
            peak += abs(near.peak - exact.peak) <= 0.1 * exact.peak
            rows += 1
    assert saved >= 0.9 * rows
    assert peak >= 0.9 * rows


def test_memory_grows_linearly_with_the_depth_of_a_dense_block() -> None:
    found = {}
    for depth in (52, 196):  # 8 and 32 layers a block
        compilation = compile_spec(Request("densenet_cifar", None, {"depth": str(depth)}))
        plan = MODES["keep"].estimate(compilation, {}, 64)
        found[depth] = (plan.planned.saved, plan.naive.saved)
    shared, naive = (found[196][i] / found[52][i] for i in (0, 1))
    assert shared < 4.1
    assert naive > 8


@pytest.mark.full
def test_a_deep_resnet_runs_its_blocks_again() -> None:
    compilation = compile_spec(Request("resnet_cifar", None, {"depth": "1202"}, passes=RERUN))
    plan = MODES["keep"].estimate(compilation, {}, 8)
    assert plan.planned.saved < 200 * 2**20
    assert plan.naive.saved > 700 * 2**20


# --------------------------------------------------------------- the command

SMALL = ("densenet_cifar", "--set", "depth=22")


def command(*words: str) -> str:
    result = CliRunner().invoke(app, ["plan", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("how", [[], ["--estimate"]], ids=str)
def test_the_table_names_what_is_largest_first(how: list[str]) -> None:
    lines = command(*SMALL, "--batch", "8", *how).splitlines()
    assert lines[0] == "DenseNetBC, training, batch 8, float32, memory keep"
    assert lines[2].split() == ["torch", "as", "is", "planned"]
    assert ("an estimate" in "\n".join(lines)) == bool(how)
    assert "features.denseblock1" in lines[lines.index("saved for backward, by region:") + 2]
    assert not any("..." in line for line in lines)


@pytest.mark.parametrize("how", [[], ["--estimate"]], ids=str)
def test_json_is_the_plan_as_data(how: list[str]) -> None:
    plan = json.loads(command(*SMALL, "--batch", "2", "--json", *how))
    assert plan["version"] == 2
    assert plan["mode"] == "training"
    assert plan["estimate"] == bool(how)
    kept, live = 0, [0] * plan["steps"]
    for tensor in plan["tensors"]:
        first, last = tensor["first"], tensor["last"]
        assert 0 <= first <= last < plan["steps"]
        kept += tensor["bytes"] * (first < plan["backward_start"] <= last)
        for step in range(first, last + 1):
            live[step] += tensor["bytes"]
    assert kept == plan["saved_bytes"]
    assert max(live) == plan["peak_bytes"]
    assert len({tensor["id"] for tensor in plan["tensors"]}) == len(plan["tensors"])
    assert {tensor["decision"] for tensor in plan["tensors"]} == {"kept", "recomputed", "freed"}
    kinds = {tensor["role"] for tensor in plan["tensors"]}
    assert kinds == {"kept", "recomputed", "gradient", "momentary"}
    whys = {each["path"]: each["why"] for each in plan["shared"]}
    assert whys["features.denseblock1"].startswith("the features of 3 layers are kept once")


@pytest.mark.parametrize("how", [[], ["--estimate"]], ids=str)
def test_why_takes_a_layer_of_a_dense_block(how: list[str]) -> None:
    text = command(*SMALL, "--why", "features.denseblock1.denselayer2", *how)
    assert "\nfeatures.denseblock1.denselayer2.conv1" in text
    assert "kept: needed by features.denseblock1" in text
    assert "denselayer3.conv" not in text


@pytest.mark.parametrize("how", [[], ["--estimate"]], ids=str)
def test_why_says_what_shares_memory(how: list[str]) -> None:
    text = command(*SMALL, "--why", "features.transition1.norm", *how)
    assert text.startswith("features.transition1.norm: norm and ReLU, made again part by part")


def test_a_net_with_an_extern_layer_is_planned_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gates_of_mine.py").write_text(EXTERN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    text = """
extern layer Gate(factor=2.0): [C, *S] -> [C, *S] from "gates_of_mine:Gate"
net Net()(image: [3, 8, 8]) {
    x = image -> conv1: conv(8, 3) -> norm1: bn -> relu -> gate: Gate(factor=3.0)
    return x -> global_avg_pool -> fc: linear(5)
}
"""
    for mode in (MODES["-O0"], MODES["keep"]):
        agree(compare_generated(Spec(text, ((3, 8, 8),)), mode, tmp_path))


EXTERN = """
import torch
from torch import nn


class Gate(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((1,), factor))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.factor * x)
"""

ASKS = EXTERN.replace("return x *", "return x * float(x.mean()) *")


def test_a_net_that_asks_for_values_is_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asking_gates.py").write_text(ASKS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = tmp_path / "net.arch"
    spec.write_text(
        'extern layer Gate(factor=2.0): [C, *S] -> [C, *S] from "asking_gates:Gate"\n'
        "net Net()(image: [3, 8, 8]) { return image -> gate: Gate(factor=3.0) }\n",
        encoding="utf-8",
    )
    result = CliRunner().invoke(app, ["plan", str(spec)])
    assert result.exit_code == 0, result.output
    assert "does not run on shapes alone" in result.stderr
    assert "an estimate" in result.stdout
    assert "not counted: what the extern layers (Gate) keep" in result.stdout


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from typer.testing import CliRunner
from archc.cli.main import app
result = CliRunner().invoke(app, sys.argv[1:])
assert result.exit_code == 0, result.output
print(result.stdout)
"""


def test_without_torch_there_is_an_estimate(tmp_path: Path) -> None:
    for words in (["plan", *SMALL], ["viz", *SMALL, "--memory", "-o", str(tmp_path / "net.svg")]):
        command = [sys.executable, "-c", WITHOUT_TORCH, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "(an estimate)" in (tmp_path / "net.svg").read_text(encoding="utf-8")
    assert done.stderr == ""


@pytest.mark.parametrize(
    "words",
    [["--memory", "most"], ["--dtype", "int8"], ["--size", "H=0"], ["--size", "W=3"]],
    ids=" ".join,
)
def test_wrong_words_are_refused(words: list[str]) -> None:
    result = CliRunner().invoke(app, ["plan", "densenet_cifar", *words])
    assert result.exit_code == 2


def test_an_unknown_region_is_refused() -> None:
    words = ["plan", *SMALL, "--estimate", "--why", "features.nothing"]
    assert CliRunner().invoke(app, words).exit_code == 1
