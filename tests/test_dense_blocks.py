"""share-memory: which regions it finds to be dense blocks, by structure, and which not."""

from pathlib import Path

import pytest
from dense_specs import BLOCK, BOTTLENECK, LAYER, NET, found, graph_of, label

from archc.ir.graph import Graph
from archc.ir.sharing import DenseBlock


def the_block(folder: Path, text: str) -> tuple[Graph, DenseBlock]:
    """The only dense block of a net."""
    graph = graph_of(folder, text)
    (block,) = graph.sharing.blocks
    return graph, block


def test_basic_layers(tmp_path: Path) -> None:
    graph, block = the_block(tmp_path, LAYER + BLOCK + NET)
    assert graph.regions[block.region].path == ("block",)
    assert label(graph, block.input) == "stem"
    for i, layer in enumerate(block.layers):
        assert [label(graph, id) for id in layer.norms] == [f"block.layer{i}.norm"]
        assert [label(graph, id) for id in layer.convs] == [f"block.layer{i}.conv"]
        assert layer.dropouts == (None,)
    assert block.concats == tuple(node.id for node in graph.nodes() if node.op.name == "concat")
    assert block.nodes == {node.id for node in graph.nodes() if node.region != min(graph.regions)}


def test_bottleneck_layers(tmp_path: Path) -> None:
    graph, block = the_block(tmp_path, BOTTLENECK + BLOCK + NET)
    layer = block.layers[2]
    assert [label(graph, id) for id in layer.norms] == [
        "block.layer2.norm1",
        "block.layer2.norm2",
    ]
    assert [label(graph, id) for id in layer.convs] == [
        "block.layer2.conv1",
        "block.layer2.conv2",
    ]
    assert len(layer.activations) == 2


FOUND = {
    "dropout after the convolution": (LAYER.replace("3)\n", "3) -> dropout(0.2)\n"), BLOCK),
    "dropout after the first of two": (
        BOTTLENECK.replace("-> norm2", "-> dropout(0.2) -> norm2"),
        BLOCK,
    ),
    "widths that differ": (LAYER, BLOCK.replace("Layer(4)", "Layer(2 + i % 2)")),
    "a list that is joined": (
        LAYER.replace("return concat(x, y)", "return y"),
        """
block Block(layers)(x) {
    xs = [x]
    for i in range(layers) { xs += [concat(xs) -> "layer{i}": Layer(4)] }
    return concat(xs)
}
""",
    ),
    "input and a list": (
        LAYER.replace("return concat(x, y)", "return y"),
        """
block Block(layers)(x) {
    ys = []
    for i in range(layers) { ys += [concat([x] + ys) -> "layer{i}": Layer(4)] }
    return concat([x] + ys)
}
""",
    ),
    "no blocks for the layers": (
        "",
        """
block Block(layers)(x) {
    for i in range(layers) {
        x = concat(x, x -> "norm{i}": bn -> relu -> "conv{i}": conv(3, 3))
    }
    return x
}
""",
    ),
    "a layer that is a block in a block": (
        LAYER + "block Outer(growth)(x) { return x -> inner: Layer(growth) }\n",
        BLOCK.replace("Layer(4)", "Outer(4)"),
    ),
    "norms of every kind": (
        LAYER.replace(": bn", ": bn(affine=false, eps=0.001, momentum=0.3)"),
        BLOCK,
    ),
    "groups, bias and dilation": (
        LAYER.replace("growth, 3)", "growth, 3, groups=2, dilation=2, bias=true)"),
        BLOCK,
    ),
    "a labelled activation": (LAYER.replace("relu", "act: relu"), BLOCK),
}


@pytest.mark.parametrize("name", FOUND)
def test_dense_blocks_of_other_forms(name: str, tmp_path: Path) -> None:
    _, block = the_block(tmp_path, "".join(FOUND[name]) + NET)
    assert len(block.layers) == 3
    rates = {rate for layer in block.layers for rate in layer.dropouts}
    assert (rates != {None}) == ("dropout" in name)


LONE = LAYER.replace("return concat(x, y)", "return y")
NOT_FOUND = {
    "another activation": (LAYER.replace("relu", "relu6"), BLOCK),
    "no activation": (LAYER.replace("-> relu", ""), BLOCK),
    "another norm": (LAYER.replace(": bn", ": instance_norm(affine=true)"), BLOCK),
    "the convolution first": (LAYER.replace("norm: bn -> relu ->", ""), BLOCK),
    "labelled dropout": (LAYER.replace("3)\n", "3) -> drop: dropout(0.2)\n"), BLOCK),
    "three stages": (
        BOTTLENECK.replace(
            "conv(growth, 3)", "conv(8) -> norm3: bn -> relu -> conv3: conv(growth)"
        ),
        BLOCK,
    ),
    "sizes that shrink and grow": (
        BOTTLENECK.replace("conv(4 * growth)", "conv(4 * growth, 3, padding=0)").replace(
            "growth, 3)", "growth, 3, padding=2)"
        ),
        BLOCK,
    ),
    "one layer": (LAYER, BLOCK.replace("range(layers)", "range(1)")),
    "features first": (LAYER.replace("concat(x, y)", "concat(y, x)"), BLOCK),
    "a part left out": (
        LONE,
        """
block Block(layers)(x) {
    ys = []
    for i in range(layers) { ys += [concat([x] + ys) -> "layer{i}": Layer(4)] }
    return concat(ys)
}
""",
    ),
    "not all features read": (
        LONE,
        """
block Block(layers)(x) {
    xs = [x]
    for i in range(layers) { xs += [xs[-1] -> "layer{i}": Layer(4)] }
    return concat(xs)
}
""",
    ),
    "one layer for all": (
        """
block Layer(growth)(x) { return concat(x, x -> norm: bn -> relu -> conv: conv(growth, 3)) }
""",
        """
block Block(layers)(x) {
    layer = [Layer(6) for i in range(1)]
    y = x -> first: Layer(6) -> take(6) -> layer[0]
    z = y -> take(6) -> layer[0]
    return concat(y, z)
}
""",
    ),
    "a sum of features": (LAYER.replace("concat(x, y)", "concat(x, y + y)"), BLOCK),
    "an operator more": (LAYER, BLOCK.replace("return x", "return x -> relu")),
    "a feature read twice": (
        LONE,
        """
block Block(layers)(x) {
    a = x -> layer0: Layer(4)
    b = concat(x, a) -> layer1: Layer(4)
    return concat(x, a, b, a)
}
""",
    ),
    "features joined apart": (
        LONE,
        """
block Block(layers)(x) {
    a = x -> layer0: Layer(4)
    b = concat(x, a) -> layer1: Layer(4)
    return concat(x, concat(a, b))
}
""",
    ),
    "a bottleneck read twice": (
        BOTTLENECK.replace("-> norm2", "-> tap: identity\n    z = y -> norm2").replace(
            "(x, y)", "(x, z + (y -> more: conv(growth)))"
        ),
        BLOCK,
    ),
    "an exit inside": (
        LAYER.replace("return", "exit y -> global_avg_pool -> head: linear(5)\n    return"),
        BLOCK,
    ),
    "two inputs": (
        LAYER,
        """
block Two(layers)(x, z) {
    x = x -> first: Layer(4) -> second: Layer(4)
    return concat(x, z)
}
block Block(layers)(x) { return (x, x) -> two: Two(layers) -> last: conv(4) }
""",
    ),
}


@pytest.mark.parametrize("name", NOT_FOUND)
def test_what_is_no_dense_block(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, "".join(NOT_FOUND[name]) + NET).blocks == ()


def test_layers_that_share_a_norm_are_no_dense_block(tmp_path: Path) -> None:
    """Its running statistics move with each of them."""
    text = """
block Block(layers)(x) {
    second = bn()
    for i in range(layers) {
        y = x -> "norm{i}": bn -> relu -> "reduce{i}": conv(8) -> second -> relu
        x = concat(x, y -> "extract{i}": conv(4, 3))
    }
    return x
}
"""
    assert found(tmp_path, text + NET).blocks == ()
    own = text.replace("    second = bn()\n", "").replace("second", '"second{i}": bn')
    assert found(tmp_path, own + NET).blocks


@pytest.mark.parametrize("given", ["norm1", "conv1"])
def test_layers_that_apply_what_is_made_elsewhere_are_no_dense_block(
    given: str, tmp_path: Path
) -> None:
    stages = {"norm1": "bn()", "conv1": "conv(4, 3)"}
    layer = " -> relu -> ".join(n if n == given else f"{n}: {stages[n]}" for n in stages)
    made = f"{given} = {stages[given]}"
    block = f"""scope block {{
        x = concat(image, image -> norm0: bn -> relu -> conv0: conv(4, 3))
        x = concat(x, x -> {layer})
    }}
    return x
"""
    head = "net Net()(image: [4, 8, 8]) {\n"
    assert found(tmp_path, f"{head}    {made}\n    {block}}}\n").blocks == ()
    inside = block.replace("{\n", f"{{\n        {made}\n", 1)
    assert found(tmp_path, f"{head}    {inside}}}\n").blocks


def test_strided_convolutions_are_no_dense_layers(tmp_path: Path) -> None:
    """On images of one pixel their results are as large as their inputs."""
    text = LAYER.replace("growth, 3)", "growth, 3, stride=2)") + BLOCK + NET
    assert found(tmp_path, text.replace("8, 8]", "1, 1]")).blocks == ()


def test_a_block_that_is_applied_twice_is_found_in_both(tmp_path: Path) -> None:
    net = """
net Net()(image: [3, 8, 8]) {
    block = Block(3)
    one = image -> block
    two = image -> other: conv(3, 3) -> block
    return concat(one, two) -> head: conv(2)
}
"""
    sharing = found(tmp_path, LAYER + BLOCK + net)
    assert len(sharing.blocks) == 2
    assert sharing.blocks[0].input != sharing.blocks[1].input


def test_one_layer_is_a_dense_block_beside_longer_ones_of_its_name(tmp_path: Path) -> None:
    alone = NET.replace("Block(3)", "Block(1)")
    assert found(tmp_path, LAYER + BLOCK + alone).blocks == ()
    longer = alone.replace("\n    return", " -> longer: Block(3)\n    return")
    assert [len(b.layers) for b in found(tmp_path, LAYER + BLOCK + longer).blocks] == [1, 3]


def test_a_block_is_found_in_a_block(tmp_path: Path) -> None:
    """The region that is one as a whole; what is around it is plain."""
    around = """
block Stage(layers)(x) { return x -> block: Block(layers) -> norm: bn -> relu -> conv: conv(8) }
"""
    net = NET.replace("block: Block(3)", "stage: Stage(3)")
    graph, block = the_block(tmp_path, LAYER + BLOCK + around + net)
    assert graph.regions[block.region].path == ("stage", "block")
    (after,) = graph.sharing.closings
    assert label(graph, after.norm) == "stage.norm"


def test_nothing_of_a_dense_block_is_found_twice(tmp_path: Path) -> None:
    sharing = found(tmp_path, BOTTLENECK + BLOCK + NET, recompute=True)
    assert sharing.blocks
    assert not sharing.concats
    assert not sharing.activations
    assert not sharing.rows
