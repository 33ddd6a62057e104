"""Functions, methods and modules of torch's that are one thing in several forms."""

import inspect

import pytest
import torch
from test_doubtful_mends import said
from test_tried_mends import mended
from torch import nn
from torch.nn import functional as F

import archc
from archc.checking import CheckStage
from archc.diagnostics import edited
from archc.elaborate.pytorch.signatures import LAZY, REQUIRED

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

NET = "net N()(x: {}) {{\n    y = x -> tanh\n    return {}\n}}\n"
SHAPES = {"[8]": 0, "[8, 12]": 1, "[8, 12, 10]": 2, "[8, 4, 6, 5]": 3}

FUNCTIONS = [
    ("torch.mean(x, [2, 3])", {2}),
    ("torch.mean(x, dim=(2, 3), keepdim=True)", {2}),
    ("torch.mean(x, (-2, -1))", {2}),
    ("torch.mean(y, 2)", {1}),
    ("torch.mean(F.relu(x), (2, 3, 4))", {3}),
    ("torch.mean(x, 1, keepdim=True)", {1, 2, 3}),
    ("torch.amax(x, dim=1, keepdim=True)", {1, 2, 3}),
    ("torch.reshape(x, (x.size(0), -1))", {1, 2, 3}),
    ("torch.reshape(x, (y.shape[0], -1))", {1, 2, 3}),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("call", "ranks"), FUNCTIONS)
def test_a_function_is_mended_as_the_method_is(call: str, ranks: set[int], shape: str) -> None:
    text = NET.format(shape, call)
    found = mended(text)
    if SHAPES[shape] not in ranks:
        assert "torch." in found.text or SHAPES[shape] == 0
        return
    assert found.checked.stage == CheckStage.SOUND
    x = torch.randn(3, *map(int, shape.strip("[]").split(",")))
    theirs = eval(call, {"torch": torch, "F": F, "x": x, "y": x.tanh()})
    torch.testing.assert_close(archc.loads(found.text, O0=True).build()(x), theirs)


LEARNED = "net N()(x: [8, 12, 10]) {{\n    w = param([8, 12, 10])\n    return x + {}\n}}\n"


@pytest.mark.parametrize(
    "call",
    ["torch.mean(w, 1, keepdim=true)", "x.view(w.size(0), -1)", "x.view([w][0].size(0), -1)"],
)
def test_a_learned_tensor_has_no_batch_in_any_form(call: str) -> None:
    assert not said(LEARNED.format(call)).fix


METHODS = [
    "x.relu()",
    "x.sigmoid()",
    "x.tanh()",
    "x.abs()",
    "x.flatten(1)",
    "x.flatten(start_dim=1)",
    "x.contiguous()",
    "x.relu().view(x.size(0), -1).tanh()",
    "(x + y).relu().flatten(1)",
]


@pytest.mark.parametrize("call", METHODS)
def test_a_method_that_hangs_on_no_type_is_certain(call: str) -> None:
    text = NET.format("[8, 12, 10]", call)
    assert said(text).certain
    found = mended(text)
    text = found.text
    if found.checked.stage < CheckStage.SOUND:
        text = mended(edited(text, said(text).fix)).text
    x = torch.randn(3, 8, 12, 10)
    theirs = eval(call, {"x": x, "y": x.tanh()})
    torch.testing.assert_close(archc.loads(text, O0=True).build()(x), theirs)


@pytest.mark.parametrize("call", ["x.view(-1, 960)", "x.mean((2, 3))", "x.softmax(-3)"])
def test_a_method_that_hangs_on_the_type_is_not(call: str) -> None:
    problem = said(NET.format("[8, 12, 10]", call))
    assert problem.fix
    assert not problem.certain


def test_the_axes_of_what_may_be_learned_are_not_certain() -> None:
    assert not said(LEARNED.format("x.flatten(1)")).certain


def test_lazy_modules_are_those_of_torch_but_one() -> None:
    words = {word for word in dir(nn) if word.startswith("Lazy")}
    assert words - set(LAZY) == {f"LazyInstanceNorm{n}d" for n in (1, 2, 3)}


@pytest.mark.parametrize("word", LAZY)
def test_a_lazy_module_has_the_defaults_of_torch(word: str) -> None:
    theirs = inspect.signature(getattr(nn, word)).parameters
    for item in LAZY[word].parameters:
        if item.name in theirs:
            default = theirs[item.name].default
            assert item.default == (REQUIRED if default is inspect.Parameter.empty else default)
        else:
            assert item.named, item.name
    assert {item.name for item in LAZY[word].parameters} >= {*theirs} - {"kwargs", "args"}


@pytest.mark.parametrize(
    "call",
    [
        "nn.LazyConv2d(10, 3)",
        "nn.LazyConv2d(10, 3, 2, padding=1, bias=False)",
        "nn.LazyConvTranspose2d(4, 2, 2)",
        "nn.LazyBatchNorm2d()",
        "nn.LazyLinear(10)",
        "nn.Hardtanh(0, 6)",
        "nn.Hardtanh(min_val=0.0, max_val=6.0, inplace=True)",
    ],
)
def test_a_module_under_another_name_is_mended(call: str) -> None:
    shape = "[8]" if "Linear" in call else "[8, 12, 10]"
    text = NET.format(shape, f"x -> m: {call.replace('True', 'true').replace('False', 'false')}")
    text = edited(text, said(text).fix)
    x = 4 * torch.randn(3, *map(int, shape.strip("[]").split(",")))
    theirs = eval(call, {"nn": nn})
    theirs(x)
    ours = archc.loads(text, O0=True).build()
    ours.load_state_dict({f"m.{key}": value for key, value in theirs.state_dict().items()})
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        ("F.hardtanh(x, 0, 6)", "relu6(x)"),
        ("torch.neg(x)", "(-x)"),
        ("torch.neg(x + y)", "(-(x + y))"),
        ("torch.negative(F.relu(x))", "(-relu(x))"),
    ],
)
def test_a_function_under_another_name_is_mended(call: str, meant: str) -> None:
    text = NET.format("[8, 12, 10]", call)
    assert edited(text, said(text).fix) == NET.format("[8, 12, 10]", meant)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("nn.Hardtanh()(x)", '"torch.nn:Hardtanh"'),
        ("F.hardtanh(x, -1, 6)", '"torch.nn:Hardtanh"'),
        ("torch.sqrt(x)", "archc has no operator `sqrt`"),
        ("torch.floor(x)", "archc has no operator `floor`"),
        ("x if isinstance(x, int) else y", "a value has one kind"),
        ("x.mean((2, 3))[:, :, None, None]", "`global_avg_pool(keep=true)`"),
        ("take(x, 4)[:, :2]", "`take(x, 8)` gives the first 8 channels"),
        ("(x + y)[:, :, 1:-1, 1:-1]", "`crop(x, spatial=1)`"),
    ],
)
def test_a_help_does_not_mislead(call: str, words: str) -> None:
    problem = said(NET.format("[8, 12, 10]", call))
    assert words in (problem.help or "")
    assert not problem.fix


@pytest.mark.parametrize("text", ['"c%02d" % 1', '"c{:02d}".format(1)', '"_".join(["a", "b"])'])
@pytest.mark.parametrize("place", ["x -> {}: relu", "x -> tanh -> {}: relu"])
def test_a_label_that_is_put_together_is_told_of_holes(text: str, place: str) -> None:
    problem = said(NET.format("[8, 12, 10]", place.format(text)))
    assert (problem.code, problem.fix) == ("E0156", ())
    assert '`"c{i}"`' in (problem.help or "")
