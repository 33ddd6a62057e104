"""Extern layers that give several tensors."""

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pytest
import torch
from extern_specs import body, compiled
from plain_modules import PASSES
from torch import Tensor, nn

import archc
from archc.analysis.summary import summarize
from archc.api import Model
from archc.compiler import Request, compile_spec
from archc.diagnostics import ArchError, Source
from archc.passes.base import Pass
from archc.syntax.format import format_source
from archc.train.extern_modules import try_externs
from archc.viz.draw import to_dot

PARTS = """
import torch
from torch import nn


class Split(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        return y[:, : y.shape[1] // 2], y[:, y.shape[1] // 2 :], y.mean((2, 3))


class Swap(nn.Module):
    def forward(self, a, b):
        return [b + 1, a * 2]
"""
DECLARED = """
extern layer Split(): [C, H, W] -> ([C // 2, H, W], [C - C // 2, H, W], [C]) from "parts:Split"(C)
extern layer Swap(): ([C, *S], [C, *S]) -> ([C, *S], [C, *S]) from "parts:Swap"
"""
NET = """
block Both()(x) {
    a, b, _mean = x -> split: Split
    return (a, b) -> swap: Swap
}

net Net(classes=3)(image: [8, H, W]) {
    a, b = image -> both: Both
    swap = Swap()
    for i in range(2) { a, b = (a, b) -> swap }
    for i in range(3) { a, b = (a, b) -> "step{i}": Swap }
    x = concat(b, a) -> conv: conv(9, 3) -> norm: bn -> relu
    _low, high, mean = x -> last: Split
    x = high -> global_avg_pool -> fc: linear(9)
    return (x + mean) -> head: linear(classes), high
}
"""


class ByHand(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        parts = import_module("parts")
        self.both = nn.ModuleDict({"split": parts.Split(8)})
        self.conv = nn.Conv2d(8, 9, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(9)
        self.last = parts.Split(9)
        self.fc, self.head = nn.Linear(5, 9), nn.Linear(9, 3)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        a, b, _ = self.both["split"](image)
        for _ in range(6):
            a, b = b + 1, a * 2
        x = torch.relu(self.norm(self.conv(torch.cat([b, a], 1))))
        _, high, mean = self.last(x)
        return self.head(self.fc(high.mean((2, 3))) + mean), high


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the module `parts`, which can be imported from there."""
    (tmp_path / "parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path
    sys.modules.pop("parts", None)


def model(folder: Path, text: str, passes: Sequence[Pass] = ()) -> Model:
    (folder / "spec.arch").write_text(text)
    return Model(compile_spec(Request(str(folder / "spec.arch"), passes=tuple(passes))))


@pytest.mark.parametrize("passes", PASSES)
def test_several_results_are_what_the_class_gives(lab: Path, passes: Sequence[Pass]) -> None:
    net = model(lab, DECLARED + NET, passes).build().double()
    hand = ByHand().double()
    hand.load_state_dict(net.state_dict())
    torch.manual_seed(0)
    for size in ((6, 5), (7, 9)):
        image = torch.randn(2, 8, *size, dtype=torch.float64)
        for ours, theirs in zip(net(image), hand(image), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    sum(out.square().sum() for out in net(image)).backward()
    sum(out.square().sum() for out in hand(image)).backward()
    wanted = dict(hand.named_parameters())
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name].grad, rtol=1e-9, atol=1e-9)


def test_the_emitted_file_takes_them_apart(lab: Path) -> None:
    source = model(lab, DECLARED + NET).source
    assert "a, b, _mean = self.split(x)\n" in source
    assert "_low, high, mean = self.last(" in source
    assert "[0]" not in source


RETURNED = {
    "return x -> split: Split": "abc",
    "a, b, c = x -> split: Split\n    return c, a, b": "cab",
    "parts = x -> split: Split\n    return parts[1]": "b",
    "return (x -> split: Split)[2]": "c",
    "split = Split()\n    a, b, _c = split(x)\n    return (b, a) -> swap: Swap -> back: Swap": "xy",
}
"""What a net returns: of the results a, b and c of `Split`, or what two `Swap` make of them."""


@pytest.mark.parametrize("line", RETURNED)
def test_results_go_wherever_tensors_go(lab: Path, line: str) -> None:
    net = model(lab, f"{DECLARED}\nnet Net()(x: [8, 4, 4]) {{\n    {line}\n}}\n").build()
    image = torch.randn(2, 8, 4, 4)
    a, b, c = net.get_submodule("split")(image)
    wanted = {"a": a, "b": b, "c": c, "x": 2 * b + 1, "y": (a + 1) * 2}
    found = net(image)
    found = found if isinstance(found, tuple | list) else (found,)
    assert len(found) == len(RETURNED[line])
    assert all(torch.equal(x, wanted[name]) for x, name in zip(found, RETURNED[line], strict=True))


def test_results_are_shown(lab: Path) -> None:
    found = model(lab, DECLARED + NET)
    summary = summarize(found.graph)
    assert "([4, H, W], [4, H, W], [8])" in str(summary)
    layers = {layer["path"]: layer for layer in summary.to_json()["layers"]}  # type: ignore[attr-defined]
    assert layers["both.split"]["outputs"] == [[4, "H", "W"], [4, "H", "W"], [8]]
    assert "result(" not in to_dot(found.graph)


def test_the_style_of_several_results() -> None:
    text = 'extern layer A(): [C,H] -> ([C , 2 * H],[C]) from "a:A"\n'
    assert (
        format_source(Source("a.arch", text))
        == 'extern layer A(): [C, H] -> ([C, 2*H], [C]) from "a:A"\n'
    )


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("a, b = x -> s: Split\n    return a, b", "E0208", "2 names"),
        ("return x -> s: Split -> relu", "E0201", "`relu` needs one tensor, not 3"),
        ("a = x -> s: Split\n    return a.channels", "E0212", "a tuple has no attributes"),
    ],
)
def test_several_results_are_no_tensor(tmp_path: Path, line: str, code: str, says: str) -> None:
    with pytest.raises(ArchError) as caught:
        compiled(tmp_path, f"{DECLARED}\nnet Net()(x: [8, 4, 4]) {{\n    {line}\n}}\n")
    problem = caught.value.diagnostics[0]
    assert problem.code == code
    assert says in problem.message


@pytest.mark.parametrize(
    ("signature", "says"),
    [
        ("([C // 2, H, W], [C])", "gives 3 values, but by its signature 2 tensors"),
        ("([C // 2, H, W], [C // 2, H, W], [C // 2])", "gives ([4, 4, 4], [4, 4, 4], [8])"),
        ("[C, H, W]", "gives a `tuple`, not a tensor"),
    ],
)
def test_a_wrong_signature_is_found_before_training(lab: Path, signature: str, says: str) -> None:
    result = "(x -> s: A)[0]" if signature.startswith("(") else "x -> s: A"
    text = body(
        f'A(): [C, H, W] -> {signature} from "parts:Split"(C)', f"return {result}", "[8, 4, 4]"
    )
    (lab / "spec.arch").write_text(text)
    found = archc.load(lab / "spec.arch")
    with pytest.raises(ArchError) as caught:
        try_externs(found.graph, found.build(), torch.zeros(2, 8, 4, 4))
    assert says in caught.value.diagnostics[0].message
