"""Generated specs: what archc emits for them computes what the interpreter computes, bit for bit.

ARCHC_EXAMPLES sets how many are drawn; where it raises their number, failures are shrunk, too.
The coverage is printed and asserted, because many trivial specs prove nothing. ARCHC_PART=2/3 draws
the second third of the specs, for a process of its own, and asserts nothing of their coverage.
"""

import importlib.util
import inspect
import itertools
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from early_exits import check_exits
from generated_coverage import Coverage
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from interpreter import is_exact, run_graph
from torch import Tensor, nn

from archc.compiler import Compilation, Request, compile_spec
from archc.elaborate.net import elaborate
from archc.ir.exits import has_exits
from archc.ir.graph import Graph
from archc.ir.graph import Path as Path_
from archc.ops.registry import OPS
from archc.passes.base import Pass
from archc.passes.pipeline import DEFAULT, run_pipeline
from archc.testing import Spec, specs
from archc.testing.models import BATCH, backward, randomise

EXAMPLES = int(os.environ.get("ARCHC_EXAMPLES", "250"))
ROUNDS = 5  # some draws repeat an earlier text, and are not counted: more are drawn
PART, PARTS = map(int, os.environ.get("ARCHC_PART", "1/1").split("/"))
PIPELINES: dict[str, tuple[Pass, ...]] = {"plain": (), "default": DEFAULT}

torch.set_num_threads(1)

# The specs of a run are the same everywhere; a failure is shrunk only in the long runs.
_phases = [Phase.generate, Phase.shrink] if EXAMPLES > 250 else [Phase.generate]


def test_generated_specs_compute_what_the_interpreter_computes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each operator in turn is surely in some specs; what else is in them is drawn.

    More are drawn while something was seen too seldom.
    """
    coverage = Coverage()
    seen: set[str] = set()
    operators = list(OPS)[PART - 1 :: PARTS]
    wanted = EXAMPLES // PARTS

    def enough() -> bool:
        return len(seen) >= wanted and (PARTS > 1 or not coverage.rare(wanted))

    for draw, operator in itertools.product(range(ROUNDS), operators):

        @seed(f"{operator} {draw}")
        @settings(
            max_examples=math.ceil(EXAMPLES / len(OPS)),
            database=None,
            deadline=None,
            phases=_phases,
            suppress_health_check=list(HealthCheck),
        )
        @given(specs(operator))
        def check(spec: Spec) -> None:
            note(str(spec))
            if spec.text not in seen and not enough():
                check_spec(spec, tmp_path / f"net{len(seen)}", coverage)
                seen.add(spec.text)

        if not enough():
            check()
    check_style(tmp_path)
    with capsys.disabled():
        print(f"\n{coverage}")
    assert coverage.specs >= wanted, "the specs are too much alike"
    assert enough(), f"too rare in generated specs: {coverage.rare(wanted)}"


def test_an_order_of_memory_that_is_left_open_is_compared_within_rounding(tmp_path: Path) -> None:
    """A layer norm of one channel: `-x` is in another order than `-1 * x`, and so is their mean."""
    text = (
        "net Net()(image: [1, 4, 4]) {\n    x = image -> layer_norm\n"
        "    y = concat(x, -x, x -> conv(1), x)\n    return y -> global_avg_pool -> linear(3)\n}\n"
    )
    check_spec(Spec(text, ((1, 4, 4),)), tmp_path / "net", Coverage())


OPENED = """
block Cell(out)(x) {
    exit x -> global_avg_pool -> proj: linear(2)
    scope body {
        y = x -> "0": bn -> "1": relu -> "2": conv(out, 3)
    }
    z = y -> conv1: conv(out, 1) -> bn1: bn -> drop_path(survival=0.5)
    return y + z
}

net Net(width=3)(image: [3, 4, 4]) {
    cells = [Cell(width), Cell(width)]
    x = image -> cells[0] -> cells[1] -> cell: Cell(4)
    return x -> global_avg_pool -> outer: linear(3)
}
"""


READ_AGAIN = """
net Net()(image: [3, 4, 4]) {
    branch = image -> conv1: conv(3, 1) -> bn1: bn -> drop_path(survival=0.5)
    x = branch + image
    exit x -> global_avg_pool -> early: linear(2)
    x = image -> conv2: conv(4, 3) -> norm: bn -> relu -> conv3: conv(4, 1) -> avg_pool(2)
    return x -> flatten -> fc: linear(2)
}
"""


def test_what_a_skipped_branch_is_added_to_is_read_by_a_later_exit(tmp_path: Path) -> None:
    """The sum has a name of its own, and the exit's rows are taken of what it was added to."""
    check_spec(Spec(READ_AGAIN, ((3, 4, 4),)), tmp_path / "net", Coverage())


def test_blocks_that_exits_open_keep_their_sequentials_and_skipped_branches(tmp_path: Path) -> None:
    """The net applies their children: it makes none of them, and skips what only they have."""
    check_spec(Spec(OPENED, ((3, 4, 4),)), tmp_path / "net", Coverage())


def check_spec(spec: Spec, place: Path, coverage: Coverage) -> None:
    """Compile, import, and compare with the interpreter, with and without passes."""
    file = place.with_suffix(".arch")
    file.write_text(spec.text, encoding="utf-8")
    plain = compile_spec(Request(str(file), passes=()))
    exact = is_exact(plain.graph)
    made: dict[str, tuple[Graph, str]] = {}
    for name, passes in PIPELINES.items():
        graph = run_pipeline(plain.elaboration.graph, passes)
        compilation = replace(plain, request=Request(str(file), passes=passes), graph=graph)
        path = place.with_name(f"{place.name}_{name}.py")
        text = compilation.source()
        path.write_text(text, encoding="utf-8")
        module = import_file(path)
        net = getattr(module, module.__all__[0])()
        assert list(net.state_dict()) == keys_in_order(plain.graph)
        made[name] = graph, text
        reordered = bool(graph.sharing.blocks or graph.sharing.swaps)
        skips = any(node.op.name == "skipped_path" for node in graph.nodes())
        for training in (True, False):
            if exact and not reordered:
                compare(net, graph, spec.shapes, training=training)
            if (passes or not exact) and not (training and _draws_in_another_order(graph)):
                # Skipped branches have no statistics, and their gates are drawn before all else.
                meant = graph if skips and training else plain.graph
                compare(net.double(), meant, spec.shapes, training=training, exact=False)
                net.float()
        if has_exits(graph):
            net.double()
            inputs = [torch.randn(BATCH, *shape, dtype=torch.float64) for shape in spec.shapes]
            check_exits(net, graph, inputs)
        check_arguments(type(net), plain, spec)
    coverage.add(spec, *made["plain"], made["default"][0].sharing)


def _draws_in_another_order(graph: Graph) -> bool:
    """Whether dropouts may give other noise than in the plain net.

    They draw in the order of memory, which a dense block changes for what follows it. Within one
    they draw in the plain order if its weights tell that; all of them, where a layer norm may have
    given its input in channels_last order, which weights that do not tell pass on.
    """
    blocks = graph.sharing.blocks
    enough = all if any(node.op.name == "layer_norm" for node in graph.nodes()) else any
    plain = [
        block.nodes
        for block in blocks
        if enough(_tells_order(graph, conv) for layer in block.layers for conv in layer.convs)
    ]
    found = {node.id for node in graph.nodes() if node.op.name == "dropout"}
    return bool(blocks) and not found <= frozenset[int]().union(*plain)


def _tells_order(graph: Graph, node: int) -> bool:
    """Whether a convolution's weight would be another one in channels_last order."""
    weights = graph.node(node).op.weights(*graph.operand_types(node))
    shapes = [weight.shape for weight in weights]
    return any(shape[1] > 1 and math.prod(shape[2:]) > 1 for shape in shapes if shape[2:])


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

    Where the meaning of an operator is a formula, or a pass removed one, they are equal but for
    rounding (`exact=False`, in float64): autograd adds the gradients of a tensor with three readers
    in another order, and a batch norm adds a view's values in another order than a copy's. Rounding
    is at most 1e-10 of the largest
    number, or, where numbers cancel and where a maximum is one of equal values, ten times what the
    interpreter's own results move, at most, when inputs, weights and all values on the way move by
    1e-12, several times.
    """
    dtype = torch.float32 if exact else torch.float64
    generator = torch.Generator().manual_seed(1)
    randomise(net, generator)
    net.train(training)
    net.zero_grad()
    inputs = [torch.randn(BATCH, *shape, generator=generator, dtype=dtype) for shape in shapes]
    trained = dict(net.named_parameters())
    state = {key: value.clone() for key, value in net.state_dict().items()}
    # Not torch.manual_seed, which asks all devices and takes longer than many a net.
    torch.default_generator.manual_seed(2)
    ours = [x.clone().requires_grad_() for x in inputs]
    result = net(*ours)
    outputs = [result] if isinstance(result, Tensor) else list(result)
    assert isinstance(result, list) == any(output.name for output in graph.outputs)
    backward(outputs)
    found: Results = {f"output {i}": x.detach() for i, x in enumerate(outputs)}
    found |= {f"gradient of input {i}": x.grad for i, x in enumerate(ours)}
    found |= net.state_dict()
    found |= {f"gradient of {key}": weight.grad for key, weight in trained.items()}

    expected = interpreted(graph, inputs, state, list(trained), training=training)
    different = list(differences(found, expected, exact=exact))
    if different and not exact:
        move = Mover()
        others = []
        for _ in range(MOVES):
            args = [move(x) for x in inputs], {key: move(x) for key, x in state.items()}
            others.append(interpreted(graph, *args, list(trained), training=training, moved=move))
        different = list(differences(found, expected, others, exact=False))
    assert not different


Results = dict[str, Tensor | None]
"""What a training step gives, by what it is."""


def interpreted(
    graph: Graph,
    inputs: Sequence[Tensor],
    state: dict[str, Tensor],
    trained: Sequence[str],
    *,
    training: bool,
    moved: Callable[[Tensor], Tensor] = lambda x: x,
) -> Results:
    inputs = [x.clone().requires_grad_() for x in inputs]
    weights = {key: value.clone() for key, value in state.items()}
    for key in trained:
        weights[key].requires_grad_()
    torch.default_generator.manual_seed(2)
    outputs = run_graph(graph, inputs, weights, training=training, moved=moved)
    backward(outputs)
    found: Results = {f"output {i}": x.detach() for i, x in enumerate(outputs)}
    found |= {f"gradient of input {i}": x.grad for i, x in enumerate(inputs)}
    found |= {key: value.detach() for key, value in weights.items()}
    return found | {f"gradient of {key}": weights[key].grad for key in trained}


def differences(
    ours: Results, theirs: Results, others: Sequence[Results] = (), *, exact: bool
) -> Iterator[str]:
    assert ours.keys() == theirs.keys()
    for what, a in ours.items():
        b = theirs[what]
        if a is None or b is None:
            if a is not b:
                yield f"{what}: only one is None"
            continue
        if a.shape != b.shape:
            yield f"{what}: {a.shape} is not {b.shape}"
            continue
        difference = largest(a.nan_to_num(nan=7.0) - b.nan_to_num(nan=7.0))
        allowed = 0.0 if exact else 1e-10 * max(1.0, largest(b))
        moves = [other[what] for other in others]
        allowed = max([allowed, *(10 * largest(x - b) for x in moves if x is not None)])
        if difference > allowed:
            yield f"{what} differs by {difference}, more than {allowed}"


MOVES = 32
"""What norms over constants give is rounding, and few moves do not show how far that goes."""


class Mover:
    """Moves numbers as rounding might; it draws beside the net, whose dropouts draw as before."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(3)

    def __call__(self, x: Tensor) -> Tensor:
        if not x.is_floating_point():
            return x
        return x * (1 + 1e-12 * torch.randn(x.shape, dtype=x.dtype, generator=self.generator))


def largest(x: Tensor) -> float:
    return x.nan_to_num(nan=0.0).abs().max().item() if x.numel() else 0.0


# ------------------------------------------------------------------ the text


def check_style(folder: Path) -> None:
    """ruff has nothing to say, nor to change, at 100 columns; a spec may say `-(-x)` (B002), and
    what only the runtime imports stands with it (E402)."""
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--no-cache", "--line-length=100", "--quiet"]
    for command in (["check", f"--select={RULES}", "--ignore=B002,E402"], ["format", "--diff"]):
        run = [*ruff, command[0], *options, *command[1:], str(folder)]
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


RULES = "E,F,W,I,UP,B,C4,PIE,RET,SIM"
