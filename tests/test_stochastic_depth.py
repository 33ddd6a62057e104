"""stochastic-depth: the branches that run are those whose gates are open."""

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import emitted
import pytest
import torch
from command_line import run
from documents import ROOT, blocks_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from archc.analysis.summary import summarize
from archc.compiler import Request, compile_spec
from archc.ir.branches import drop_paths
from archc.ops.regularization import DropPath, SkippedPath
from archc.passes.pipeline import DEFAULT, run_pipeline
from archc.passes.share_memory import ShareMemory
from archc.passes.simplify import Simplify
from archc.passes.stochastic_depth import StochasticDepth
from archc.testing import check_pass, graph_of, graphs

ONLY = (Simplify(), StochasticDepth())
PAGE = ROOT / "docs" / "regularisers.md"
SMALL = {"depth": 14, "classes": 3}  # six branches, two in each stage


def paths_of(net: nn.Module) -> list[Any]:
    """The ends of the branches, in the order in which they run."""
    return [each for each in net.modules() if type(each).__name__ == "DropPath"]


def set_gates(net: nn.Module, gates: Sequence[bool]) -> None:
    cast(Any, net).draw_gates(0, 0)  # from now on the net draws none
    for path, gate in zip(paths_of(net), gates, strict=True):
        path.gate = gate


def images(batch: int = 4, size: int = 8) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


def resnet(**settings: Any) -> nn.Module:
    return emitted.emit("resnet_cifar", "ResNet", ONLY, **SMALL, **settings).build()


# ------------------------------------------------------------------------------- the schedule


def survivals(text: str) -> list[float]:
    return [
        end.op.probability for end in drop_paths(graph_of(text)) if isinstance(end.op, DropPath)
    ]


CHAIN = """
block Unit()(x) {{
    y = x -> conv: conv(4, 3) -> drop_path{own}
    return x + y
}}
{block}
block Pair()(x) {{
    return x -> one: Unit -> two: Unit
}}
{net}
net Chain()(image: [4, 8, 8]) {{
    {assignment}
    x = image -> first: Pair
    return x -> second: Pair
}}
"""


def chain(own: str = "", block: str = "", net: str = "", assignment: str = "") -> list[float]:
    return survivals(CHAIN.format(own=own, block=block, net=net, assignment=assignment))


def test_the_schedule_is_the_papers() -> None:
    assert chain(net="@stochastic_depth(final_survival=0.6)") == [
        pytest.approx(1 - branch / 4 * 0.4) for branch in (1, 2, 3, 4)
    ]
    assert chain(net="@stochastic_depth") == [0.875, 0.75, 0.625, 0.5]
    assert chain(net='@stochastic_depth(final_survival=0.6, schedule="uniform")') == [0.6] * 4


def test_the_nearest_annotation_counts() -> None:
    net = "@stochastic_depth(final_survival=0.6)"
    near = '@stochastic_depth(final_survival=0.2, schedule="uniform")'
    assert chain(net=net, block=near) == [0.2] * 4
    assert chain(net=net, block=near, assignment="@stochastic_depth(final_survival=0.4)") == [
        *(0.4, 0.4),  # uniform, as the block says
        *(0.2, 0.2),
    ]
    assert chain("(survival=0.9)", net=net) == [0.9] * 4
    assert chain("(branch=0, of=3)", net=net) == [1] * 4
    assert chain("(branch=1, of=2)", net=net) == [pytest.approx(0.8)] * 4


def test_a_drop_path_without_a_schedule_is_not_one_that_always_survives() -> None:
    """Another pass may give it one, so `simplify` leaves it; nothing is dropped meanwhile."""
    text = CHAIN.format(own="", block="", net="", assignment="")
    assert [end.op for end in drop_paths(Simplify().run(graph_of(text)))] == [DropPath()] * 4
    assert not list(drop_paths(StochasticDepth().run(graph_of(text))))
    one = CHAIN.format(own="(survival=1)", block="", net="", assignment="")
    assert not list(drop_paths(Simplify().run(graph_of(one))))


def test_a_module_that_is_applied_again_is_one_branch() -> None:
    again = """
    block Unit()(x) {
        y = x -> conv: conv(4, 3) -> drop_path
        return x + y
    }
    @stochastic_depth
    net Tied()(image: [4, 8, 8]) {
        unit = Unit()
        return image -> unit -> last: Unit -> unit
    }
    """
    assert survivals(again) == [0.75, 0.5, 0.75]
    ends = list(drop_paths(run_pipeline(graph_of(again), ONLY)))
    assert ends[0].layer == ends[2].layer != ends[1].layer


# -------------------------------------------------------------------------------- the function


@pytest.mark.parametrize("mode", ["paper", "inverted"])
@given(data=st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_mean_over_all_masks_is_the_net_in_evaluation(
    tmp_path_factory: pytest.TempPathFactory, mode: str, data: st.DataObject
) -> None:
    """Of linear branches, one after the other: a mask with its probability, all masks."""
    count = data.draw(st.integers(1, 5))
    final = data.draw(st.sampled_from([0.2, 0.5, 0.9]))
    rule = data.draw(st.sampled_from(["linear", "uniform"]))
    kernel = data.draw(st.sampled_from([1, 3]))
    text = f"""
    block Unit()(x) {{ return x + (x -> conv: conv(x.channels, {kernel}) -> drop_path) }}
    @stochastic_depth(final_survival={final}, schedule="{rule}", mode="{mode}")
    net Linear()(image: [3, 4, 4]) {{
        x = image
        for i in range({count}) {{ x = x -> "unit{{i}}": Unit }}
        return x
    }}
    """
    path = tmp_path_factory.mktemp("linear") / "linear.arch"
    path.write_text(text, encoding="utf-8")
    net = emitted.emit(path).build().double()
    x = images(2, 4).double()
    total = torch.zeros_like(x)
    for mask in itertools.product([False, True], repeat=count):
        set_gates(net, mask)
        kept = zip(mask, paths_of(net), strict=True)
        weight = math.prod(p.survival if keep else 1 - p.survival for keep, p in kept)
        total += weight * net(x).detach()
    assert float((total - net.eval()(x).detach()).abs().max()) < 1e-12 * float(total.abs().max())


def test_evaluation_is_bit_for_bit_that_of_the_plain_net() -> None:
    plain = emitted.emit("resnet_cifar", "ResNet", emitted.O0, **SMALL).build().eval()
    for passes in (ONLY, DEFAULT, (*ONLY, ShareMemory(recompute=True))):
        net = emitted.emit("resnet_cifar", "ResNet", passes, **SMALL).build().eval()
        assert torch.equal(net(images()), plain(images()))


def test_training_with_equal_draws_is_that_of_the_plain_net() -> None:
    """Outputs and gradients; without a key the gates are torch's next numbers."""
    plain = emitted.emit("resnet_cifar", "ResNet", emitted.O0, **SMALL).build()
    net = resnet()
    seen = set()
    for seed in range(4):
        found = []
        for each in (plain, net):
            each.zero_grad()
            torch.manual_seed(seed)
            output = each(images())
            output.square().sum().backward()
            found.append([output.detach(), *(p.grad for p in each.parameters())])
        assert all(map(torch.equal, *found))
        seen.add(tuple(path.gate for path in paths_of(net)))
    assert len(seen) > 1


@pytest.mark.parametrize("before", ["relu", "bn"])
def test_a_relu_still_makes_a_shortcut_zero_where_it_is_negative(
    before: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{before}.arch"
    path.write_text(
        f"""
block Unit()(x) {{ return (x + (x -> conv: conv(4, 3) -> drop_path(survival=0.5))) -> relu }}
net Rectified()(image: [3, 8, 8]) {{
    return image -> stem: conv(4, 3) -> b: {before} -> unit: Unit
}}
""",
        encoding="utf-8",
    )
    net = emitted.emit(path).build()
    set_gates(net, [False])
    output = net(images())
    assert float(output.detach().min()) == 0
    before_it = cast(Any, net).b(cast(Any, net).stem(images()))
    assert torch.equal(output, before_it.relu())


def test_the_pass_keeps_evaluation() -> None:
    check_pass(StochasticDepth(), graphs("drop_path"), examples=8)


def test_the_emitted_forward_reads_as_its_page_shows() -> None:
    (shown,) = (block for block in blocks_of(PAGE, "python") if "drop_path" in block.text)
    assert shown.text in emitted.emit("resnet_cifar", "ResNet", DEFAULT, **SMALL).source


# ------------------------------------------------------------------------------------ the gates


def _ran(net: nn.Module) -> Iterator[list[str]]:
    """The names of the convolutions that run, collected for the next forwards."""
    names: list[str] = []
    for name, module in net.named_modules():
        if name.endswith("conv2"):
            module.register_forward_hook(lambda *_, name=name: names.append(name))
    while True:
        yield names
        names.clear()


def test_the_branches_that_run_are_those_whose_gates_are_open() -> None:
    """And a skipped one has gradients of zero, and the statistics that it had."""
    net = resnet()
    blocks = {name: m for name, m in net.named_modules() if hasattr(m, "conv2")}
    ran = _ran(net)
    counts = dict.fromkeys(blocks, 0)
    for step in range(6):
        cast(Any, net).draw_gates(7, step)
        net.zero_grad()
        names = next(ran)
        net(images()).sum().backward()
        gates = {name: cast(Any, block).drop_path.gate for name, block in blocks.items()}
        assert names == [f"{name}.conv2" for name, gate in gates.items() if gate]
        for name, block in blocks.items():
            counts[name] += gates[name]
            assert int(cast(Any, block).bn1.num_batches_tracked) == counts[name]
            gradients = [cast(Tensor, p.grad) for p in block.parameters()]
            assert all(bool(g.any()) == gates[name] for g in gradients[:1])
            assert gates[name] or not any(bool(g.any()) for g in gradients)
    assert 0 < sum(counts.values()) < 6 * len(blocks)


def test_gates_are_a_function_of_seed_and_step() -> None:
    def drawn(seed: int, step: int) -> list[bool]:
        net = resnet()
        cast(Any, net).draw_gates(seed, step)
        return [path.gate for path in paths_of(net)]

    assert drawn(3, 5) == drawn(3, 5)
    assert len({tuple(drawn(3, step)) for step in range(8)}) > 2
    assert drawn(0, 1) != drawn(1, 0)
    torch.manual_seed(0)
    assert drawn(0, 2) == [True, True, True, True, False, True]  # on every machine


def test_gates_are_open_as_often_as_the_schedule_says() -> None:
    net = resnet()
    paths = paths_of(net)
    opened = torch.zeros(len(paths))
    for step in range(2000):
        cast(Any, net).draw_gates(0, step)
        opened += torch.tensor([path.gate for path in paths])
    wanted = torch.tensor([path.survival for path in paths])
    assert float((opened / 2000 - wanted).abs().max()) < 0.04


def test_without_a_key_torchs_generator_draws_and_evaluation_draws_nothing() -> None:
    net = resnet()
    torch.manual_seed(1)
    net.eval()(images())
    assert all(path.gate is None for path in paths_of(net))
    expected = torch.rand(6)
    torch.manual_seed(1)
    net.train()(images())
    survival = [path.survival for path in paths_of(net)]
    assert [path.gate for path in paths_of(net)] == [
        n < p for n, p in zip(expected.tolist(), survival, strict=True)
    ]


# ------------------------------------------------------------------------------- in torch's world


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_blocks_compile_to_a_graph_for_each_of_two_branches() -> None:
    from torch._dynamo.testing import CompileCounterWithBackend

    net = resnet()
    reference = resnet()
    torch.compiler.reset()
    graphs = CompileCounterWithBackend("aot_eager")
    first = cast(Any, net).layer1
    for block in first:
        block.compile(backend=graphs)
    for gates in [(True, True), (True, False), (False, True), (False, False), (True, True)]:
        for each in (net, reference):
            set_gates(each, [*gates, True, True, True, True])
        assert torch.equal(net(images()), reference(images()))
        net(images()).sum().backward()
    assert all(p.grad is not None for p in first.parameters())
    assert graphs.frame_count == 2


def test_evaluation_exports_as_operators_of_torch() -> None:
    net = resnet().eval()
    program = torch.export.export(net, (images(),))
    called = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert all(str(target).startswith("aten.") for target in called)
    assert torch.equal(program.module()(images()), net(images()))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_a_skipped_branch_has_forward_derivatives_and_those_of_samples() -> None:
    net = resnet().double()
    set_gates(net, [False] * 6)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    weights: dict[str, Tensor] = dict(net.named_parameters())
    x = images().double()

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        output: Tensor = torch.func.functional_call(net, weights, (x[None],))
        return output.square().sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, x)
    assert not each["layer1.0.conv1.weight"].any()
    assert each["conv1.weight"].abs().sum() > 0
    tangent = torch.randn_like(x[0])
    forward = torch.func.jvp(lambda x: loss(weights, x), (x[0],), (tangent,))[1]
    backward = torch.func.grad(lambda x: loss(weights, x))(x[0])
    assert torch.allclose(forward, (backward * tangent).sum())


@pytest.mark.parametrize("delivery", ["inline", "import"])
def test_a_block_that_runs_again_has_the_gate_that_it_had(delivery: Any, tmp_path: Path) -> None:
    """Two forwards with other gates before a backward."""
    compilation = emitted.emit(
        "resnet_cifar", "ResNet", (*ONLY, ShareMemory(recompute=True)), **SMALL
    ).compilation
    path = tmp_path / f"rows_{delivery}.py"
    path.write_text(compilation.source(delivery), encoding="utf-8")
    rows, plain = emitted.build_from(path).double(), resnet().double()
    assert "rerun(" in path.read_text(encoding="utf-8").split(emitted.RUNTIME_HEADING)[0]
    found = []
    for net in (rows, plain):
        total = torch.zeros((), dtype=torch.float64)
        for gates in (
            [True, False, True, True, False, True],
            [False, True, True, False, True, True],
        ):
            set_gates(net, gates)
            total = total + net(images().double()).square().sum()
        set_gates(net, [False] * 6)
        total.backward()  # type: ignore[no-untyped-call]
        found.append({name: cast(Tensor, p.grad) for name, p in net.named_parameters()})
        found[-1] |= dict(net.named_buffers())
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[1])


# ----------------------------------------------------------------------- what is computed anyway

REASONS = {
    'x = x + (x -> c: conv(4) -> drop_path(mode="sample"))': "a draw of its own",
    "y = x -> e: conv(4)\nx = y + (y -> drop_path)": "nothing is in it alone",
    "x = sum([x, x, x -> c: conv(4) -> drop_path])": "other than two operands",
    "x = (x -> c: conv(4) -> drop_path) + (x -> d: conv(4) -> drop_path)": "both operands",
    "y = x -> global_avg_pool(keep=true)\nx = y + (x -> c: conv(4) -> drop_path)": "is larger",
    "c = conv(4)\nx = c(x) + (x -> c -> relu -> drop_path)": "`c` is applied outside",
    "y = x -> c: conv(4)\nx = x + (y -> u: Drop)": "another block",
    "y = x -> c: conv(4)\nx = (x, y) -> u: Whole": "begins outside",
    "y, z = x -> u: Both\nx = z + (y -> drop_path)": "gives something else",
}


@pytest.mark.parametrize("body", REASONS, ids=range(len(REASONS)))
def test_a_branch_that_cannot_be_skipped_is_computed_and_the_plan_says_why(
    body: str, tmp_path: Path
) -> None:
    lines = "\n    ".join(body.split("\n"))
    text = f"""
block Drop()(x) {{ return x -> relu -> drop_path }}
block Whole()(x, y) {{ return x + (y -> drop_path) }}
block Both()(x) {{ return x -> a: conv(4), x -> b: conv(4) }}

@stochastic_depth
net Kept()(image: [4, 8, 8]) {{
    x = image
    {lines}
    return x
}}
"""
    path = tmp_path / "kept.arch"
    path.write_text(text, encoding="utf-8")
    assert REASONS[body] in run("plan", str(path), "--estimate").stdout
    ends = list(drop_paths(StochasticDepth().run(graph_of(text))))
    assert ends
    assert not any(isinstance(end.op, SkippedPath) for end in ends)
    net = emitted.emit(path).build()
    net(torch.randn(2, 4, 8, 8)).sum().backward()


def test_all_of_a_shipped_net_is_skipped_and_the_plan_counts_it_as_if_never() -> None:
    first, second = (run("plan", "resnet_cifar", "--set", "depth=8").stdout for _ in range(2))
    assert first == second
    assert "skipped where training drops them, and planned as if never: 3 branches" in first


# ------------------------------------------------------------------------------------ its price


@pytest.mark.parametrize(
    ("depth", "expected", "share"), [(110, 188618709.3, "74.59%"), (1202, 2120862254.1, "74.96%")]
)
def test_the_summary_has_the_expected_cost_of_training(
    depth: int, expected: float, share: str
) -> None:
    """Those that the released code has for its nets of 54 and of 600 branches."""
    settings = {"depth": str(depth), "bias": "true"}
    found = summarize(compile_spec(Request("resnet_cifar", "ResNet", settings, ())).graph)
    assert found.to_json()["expected_macs"] == pytest.approx(expected, abs=0.1)
    assert f"MACs in training  {expected:,.0f} ({share}) on average" in str(found)


def test_a_net_in_which_nothing_is_dropped_costs_what_it_costs() -> None:
    given = ("summary", "resnet_cifar", "--set", "depth=8", "--set", "final_survival=1")
    found = json.loads(run(*given, "--json").stdout)
    assert found["expected_macs"] == found["macs"]
    assert "on average" not in run(*given).stdout
