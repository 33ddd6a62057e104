"""Extern layers: classes from Python behind typed signatures."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import emitted
import pytest
import torch
from torch import Tensor, nn

import archc
from archc.analysis.summary import summarize
from archc.compiler import Compilation, Request, compile_spec
from archc.diagnostics import ArchError
from archc.elaborate.files import load_program
from archc.ops.op import TensorType
from archc.passes.pipeline import DEFAULT

ATTENTION = '''
"""Layers as people write them, without types."""

import torch
from torch import nn


class CBAM(nn.Module):
    def __init__(self, channels, reduction=16):
        super().__init__()
        self.fc = nn.Conv2d(channels, channels // reduction, 1)
        self.back = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x):
        gate = self.back(torch.relu(self.fc(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class Down(nn.Module):
    def __init__(self, channels, factor):
        super().__init__()
        self.conv = nn.Conv2d(channels, factor * channels, 2, 2)

    def forward(self, x):
        return self.conv(x)


class Merge(nn.Module):
    def forward(self, a, b):
        return torch.cat([a, b], 1)
'''
DECLARED = """
extern layer CBAM(reduction=4): [C, *S] -> [C, *S] from "lab.attention:CBAM"(C, reduction=reduction)
extern layer Down(factor=2): [C, H, W] -> [factor * C, H // 2, W // 2] from "lab.attention:Down"(
    C, factor)
extern layer Merge(): ([C, *S], [D, *S]) -> [C + D, *S] from "lab.attention:Merge"
extern layer Scale(): [C, *S] -> [C, *S] from "lab.other:CBAM"
"""
NETS = """
net Tiny(classes=10)(image: [3, 16, 16]) {
    x = image -> stem: conv(8, 3) -> att: CBAM -> plain: Scale
    for i in range(2) { x = x -> "down{i}": Down }
    shared = CBAM(reduction=8)
    y = x -> shared -> shared
    return (x, y) -> merge: Merge -> relu -> global_avg_pool -> fc: linear(classes)
}

net Symbolic()(image: [3, 4*h, 4*w]) { return image -> down: Down(3) -> again: Down }
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the package `lab`, which can be imported from there."""
    package = tmp_path / "lab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "attention.py").write_text(ATTENTION)
    other = "from torch import nn\n\n\nclass CBAM(nn.Identity):\n    pass\n"
    (package / "other.py").write_text(other)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
        del sys.modules[name]


def compiled(folder: Path, text: str, net: str | None = None, **request: object) -> Compilation:
    path = folder / "spec.arch"
    path.write_text(text)
    return compile_spec(Request(str(path), net, **request))  # type: ignore[arg-type]


def body(declaration: str, line: str, shape: str = "[8, 16, 16]") -> str:
    return f"extern layer {declaration}\nnet N()(x: {shape}) {{ {line} }}\n"


def output(folder: Path, text: str, net: str | None = None) -> TensorType:
    graph = compiled(folder, text, net).graph
    return graph.node(graph.outputs[0].node).type


# ------------------------------------------------------------------- what runs


class ByHand(nn.Module):
    """What the emitted Tiny is to be."""

    def __init__(self) -> None:
        super().__init__()
        attention = import_module("lab.attention")
        CBAM, Down, Merge = attention.CBAM, attention.Down, attention.Merge  # noqa: N806
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.att = CBAM(8, reduction=4)
        self.plain = import_module("lab.other").CBAM()
        self.down0, self.down1 = Down(8, 2), Down(16, 2)
        self.shared = CBAM(32, reduction=8)
        self.merge = Merge()
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down1(self.down0(self.plain(self.att(self.stem(x)))))
        x = torch.relu(self.merge(x, self.shared(self.shared(x))))
        y: Tensor = self.fc(x.mean((2, 3)))
        return y


def test_a_net_of_extern_layers_computes_what_the_classes_compute(lab: Path) -> None:
    (lab / "spec.arch").write_text(DECLARED + NETS)
    net = archc.load(lab / "spec.arch").build()
    torch.manual_seed(0)
    hand = ByHand()
    assert list(net.state_dict()) == list(hand.state_dict())
    net.load_state_dict(hand.state_dict())
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(net(x), hand(x))


def test_symbolic_sizes_pass_through(lab: Path) -> None:
    text = DECLARED + NETS
    assert str(output(lab, text, "Symbolic")) == "[18, h, w]"
    net = archc.load(lab / "spec.arch", "Symbolic").build()
    assert net(torch.zeros(2, 3, 8, 20)).shape == (2, 18, 2, 5)


def test_the_emitted_file_names_each_class_once(lab: Path) -> None:
    source = compiled(lab, DECLARED + NETS).source()
    assert "from lab.attention import CBAM, Down, Merge\n" in source
    assert "from lab.other import CBAM as Scale\n" in source
    assert "self.att = CBAM(8, reduction=4)\n" in source
    assert "self.down1 = Down(16, 2)\n" in source
    assert "self.plain = Scale()\n" in source


def test_the_emitted_file_is_clean(lab: Path, pytestconfig: pytest.Config) -> None:
    """For ruff, and for mypy where the module has no types and where there is no module."""
    folder = lab / "emitted"
    folder.mkdir()
    (folder / "found.py").write_text(compiled(lab, DECLARED + NETS).source())
    missing = (DECLARED + NETS).replace("lab.", "nowhere.to_be_found.")
    (folder / "missing.py").write_text(compiled(lab, missing).source())
    ruff = ["--isolated", "--no-cache", "--line-length=100", str(folder)]
    assert not _said(folder, "ruff", "check", "--select=E,F,W,I,UP,B,C4,PIE,RET,SIM", *ruff)
    assert not _said(folder, "ruff", "format", "--check", *ruff)
    cache = pytestconfig.cache.mkdir("mypy") if pytestconfig.cache else lab / "mypy"
    mypy = _said(lab, "mypy", "--strict", "--config-file=", f"--cache-dir={cache}", str(folder))
    assert "lab/attention.py" in mypy, "mypy did not read the module"
    assert not [line for line in mypy.splitlines() if line.startswith("emitted")]


def _said(place: Path, *command: str) -> str:
    """A Python tool's complaints."""
    words = [sys.executable, "-m", *command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=place)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_compiling_does_not_import_the_module(lab: Path) -> None:
    (lab / "lab" / "attention.py").write_text("raise RuntimeError('imported')")
    compiled(lab, DECLARED + NETS).source()
    assert not [name for name in sys.modules if name.startswith("lab")]


def test_a_module_that_is_missing_is_a_diagnostic_where_the_layer_is_made(lab: Path) -> None:
    text = body('A(): [C, *S] -> [C, *S] from "lab.no_such:A"', "return x -> a: A")
    (lab / "spec.arch").write_text(text)
    with pytest.raises(ArchError, match=r"`A` is `A` of `lab.no_such`, which cannot") as caught:
        archc.load(lab / "spec.arch").build()
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0507"
    assert diagnostic.labels[0].span.line == 2


# ------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("signature", "shape", "result"),
    [
        ("[C, *S] -> [C, *S]", "[8]", "[8]"),
        ("[C, *S] -> [2 * C, *S]", "[8, 5, 6, 7]", "[16, 5, 6, 7]"),
        ("[C, H, W] -> [2*C, H // 2, W // 2]", "[8, 17, 16]", "[16, 8, 8]"),
        ("[C, H, W] -> [C * H * W]", "[2, 3, 4]", "[24]"),
        ("[4*C, H, W] -> [C, 2*H, 2*W]", "[8, 3, 4]", "[2, 6, 8]"),
        ("[C + 1, *S] -> [C]", "[8, 3]", "[7]"),
        ("[*S] -> [*S]", "[8, 3, 4]", "[8, 3, 4]"),
        ("[C, *S, W] -> [C, *S, W + 2]", "[8, 3, 4]", "[8, 3, 6]"),
        ("[8, H, W] -> [n, (H + W) // n]", "[8, 3, 6]", "[3, 3]"),
        ("[C, H, W] -> [C, H // 3, 2 * W - 1]", "[8, h, 2*w]", "[8, h // 3, 4*w - 1]"),
        ("[C, H, W] -> [C, H // 2]", "[8, h, 5]", "[8, h // 2]"),
    ],
)
def test_the_result_follows_from_the_input(
    tmp_path: Path, signature: str, shape: str, result: str
) -> None:
    text = body(f'A(n=3): {signature} from "a:A"', "return x -> a: A", shape)
    assert str(output(tmp_path, text)) == result


@pytest.mark.parametrize(
    ("signature", "code", "says"),
    [
        ("[C, H] -> [C]", "E0204", "`A` takes [C, H] as its input, not [8, 16, 16]"),
        ("[4, *S] -> [C, *S]", "E0224", "no input of `A` says what `C` is"),
        ("[C, *S] -> [C, *T]", "E0224", "no input of `A` says what `*T` is"),
        ("[C, *S, *S] -> [C]", "E0224", "one `*`"),
        ("[C, *C] -> [C]", "E0224", "one size here, and several"),
        ("[4, *S] -> [4, *S]", "E0204", "takes [4, *S]"),
        ("[C, H, 2*H] -> [C]", "E0204", "with C = 8, H = 16, not [8, 16, 16]"),
        ("[C, H // 2, W] -> [C]", "E0204", "`H // 2` does not decide `H`"),
        ("[C, H, W] -> [C - 8, H]", "E0204", "here [0, 16]: sizes are at least 1"),
        ("[C, H, W] -> [C // (H - 16)]", "E0204", "divides by zero"),
        ("[C, *S] -> [C, *S, *S]", "E0224", "one `*`"),
        ("[C, *S] -> [C, *S, 3, 3]", "E0204", "up to three spatial sizes"),
        ("[C, H, W] -> [C, H ** 2]", "E0224", "`+`, `-`, `*` and `//` only"),
        ("[C, H, W] -> [C, 1.5]", "E0222", "not a float"),
        ("[C, *S], [C, *S] -> [C, *S]", "E0110", "several inputs stand in parentheses"),
        ("[C, *S] -> ([C, *S], [C])", "E0110", "gives one tensor"),
        ("([C, *S], [C, *S]) -> [C, *S]", "E0201", "`A` needs 2 tensors, not 1"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, signature: str, code: str, says: str) -> None:
    with pytest.raises(ArchError) as caught:
        compiled(tmp_path, body(f'A(): {signature} from "a:A"', "return x -> a: A"))
    assert caught.value.diagnostics[0].code == code
    assert says in str(caught.value)


def test_two_inputs_must_agree(tmp_path: Path) -> None:
    text = body(
        'A(): ([C, *S], [D, *S]) -> [C + D, *S] from "a:A"',
        "return (x, x -> max_pool(2)) -> a: A",
    )
    with pytest.raises(ArchError, match=r"\[D, \*S\] as its 2nd operand, with S = \[16, 16\], not"):
        compiled(tmp_path, text)


def test_a_bound_size_is_a_check_in_whatever_order(tmp_path: Path) -> None:
    """`H // 2` does not decide H, but another input does: 33 // 2 is 16."""
    declared = 'A(): ([C, H // 2, W // 2], [C, H, W]) -> [C, H, W] from "a:A"'
    line = "return (x -> max_pool(2), x) -> a: A"
    assert str(output(tmp_path, body(declared, line, "[8, 33, 16]"))) == "[8, 33, 16]"


# -------------------------------------------------------------- constructors


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        ("", 'A(n=2, mode="x")'),
        ("()", "A()"),
        ("(C)", "A(8)"),
        ("(C, C, n=n)", "A(8, 8, n=2)"),
        ("(2 * C // n, sizes=[H, W, 1], flag=true)", "A(8, sizes=(16, 16, 1), flag=True)"),
        ('("a\\"b", [1, [2.5]])', "A('a\"b', (1, (2.5,)))"),
        ('("{mode}y")', 'A("xy")'),
    ],
)
def test_the_constructor_gets_what_the_spec_says(tmp_path: Path, arguments: str, call: str) -> None:
    declared = f'A(n=2, mode="x"): [C, H, W] -> [C, H, W] from "a:A"{arguments}'
    source = compiled(tmp_path, body(declared, "return x -> c: conv(8) -> a: A")).source()
    assert f"self.a = {call}\n" in source


@pytest.mark.parametrize(
    ("arguments", "shape", "code", "says"),
    [
        ("(D)", "[8, 4]", "E0224", "no input of `A` says what `D` is"),
        ("(relu)", "[8, 4]", "E0225", "not the operator `relu`"),
        ("(H)", "[8, h]", "E0204", "which is the symbolic size `h`"),
        ("(C, n=1, n=2)", "[8, 4]", "E0313", "gets `n` twice"),
        ("(n=1, C)", "[8, 4]", "E0147", "positional"),
        ("(class=1)", "[8, 4]", "E0124", "class"),
        ("(C ** 2)", "[8, 4]", "E0224", "only"),
        (f"({' * '.join('C' * 30)})", "[8, 4]", "E0204", "too large"),
    ],
)
def test_a_constructor_cannot_be_given_anything(
    tmp_path: Path, arguments: str, shape: str, code: str, says: str
) -> None:
    declared = f'A(): [C, H] -> [C, H] from "a:A"{arguments}'
    with pytest.raises(ArchError) as caught:
        compiled(tmp_path, body(declared, "return x -> a: A", shape))
    assert caught.value.diagnostics[0].code == code
    assert says in str(caught.value)


def test_a_shared_layer_needs_one_constructor_call(tmp_path: Path) -> None:
    declared = 'A(): [C, *S] -> [C, *S] from "a:A"'
    line = "a = A()\nreturn concat(x -> a, x -> take(4) -> a)"
    compiled(tmp_path, body(declared, line))
    with pytest.raises(ArchError, match="tensors that need different weights"):
        compiled(tmp_path, body(f"{declared}(C)", line))


# ------------------------------------------------------------------ the path


@pytest.mark.parametrize(
    ("target", "code", "help"),
    [
        ("os;import x:Y", "E0170", "package.module:Class"),
        ("pkg.mod.CBAM", "E0170", "pkg.mod:CBAM"),
        ("./pkg/mod.py:CBAM", "E0170", "pkg.mod:CBAM"),
        ("pkg:", "E0170", "package.module:Class"),
        ("", "E0170", "package.module:Class"),
        ("pkg:A.B", "E0170", "package.module:Class"),
        (".pkg:A", "E0170", "package.module:Class"),
        ("pkg :A", "E0170", "package.module:Class"),
        ("pkg\\n:A", "E0170", "package.module:Class"),
        ("pkg:A\\nimport os", "E0170", "package.module:Class"),
        ('pkg:A\\"', "E0170", "package.module:Class"),
        ("pkg:A'", "E0170", "package.module:Class"),
        ("pkg:A)#", "E0170", "package.module:Class"),
        ("p\u00e4kg:A", "E0170", "package.module:Class"),
        (f"{'a' * 200}:A", "E0170", "package.module:Class"),
        ("pkg.class:A", "E0170", None),
        ("pkg:lambda", "E0170", None),
        ("os:system", "E0171", None),
        ("builtins:eval", "E0171", None),
        ("subprocess.x:A", "E0171", None),
        ("pkg:{x}", "E0164", None),
    ],
)
def test_a_path_that_names_no_class_is_refused_even_unused(
    tmp_path: Path, target: str, code: str, help: str | None
) -> None:
    text = body(f'A(): [C, *S] -> [C, *S] from "{target}"', "return x -> relu")
    with pytest.raises(ArchError) as caught:
        compiled(tmp_path, text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    if help is not None:
        assert diagnostic.help == f'write `"{help}"`'
        mended = text.replace(f'"{target}"', f'"{help}"')
        compiled(tmp_path, mended)


@pytest.mark.parametrize("name", ["torch", "nn", "Tensor", "range", "N", "Block", "super", "__x"])
def test_a_class_may_be_called_like_anything(tmp_path: Path, name: str) -> None:
    text = (
        f'extern layer Mine(): [C, *S] -> [C, *S] from "pkg:{name}"\n'
        'extern layer Second(): [C, *S] -> [C, *S] from "pkg2:Mine"\n'
        "block Block(n)(x) { return x -> c: conv(n, 3) -> mine: Mine -> second: Second }\n"
        "net N()(x: [3, 8, 8]) { return x -> block: Block(4) }\n"
    )
    source = compiled(tmp_path, text).source()
    assert f"from pkg import {name} as Mine\n" in source
    assert "from pkg2 import Mine as Second\n" in source
    assert "self.mine = Mine()\n" in source


# ------------------------------------------------------- what archc does not know


def test_unknown_costs_are_shown_as_unknown(lab: Path) -> None:
    summary = summarize(compiled(lab, DECLARED + NETS).graph)
    text = str(summary)
    assert "866 + ?" in text
    assert "extern layers (CBAM, Down, Merge, Scale)" in text
    figures = json.loads(json.dumps(summary.to_json()))
    assert figures["params"] is figures["macs"] is figures["buffers"] is None
    layers = {layer["path"]: layer for layer in figures["layers"]}
    assert layers["stem"]["params"] == 216
    assert layers["att"]["params"] is layers["att"]["macs"] is None
    assert summary.cost.opaque == 6


def test_no_pass_touches_an_extern_layer(lab: Path) -> None:
    text = DECLARED + "net N()(x: [8, 8, 8]) { y = x -> dead: Scale\nreturn x -> a: Scale }"
    compilation = compiled(lab, text, passes=DEFAULT)
    assert [str(node.op) for node in compilation.graph.nodes()] == ["input", "Scale"]
    assert "W0003" in [warning.code for warning in compilation.warnings]


def test_an_unused_extern_layer_costs_nothing(tmp_path: Path) -> None:
    compilation = compiled(tmp_path, DECLARED + "net N()(x: [8]) { return x -> relu }")
    assert "lab" not in compilation.source()
    said = [(warning.code, warning.labels[0].span.text) for warning in compilation.warnings]
    assert said == [("W0005", name) for name in ("CBAM", "Down", "Merge", "Scale")]


def test_an_extern_layer_is_imported_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "layers.arch").write_text("const r = 2\n" + DECLARED.replace("=4", "=r"))
    source = compiled(
        tmp_path, 'import "layers"\nnet N()(x: [8, 4, 4]) { return x -> c: conv(8) -> a: CBAM }'
    ).source()
    assert "self.a = CBAM(8, reduction=2)\n" in source
    assert load_program(tmp_path / "spec.arch").names.keys() >= {"CBAM", "N"}


def test_pictures_and_variants_know_them(lab: Path) -> None:
    (lab / "spec.arch").write_text(DECLARED + NETS + "net Ten = Tiny(classes=3)\n")
    picture = archc.load(lab / "spec.arch")._repr_svg_()
    assert "att: CBAM" in picture
    assert "? params" in picture
    assert emitted.O0 == ()
    net = archc.load(lab / "spec.arch", "Ten").build(in_chans=5)
    assert net(torch.zeros(1, 5, 16, 16)).shape == (1, 3)
