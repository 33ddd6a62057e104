"""Types as Python's annotations declare them, in the heads of blocks and nets."""

import pytest
from test_doubtful_mends import said
from test_tried_mends import mended

from archc.checking import CheckStage

TEXT = "block B{} {{ return x -> c: relu }}\nnet N()(x: [8, 12, 10]) {{ return x -> B({}) }}\n"

HEADS = [
    ("(n)(x: Tensor)", "(n)(x)"),
    ("(n)(x: torch.Tensor)", "(n)(x)"),
    ("(n)(x: Optional[Tensor])", "(n)(x)"),
    ("(n)(x) -> Tensor", "(n)(x)"),
    ("(n)(x) -> torch.Tensor", "(n)(x)"),
    ("(n)(x: Tensor) -> Tuple[Tensor, Tensor]", "(n)(x)"),
    ("(n, r: Optional[float] = 0.5)(x)", "(n, r = 0.5)(x)"),
    ("(n: int, r: float | None = 0.5)(x)", "(n: int, r = 0.5)(x)"),
    ("(n: Union[int, float])(x)", "(n)(x)"),
    ("(n: int, ks: List[int] = [3])(x)", "(n: int, ks = [3])(x)"),
    ("(n: typing.Optional[int])(x)", "(n)(x)"),
    ("(n, act: nn.Module = relu)(x)", "(n, act = relu)(x)"),
]


@pytest.mark.parametrize(("head", "meant"), HEADS)
def test_what_is_no_kind_is_left_out(head: str, meant: str) -> None:
    text = TEXT.format(head, 4)
    problem = said(text)
    assert problem.code == "E0136"
    assert (problem.help or "").startswith("leave it out")
    found = mended(text)
    assert found.text == TEXT.format(meant, 4)
    assert found.checked.stage == CheckStage.SOUND


def test_the_input_of_a_net_needs_its_shape() -> None:
    problem = said("net N()(x: Tensor) {\n    return x -> relu\n}\n")
    assert (problem.code, problem.fix) == ("E0136", ())
    assert "`x: [3, 32, 32]`" in (problem.help or "")


@pytest.mark.parametrize("kind", ["str", "Callable", "Any"])
def test_one_word_that_is_no_kind_is_said(kind: str) -> None:
    assert said(TEXT.format(f"(n, a: {kind} = 1)(x)", 4)).code == "E0145"
