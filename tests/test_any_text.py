"""Any text at all gives a file or diagnostics."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsed import file

from archc.diagnostics import ArchError
from archc.explanations import pages
from archc.syntax import ast, messages
from archc.syntax.parser import parse
from archc.syntax.source import source_from_text

WORDS = [*messages.WORDS.values(), *messages.FOREIGN]
PIECES = [re.sub(r"[` ]", "", w) for w in WORDS if w[0] == "`" and " or " not in w] + [
    "x", "f", "1", "2.5", '"s{i}"', '"', "\n", "\n", " ", "  ", "# c\n", "## d\n", "'", ";", "==",
    "{", "}", "(", ")", "[", "]", "->", "net N()(x: [1]) {", "block B()(x) {", "é", "\\", "=", ",",
]  # fmt: skip

soups = st.lists(st.sampled_from(PIECES), max_size=60).map(" ".join)

SPEC = """\
arch 1
import "blocks/dense"
## A block.
@init("x")
block B(n: int = 3, k=[1, 2])(x, y) {
    for i in range(n) { x = x -> "l{i + 1}": conv(k[0], 3) -> bn }
    if n > 2 and x.channels in k { y += [x] } else if n == 1 { return x } else { y = -x }
    assert n != 4, "no"
    scope s { exit early: (x + y) -> f }
    return x if n else y, [a for a, b in y[1:] if a]
}
net N = B(n=4)
"""


def check_any(text: str) -> None:
    """A file, or diagnostics that can be drawn; nothing else."""
    tree, problem = None, None
    try:
        tree = parse(source_from_text(text, "any.arch"))
    except ArchError as error:
        problem = error
    if problem is None:
        assert isinstance(tree, ast.File)
        return
    assert 1 <= len(problem.diagnostics) <= 20
    assert str(problem)
    assert all(d.code in pages() for d in problem.diagnostics)


@settings(max_examples=150, deadline=None)
@given(st.text())
def test_any_text_gives_a_file_or_diagnostics(text: str) -> None:
    check_any(text)


@settings(max_examples=400, deadline=None)
@given(soups)
def test_any_words_give_a_file_or_diagnostics(text: str) -> None:
    check_any(text)
    check_any("block B()(x) {\n" + text + "\n}\n")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SPEC)), st.integers(0, 30), st.sampled_from(["", *PIECES]))
def test_any_edit_of_a_spec_gives_a_file_or_diagnostics(at: int, cut: int, put: str) -> None:
    check_any(SPEC[:at] + put + SPEC[at + cut :])


def test_the_edited_spec_is_sound() -> None:
    assert len(file(SPEC).declarations) == 3


def test_an_else_where_no_body_is_open_is_a_diagnostic() -> None:
    with pytest.raises(ArchError, match="expected"):
        parse(source_from_text("net N()(x: [1]) { else else", "any.arch"))
