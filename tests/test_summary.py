"""The figures of `archc summary`: what counts where, by module and exit, as JSON and as text."""

import json
import re
import time
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

import archc
from archc.analysis.cost import ExitCost
from archc.analysis.module_rows import range_label
from archc.analysis.module_tree import LayerSummary, RegionSummary
from archc.analysis.summary import Summary, summarize
from archc.analysis.summary_html import MAX_ROWS
from archc.elaborate.files import find_spec, load_program
from archc.elaborate.net import elaborate
from archc.ir.graph import Graph

SHARED = """
net Shared()(image: [3, 8, 8]) {
    stem = conv(4, 3)
    return add(image -> stem, image -> relu -> stem) -> global_avg_pool -> fc: linear(2)
}
"""

EXITS = """
block Head(classes)(x) { return x -> global_avg_pool -> fc: linear(classes) }

net Early()(image: [3, 8, 8]) {
    x = image -> conv1: conv(4)
    exit x -> early: Head(2)
    y = x -> conv2: conv(8)
    return y -> late: Head(2)
}
"""

AHEAD = """
block Head(classes)(x) { return x -> global_avg_pool -> fc: linear(classes) }

net Ahead()(image: [3, 8, 8]) {
    x = image -> conv1: conv(4)
    y = x -> conv2: conv(8)
    exit x -> first: Head(2)
    return y -> second: Head(2)
}
"""

SHARED_HEAD = """
net SharedHead()(image: [3, 8, 8]) {
    head = linear(2)
    x = image -> conv1: conv(4)
    exit one: x -> global_avg_pool -> head
    exit two: x -> conv2: conv(4) -> global_avg_pool -> head
}
"""

SYMBOLIC = """
net Any()(image: [3, H, W]) {
    return image -> conv1: conv(4) -> global_avg_pool -> fc: linear(2)
}
"""


def graph_of(tmp_path: Path, text: str) -> Graph:
    path = tmp_path / "net.arch"
    path.write_text(text)
    return elaborate(load_program(path)).graph


def shipped(name: str, **settings: str) -> Summary:
    return summarize(elaborate(load_program(find_spec(name)), None, settings).graph)


def child(region: RegionSummary, *names: str) -> RegionSummary | LayerSummary:
    """The descendant at a path below a region."""
    found: RegionSummary | LayerSummary = region
    for name in names:
        assert isinstance(found, RegionSummary)
        found = next(item for item in found.children if item.path[-1] == name)
    return found


def test_densenet121_has_the_published_figures() -> None:
    summary = shipped("densenet")
    assert summary.params == 7_978_856
    assert summary.macs == 2_834_161_664
    # Running mean and variance of 41,824 channels, and a counter for each of 121 batch norms.
    assert summary.buffers == 2 * 41_824 + 121


def test_a_region_has_the_sum_of_its_layers_and_the_shape_of_what_leaves_it() -> None:
    block = child(shipped("densenet").root, "features", "denseblock3")
    assert isinstance(block, RegionSummary)
    assert block.block == "DenseBlock"
    assert [str(type_) for type_ in block.types] == ["[1024, 14, 14]"]
    assert len(block.children) == 24
    assert block.cost.params == sum(layer.cost.params for layer in block.layers())
    assert block.cost.params == 2_837_760


def test_layers_stand_in_the_order_of_the_state_dict() -> None:
    paths = [".".join(layer.path) for layer in shipped("resnet").root.layers()]
    assert paths[:4] == ["conv1", "bn1", "relu", "maxpool"]
    assert paths[-1] == "fc"


def test_the_elements_of_a_list_stand_by_their_numbers(tmp_path: Path) -> None:
    """In whatever order they are applied: so an `nn.ModuleList` has them in its state_dict."""
    text = """
    block Unit()(x) { return x -> conv: conv(8, 3) -> relu }
    net Backwards()(image: [8, 8, 8]) {
        units, convs = [Unit() for i in range(12)], [conv(8) for i in range(12)]
        x = image
        for i in range(11, -1, -1) { x = x -> units[i] -> convs[i] }
        return x
    }
    """
    graph = graph_of(tmp_path, text)
    for name in ("units", "convs"):
        elements = child(summarize(graph).root, name)
        assert isinstance(elements, RegionSummary)
        assert [item.path[-1] for item in elements.children] == [str(i) for i in range(12)]
    with_weights = [path for path in paths(graph) if "relu" not in path]
    keys = emitted_keys(tmp_path)
    assert [path for path in with_weights if f"{path}.weight" in keys] == [
        key.removesuffix(".weight") for key in keys
    ]


def paths(graph: Graph) -> list[str]:
    return [".".join(layer.path) for layer in summarize(graph).root.layers()]


def emitted_keys(tmp_path: Path) -> list[str]:
    """The keys of the state_dict of the net in a folder."""
    path, cache = tmp_path / "net.arch", tmp_path / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        return list(archc.load(path).build().state_dict())


def test_a_shared_layer_has_its_weights_once_and_its_multiplications_twice(tmp_path: Path) -> None:
    summary = summarize(graph_of(tmp_path, SHARED))
    stem = child(summary.root, "stem")
    assert isinstance(stem, LayerSummary)
    assert stem.applications == 2
    assert stem.cost.params == 4 * 3 * 9
    assert stem.cost.macs == 2 * 4 * 3 * 9 * 64
    assert summary.params == 4 * 3 * 9 + 4 * 2 + 2


def test_an_exit_costs_what_stands_before_it_or_what_it_depends_on(tmp_path: Path) -> None:
    early, late = summarize(graph_of(tmp_path, EXITS)).exits
    stem, conv2 = 3 * 4, 4 * 8
    head, last = 4 * 2 + 2, 8 * 2 + 2
    assert (early.name, late.name) == ("early", "return")
    assert _params(early.cost) == (stem + head,) * 4
    assert _params(late.cost) == (
        stem + head + conv2 + last,
        stem + conv2 + last,  # without the early classifier
        stem + conv2 + last,
        stem + head + conv2 + last,
    )
    assert early.cost.lazy.macs == stem * 64 + 4 * 2
    assert late.cost.lazy.macs == (stem + conv2) * 64 + 8 * 2


def test_lazily_an_exit_does_not_compute_what_later_ones_need(tmp_path: Path) -> None:
    first, second = summarize(graph_of(tmp_path, AHEAD)).exits
    stem, ahead, head, last = 3 * 4, 4 * 8, 4 * 2 + 2, 8 * 2 + 2
    assert _params(first.cost) == (
        stem + ahead + head,
        stem + ahead + head,
        stem + head,
        stem + head,
    )
    assert _params(second.cost)[1:3] == (stem + ahead + last, stem + ahead + last)


def test_shared_weights_count_for_an_exit_as_soon_as_one_application_does(tmp_path: Path) -> None:
    one, two = summarize(graph_of(tmp_path, SHARED_HEAD)).exits
    stem, middle, head = 3 * 4, 4 * 4, 4 * 2 + 2
    assert _params(one.cost) == (stem + head,) * 4
    assert _params(two.cost) == (stem + middle + head,) * 4
    assert two.cost.cumulative.macs == (stem + middle) * 64 + 2 * 4 * 2
    assert two.cost.own.macs == (stem + middle) * 64 + 4 * 2


def _params(cost: ExitCost) -> tuple[int, ...]:
    return tuple(way.params for way in (cost.cumulative, cost.own, cost.lazy, cost.anytime))


def test_the_text_shows_each_exit_three_ways(tmp_path: Path) -> None:
    lines = summarize(graph_of(tmp_path, AHEAD)).to_text().splitlines()
    head, names, _, first, second = lines[-9:-4]
    assert head.split() == ["exit", "cumulative", "own", "classifier", "lazy"]
    assert names.split() == ["parameters", "MACs"] * 3
    assert first.split() == ["first", "54", "2,824", "54", "2,824", "22", "776"]
    assert second.split() == ["return", "72", "2,840", "62", "2,832", "62", "2,832"]


def test_multiplications_of_a_symbolic_size_are_unknown(tmp_path: Path) -> None:
    summary = summarize(graph_of(tmp_path, SYMBOLIC))
    assert summary.macs is None
    assert summary.params == 3 * 4 + 4 * 2 + 2
    assert summary.to_json()["input"] == [3, "H", "W"]
    assert "symbolic" in summary.to_text()


def test_json_has_the_promised_keys_and_raw_numbers() -> None:
    data = json.loads(json.dumps(shipped("densenet_cifar", depth="40").to_json()))
    assert {"schema", "name", "input", "params", "macs", "exits", "layers"} <= set(data)
    assert data["schema"] == 1
    assert data["name"] == "DenseNetBC"
    assert data["input"] == [3, 32, 32]
    (only,) = data["exits"]
    assert (only["name"], only["params"], only["macs"]) == ("return", data["params"], data["macs"])
    assert sum(layer["params"] for layer in data["layers"]) == data["params"]
    assert sum(layer["macs"] for layer in data["layers"]) == data["macs"]
    assert data["layers"][0]["path"] == "features.conv0"
    assert data["layers"][0]["output"] == [24, 32, 32]


@pytest.mark.parametrize(
    "name", ["densenet", "densenet_cifar", "msdnet", "msdnet_cifar", "resnet", "resnet_cifar"]
)
def test_the_text_fits_a_terminal_and_folds_repeats(name: str) -> None:
    lines = shipped(name).to_text(width=100).splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 60
    assert any(" x " in line for line in lines)


def test_the_text_has_thousands_separators_and_the_spec_s_own_words() -> None:
    text = shipped("densenet").to_text()
    assert "DenseNet-BC for images of 224 x 224." in text
    assert "denselayer1..24" in text
    assert "24 x DenseLayer" in text
    assert "7,978,856" in text
    assert "2,834,161,664" in text


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("denselayer1", "denselayer24", "denselayer1..24"),
        ("0", "5", "0..5"),
        ("up", "up", "up"),
        ("down", "up", "down..up"),
        ("a1", "b2", "a1..b2"),
    ],
)
def test_a_range_of_names_says_once_what_they_share(first: str, last: str, expected: str) -> None:
    assert range_label(first, last) == expected


def test_a_large_net_is_summarised_in_a_moment() -> None:
    graph = elaborate(load_program(find_spec("resnet_cifar")), None, {"depth": "1202"}).graph
    assert len(graph) > 4_000
    start = time.process_time()
    summarize(graph)
    assert time.process_time() - start < 2  # 0.1 s; the bound is for busy machines


# ------------------------------------------------------------- depth and width

LONG = """
block Block()(x) { return x -> a_label_that_is_rather_long_for_a_convolution: conv(8, 3) }

net Long()(image: [8, 8, 8]) {
    x = image
    scope a_scope_whose_name_is_long {
        for i in range(12) { x = x -> "and_one_of_its_blocks_{i}": Block }
    }
    exit an_exit_whose_name_nobody_would_like_to_read: x -> global_avg_pool
    return x -> relu
}
"""


def rows_of(text: str) -> list[str]:
    """The first words of the rows of the tree."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("---")) + 1
    return [line.split()[0] for line in lines[start : lines.index("", start)]]


def test_a_depth_shows_so_many_levels_and_folds_only_the_last() -> None:
    summary = shipped("resnet_cifar", depth="8")
    modules = {len(layer.path) for layer in summary.root.layers()}
    counts = [len(rows_of(summary.to_text(depth))) for depth in range(1, max(modules) + 2)]
    assert counts == sorted(counts)
    assert counts[-1] == counts[-2]
    named = [layer.path[-1] for layer in summary.root.layers() if ":" not in layer.path[-1]]
    deepest = rows_of(summary.to_text(9))
    assert [name for name in deepest if name in named] == named
    first = rows_of(summary.to_text(1))
    assert first == [child.path[-1] for child in summary.root.children]


def test_repeats_are_folded_where_nobody_asks_for_what_is_in_them() -> None:
    summary = shipped("densenet")
    assert "denselayer1..6" in rows_of(summary.to_text(3))
    assert "denselayer1..6" not in rows_of(summary.to_text(4))
    assert rows_of(summary.to_text(4)).count("denselayer6") == 4


@pytest.mark.parametrize("width", [60, 72, 80, 100, 117])
def test_names_are_cut_to_a_width_and_numbers_are_not(tmp_path: Path, width: int) -> None:
    summary = summarize(graph_of(tmp_path, LONG))
    whole, cut = summary.to_text(3), summary.to_text(3, width)
    tree = cut.splitlines()[2 : len(rows_of(cut)) + 4]
    assert max(map(len, tree)) <= width
    assert ("..." in cut) == (max(map(len, whole.splitlines())) > width)
    figures = r"[0-9][0-9,]*$"
    ends = [[re.findall(figures, line) for line in text.splitlines()] for text in (whole, cut)]
    assert ends[0] == ends[1]


def test_without_a_terminal_nothing_is_cut(tmp_path: Path) -> None:
    text = summarize(graph_of(tmp_path, LONG)).to_text(3)
    assert "..." not in text
    assert "an_exit_whose_name_nobody_would_like_to_read" in text
    assert text.count("a_label_that_is_rather_long_for_a_convolution") == 12


# ----------------------------------------------------------------- in a notebook


class Page(HTMLParser):
    """What a browser makes of the text: rows of cells, and in how many opened modules each is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.rows: list[tuple[int, list[str]]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("br", "col"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append((self.open.count("details"), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            self.rows[-1][1].append(data)


@pytest.mark.parametrize("name", ["densenet", "resnet", "unet", "msdnet_cifar"])
def test_a_notebook_shows_every_layer_in_rows_that_open(name: str) -> None:
    summary = shipped(name)
    page = Page(summary._repr_html_())
    names = Counter(cells[0] for _, cells in page.rows if cells)
    layers = Counter(layer.path[-1] for layer in summary.root.layers())
    assert names >= layers
    outer = [cells[0] for depth, cells in page.rows if cells and depth <= 1]
    assert [item.path[-1] for item in summary.root.children if item.path[-1] in outer]
    assert max(depth for depth, _ in page.rows) > 1
    assert f"{summary.params:,}" in {cell for _, cells in page.rows for cell in cells}


def test_the_table_of_a_notebook_has_no_markup_of_the_spec(tmp_path: Path) -> None:
    text = EXITS.replace("net Early", "## <script>alert(1)</script> & <b>bold</b>\nnet Early")
    html = summarize(graph_of(tmp_path, text))._repr_html_()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;" in html
    assert Page(html).tags == {
        *("div", "style", "p", "b", "br", "table", "colgroup", "col", "thead", "tbody"),
        *("tr", "th", "td", "details", "summary"),
    }
    assert "early" in html


def test_the_table_of_a_large_net_has_an_end() -> None:
    graph = elaborate(load_program(find_spec("resnet_cifar")), None, {"depth": "1202"}).graph
    page = Page(summarize(graph)._repr_html_())
    assert 600 < len(page.rows) < 2.5 * MAX_ROWS
