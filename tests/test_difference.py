"""What `archc diff` compares: what is computed, and of a change only the change."""

import time
from itertools import combinations
from pathlib import Path
from random import Random

import pytest
from command_line import run
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from archc.analysis.alignment import Wiring
from archc.analysis.difference import Change, Difference, compare
from archc.compiler import Request, compile_spec
from archc.elaborate.files import shipped_specs
from archc.ir.graph import Graph, Input, Node
from archc.ir.rebuild import Visit, rebuild
from archc.ops.activation import Elementwise, Tanh
from archc.ops.arithmetic import Add, Max, Min, Mul, Sum
from archc.ops.reduction import Abs
from archc.testing import Spec, specs

pytestmark = pytest.mark.usefixtures("folder")

GENERATED = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def compiled(spec: Spec) -> Graph:
    Path("generated.arch").write_text(spec.text)
    return compile_spec(Request("generated.arch", passes=())).graph


def commuted(graph: Graph) -> Graph:
    """The graph with the operands of all that is commutative turned round."""

    def rule(visit: Visit) -> Node:
        commutes = isinstance(visit.node.op, Add | Mul | Sum | Min | Max)
        return visit.keep(*visit.operands[::-1]) if commutes else visit.keep()

    return rebuild(graph, rule)


@GENERATED
@given(specs(), st.randoms(use_true_random=False))
def test_a_net_is_equal_to_itself_and_to_none_with_a_value_replaced(
    spec: Spec, random: Random
) -> None:
    graph, again = compiled(spec), compiled(spec)
    assert compare(graph, again).equal
    pairs = [
        (old.id, new.id)
        for old, new in combinations(graph.nodes(), 2)
        if old.type == new.type and not isinstance(new.op, Input)
    ]
    if pairs:
        old, new = random.choice(pairs)

        def rule(visit: Visit) -> Node:
            return visit.values[old] if visit.node.id == new else visit.keep()

        assert not compare(graph, rebuild(again, rule)).equal


ORDERS = [
    ("relu(a + b + c)", "relu(c + b + a)", True),
    ("relu(a + b + c)", "relu(sum(b, c, a))", True),
    ("relu(a + b + c)", "relu(a + (b + c))", True),
    ("a * b * c", "c * (a * b)", True),
    ("max(a, max(b, c))", "max([c, b, a])", True),
    ("min(a, b, c)", "min(b, c, a)", True),
    ("(a + b) * c", "c * (b + a)", True),
    ("2 * a + b", "b + a * 2", True),
    ("a - b", "b - a", False),
    ("a / b", "b / a", False),
    ("a + b + c", "a + b - c", False),
    ("a + b + c", "a + b + b", False),
    ("a + b + c", "a + b", False),
    ("(a + b) * c", "a + b * c", False),
    ("a * b + c", "a * c + b", False),
    ("concat(a, b)", "concat(b, a)", False),
    ("min(a, b)", "max(a, b)", False),
    ("(x -> f: conv(8)) + (x -> g: conv(8))", "(x -> g: conv(8)) + (x -> f: conv(8))", True),
    ("relu(a) + sigmoid(b)", "sigmoid(b) + relu(a)", True),
    ("relu(a) + sigmoid(b)", "sigmoid(a) + relu(b)", False),
]


@pytest.mark.parametrize(("one", "other", "equal"), ORDERS)
@pytest.mark.parametrize("where", ["net", "scope", "block"])
def test_the_same_written_otherwise_is_equal(
    one: str, other: str, where: str, *, equal: bool
) -> None:
    """Commuted operands in a net, in a scope that gives several values, and in a block."""
    graphs = []
    for number, text in enumerate((one, other)):
        body = f"y = {text}\n{'u, v = (relu(a), y)' if number == 0 else 'v, u = (y, relu(a))'}"
        head = "a, b, c = (x -> a: conv(8), x -> b: conv(8), x -> c: conv(8))\n"
        inside = {
            "net": f"{head}{body}\nresult = (u, v)\n",
            "scope": f"scope inner {{ {head}{body}\n }}\nresult = (u, v)\n",
            "block": "result = x -> inner: Inner\n",
        }[where]
        block = f"block Inner()(x) {{\n{head}{body}\nreturn u, v\n}}\n" if where == "block" else ""
        net = f"net N()(x: [8, 8, 8]) {{\n{inside}return result[0] -> tanh, result[1] -> gelu\n}}\n"
        Path("order.arch").write_text(block + net)
        graphs.append(compile_spec(Request("order.arch")).graph)
    assert compare(*graphs).equal == equal


@pytest.mark.parametrize("step", ["x = x + image", "x = relu(x) + tanh(x)", "x = image * x"])
def test_a_long_chain_is_compared_in_a_moment(step: str) -> None:
    text = "net N(first=false)(image: [3, 8, 8]) {{\n    x = relu(image) if first else image\n"
    text += "    for i in range(2000) {{ {} }}\n    return x -> global_avg_pool\n}}\n"
    Path("long.arch").write_text(text.format(step))
    one = compile_spec(Request("long.arch", passes=())).graph
    other = compile_spec(Request("long.arch", arguments={"first": "true"}, passes=())).graph
    start = time.perf_counter()
    assert compare(one, commuted(one)).equal
    (change,) = changed_in(compare(one, other))
    assert dict(change.wiring.functions) == {"relu": 1}
    assert time.perf_counter() - start < 20  # 2 s; the bound is for busy machines


def test_one_operator_of_a_long_sum_is_named() -> None:
    net = "net N()(x: [8, 8, 8]) {{ return relu(x + tanh(x) {} sigmoid(x)) }}\n"
    Path("a.arch").write_text(net.format("+"))
    Path("b.arch").write_text(net.format("-"))
    lines = run("diff", "a.arch", "b.arch").stdout.splitlines()
    rows = [" ".join(line.split()) for line in lines if line.startswith("~")]
    assert rows == ["~ (functions) -1 add, +1 sub"]


@GENERATED
@given(specs())
def test_the_order_of_commuting_operands_is_no_difference(spec: Spec) -> None:
    graph = compiled(spec)
    assert compare(graph, commuted(graph)).equal


def changed_in(difference: Difference) -> list[Change]:
    """What differs in itself, not in what is inside of it."""
    changes = difference.root.walk() if difference.root is not None else ()
    return [each for each in changes if each.wiring != Wiring() or not each.children]


def assert_only_one_operator_differs(graph: Graph, node: Node) -> None:
    """Of a net and the same with another function in one place, only that is told."""
    op = Tanh() if isinstance(node.op, Abs) else Abs()

    def rule(visit: Visit) -> Node:
        return visit.keep(op=op if visit.node.id == node.id else None)

    difference = compare(graph, rebuild(commuted(graph), rule))
    (change,) = changed_in(difference)
    assert change.path == graph.regions[node.region].path
    assert dict(change.wiring.functions) == {str(node.op): -1, str(op): 1}
    assert change.wiring.readers == ()
    assert not difference.interface


def elementwise(graph: Graph) -> list[Node]:
    """The functions in whose place another one can stand."""
    return [
        node
        for node in graph.nodes()
        if isinstance(node.op, Elementwise) and node.layer.path is None
    ]


@GENERATED
@given(specs(), st.randoms(use_true_random=False))
def test_one_other_operator_is_all_that_differs(spec: Spec, random: Random) -> None:
    graph = compiled(spec)
    found = elementwise(graph)
    if found:
        assert_only_one_operator_differs(graph, random.choice(found))


@pytest.mark.parametrize("name", shipped_specs())
def test_one_other_operator_of_a_shipped_net_is_all_that_differs(name: str) -> None:
    graph = compile_spec(Request(name)).graph
    assert compare(graph, commuted(graph)).equal
    found = elementwise(graph)
    for node in {found[i].id: found[i] for i in (0, len(found) // 2, -1)}.values() if found else ():
        assert_only_one_operator_differs(graph, node)


RESIDUAL = """\
net N(variant="")(image: [3, 32, 32]) {
    x = image -> stem: conv(8, 3) -> relu
    early = x
    for i in range(6) {
        scope "s{i}" { y = x -> conv1: conv(8, 3) -> relu }
        first = variant != "operand" or i != 2
        x = relu(y + x if i % 2 == 0 else (x if first else early) + y)
        if variant == "more" and i == 3 { x = x -> sigmoid }
        if variant == "other" and i == 1 { x = x -> gelu } else { x = x -> tanh }
    }
    return x -> global_avg_pool -> fc: linear(10)
}
"""


@pytest.mark.parametrize(
    ("variant", "rows"),
    [
        ("more", ["~ (functions) +1 sigmoid"]),
        ("other", ["~ (functions) +1 gelu, -1 tanh"]),
        ("operand", ["~ (connections) other operands of add"]),
        ("left", []),
    ],
)
def test_what_stands_behind_a_change_is_not_told_to_differ(variant: str, rows: list[str]) -> None:
    """A chain of functions through a whole net, of which modules read, differs in one place."""
    Path("a.arch").write_text(RESIDUAL)
    changed = RESIDUAL.replace("i != 2", "i != 3") if variant == "operand" else RESIDUAL
    Path("b.arch").write_text(changed)
    text = run("diff", "a.arch", "b.arch", "--set-b", f'variant="{variant}"').stdout
    found = [" ".join(line.split()) for line in text.splitlines() if line[:2] in ("~ ", "+ ", "- ")]
    assert found == rows


def test_resnet_d_differs_from_resnet_in_the_stem_and_the_shortcuts() -> None:
    Path("d.arch").write_text(RESNET_D)
    lines = run("diff", "resnet", "d.arch").stdout.splitlines()
    assert "  output: return [1000] -> exit fc [1000]" in lines
    told = [line.split()[1] for line in lines if line[:2] in ("~ ", "+ ", "- ")]
    stem = ["conv1", "0", "1", "3", "4", "6", "(functions)"]
    shortcut = ["0", "downsample", "0", "(functions)"]
    assert told == [*stem, *("layer2", *shortcut), *("layer3", *shortcut), *("layer4", *shortcut)]


RESNET_D = """\
block BottleneckD(planes, stride=1)(x) {
    y = x -> conv1: conv(planes, 1) -> bn1: bn -> relu
          -> conv2: conv(planes, 3, stride) -> bn2: bn -> relu
          -> conv3: conv(4 * planes, 1) -> bn3: bn
    if stride != 1 or x.channels != 4 * planes {
        scope downsample {
            if stride != 1 { x = x -> avg_pool(2) }
            x = x -> "0": conv(4 * planes, 1) -> "1": bn
        }
    }
    return (x + y) -> relu
}

net ResNet50D(classes=1000)(image: [3, 224, 224]) {
    scope conv1 {
        x = image -> "0": conv(32, 3, stride=2) -> "1": bn -> relu
                  -> "3": conv(32, 3) -> "4": bn -> relu -> "6": conv(64, 3)
    }
    x = x -> bn1: bn -> relu -> maxpool: max_pool(3, stride=2, padding=1)
    for s, count in enumerate([3, 4, 6, 3]) {
        scope "layer{s + 1}" {
            for i in range(count) {
                x = x -> "{i}": BottleneckD(64 * 2 ** s, stride=2 if s > 0 and i == 0 else 1)
            }
        }
    }
    exit x -> global_avg_pool -> fc: linear(classes)
}
"""
