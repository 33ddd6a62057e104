"""share-memory: which norms close dense blocks, and how emitted code writes them."""

from collections.abc import Iterator
from pathlib import Path

import emitted
import pytest
import torch
from dense_specs import BLOCK, LAYER, graph_of, label

from archc.ir.graph import Graph
from archc.passes.pipeline import DEFAULT

HEAD = "-> global_avg_pool -> classifier: linear(5)"


def net(closing: str, size: str = "8, 8") -> str:
    return f"""
net Net()(image: [3, {size}]) {{
    x = image -> stem: conv(6, 3) -> block: Block(3)
    {closing}
}}
"""


def closed(graph: Graph) -> list[tuple[str, str, str]]:
    """Of each closing the norm, the pool, and the operator in whose place it stands."""
    return [
        (
            label(graph, each.norm),
            "" if each.pool is None else label(graph, each.pool),
            graph.node(each.last).op.name,
        )
        for each in graph.sharing.closings
    ]


FOUND = {
    "the last norm": (f"return x -> norm: bn -> relu {HEAD}", ("norm", "", "relu")),
    "a transition": (
        f"return x -> norm: bn -> relu -> conv: conv(4) -> pool: avg_pool(2) {HEAD}",
        ("norm", "pool", "conv"),
    ),
    "a max pool": (
        f"return x -> norm: bn -> relu -> pool: max_pool(3, stride=2, padding=1) {HEAD}",
        ("norm", "pool", "max_pool"),
    ),
    "a pool that something else reads, too": (
        "y = x -> norm: bn -> relu\n    return concat(y, y -> pool: avg_pool(3, stride=1, "
        f"padding=1)) {HEAD}",
        ("norm", "", "relu"),
    ),
    "a convolution that does not commute": (
        f"return x -> norm: bn -> relu -> conv: conv(4, 3) -> pool: avg_pool(2) {HEAD}",
        ("norm", "", "relu"),
    ),
}


@pytest.mark.parametrize("body", FOUND)
def test_what_closes_a_block(tmp_path: Path, body: str) -> None:
    closing, expected = FOUND[body]
    graph = graph_of(tmp_path, LAYER + BLOCK + net(closing))
    assert closed(graph) == [expected]
    assert graph.sharing.activations == ()


@pytest.mark.parametrize(
    "closing",
    [
        f"return x -> norm: bn -> silu {HEAD}",
        f"y = x -> norm: bn\n    return add(y, y -> relu) {HEAD}",
        f"return x -> relu -> norm: bn {HEAD}",
        f"return x -> conv: conv(4) -> norm: bn -> relu {HEAD}",
        f"return x -> group_norm(2) -> relu {HEAD}",
    ],
)
def test_what_does_not(tmp_path: Path, closing: str) -> None:
    graph = graph_of(tmp_path, LAYER + BLOCK + net(closing))
    assert len(graph.sharing.blocks) == 1
    assert closed(graph) == []


def test_a_pool_over_one_axis_stays_apart(tmp_path: Path) -> None:
    body = net(f"return x -> norm: bn -> relu -> pool: max_pool(2) {HEAD}", size="8")
    assert closed(graph_of(tmp_path, LAYER + BLOCK + body)) == [("norm", "", "relu")]


TRANSITION = """
block Closing(out)(x) { return x -> norm: bn -> relu -> conv: conv(out) -> pool: avg_pool(2) }
"""


def test_a_block_that_closes_something_else_once_is_plain(tmp_path: Path) -> None:
    """It is one class, and its `forward` is written once."""
    text = f"""
net Net()(image: [3, 8, 8]) {{
    x = image -> stem: conv(6, 3) -> block: Block(3) -> first: Closing(4) -> second: Closing(4)
    return x {HEAD}
}}
"""
    graph = graph_of(tmp_path, LAYER + BLOCK + TRANSITION + text)
    assert closed(graph) == []
    assert [label(graph, each.norm) for each in graph.sharing.activations] == [
        "first.norm",
        "second.norm",
    ]


def test_emitted_code_writes_it_as_one(tmp_path: Path) -> None:
    spec = tmp_path / "net.arch"
    spec.write_text(LAYER + BLOCK + TRANSITION + net(f"return x -> close: Closing(4) {HEAD}"))
    made = emitted.emit(spec, passes=DEFAULT)
    assert "        return self.conv(norm_relu(x, self.norm, pool=self.pool))\n" in made.source
    plain, ours = (emitted.emit(spec, passes=passes).build().double() for passes in ((), DEFAULT))
    ours.load_state_dict(plain.state_dict())
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    assert "NormRelu" in " ".join(functions(ours(x)))
    assert "NormRelu" not in " ".join(functions(plain(x)))
    torch.testing.assert_close(ours(x), plain(x), rtol=0, atol=1e-12)


def functions(result: torch.Tensor) -> Iterator[str]:
    """The names of all functions that gave a result."""
    waiting = [result.grad_fn]
    while waiting:
        function = waiting.pop()
        if function is not None:
            yield function.name()
            waiting += [each for each, _ in function.next_functions]
