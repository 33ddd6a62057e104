"""What changes a tensor or a module in PyTorch, and what is said of it here, where nothing does."""

import pytest
import torch
from test_doubtful_mends import said
from torch.nn import functional as F

import archc
from archc.diagnostics import ArchError, edited

NET = "net N()(x: [8, 12, 10]) {{\n    y = x -> tanh\n    {}\n    return x * y\n}}\n"


def mended(text: str) -> str:
    """A text after the mends of its errors, one by one."""
    for _ in range(6):
        try:
            archc.loads(text)
        except ArchError as problem:
            text = edited(text, problem.diagnostics[0].fix)
    return text


CHANGES = [
    "x.add_(y)",
    "x.sub_(y - 1)",
    "x.mul_(2)",
    "x.div_(4)",
    "x.relu_()",
    "x.sigmoid_()",
    "x.abs_()",
    "torch.relu_(x)",
    "F.leaky_relu_(x, 0.1)",
    "F.relu(x, inplace=True)",
    "F.leaky_relu(x, 0.1, inplace=True)",
    "x = torch.relu_(x)",
    "x = F.leaky_relu_(x, 0.1)",
    "x = x.sigmoid_()",
    "x = x.add_(y)",
]


@pytest.mark.parametrize("line", CHANGES)
def test_a_tensor_that_is_changed_in_place_is_bound_anew(line: str) -> None:
    text = NET.format(line)
    problem = said(text)
    assert (problem.help or "").startswith("no tensor is changed in place")
    assert not problem.certain
    x = torch.randn(2, 8, 12, 10)
    names = {"x": x.clone(), "y": x.tanh(), "F": F, "torch": torch}
    exec(line, names)
    ours = archc.loads(mended(text), O0=True).build()(x)
    torch.testing.assert_close(ours, names["x"] * names["y"])  # type: ignore[operator]


@pytest.mark.parametrize("call", ["x.relu_()", "x.add_(1)", "torch.relu_(x)", "F.leaky_relu_(x)"])
def test_what_is_changed_and_not_bound_anew_has_no_mend(call: str) -> None:
    assert not said(NET.format(f"z = {call}\n    x = x + z")).fix


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('self.register_buffer("a", x)', "`param`"),
        ('self.register_parameter("a", x)', "`param`"),
        ('self.add_module("a", x)', "label"),
        ("x.requires_grad_(false)", "`stop_gradient(x)`"),
        ("self.eval()", "in training only"),
        ("nn.init.kaiming_normal_(c.weight)", "@init"),
        ("torch.nn.init.zeros_(c.bias)", "@init"),
        ("init.xavier_uniform_(c.weight)", "@init"),
    ],
)
def test_what_changes_a_module_is_said_in_words_of_its_own(line: str, word: str) -> None:
    problem = said(NET.format(line))
    assert (problem.code, problem.fix) == ("E0141", ())
    assert word in (problem.help or "")
    assert "remove" not in (problem.help or "")


@pytest.mark.parametrize("line", ["x + y", "relu(x)", "x.mean()", "F.relu(x, inplace=false)"])
def test_what_changes_nothing_is_lost_as_before(line: str) -> None:
    assert (said(NET.format(line)).help or "").startswith("bind it")


@pytest.mark.parametrize(
    ("line", "certain"),
    [
        ("x = F.relu(x, inplace=true)", True),
        ("x = F.relu(x, true)", True),
        ("x = F.relu(x + y, inplace=true)", True),
        ("x = x -> nn.ReLU(inplace=true)", True),
        ("x = x -> a: nn.ReLU(true)", True),
        ("x = x -> conv(8, 3) -> nn.ReLU(inplace=true)", True),
        ("x = x\n          -> tanh\n          -> nn.ReLU(inplace=true)", True),
        ("x = (x + y) -> nn.ReLU(inplace=true)", True),
        ("x = nn.ReLU(inplace=true)(x)", True),
        ("z = F.relu(x, inplace=false) + x", True),
        ("z = F.relu(x, inplace=true) + x", False),
        ("z = x -> nn.ReLU(inplace=true)\n    x = x + z", False),
        ("z = x -> nn.Dropout(0.5, true)\n    x = x + z", False),
        ("z = nn.ReLU(inplace=true)(x)\n    x = x + z", False),
        ("x = x + F.relu(x, inplace=true)", False),
        ("z = x\n    x = x -> nn.ReLU(inplace=true)\n    x = x + z", False),
        ("act = nn.ReLU(inplace=true)\n    z = x -> act\n    x = x + z", False),
    ],
)
def test_in_place_is_dropped_where_the_tensor_is_not_used_later(line: str, certain: bool) -> None:
    problem = said(NET.format(line))
    assert problem.fix
    assert problem.certain == certain


BLOCK = (
    "block B()(x) {{\n    {}\n    return x\n}}\nnet N()(x: [8, 12, 10]) {{ return x + (x -> B) }}\n"
)


@pytest.mark.parametrize(
    ("line", "certain"),
    [
        ("x = x -> nn.ReLU(inplace=true)", False),
        ("x = F.relu(x, inplace=true)", False),
        ("x = x -> tanh\n    x = x -> nn.ReLU(inplace=true)", True),
        ("x, y = (x + x, x)\n    x = F.relu(x, inplace=true)", True),
        ("x = x -> tanh -> nn.ReLU(inplace=true)", True),
    ],
)
def test_what_a_block_gets_may_be_used_outside(line: str, certain: bool) -> None:
    assert said(BLOCK.format(line)).certain == certain
