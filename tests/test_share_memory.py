"""share-memory: which concatenations, activations, pools and rows it finds, dense blocks apart."""

import json
import re
from pathlib import Path

import emitted
import pytest
import torch
from command_line import run
from dense_specs import BLOCK, BOTTLENECK, LAYER, NET, found, graph_of

from archc.compiler import Request, compile_spec
from archc.ir.dump import dump
from archc.ir.graph import Graph, Node
from archc.ir.regions import boundaries
from archc.ir.sharing import Sharing
from archc.passes.kept_bytes import kept_bytes
from archc.passes.share_memory import ShareMemory, _members


def by_op(graph: Graph, op: str) -> list[Node]:
    return [node for node in graph.nodes() if node.op.name == op]


# ------------------------------------------------------------------ concatenations


def joined(body: str) -> str:
    return f"net Net()(x: [4, 8, 8]) {{\n    a = x -> a: conv(4, 3)\n    {body}\n}}\n"


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("return concat(x, a) -> b: conv(2)", 1),
        ("return concat(x, a) -> upsample(scale=2) -> b: conv(2)", 0),
        ("return concat(x, a) -> max_pool(2)", 1),
        ("return concat(x, a) -> avg_pool(2)", 1),
        ("return concat(x, a)", 0),
        ("return concat([a])", 0),
        ("return concat(x, concat(a, x)) -> b: conv(2)", 2),
        ("y = concat(x, a)\n    return y, y -> b: conv(2)", 1),
    ],
)
def test_concatenations_that_a_reader_would_keep(body: str, count: int, tmp_path: Path) -> None:
    graph = graph_of(tmp_path, joined(body))
    nodes = tuple(node.id for node in by_op(graph, "concat"))
    assert graph.sharing.concats == (nodes if count else ())


def test_concatenations_of_one_text_are_alike(tmp_path: Path) -> None:
    """Only the first of both is read by what keeps it; the class of both is one."""
    text = """
block Join(width)(x) { return concat(x, x -> conv: conv(width, 3)) }
net Net()(x: [4, 8, 8]) {
    first = x -> first: Join(4) -> between: conv(4)
    return first -> second: Join(4)
}
"""
    graph = graph_of(tmp_path, text)
    assert len(graph.sharing.concats) == 2


# ------------------------------------------------------------------ activations


def activations(folder: Path, body: str) -> list[tuple[bool, bool]]:
    """`kept` and `between` of each, in a net that has a concatenation for certain."""
    text = "net Net()(x: [4, 8, 8]) {\n    z = concat(x, x) -> z: conv(4)\n"
    sharing = found(folder, f"{text}    {body}\n}}\n")
    assert sharing.concats
    return [(each.kept, each.between) for each in sharing.activations]


NORM = "y = z -> norm: bn -> relu\n    "


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"{NORM}return y -> b: conv(2)", [(False, False)]),
        (f"{NORM}return y -> b: conv(2), y", [(False, False)]),
        (f"{NORM}return y -> b: conv(2), y -> c: conv(2)", [(False, False)]),
        (f"{NORM}return [y -> conv(2) for i in range(3)]", []),
        ("y = z -> norm: bn -> relu6\n    return [y -> conv(2) for i in range(3)]", [(True, True)]),
        ("return z -> norm: bn -> silu -> b: conv(2)", [(False, True)]),
        ("return z -> norm: bn -> gelu -> b: conv(2)", []),
        ("return z -> norm: bn -> leaky_relu -> b: conv(2)", []),
        ("return z -> norm: bn -> act: relu -> b: conv(2)", [(False, False)]),
        ('scope s { z = z -> "0": bn -> "1": relu }\n    return z -> b: conv(2)', []),
        ("return z -> norm: bn -> b: conv(2)", []),
        ("y = z -> norm: bn\n    return (y -> relu) + y", []),
        ("y = z -> norm: bn\n    return y, y -> relu", []),
        ("return z -> norm: layer_norm -> relu -> b: conv(2)", []),
        ("return z -> relu -> b: conv(2)", []),
    ],
)
def test_activations(body: str, expected: list[tuple[bool, bool]], tmp_path: Path) -> None:
    body = body.replace("return [y", "a, b, c = [y").replace(
        "range(3)]", "range(3)]\n    return a, b, c"
    )
    assert activations(tmp_path, body) == expected


UNIT_NET = """
block Unit(width)(x) {
    z = x -> conv: conv(width, 3) -> norm: bn
    return relu(z), z
}
net Net()(x: [4, 8, 8]) {
    a, first = concat(x, x) -> a: Unit(4)
    b, second = a -> b: Unit(4)
    return RESULT
}
"""
READ_ONCE = "({0} -> once: conv(2))"
READ_OFTEN = ", ".join(f"({{0}} -> often{i}: conv(2))" for i in range(4))


@pytest.mark.parametrize(
    ("readers", "kept"),
    [
        ((READ_OFTEN, READ_ONCE), [False, False]),
        ((READ_ONCE, READ_OFTEN), [False, False]),
        ((READ_OFTEN, READ_OFTEN.replace("often", "other")), []),
    ],
)
def test_activations_of_one_text_are_alike(
    readers: tuple[str, str], kept: list[bool], tmp_path: Path
) -> None:
    """They are of one class, which keeps an activation only where every one of them would."""
    result = f"{readers[0].format('a')}, {readers[1].format('b')}"
    graph = graph_of(tmp_path, UNIT_NET.replace("RESULT", result))
    assert [each.kept for each in graph.sharing.activations] == kept


@pytest.mark.parametrize("norm", ["first", "second"])
def test_no_activation_is_rebuilt_where_one_of_its_text_is_not(norm: str, tmp_path: Path) -> None:
    """What lies between norm and activation is read once more."""
    graph = graph_of(tmp_path, UNIT_NET.replace("RESULT", f"b -> last: conv(2), {norm}"))
    assert graph.sharing.concats
    assert not graph.sharing.activations


def test_nothing_is_attached_where_nothing_is_concatenated(tmp_path: Path) -> None:
    text = "net Net()(x: [4, 8, 8]) { return x -> a: conv(4) -> norm: bn -> relu -> b: conv(2) }"
    assert not found(tmp_path, text)


# ------------------------------------------------------------------------- swaps


def swaps(folder: Path, body: str, size: str = "8, 8") -> list[tuple[str, str]]:
    text = f"net Net()(x: [4, {size}]) {{\n    z = concat(x, x)\n    {body}\n}}\n"
    graph = graph_of(folder, text)
    return [(graph.node(a).op.name, graph.node(b).op.name) for a, b in graph.sharing.swaps]


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ("return z -> c: conv(2) -> avg_pool(2)", "8, 8"),
        ("return z -> c: conv(2) -> pool: avg_pool(2)", "8, 8"),
        ("return z -> c: conv(2, bias=true) -> avg_pool(3, 2)", "9, 9"),
        ("return z -> c: conv(2, groups=2) -> avg_pool(2)", "8, 8"),
        ("return z -> c: conv(2) -> avg_pool(2)", "8"),
        ("return z -> c: conv(2) -> avg_pool(2)", "4, 4, 4"),
    ],
)
def test_a_pool_runs_before_a_pointwise_convolution(body: str, size: str, tmp_path: Path) -> None:
    assert swaps(tmp_path, body, size) == [("conv", "avg_pool")]


@pytest.mark.parametrize(
    "body",
    [
        "return z -> c: conv(2, 3) -> avg_pool(2)",
        "return z -> c: conv(2, stride=2) -> avg_pool(2)",
        "return z -> c: conv(2, padding=1) -> avg_pool(2)",
        "return z -> c: conv(2) -> avg_pool(3, 2, padding=1)",
        "return z -> c: conv(2, bias=true) -> avg_pool(3, 2, padding=1)",
        "return z -> c: conv(2) -> avg_pool(3, 1, padding=1)",
        "return z -> c: conv(2) -> avg_pool(1)",
        "return z -> c: conv(2) -> max_pool(2)",
        "y = z -> c: conv(2)\n    return y, y -> avg_pool(2)",
        "y = z -> c: conv(2)\n    return (y -> avg_pool(2)), (y -> max_pool(2))",
        "return z -> c: conv(2) -> relu -> avg_pool(2)",
        "return z -> c: conv_transpose(2, 1) -> avg_pool(2)",
    ],
)
def test_where_pool_and_convolution_stay(body: str, tmp_path: Path) -> None:
    assert swaps(tmp_path, body) == []


def test_a_labelled_pool_runs_first_where_nothing_is_built_again(tmp_path: Path) -> None:
    net = NET.replace(
        "Block(3)", "Block(3) -> norm: bn -> act: gelu -> c: conv(2) -> p: avg_pool(2)"
    )
    path = tmp_path / "net.arch"
    path.write_text(LAYER + BLOCK + net)
    made = emitted.emit(path)
    assert made.graph.sharing.swaps
    assert not made.graph.sharing.rebuilds
    assert made.build()(torch.zeros(2, 3, 8, 8)).shape == (2, 5)


def test_a_pool_in_another_region_stays(tmp_path: Path) -> None:
    text = """
block Conv(width)(x) { return x -> conv: conv(width) }
net Net()(x: [4, 8, 8]) { return concat(x, x) -> a: Conv(2) -> avg_pool(2) }
"""
    assert found(tmp_path, text).swaps == ()


# -------------------------------------------------------------------------- rows

UNIT = "block Unit(width)(x) { return relu(x + (x -> conv: conv(width, 3) -> norm: bn)) }\n"


def rows(folder: Path, body: str, blocks: str = UNIT) -> list[str]:
    text = f"{blocks}net Net()(x: [4, 8, 8]) {{\n    {body}\n}}\n"
    graph = graph_of(folder, text, recompute=True)
    return [".".join(graph.regions[id].path) for id in graph.sharing.rows]


def test_blocks_in_a_row_are_run_again(tmp_path: Path) -> None:
    body = 'for i in range(3) { x = x -> "unit{i}": Unit(4) }\n    return x -> last: conv(2)'
    assert rows(tmp_path, body) == ["unit0", "unit1", "unit2"]


@pytest.mark.parametrize(
    "body",
    [
        "return x -> unit: Unit(4) -> last: conv(2)",
        "return x -> unit0: Unit(4) -> between: conv(4) -> unit1: Unit(4)",
        "unit = Unit(4)\n    return x -> unit -> unit -> unit",
    ],
)
def test_what_is_no_row(body: str, tmp_path: Path) -> None:
    assert rows(tmp_path, body) == []


def test_only_the_outermost_blocks_are_run_again(tmp_path: Path) -> None:
    blocks = UNIT + "block Stage()(x) { return x -> a: Unit(4) -> b: Unit(4) }\n"
    body = "return x -> one: Stage -> two: Stage -> last: conv(2)"
    assert rows(tmp_path, body, blocks) == ["one", "two"]


def test_blocks_that_apply_a_layer_of_another_place_are_no_row(tmp_path: Path) -> None:
    blocks = "block Unit(layer)(x) { return relu(x + (x -> layer -> norm: bn)) }\n"
    body = "layer = conv(4, 3)\n    return x -> a: Unit(layer) -> b: Unit(layer)"
    assert rows(tmp_path, body, blocks) == []


def test_blocks_with_extern_layers_are_no_row(tmp_path: Path) -> None:
    """A second call of what archc does not know might do more than give the result again."""
    blocks = """extern layer Thing(): [C, H, W] -> [C, H, W] from "torch.nn:Identity"()
block Unit()(x) { return x + (x -> conv: conv(4, 3) -> thing: Thing) }
"""
    assert rows(tmp_path, "return x -> a: Unit -> b: Unit", blocks) == []


def test_all_rows_are_emitted(tmp_path: Path) -> None:
    """With numbers and without, in a list, beside others."""
    text = (
        UNIT
        + """
net Net()(x: [4, 8, 8]) {
    x = x -> one: Unit(4) -> two: Unit(4) -> between: conv(4)
    units = [Unit(4) for i in range(3)]
    y = x -> units[0] -> units[1] -> apart: conv(4) -> units[2] -> more: conv(4)
    for i in range(4) { y = y -> "unit{i}": Unit(4) }
    return y
}
"""
    )
    path = tmp_path / "net.arch"
    path.write_text(text)
    net = emitted.emit(path, passes=(ShareMemory(recompute=True),))
    (model,) = re.findall(r"with Rebuilding.*?\n\n", "\n".join(net.model_lines) + "\n\n", re.DOTALL)
    assert len(net.graph.sharing.rows) == 8
    assert model.count("rerun(") == 5
    assert re.findall(r"[^\[]self\.(one|two|units\[\d\])\(", model) == ["units[2]"]


def test_rows_are_found_only_where_they_are_asked_for(tmp_path: Path) -> None:
    text = f"{UNIT}net Net()(x: [4, 8, 8]) {{ return x -> a: Unit(4) -> b: Unit(4) }}\n"
    assert not found(tmp_path, text)


def test_the_pass_changes_no_node(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(BOTTLENECK + BLOCK + NET)
    plain = compile_spec(Request(str(path), passes=())).graph
    before = dump(plain)
    shared = ShareMemory().run(plain)
    assert dump(shared) == dump(plain) == before
    assert shared.sharing
    assert not plain.sharing


# ------------------------------------------------------------------ what does not pay

HEAD = """
net Head(classes=10)(image: [3, 32, 32]) {
    x = image -> conv1: conv(32, 3) -> bn1: bn -> relu
    x = x -> conv2: conv(64, 3) -> relu -> conv3: conv(64, 3) -> relu
    return concat(x -> global_avg_pool, x -> global_max_pool) -> fc: linear(classes)
}
"""


def test_a_net_that_would_keep_nearly_as_much_is_left_alone(tmp_path: Path) -> None:
    spec = tmp_path / "head.arch"
    spec.write_text(HEAD)
    net = emitted.emit(spec)
    assert not net.graph.sharing
    assert net.graph.sharing.declined.startswith("share-memory leaves the net as it is: ")
    assert emitted.RUNTIME_HEADING not in net.source
    assert "set_memory" not in net.source
    text = run("plan", str(spec)).stdout
    assert net.graph.sharing.declined in text
    assert json.loads(run("plan", str(spec), "--json").stdout)["declined"] in text


def test_shipped_nets_that_share_memory_save_more_than_a_fifth() -> None:
    """By the estimate of the pass, which is near to what is measured of DenseNets."""
    shares = {"densenet_cifar": 0.16, "densenet": 0.22, "msdnet": 0.35, "hardnet": 0.31}
    for spec, share in shares.items():
        graph = emitted.emit(spec).graph
        members, edges = _members(graph), boundaries(graph)
        shared, plain = (
            kept_bytes(graph, each, members, edges) for each in (graph.sharing, Sharing())
        )
        assert 0.9 * share < shared / plain <= share
