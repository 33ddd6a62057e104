"""The pipeline and its passes, on graphs built by hand."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path as Path_
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc.compiler import Request, compile_spec
from archc.diagnostics import ArchError, Source, Span
from archc.ir.dump import dump
from archc.ir.graph import Graph, Input, Layer, NetInfo, Node, Output, Path, Region
from archc.ir.verify import VerifyError, verify
from archc.ops.activation import Identity, Relu, Sigmoid
from archc.ops.arithmetic import Add, Affine
from archc.ops.border import Crop, Pad
from archc.ops.convolution import Conv
from archc.ops.op import Op, TensorType
from archc.ops.pooling import AvgPool, GlobalAvgPool, MaxPool
from archc.ops.regularization import DropBlock, Dropout, DropPath, MaxDropout
from archc.ops.resize import Upsample
from archc.ops.tensor import Concat, Flatten, Take
from archc.passes.base import Pass
from archc.passes.parse import parse_passes
from archc.passes.pipeline import DEFAULT, PASSES, run_pipeline
from archc.passes.simplify import Simplify
from archc.testing import check_pass, graphs

SPAN = Span(Source("net.arch", "net Hand()"), 0, 10)
IMAGE = TensorType((8, 16, 16))


class Hand:
    """A graph under construction: `op` applies an operator and gives the node's id."""

    def __init__(self, type_: TensorType = IMAGE) -> None:
        self.graph = Graph(NetInfo("Hand", (), (), SPAN))
        self.root = self.region((), None)
        self.x = self.op(Input(type_))

    def region(self, path: Path, parent: int | None) -> int:
        block = "B" if path else None
        region = Region(self.graph.new_id(), parent, path, block, 0, (), (), (), SPAN, SPAN)
        self.graph.add_region(region)
        return region.id

    def op(self, op: Op, *operands: int, path: Path | None = None, region: int = 0) -> int:
        types = [self.graph.node(operand).type for operand in operands]
        id = self.graph.new_id()
        node = Node(id, Layer(op, path, id, SPAN), op.infer(*types), region, "x", SPAN)
        self.graph.add_node(node, operands)
        return id

    def returning(self, *nodes: int) -> Graph:
        self.graph.outputs = tuple(Output(node, None, SPAN) for node in nodes)
        verify(self.graph)
        return self.graph


def operators(graph: Graph) -> list[str]:
    return [str(node.op) for node in graph.nodes() if not isinstance(node.op, Input)]


def simplified(graph: Graph) -> list[str]:
    return operators(run_pipeline(graph, [Simplify()]))


# ------------------------------------------------------------------ simplify

NOTHING = [
    Identity(),
    Dropout(0.0),
    DropBlock(0.0),
    MaxDropout(0.0),
    DropPath(survival=1.0),
    Concat(),
    Pad(),
    Pad(spatial=(0, 0)),
    Pad(mode="reflect"),
    Crop(),
    Crop(spatial=(0, 0)),
    Upsample(scale=1),
    Upsample(scale=(1, 1), mode="bilinear"),
    Take(8),
    Affine(),
    AvgPool(1, ceil_mode=True),
    AvgPool((1, 1), 1),
    MaxPool(1, (1, 1)),
]
SOMETHING = [
    Dropout(0.1),
    DropBlock(0.1),
    DropPath(),
    DropPath(survival=0.5),
    Pad(channels=1),
    Pad(before=1),
    Pad(spatial=(0, 1)),
    Pad(bottom=1),
    Crop(top=1),
    Crop(spatial=(0, 1)),
    Upsample(scale=2),
    Upsample(scale=(1, 2)),
    Take(7),
    Flatten(),
    Sigmoid(),
    Affine(2.0),
    Affine(1.0, 0.5),
    AvgPool(1, 2),
    MaxPool((1, 2), 1),
]


@pytest.mark.parametrize("op", NOTHING, ids=str)
def test_what_computes_nothing_goes(op: Op) -> None:
    hand = Hand()
    assert simplified(hand.returning(hand.op(Sigmoid(), hand.op(op, hand.x)))) == ["sigmoid"]


@pytest.mark.parametrize("op", SOMETHING, ids=str)
def test_what_computes_something_stays(op: Op) -> None:
    hand = Hand()
    assert simplified(hand.returning(hand.op(op, hand.x))) == [str(op)]


def test_flatten_of_a_vector_goes() -> None:
    hand = Hand()
    vector = hand.op(GlobalAvgPool(), hand.x)
    assert simplified(hand.returning(hand.op(Flatten(), vector))) == ["global_avg_pool"]


def test_a_chain_goes_in_one_run() -> None:
    hand = Hand()
    x = hand.op(Sigmoid(), hand.x)
    for op in NOTHING:
        x = hand.op(op, x)
    assert simplified(hand.returning(x)) == ["sigmoid"]


def test_relu_of_relu_goes_through_an_identity() -> None:
    hand = Hand()
    inner = hand.op(Relu(), hand.x)
    assert simplified(hand.returning(hand.op(Relu(), hand.op(Identity(), inner)))) == ["relu"]


def test_relu_of_another_regions_relu_stays() -> None:
    # Else the first of many equal blocks would differ from the others.
    hand = Hand()
    stem = hand.op(Relu(), hand.x)
    block = hand.region(("block1",), hand.root)
    assert simplified(hand.returning(hand.op(Relu(), stem, region=block))) == ["relu", "relu"]


def test_a_labelled_layer_stays() -> None:
    hand = Hand()
    assert simplified(hand.returning(hand.op(Identity(), hand.x, path=("skip",)))) == ["identity"]


def test_two_operands_that_become_one_stay_two() -> None:
    hand = Hand()
    graph = run_pipeline(
        hand.returning(hand.op(Concat(), hand.x, hand.op(Identity(), hand.x))), [Simplify()]
    )
    (node,) = [node for node in graph.nodes() if isinstance(node.op, Concat)]
    assert graph.operands(node.id) == (hand.x, hand.x)


def test_an_output_moves_to_the_operand() -> None:
    hand = Hand()
    graph = run_pipeline(hand.returning(hand.op(Identity(), hand.x)), [Simplify()])
    assert [output.node for output in graph.outputs] == [hand.x]


def test_dead_nodes_and_empty_regions_go() -> None:
    hand = Hand()
    dead = hand.region(("dead",), hand.root)
    hand.op(Sigmoid(), hand.op(Conv(4), hand.x, path=("dead", "conv"), region=dead), region=dead)
    empty = hand.region(("empty",), hand.root)
    kept = hand.op(Relu(), hand.op(Identity(), hand.x, region=empty))
    graph = run_pipeline(hand.returning(kept), [Simplify()])
    assert operators(graph) == ["relu"]
    assert list(graph.regions) == [hand.root]


def test_applications_of_one_module_stay_alike() -> None:
    # Applied to 8 channels `take(8)` computes nothing; applied to 16 it does.
    hand = Hand()
    wide = hand.op(Concat(), hand.x, hand.op(Sigmoid(), hand.x))
    for operand in (hand.x, wide):
        region = hand.region(("half",), hand.root)
        taken = hand.op(Take(8), hand.op(Identity(), operand, region=region), region=region)
        hand.graph.outputs += (Output(taken, None, SPAN),)
    verify(hand.graph)
    assert simplified(hand.graph) == ["sigmoid", "concat", "take(8)", "take(8)"]


_UNARY = [*NOTHING, Relu(), Sigmoid(), Dropout(0.5), Pad(spatial=1)]


@st.composite
def chains(draw: st.DrawFn) -> Graph:
    """Chains, sums and concatenations of what simplify knows and of some that it does not."""
    hand = Hand()
    regions = [hand.root, hand.region(("a",), hand.root), hand.region(("b",), hand.root)]
    nodes = [hand.x]
    for i in range(draw(st.integers(1, 12))):
        operand = draw(st.sampled_from(nodes))
        type_ = hand.graph.node(operand).type
        kind = draw(st.sampled_from(["unary", "unary", "add", "concat", "label"]))
        region = draw(st.sampled_from(regions))
        alike = [node for node in nodes if hand.graph.node(node).type == type_]
        if kind == "add":
            nodes.append(hand.op(Add(), operand, draw(st.sampled_from(alike)), region=region))
        elif kind == "concat":
            others = draw(st.lists(st.sampled_from(alike), max_size=2))
            nodes.append(hand.op(Concat(), operand, *others, region=region))
        elif kind == "label":
            path = (*hand.graph.regions[region].path, f"relu{i}")
            nodes.append(hand.op(Relu(), operand, path=path, region=region))
        else:
            nodes.append(hand.op(draw(st.sampled_from(_UNARY)), operand, region=region))
    return hand.returning(*draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=3)))


def test_simplify_keeps_what_every_pass_keeps(same_examples: None) -> None:
    check_pass(Simplify(), graphs("identity"), examples=15)


@given(chains())
def test_simplify_does_all_at_once_and_leaves_labelled_layers(graph: Graph) -> None:
    before = dump(graph)
    once = run_pipeline(graph, [Simplify()])
    assert dump(graph) == before, "the input was changed"
    assert dump(run_pipeline(once, [Simplify()])) == dump(once), "not idempotent"
    assert len(once) <= len(graph)
    live = {graph.node(id).layer.path for id in graph.live()} - {None}
    assert {node.layer.path for node in once.nodes()} - {None} == live, "a labelled layer went"
    assert [once.node(o.node).type for o in once.outputs] == [
        graph.node(o.node).type for o in graph.outputs
    ]


# ------------------------------------------------------------------ the pipeline


@dataclass(frozen=True)
class Slim(Pass):
    """Stands for a pass with options."""

    name: ClassVar[str] = "slim"

    ratio: float
    rule: str = "count"
    rounds: int = 1
    explain: bool = False

    def run(self, graph: Graph) -> Graph:
        return graph


@dataclass(frozen=True)
class Breaks(Pass):
    """Stores a wrong type."""

    name: ClassVar[str] = "breaks"

    def run(self, graph: Graph) -> Graph:
        result = graph.copy()
        *_, last = result.nodes()
        wrong = replace(last.type, shape=(1,))
        result.add_node(replace(last, type=wrong), result.operands(last.id))
        return result


def test_the_pass_that_broke_the_graph_is_named() -> None:
    hand = Hand()
    graph = hand.returning(hand.op(Relu(), hand.x))
    with pytest.raises(VerifyError, match=r"the pass `breaks` broke the graph: node .* \(relu\)"):
        run_pipeline(graph, [Simplify(), Breaks()])


def test_graphs_are_shown_before_and_after_each_pass() -> None:
    hand = Hand()
    graph = hand.returning(hand.op(Identity(), hand.x))
    shown: list[tuple[str, int]] = []
    run_pipeline(graph, DEFAULT, dump_after=lambda name, graph: shown.append((name, len(graph))))
    names = ["elaborate", *(step.name for step in DEFAULT)]
    assert shown == [(name, 2 if name == "elaborate" else 1) for name in names]


def test_the_default_pipeline_is_in_order() -> None:
    assert [type(step) for step in DEFAULT] == [cls for cls in PASSES if cls in map(type, DEFAULT)]


KNOWN = (Simplify, Slim)


def test_options_are_read_by_the_types_of_fields() -> None:
    text = ' simplify , slim{ratio=0.4, rule="paper", rounds=3,explain=true}'
    assert parse_passes(text, KNOWN) == (Simplify(), Slim(0.4, "paper", 3, explain=True))


def test_no_passes() -> None:
    assert parse_passes(" ", KNOWN) == ()


@pytest.mark.parametrize(
    "step", [Simplify(), Slim(1e-05), Slim(0.4, "a b", 2, explain=True)], ids=str
)
def test_a_pass_is_written_as_it_is_read(step: Pass) -> None:
    assert parse_passes(str(step), KNOWN) == (step,)


@pytest.mark.parametrize(
    ("text", "code", "column", "says"),
    [
        ("simplfy", "E0712", 1, "did you mean `simplify`?"),
        ("simplify,nothing", "E0712", 10, "passes are `simplify`, `slim`"),
        ("simplify,", "E0711", 10, "the name of a pass"),
        ("simplify simplify", "E0711", 10, "a comma between two passes"),
        ("slim{ratio=0.4", "E0711", 15, "a closing brace"),
        ("slim{", "E0711", 6, "an option or a closing brace"),
        ("slim{ratio:0.4}", "E0711", 11, "an equals sign"),
        ("slim{ratoi=0.4}", "E0713", 6, "did you mean `ratio`?"),
        ("simplify{x=1}", "E0713", 10, "it has none"),
        ("slim", "E0713", 1, "needs the option `ratio`"),
        ("slim{ratio=0.4,ratio=0.5}", "E0713", 16, "twice"),
        ("slim{ratio=high}", "E0714", 12, "must be a number, not `high`"),
        ("slim{ratio=nan}", "E0714", 12, "must be a number"),
        ("slim{ratio=0.4,rounds=1.5}", "E0714", 23, "must be a whole number"),
        ("slim{ratio=0.4,explain=yes}", "E0714", 24, "must be true or false"),
        ("slim{ratio=0.4},simplify", "E0715", 17, "`simplify` runs before `slim`"),
        ("simplify,simplify", "E0715", 10, "`simplify` runs once"),
    ],
)
def test_mistakes_in_passes(text: str, code: str, column: int, says: str) -> None:
    with pytest.raises(ArchError) as caught:
        parse_passes(text, KNOWN)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert diagnostic.labels[0].span.column == column
    assert says in str(caught.value)


@given(st.text(alphabet='simplfy{}=,"0.4 -eé\n', max_size=30))
def test_any_text_gives_passes_or_a_diagnostic(text: str) -> None:
    with suppress(ArchError):
        parse_passes(text, KNOWN)


def test_one_tensor_given_twice_stays_two_inputs() -> None:
    """Else the block would be two classes, and could not be shared."""
    spec = Path_(__file__).with_name("cases") / "codegen" / "one_tensor_twice.arch"
    compilation = compile_spec(Request(str(spec), passes=DEFAULT))
    assert operators(compilation.graph).count("identity") == 2
    assert compilation.source().count("class Join") == 1
