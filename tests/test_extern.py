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
from extern_specs import body, compiled, output
from torch import Tensor, nn

import archc
from archc.analysis.summary import summarize
from archc.diagnostics import ArchError
from archc.elaborate.files import load_program
from archc.passes.pipeline import DEFAULT
from archc.train.extern_modules import try_externs

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


def test_the_emitted_file_is_clean(lab: Path, type_cache: Path) -> None:
    """For ruff, and for mypy where the module has no types and where there is no module."""
    folder = lab / "emitted"
    folder.mkdir()
    (folder / "found.py").write_text(compiled(lab, DECLARED + NETS).source())
    missing = (DECLARED + NETS).replace("lab.", "nowhere.to_be_found.")
    (folder / "missing.py").write_text(compiled(lab, missing).source())
    ruff = ["--isolated", "--no-cache", "--line-length=100", str(folder)]
    assert not _said(folder, "ruff", "check", "--select=E,F,W,I,UP,B,C4,PIE,RET,SIM", *ruff)
    assert not _said(folder, "ruff", "format", "--check", *ruff)
    mypy = _said(
        lab, "mypy", "--strict", "--config-file=", f"--cache-dir={type_cache}", str(folder)
    )
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


SQUEEZE = """
from torch import nn

class Squeeze(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        {}
"""


@pytest.mark.parametrize(
    ("module", "declared", "text", "says"),
    [
        (
            "arguments",
            "C, C",
            SQUEEZE.format("return x"),
            r"cannot be constructed: TypeError: .*argument",
        ),
        (
            "function",
            "C",
            "def Squeeze(channels): return 3",
            "is of the class `int`, which is no nn.Module",
        ),
        (
            "channels",
            "C",
            SQUEEZE.format("return x[:, 1:]"),
            r"gives \[7, 16, 16\], but .* it gives \[8, 16",
        ),
        ("several", "C", SQUEEZE.format("return x, x"), "gives a `tuple`, not a tensor"),
        (
            "failure",
            "C",
            SQUEEZE.format("return x.no_such()"),
            "fails: AttributeError: .* 'no_such'",
        ),
    ],
)
def test_a_class_that_is_not_what_its_signature_says_is_said_before_training(
    lab: Path, module: str, declared: str, text: str, says: str
) -> None:
    (lab / "lab" / f"{module}.py").write_text(text)
    signature = f'Squeeze(): [C, *S] -> [C, *S] from "lab.{module}:Squeeze"({declared})'
    (lab / "spec.arch").write_text(body(signature, "return x -> a: Squeeze"))
    model = archc.load(lab / "spec.arch")
    with pytest.raises(ArchError, match=f"the extern layer `Squeeze` {says}") as caught:
        try_externs(model.graph, model.build(), torch.zeros(2, 8, 16, 16))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0508"
    assert diagnostic.labels[0].span.text == "a: Squeeze"


def test_trying_extern_layers_leaves_no_trace(lab: Path) -> None:
    (lab / "lab" / "squeeze.py").write_text(SQUEEZE.format("return x"))
    signature = 'Squeeze(): [C, *S] -> [C, *S] from "lab.squeeze:Squeeze"(C)'
    (lab / "spec.arch").write_text(body(signature, "return x -> a: Squeeze -> n: bn"))
    model = archc.load(lab / "spec.arch")
    net = model.build()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    try_externs(model.graph, net, torch.ones(2, 8, 16, 16))
    assert net.training
    assert all(map(torch.equal, before.values(), net.state_dict().values()))
    assert not any(module._forward_hooks for module in net.modules())


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
