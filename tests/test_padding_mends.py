"""Lists that torch and archc read in another order, or that a name stands for, and their mends.

A mend is either none, or the mended spec's net computes what torch does.
"""

from collections.abc import Callable

import pytest
import torch
from test_doubtful_mends import said
from test_tried_mends import mended
from torch import Tensor, nn
from torch.nn import functional as F

import archc
from archc.checking import CheckStage
from archc.diagnostics import edited

pytestmark = pytest.mark.filterwarnings("ignore::archc.diagnostics.SpecWarning")

NET = "net N()(x: {}) {{\n    {}\n    return x\n}}\n"
IMAGE, SEQUENCE, VECTOR, VOLUME = "[8, 12, 10]", "[8, 12]", "[8]", "[8, 6, 12, 10]"


def torchs(line: str) -> Callable[[Tensor], Tensor]:
    """What a line of a spec computes where Python runs it on a batch."""
    *before, last = line.replace("\n    ", "\n").split("\n")
    head, _, tail = last.partition("x -> ")
    text = f"{head}{tail}(x)" if tail else last

    def compute(x: Tensor) -> Tensor:
        names = {"x": x, "F": F, "nn": nn, "torch": torch}
        exec("\n".join([*before, text]), names)
        return names["x"]  # type: ignore[return-value]

    return compute


def check_as_torch(line: str, text: str, shape: str) -> None:
    """The net of a text computes what torch does with a line."""
    torch.manual_seed(0)
    x = torch.randn(3, *[int(size) for size in shape.strip("[]").split(",")])
    torch.testing.assert_close(archc.loads(text, O0=True).build()(x), torchs(line)(x))


COMPUTED = [
    "p",
    "p[:2]",
    "[1] * 2",
    "(1,) * 4",
    "p + p",
    "[i for i in range(4)]",
    "(1, 1) + (0, 2)",
]


@pytest.mark.parametrize("padding", COMPUTED)
@pytest.mark.parametrize("call", ["F.pad(x, {})", "F.pad(x, pad={})", "x -> nn.ZeroPad2d({})"])
def test_padding_that_is_no_list_of_numbers_has_no_mend(call: str, padding: str) -> None:
    line = f"p = [1, 2]\n    x = {call.format(padding)}"
    problem = said(NET.format(IMAGE, line))
    assert not problem.fix
    assert "left" in (problem.help or "") or "sides" in (problem.help or "")
    assert mended(NET.format(IMAGE, line)).text == NET.format(IMAGE, line)


@pytest.mark.parametrize("numbers", ["[1, 2]", "(1, 1, 0, 2)", "[0, 0, 3, 1]"])
def test_the_sides_that_a_help_spells_out_are_those_of_torch(numbers: str) -> None:
    line = f"p = {numbers}\n    x = F.pad(x, p)"
    help = said(NET.format(IMAGE, line)).help or ""
    count = numbers.count(",") + 1
    sides = ", ".join(help.split("`")[-2].split(", ")[:count])
    assert "left=p[0]" in sides
    check_as_torch(line, NET.format(IMAGE, f"p = {numbers}\n    x = pad(x, {sides})"), IMAGE)


LISTED = [
    ("F.pad(x, (1, 2))", "left=1, right=2", [SEQUENCE, IMAGE, VOLUME]),
    ("F.pad(x, (0, 1, 0, 2))", "right=1, bottom=2", [IMAGE, VOLUME]),
    ("F.pad(x, (0, 0, 0, 0, 2, 6))", "before=2, channels=6", [IMAGE]),
    ("F.pad(x, (0, 1, 3, 0, 0, 6))", "right=1, top=3, channels=6", [IMAGE]),
    ("F.pad(x, (0, 1, 0, 0, 0, 0))", "right=1", [SEQUENCE, IMAGE, VOLUME]),
    ("F.pad(x, (0, 0, 0, 0, 1, 0, 2, 6))", "front=1, before=2, channels=6", [VOLUME]),
    ("F.pad(x, (1, 2), mode=\"replicate\")", "left=1, right=2", [SEQUENCE]),
    ("F.pad(x, (1, 2, 3, 4), mode=\"reflect\")", "left=1", [IMAGE]),
    ("F.pad(x, (1, 2, 3, 4, 0, 1), mode=\"replicate\")", "back=1", [VOLUME]),
    ("F.pad(x, (0, n, 0, n + 1))", "right=n, bottom=n + 1", [IMAGE, VOLUME]),
    ("x -> nn.ZeroPad2d((1, 2, 3, 4))", "left=1, right=2, top=3, bottom=4", [IMAGE]),
    ("x -> nn.ZeroPad2d((1, 1, n, n))", "spatial=[n, 1]", [IMAGE]),
    ("x -> nn.ReflectionPad2d(n // 2)", "spatial=[n // 2, n // 2]", [IMAGE]),
    ("x -> nn.ZeroPad1d((1, 2))", "left=1, right=2", [SEQUENCE]),
]  # fmt: skip


@pytest.mark.parametrize("shape", [VECTOR, SEQUENCE, IMAGE, VOLUME])
@pytest.mark.parametrize(("call", "meant", "shapes"), LISTED)
def test_a_list_of_sides_is_read_for_the_axes_that_there_are(
    call: str, meant: str, shapes: list[str], shape: str
) -> None:
    line = f"n = 2\n    x = {call}"
    text = NET.format(shape, line)
    found = mended(text)
    if shape in shapes:
        assert found.checked.stage == CheckStage.SOUND
        assert meant in found.text
        check_as_torch(line, found.text, shape)
    else:
        assert found.text == text


GIVEN = [
    ("[0, 0, 1, 2]", "channels", SEQUENCE),
    ("[0, 6]", "channels=6", VECTOR),
    ("[0, 0, 0, 0, 2, 6]", "before=2, channels=6", IMAGE),
    ("[0, 0, 0, 0, 2, 6]", "front=2, back=6", VOLUME),
    ("p", "left=p[0], right=p[1]", IMAGE),
]


@pytest.mark.parametrize(("padding", "meant", "shape"), GIVEN)
def test_a_list_by_position_is_read_for_its_operand(padding: str, meant: str, shape: str) -> None:
    text = NET.format(shape, f"p = [1, 2]\n    x = pad(x, {padding})")
    problem = said(text)
    after = edited(text, problem.fix)
    assert meant in after
    check_as_torch(f"p = [1, 2]\nx = F.pad(x, {padding})", after, shape)


def test_a_list_that_another_turn_has_otherwise_keeps_its_name() -> None:
    text = NET.format(IMAGE, "for p in [[1, 2], [0, 3]] { x = pad(x, p) }")
    after = edited(text, said(text).fix)
    assert "pad(x, left=p[0], right=p[1])" in after
    assert archc.loads(after).build()(torch.zeros(1, 8, 12, 10)).shape == (1, 8, 12, 16)


NAMED = [
    "x -> m: nn.Conv2d(8, 16, k, s, p)",
    "x -> m: nn.ConvTranspose2d(8, 16, k, stride=s, padding=p)",
    "x -> m: nn.MaxPool2d(k, s, p)",
    "x -> m: nn.AvgPool2d(k, padding=p)",
    "x -> m: nn.AdaptiveAvgPool2d(k)",
    "x -> m: nn.Upsample(scale_factor=s)",
    "F.max_pool2d(x, k, s, p)",
    "F.adaptive_avg_pool2d(x, k)",
    "F.interpolate(x, size=k)",
]


@pytest.mark.parametrize("call", NAMED)
def test_a_list_by_a_name_whose_order_is_that_of_torch_is_passed_on(call: str) -> None:
    values = "k = [3, 5]\n    s = [1, 2]\n    p = [1, 0]"
    found = mended(NET.format(IMAGE, f"{values}\n    x = {call}"))
    assert found.checked.stage == CheckStage.SOUND
    python = values.replace("\n    ", "\n").replace("[", "(").replace("]", ")")
    names: dict[str, object] = {"nn": nn, "F": F}
    exec(python, names)
    torch.manual_seed(0)
    x = torch.randn(3, 8, 12, 10)
    ours = archc.loads(found.text, O0=True).build()
    if "->" in call:
        theirs = eval(call.split("m: ")[1], names)
        ours.load_state_dict({f"m.{key}": value for key, value in theirs.state_dict().items()})
        expected = theirs(x)
    else:
        expected = eval(call, {**names, "x": x})
    torch.testing.assert_close(ours(x), expected)


@pytest.mark.parametrize("call", ["bn(num_features=4)", "conv(out=8, in_channels=4, kernel=3)"])
def test_channels_that_the_input_does_not_have_are_not_left_out(call: str) -> None:
    problem = said(NET.format(IMAGE, f"x = x -> {call}"))
    assert (problem.code, problem.fix) == ("E0312", ())
    assert problem.help == "archc infers the channels of the input, which has 8"


def test_axes_that_a_norm_is_over_are_not_left_out() -> None:
    problem = said(NET.format(IMAGE, "x = layer_norm(x, normalized_shape=[8, 12, 10])"))
    assert (problem.code, problem.fix) == ("E0312", ())
