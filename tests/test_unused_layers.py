"""`@unused`: layers that are made for their keys in the state_dict, and never applied."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import emitted
import pytest
import torch
from command_line import run
from torch import nn

import archc
from archc.analysis.cost import costs_of, exit_costs
from archc.analysis.summary import summarize
from archc.compiler import Request, compile_spec
from archc.diagnostics import ArchError
from archc.ir.dump import dump
from archc.passes.pipeline import DEFAULT

NET = """
block Project(width)(x) {{ return x -> conv: conv(width, 1) -> norm: bn -> relu }}

block Tree(width)(x) {{
    if x.channels != width {{
        {unused}
        {projects}
    }}
    return x -> conv: conv(width, 3) -> bn: bn -> relu
}}

net Aside(classes=10)(image: [3, 32, 32]) {{
    x = image -> stem: conv(16, 3)
    {unused}
    {scales}
    scope trees {{ x = x -> t1: Tree(24) -> t2: Tree(24) -> t3: Tree(16) }}
    return x -> global_avg_pool -> fc: linear(classes)
}}
"""
ASIDE = NET.format(
    unused="@unused",
    projects="_ = x -> project: Project(width)",
    scales="_ = x -> s: scale -> relu",
)
PLAIN = NET.format(unused="", projects="", scales="").replace("block Project", "block _Project")


def built(text: str, folder: Path, name: str = "net") -> nn.Module:
    spec = folder / f"{name}.arch"
    spec.write_text(text)
    torch.manual_seed(0)
    return archc.load(spec).build()


def refused(body: str, folder: Path) -> list[str]:
    spec = folder / "net.arch"
    spec.write_text(f"net N(classes=10)(x: [16, 8, 8]) {{\n{body}\n}}\n")
    with pytest.raises(ArchError) as caught:
        compile_spec(Request(str(spec)))
    return [each.code for each in caught.value.diagnostics]


def test_the_state_dict_has_their_keys_in_the_order_of_making(tmp_path: Path) -> None:
    state = built(ASIDE, tmp_path).state_dict()
    keys = [key for key in state if "num_batches" not in key and "running" not in key]
    tree = ["conv.weight", "bn.weight", "bn.bias"]
    project = [f"project.{key}" for key in ("conv.weight", "norm.weight", "norm.bias")]
    assert keys == [
        "s",
        "stem.weight",
        *(f"trees.t1.{key}" for key in (*project, *tree)),
        *(f"trees.t2.{key}" for key in tree),
        *(f"trees.t3.{key}" for key in (*project, *tree)),
        "fc.weight",
        "fc.bias",
    ]
    assert state["trees.t1.project.conv.weight"].shape == (24, 16, 1, 1)
    assert state["trees.t3.project.norm.weight"].shape == (16,)
    assert state["s"].shape == (16, 1, 1)


def test_they_change_no_result_and_get_no_gradient(tmp_path: Path) -> None:
    net, plain = built(ASIDE, tmp_path), built(PLAIN, tmp_path, "plain")
    shared = {key: value for key, value in net.state_dict().items() if key in plain.state_dict()}
    plain.load_state_dict(shared)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(net(images), plain(images))
    net(images).sum().backward()
    without = {name for name, p in net.named_parameters() if p.grad is None}
    assert without == set(dict(net.named_parameters())) - set(dict(plain.named_parameters()))


def test_other_numbers_of_classes_and_channels_are_arguments(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(ASIDE)
    compiled = archc.load(tmp_path / "net.arch")
    net = compiled.build(num_classes=7, in_chans=1)
    assert net(torch.randn(1, 1, 32, 32)).shape == (1, 7)


def test_the_text_says_why_nothing_applies_them(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(ASIDE)
    source = compile_spec(Request(str(tmp_path / "net.arch"))).source()
    lines = [line.strip() for line in source.splitlines()]
    remarks = [i for i, line in enumerate(lines) if line.startswith("# Not applied")]
    assert [lines[i + 1].split(" = ")[0] for i in remarks] == ["self.project", "self.s"]


def test_summary_counts_their_parameters_and_no_cost(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(ASIDE)
    (tmp_path / "plain.arch").write_text(PLAIN)
    graph = compile_spec(Request(str(tmp_path / "net.arch"))).graph
    summary = summarize(graph)
    plain = summarize(compile_spec(Request(str(tmp_path / "plain.arch"))).graph)
    assert summary.params == sum(p.numel() for p in built(ASIDE, tmp_path).parameters())
    assert summary.params - plain.params == 16 + (16 * 24 + 2 * 24) + (24 * 16 + 2 * 16)
    assert summary.macs == plain.macs
    (exit,) = exit_costs(graph, costs_of(graph))
    assert exit.lazy.params == plain.params
    unused = [layer for layer in summary.root.layers() if not layer.applications]
    assert [".".join(layer.path) for layer in unused] == [
        "s",
        *(f"trees.{t}.project.{name}" for t in ("t1", "t3") for name in ("conv", "norm")),
    ]
    assert "scale, unused" in str(summary)


def test_the_dump_and_the_difference_show_them(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(ASIDE)
    (tmp_path / "plain.arch").write_text(PLAIN)
    text = dump(compile_spec(Request(str(tmp_path / "net.arch"))).graph)
    assert "unused [24, 32, 32] = conv(24)([16, 32, 32]) @ trees.t1.project.conv\n" in text
    shown = run("diff", str(tmp_path / "net.arch"), str(tmp_path / "plain.arch")).stdout
    assert "only in A" in shown
    assert "project" in shown


@pytest.mark.parametrize(
    "options",
    [(), ("--open", "trees.t1"), ("--open", "trees.t1.project")],
    ids=" ".join,
)
def test_they_are_not_drawn(options: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(ASIDE)
    out = tmp_path / "net.svg"
    result = run("viz", str(tmp_path / "net.arch"), *options, "-o", str(out))
    assert result.exit_code == 0, result.stderr
    assert "project" not in out.read_text()


def test_a_dense_block_with_them_trains_as_without_sharing(tmp_path: Path) -> None:
    text = """
block Layer(growth)(x) {
    @unused
    _ = x -> extra: conv(8, 1)
    return x -> norm: bn -> relu -> conv: conv(growth, 3)
}
net Dense(classes=10)(image: [8, 16, 16]) {
    features = [image]
    for i in range(4) { features += [concat(features) -> "layer{i}": Layer(8)] }
    return concat(features) -> norm: bn -> relu -> global_avg_pool -> fc: linear(classes)
}
"""
    (tmp_path / "net.arch").write_text(text)
    nets = []
    for name, passes in (("shared", DEFAULT), ("plain", ())):
        path = tmp_path / f"{name}.py"
        path.write_text(compile_spec(Request(str(tmp_path / "net.arch"), passes=passes)).source())
        namespace: dict[str, type[nn.Module]] = {}
        exec(compile(path.read_text(), str(path), "exec"), namespace)
        nets.append(namespace["Dense"]())
    shared, plain = nets
    shared.load_state_dict(plain.state_dict())
    images = torch.randn(2, 8, 16, 16)
    gradients = []
    for net in (shared, plain):
        net(images).square().sum().backward()
        gradients.append({name: p.grad for name, p in net.named_parameters()})
    for name, gradient in gradients[1].items():
        other = gradients[0][name]
        assert (gradient is None) == (other is None) == ("extra" in name)
        if gradient is not None and other is not None:
            torch.testing.assert_close(gradient, other)


# ----------------------------------------------------------------- mistakes

MISTAKES = {
    "used": ("@unused\ny = x -> a: conv(16, 3)\nreturn x + y", ["E0607"]),
    "nothing made": ("@unused\n_ = x -> relu\nreturn x", ["E0607"]),
    "a number": ("@unused\n_ = 3\nreturn x", ["E0607"]),
    "arguments": ("@unused(1)\n_ = x -> a: conv(16, 3)\nreturn x", ["E0311"]),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_are_said(what: str, tmp_path: Path) -> None:
    body, codes = MISTAKES[what]
    assert refused(body, tmp_path) == codes


def test_before_a_block_it_is_refused(tmp_path: Path) -> None:
    text = "@unused\nblock B()(x) { return x -> relu }\nnet N()(x: [3]) { return x -> b: B }\n"
    (tmp_path / "net.arch").write_text(text)
    with pytest.raises(ArchError, match="E0606"):
        compile_spec(Request(str(tmp_path / "net.arch")))


def test_a_module_applied_twice_makes_them_once(tmp_path: Path) -> None:
    text = """
block Twice()(x) {
    @unused
    _ = x -> extra: conv(5, 1)
    return x -> conv: conv(16, 3)
}
net N()(x: [16, 8, 8]) {
    layer = Twice()
    return x -> layer -> layer
}
"""
    assert "layer.extra.weight" in built(text, tmp_path).state_dict()
    other = text.replace("    @unused\n", "    if x.width == 8 {\n@unused\n").replace(
        "1)\n", "1) }\n"
    )
    other = other.replace("conv(16, 3)", "conv(16, 3, stride=2)")
    (tmp_path / "other.arch").write_text(other)
    with pytest.raises(ArchError, match="E0406"):
        compile_spec(Request(str(tmp_path / "other.arch")))


# ----------------------------------------------------------------- DLA


def norm(name: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for key in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{key}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def dla(
    levels: list[int], channels: list[int], *, basic: bool, groups: int = 1, base: int = 64,
    official: bool = False,
) -> Iterator[tuple[str, tuple[int, ...]]]:  # fmt: skip
    """The keys and shapes that timm's DLA has, by its constructors; `official`, by the authors'.

    Theirs has a projection in every tree of another width, of which only those of the last level
    are applied.
    """

    def unit(name: str, given: int, out: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        width = out if basic else int(out * (base / 64)) * groups // 2
        sizes = [(given, out, 3, 1), (out, out, 3, 1)]
        if not basic:
            sizes = [(given, width, 1, 1), (width, width, 3, groups), (width, out, 1, 1)]
        for i, (a, b, kernel, parts) in enumerate(sizes, start=1):
            yield f"{name}.conv{i}.weight", (b, a // parts, kernel, kernel)
            yield from norm(f"{name}.bn{i}", b)

    def tree(
        name: str, depth: int, given: int, out: int, joined: int
    ) -> Iterator[tuple[str, tuple[int, ...]]]:
        if given != out and (depth == 1 or official):
            yield f"{name}.project.0.weight", (out, given, 1, 1)
            yield from norm(f"{name}.project.1", out)
        if depth > 1:
            yield from tree(f"{name}.tree1", depth - 1, given, out, 2 * out)
            yield from tree(f"{name}.tree2", depth - 1, out, out, joined + out)
            return
        yield from unit(f"{name}.tree1", given, out)
        yield from unit(f"{name}.tree2", out, out)
        yield f"{name}.root.conv.weight", (out, joined, 1, 1)
        yield from norm(f"{name}.root.bn", out)

    yield "base_layer.0.weight", (channels[0], 3, 7, 7)
    yield from norm("base_layer.1", channels[0])
    given = channels[0]
    for level in range(2):
        for i in range(levels[level]):
            yield f"level{level}.{3 * i}.weight", (channels[level], given, 3, 3)
            yield from norm(f"level{level}.{3 * i + 1}", channels[level])
            given = channels[level]
    for level in range(2, 6):
        out = channels[level]
        joined = 2 * out + (given if level > 2 else 0)
        yield from tree(f"level{level}", levels[level], given, out, joined)
        given = out
    yield "fc.weight", (1000, given, 1, 1)
    yield "fc.bias", (1000,)


SMALL, COMPACT = [16, 32, 64, 128, 256, 512], [16, 32, 64, 64, 128, 256]
WIDE = [16, 32, 128, 256, 512, 1024]
DLA = {
    "DLA34": dla([1, 1, 1, 2, 2, 1], SMALL, basic=True),
    "DLA46C": dla([1, 1, 1, 2, 2, 1], COMPACT, basic=False),
    "DLA60XC": dla([1, 1, 1, 2, 3, 1], COMPACT, basic=False, groups=32, base=4),
    "DLA102X2": dla([1, 1, 1, 3, 4, 1], WIDE, basic=False, groups=64, base=4),
    "DLA169": dla([1, 1, 2, 3, 5, 1], WIDE, basic=False),
}
OFFICIAL = {
    "DLA34": dla([1, 1, 1, 2, 2, 1], SMALL, basic=True, official=True),
    "DLA60": dla([1, 1, 1, 2, 3, 1], WIDE, basic=False, official=True),
}


def shapes(net: str, **settings: Any) -> list[tuple[str, tuple[int, ...]]]:
    with torch.device("meta"):
        state = emitted.emit("dla", net, **settings).build().state_dict()
    return [(key, tuple(value.shape)) for key, value in state.items()]


@pytest.mark.parametrize("net", DLA)
def test_dla_has_the_keys_and_shapes_of_timm_in_their_order(net: str) -> None:
    assert shapes(net) == list(DLA[net])


@pytest.mark.parametrize("net", OFFICIAL)
def test_dla_with_unused_projections_has_those_of_the_authors(net: str) -> None:
    assert shapes(net, unused_projections=True) == list(OFFICIAL[net])
