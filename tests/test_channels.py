"""Which channels stay, operator by operator, where norms drop some."""

import pytest

from archc.channels.analysis import Channels, analyse
from archc.channels.masks import members, read, written
from archc.ir.graph import Graph, Node
from archc.passes.slim import thin
from archc.testing.check import graph_of


def graph(*lines: str, image: str = "[4, 8, 8]") -> Graph:
    body = "\n".join(f"    {line}" for line in lines)
    return graph_of(f"net Small()(image: {image}) {{\n{body}\n}}\n")


def analysed(net: Graph, shifted: bool = False, **dropped: int) -> Channels:
    return analyse(net, {(name,): mask for name, mask in dropped.items()}, shifted=shifted)


def node(net: Graph, name: str) -> Node:
    """The layer of a label, or the first application of an operator."""
    return next(n for n in net.nodes() if n.layer.path == (name,) or n.op.name == name)


def kept(channels: Channels, name: str) -> list[int]:
    return members(channels.kept[node(channels.graph, name).id])


PADS = "`b` pads with zeros, so that a constant counts less at the border"
ABSORBS = "`b` has no bias, and no norm behind it alone, to absorb a constant"
HEAD = "return x -> global_avg_pool -> fc: linear(3)"


def test_a_channel_leaves_the_layer_before_its_norm_and_those_behind() -> None:
    net = graph("x = image -> a: conv(4, 3) -> n: bn -> relu -> b: conv(4, 3)", HEAD)
    channels = analysed(net, n=0b0101)
    assert kept(channels, "a") == kept(channels, "n") == kept(channels, "relu") == [1, 3]
    assert kept(channels, "b") == [0, 1, 2, 3]
    weights = {n.layer.path: w[0].shape for n, w in thin(channels).weights()}
    assert weights["a",] == (2, 4, 3, 3)
    assert weights["b",] == (4, 2, 3, 3)


def test_each_reader_drops_channels_of_its_own_and_what_none_reads_goes() -> None:
    net = graph(
        "a = image -> a: conv(4, 3)",
        "x = concat(a -> n: bn -> relu -> b: conv(2, 1), a -> m: bn -> relu -> c: conv(2, 1))",
        HEAD,
    )
    channels = analysed(net, n=0b0011, m=0b0110)
    assert kept(channels, "a") == [0, 2, 3]  # channel 1 is read by neither
    assert kept(channels, "n") == [2, 3]
    assert kept(channels, "m") == [0, 3]
    names = [n.op.name for n in thin(channels).nodes()]
    assert names.count("select_channels") == 2


def test_concat_joins_what_its_operands_have_left() -> None:
    net = graph(
        "a = image -> a: conv(4, 3) -> n: bn -> relu",
        "x = concat(a, image, a) -> b: conv(2, 3)",
        HEAD,
    )
    channels = analysed(net, n=0b1110)
    assert kept(channels, "concat") == [0, 4, 5, 6, 7, 8]
    weights = {n.layer.path: w[0].shape for n, w in thin(channels).weights()}
    assert weights["b",] == (2, 6, 3, 3)


def test_a_sum_goes_on_where_one_of_its_operands_is_zero() -> None:
    lines = (
        "a = image -> a: conv(4, 3) -> n: bn",
        "b = image -> b: conv(4, 3) -> m: bn",
        "x = (a + b) -> relu",
    )
    channels = analysed(graph(*lines, HEAD), n=0b0110, m=0b0010)
    assert kept(channels, "a") == [0, 3]
    assert kept(channels, "b") == [0, 2, 3]
    assert kept(channels, "add") == [0, 2, 3]
    assert "place_channels" in [n.op.name for n in thin(channels).nodes()]
    gone = analysed(graph(*lines, HEAD), n=0b1111, m=0)
    assert [n.op.name for n in thin(gone).nodes()] == [
        "input", "conv", "bn", "relu", "global_avg_pool", "linear",
    ]  # fmt: skip


def test_a_gate_s_channel_goes_with_the_one_that_it_multiplies() -> None:
    net = graph(
        "a = image -> a: conv(4, 3) -> n: bn -> relu",
        "gate = a -> global_avg_pool(keep=true) -> s: conv(2, 1, bias=true) -> relu",
        "       -> e: conv(4, 1, bias=true) -> sigmoid",
        "x = a * gate",
        HEAD,
    )
    channels = analysed(net, n=0b0101)
    assert kept(channels, "mul") == kept(channels, "e") == kept(channels, "a") == [1, 3]
    assert kept(channels, "s") == [0, 1]


def test_groups_stay_equally_wide() -> None:
    net = graph(
        "x = image -> a: conv(8, 1) -> n: bn -> relu -> g: conv(8, 3, groups=2) -> m: bn", HEAD
    )
    channels = analysed(net, n=0b0111_0001, m=0b0000_0011)
    assert kept(channels, "a") == [1, 2, 3, 4, 5, 7]  # three of each group; two of them are zero
    assert kept(channels, "g") == [0, 1, 2, 3, 4, 5, 6, 7]  # the second group gives all of its four
    n = node(net, "n")
    assert channels.why(n, 4) == "`g` reads equally many channels in each of its groups"
    gone = analysed(net, n=0b0000_1111, m=0b0000_1111)
    assert kept(gone, "g") == [4, 5, 6, 7]
    assert kept(gone, "a") == [4, 5, 6, 7]


def test_a_depthwise_channel_goes_as_a_group_of_its_own() -> None:
    net = graph(
        "x = image -> a: conv(4, 1) -> n: bn -> relu6 -> d: conv(4, 3, group_size=1) -> m: bn",
        HEAD,
    )
    assert kept(analysed(net, m=0b0101), "a") == [1, 3]
    both = analysed(net, n=0b0001, m=0)  # m shifts what d gives of zeros
    assert kept(both, "a") == [0, 1, 2, 3]


def test_take_and_pad_and_flatten_follow_their_channels() -> None:
    net = graph(
        "a = image -> a: conv(6, 3) -> n: bn -> relu",
        "x = concat(a -> take(3), a -> take(3, start=3) -> pad(channels=2, before=1))",
        "return x -> flatten -> fc: linear(3)",
    )
    channels = analysed(net, n=0b100110)
    assert kept(channels, "a") == [0, 3, 4]
    thinned = thin(channels)
    assert [n.op for n in thinned.nodes() if n.op.name == "take"][1].start == 1  # type: ignore[attr-defined]
    assert node(thinned, "flatten").type.shape == (3 * 64,)


def test_reshape_moves_blocks() -> None:
    net = graph("x = image -> a: conv(4, 3) -> n: bn -> reshape([2, 8, 16]) -> b: conv(3, 3)", HEAD)
    assert kept(analysed(net, n=0b0011), "a") == [2, 3]
    assert kept(analysed(net, n=0b0110), "a") == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("act", "there"),
    [
        ("relu", [0, 2, 3]),
        ("silu", [0, 2, 3]),
        ("sigmoid", [0, 1, 2, 3]),
        ("hard_sigmoid", [0, 1, 2, 3]),
    ],
)
def test_the_value_at_zero_decides(act: str, there: list[int]) -> None:
    padded = graph(f"x = image -> a: conv(4, 3) -> n: bn -> {act} -> b: conv(4, 3)", HEAD)
    channels = analysed(padded, n=0b0010)
    assert kept(channels, "a") == there
    plain = graph(f"x = image -> a: conv(4, 3) -> n: bn -> {act} -> b: conv(4, 1, bias=true)", HEAD)
    assert kept(analysed(plain, n=0b0010), "a") == [0, 2, 3]


@pytest.mark.parametrize(
    ("behind", "there", "why"),
    [
        ("relu -> b: conv(4, 1, bias=true)", 3, None),
        ("relu -> b: conv(4, 1) -> m: bn", 3, None),
        ("relu -> b: conv(4, 3, padding=0, bias=true)", 3, None),
        ("max_pool(2) -> avg_pool(2) -> b: conv(4, 1, bias=true)", 3, None),
        ("relu -> b: conv(4, 1)", 4, ABSORBS),
        ("relu -> b: conv(4, 3, bias=true)", 4, PADS),
        ("dropout(0.5) -> b: conv(4, 1, bias=true)", 4, None),
        ("pad(spatial=1) -> b: conv(4, 1, bias=true)", 4, None),
        ("avg_pool(3, stride=1, padding=1) -> b: conv(4, 1, bias=true)", 4, None),
    ],
)  # fmt: skip
def test_a_shift_is_absorbed_where_it_is_the_same_everywhere(
    behind: str, there: int, why: str | None
) -> None:
    net = graph(f"x = image -> a: conv(4, 3) -> n: bn -> {behind}", HEAD)
    channels = analysed(net, shifted=True, n=0b0010)
    assert len(kept(channels, "a")) == there
    if why is not None:
        assert channels.why(node(net, "n"), 1) == why


def test_what_is_applied_several_times_and_what_is_given_stays() -> None:
    net = graph(
        "head = conv(3, 1)",
        "x = image -> a: conv(4, 3) -> n: bn",
        "exit x -> head",
        "return x -> b: conv(4, 3) -> m: bn -> head -> global_avg_pool",
    )
    channels = analysed(net, n=0b0001, m=0b0010)
    assert kept(channels, "n") == kept(channels, "m") == [0, 1, 2, 3]
    assert channels.why(node(net, "n"), 0) == "`head` is applied several times"
    given = graph("return image -> a: conv(4, 3) -> n: bn")
    assert kept(analysed(given, n=0b0001), "n") == [0, 1, 2, 3]
    assert analysed(given, n=1).why(node(given, "n"), 0) == "it is an output of the net"


def test_layers_without_weights_may_be_applied_several_times() -> None:
    net = graph(
        "act = relu",
        "x = image -> a: conv(4, 3) -> n: bn -> act -> b: conv(4, 3) -> m: bn -> act",
        HEAD,
    )
    channels = analysed(net, n=0b0001, m=0b0110)
    assert kept(channels, "a") == [1, 2, 3]
    assert kept(channels, "b") == [0, 3]


def test_sets_of_channels_are_written_in_runs() -> None:
    assert written(0b1011_0111) == "0-2,4-5,7"
    assert written(0) == ""
    assert read("0-2, 4-5,7") == 0b1011_0111
    assert read("") == 0
    with pytest.raises(ValueError, match="no run"):
        read("3-1")
