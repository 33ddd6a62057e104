"""Mends that could give another net than was meant: they are not certain, or there is none."""

import pytest
from test_habits import NET, mended

from archc.diagnostics import ArchError, Diagnostic
from archc.elaborate.files import load_text
from archc.elaborate.net import elaborate


def said(text: str) -> Diagnostic:
    """The first error of a text."""
    with pytest.raises(ArchError) as caught:
        elaborate(load_text(text, "x"))
    return caught.value.diagnostics[0]


# ------------------------------------------- what may have meant another thing

VALUES = [
    "if (n or 2) == 2 { x = x -> relu }",
    "w = n or 12",
    "w = 8 * (n and wide)",
    "w = [v for v in [n and 2]]",
]


@pytest.mark.parametrize("typed", VALUES)
def test_a_value_that_python_would_take_from_or_has_no_mend(typed: str) -> None:
    found = said(NET.format(typed))
    assert found.code == "E0206"
    assert not found.fix
    assert found.help is not None
    assert "a if c else b" in found.help


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("if wide or n { x = x -> relu }", "if wide or n != 0 { x = x -> relu }"),
        ("if not (wide or n) { x = x -> tanh }", "if not (wide or n != 0) { x = x -> tanh }"),
        ("w = 8 if wide or n else 16", "w = 8 if wide or n != 0 else 16"),
    ],
)
def test_numbers_that_are_only_tested_are_compared(typed: str, meant: str) -> None:
    assert mended(NET.format(typed)) == NET.format(meant)


IS = "net N({})(x: [8, 4, 4]) {{\n    if {} {{ x = x -> relu }}\n    return x\n}}\n"


@pytest.mark.parametrize(
    ("parameter", "condition", "certain"),
    [
        ("down=false", "down is False", True),
        ("down: bool = true", "down is not True", True),
        ("n=3", "n is 3", True),
        ('mode="a"', 'mode is "a"', True),
        ("down=0", "down is False", False),
        ("stride=1", "stride is not True", False),
        ("n=1.0", "n is 1", False),
        ("down: bool", "down is True", False),
        ("n=1", "n + 1 is 2", False),
        ("n=1", "n is 1 + 1", False),
    ],
)
def test_is_is_certain_only_between_values_of_one_kind(
    parameter: str, condition: str, certain: bool
) -> None:
    found = said(IS.format(parameter, condition))
    assert found.code == "E0133"
    assert found.certain == certain


def test_is_is_not_certain_of_a_name_that_is_bound_again() -> None:
    text = IS.format("down=false", "down is False")
    found = said(text.replace("    if", "    down = 0\n    if"))
    assert not found.certain


LEARNED = "net N()(x: [8, 4, 4]) {{\n    w = param([8, 4, 4])\n    {}\n    return x\n}}\n"


@pytest.mark.parametrize(
    "line",
    [
        "x = x + w[:, :1]",
        "x = x + w.mean(1, keepdim=true)",
        "x = x -> conv(w.size(1))",
        "a, b = w.chunk(2, dim=1)",
    ],
)
def test_axes_of_a_learned_tensor_have_no_mend(line: str) -> None:
    assert not said(LEARNED.format(line)).fix


def test_a_slice_is_certain_where_every_tensor_has_a_batch_axis() -> None:
    assert said(NET.format("x = x[:, :8]")).certain
    assert not said(LEARNED.format("x = x[:, :8]")).certain
    assert said(LEARNED.format("x = x[:, :8]")).fix
    assert not said("block take()(x) { return x }\n" + NET.format("x = x[:, :8]")).fix


def test_the_shape_of_a_learned_tensor_is_counted_as_in_pytorch() -> None:
    text = LEARNED.format("x = (x + w) -> conv(w.shape[1])")
    warnings = elaborate(load_text(text, "x")).warnings
    assert "W0011" not in {warning.code for warning in warnings}


@pytest.mark.parametrize(
    ("body", "mends"),
    [
        ("b, c, h, w = x.shape\n    return x -> conv(c)", True),
        ("b, c, h, w = x.shape\n    return x -> conv(b * c)", False),
        ('b, c, h, w = x.shape\n    return x -> "c{b}": conv(c)', False),
        ("for i, w in [8, 8] { x = x -> conv(i) }\n    return x", True),
        ("for i, w in [8, 8] { x = x -> conv(w) }\n    return x", False),
        ("ws = [w for i, w in [8, 8]]\n    return x -> conv(ws[0])", False),
    ],
)
def test_a_name_that_is_used_is_not_left_out(body: str, mends: bool) -> None:
    found = said(f"net N()(x: [8, 4, 4]) {{\n    {body}\n}}\n")
    assert found.code == "E0208"
    assert bool(found.fix) == mends


PIPED = "net N()(x: [8, 4, 4]) {{\n    x = x -> {}\n    return x\n}}\n"


@pytest.mark.parametrize(
    ("layer", "certain"),
    [
        ("nn.Conv2d(4, 16, 3)", False),
        ("nn.Conv2d(8, 16, 3)", False),
        ("nn.Conv1d(8, 16, 3)", False),
        ("nn.Linear(512, 10)", False),
        ("nn.GroupNorm(8, 4)", False),
        ("nn.BatchNorm1d(8)", False),
        ("nn.Dropout1d(0.5)", False),
        ("nn.MaxPool2d(2)", False),
        ("MaxPooling2D(2)", False),
        ("nn.ReLU(inplace=true)", True),
        ("nn.Dropout(0.5)", True),
        ("nn.GELU()", True),
    ],
)
def test_what_is_also_said_of_the_input_is_not_dropped_without_asking(
    layer: str, certain: bool
) -> None:
    found = said(PIPED.format(layer))
    assert found.fix
    assert found.certain == certain


def test_a_stride_beside_same_has_no_mend() -> None:
    found = said(PIPED.format('nn.Conv2d(8, 8, 3, stride=2, padding="same")'))
    assert not found.fix
    assert "stride" in (found.help or "")


def test_a_list_is_not_counted_by_what_the_spec_calls_len() -> None:
    text = "net N(xs=[8])(x: [8, 4, 4]) {\n    if xs { x = x -> relu }\n    return x\n}\n"
    assert said(text).certain
    assert not said("const len = 3\n" + text).fix


def test_a_layer_that_the_spec_calls_otherwise_is_not_put_before_another() -> None:
    text = PIPED.format("avg_pool(3, padding=[0, 1, 0, 1])")
    assert "pad(" in "".join(edit.text for edit in said(text).fix)
    assert not said("block pad()(x) { return x -> relu }\n" + text).fix
