"""A bracket is missing: the mend gives the spec that was there before, or there is none."""

import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from parsed import file

from archc.diagnostics import ArchError, Diagnostic, Source, edited
from archc.elaborate.files import load_program
from archc.elaborate.net import elaborate
from archc.ir.dump import dump
from archc.resources import library_root
from archc.syntax.parser import parse

SPECS = sorted(library_root().rglob("*.arch"))
_LITERAL = re.compile(r'#[^\n]*|"[^"\n]*"')


def places(text: str, brackets: str) -> Iterator[int]:
    """Where brackets stand in the code."""
    code = _LITERAL.sub(lambda found: " " * len(found[0]), text)
    yield from (i for i, char in enumerate(code) if char in brackets)


def mistakes(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(ArchError) as caught:
        parse(Source("spec.arch", text))
    return caught.value.diagnostics


@cache
def mended(text: str) -> str | None:
    """A text after its mends; None if something in it has none."""
    found = mistakes(text)
    if not all(diagnostic.fix for diagnostic in found):
        return None
    return edited(text, [edit for diagnostic in found for edit in diagnostic.fix])


def code(text: str) -> str:
    return "".join(text.split())


def without_line(text: str, place: int) -> str:
    """Without the line at a place, if the bracket there is all that it holds."""
    start, end = text.rfind("\n", 0, place) + 1, text.find("\n", place) + 1
    assert text[start:end].strip() == "}"
    return text[:start] + text[end:]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_each_closing_brace_of_a_shipped_spec_is_put_back(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for place in places(text, "}"):
        cut = text[:place] + text[place + 1 :]
        result = mended(cut)
        assert result is not None
        assert code(result) == code(text)
        parse(Source("spec.arch", result))


def test_braces_on_lines_of_their_own_come_back_as_they_were() -> None:
    text = (library_root() / "msdnet.arch").read_text(encoding="utf-8")
    alone = [i for i in places(text, "}") if re.search(r"\n *$", text[:i]) and text[i + 1] == "\n"]
    assert alone
    assert all(mended(without_line(text, place)) == text for place in alone)


@pytest.mark.parametrize("name", ["resnet", "hardnet", "vgg_cifar"])
def test_what_is_mended_compiles_to_the_same_net(name: str, tmp_path: Path) -> None:
    path = library_root() / f"{name}.arch"
    text = path.read_text(encoding="utf-8")
    whole = dump(elaborate(load_program(path)).graph)
    target = tmp_path / path.name
    for place in places(text, "}"):
        target.write_text(mended(text[:place] + text[place + 1 :]) or "", encoding="utf-8")
        assert dump(elaborate(load_program(target)).graph) == whole


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_each_other_bracket_is_put_back_or_left_to_the_author(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    results = [mended(text[:i] + text[i + 1 :]) for i in places(text, ")]")]
    assert all(result is None or code(result) == code(text) for result in results)


def test_three_in_ten_of_the_other_brackets_are_put_back() -> None:
    texts = [path.read_text(encoding="utf-8") for path in SPECS]
    results = [mended(text[:i] + text[i + 1 :]) for text in texts for i in places(text, ")]")]
    assert sum(result is not None for result in results) > 0.3 * len(results)


MISSING = {
    "of a loop": (
        """
        net N()(image: [3, 8, 8]) {
            x = image
            for i in range(3) {
                x = x -> "conv{i}": conv(8, 3)
            return x -> global_avg_pool
        }
        """,
        'x = x -> "conv{i}": conv(8, 3)\n            }\n',
    ),
    "of a loop on one line": (
        """
        net N()(image: [3, 8, 8]) {
            x = image
            for i in range(3) { x = x -> "conv{i}": conv(8, 3)  # three
            return x
        }
        """,
        '{ x = x -> "conv{i}": conv(8, 3) }  # three\n',
    ),
    "before an else": (
        """
        block B(wide)(x) {
            if wide {
                y = x -> conv(8)
            else {
                y = x -> conv(4)
            }
            return y
        }
        """,
        "conv(8)\n            } else {\n",
    ),
    "before an else on the line": (
        """
        block B(wide)(x) {
            if wide { y = x -> conv(8) else { y = x -> conv(4) }
            return y
        }
        """,
        "{ y = x -> conv(8) } else { y",
    ),
    "of two at once": (
        """
        block B(wide)(x) {
            for i in range(3) {
                if wide {
                    x = x -> relu

            # what comes behind
            return x
        }
        """,
        "x -> relu\n                }\n            }\n\n            # what",
    ),
    "of a block before a comment": (
        """
        block B()(x) {
            return x

        ## Two.
        @x_note
        block C()(x) { return x }
        """,
        "return x\n        }\n\n        ## Two.",
    ),
    "of a scope at the end": (
        """
        block B()(x) {
            scope s {
                x = x -> relu
            return x
        """,
        "x -> relu\n            }\n            return x\n        }",
    ),
}


@pytest.mark.parametrize(("text", "within"), MISSING.values(), ids=MISSING)
def test_a_brace_goes_where_the_indentation_says(text: str, within: str) -> None:
    text = textwrap.dedent(text)
    result = mended(text)
    assert result is not None
    assert within.replace("\n        ", "\n") in result
    parse(Source("spec.arch", result))


UNCLEAR = {
    "not indented": "block B()(x) {\nfor i in range(3) {\nx = x -> relu\nreturn x\n}\n",
    "indented unequally": (
        "block B()(x) {\n    for i in range(3) {\n        x = x -> relu\n"
        "      x = x -> relu\n    return x\n}\n"
    ),
    "an empty body": "block B()(x) {\n    for i in range(3) {\n    x = x -> relu\n}\n",
    "tabs and spaces": "block B()(x) {\n\tfor i in range(3) {\n\t\tx = x -> relu\n    y = x\n}\n",
    "a body that goes on below its line": (
        "block B()(x) {\n    for i in range(3) { x = x -> relu\n        x = x -> relu\n}\n"
    ),
}


@pytest.mark.parametrize("text", UNCLEAR.values(), ids=UNCLEAR)
def test_where_the_indentation_does_not_tell_there_is_no_mend(text: str) -> None:
    (found,) = mistakes(text)
    assert found.code == "E0112"
    assert found.fix == ()
    assert found.help == "put `}` behind the last statement of the body"


OPEN = [
    ("y = concat(x, x -> relu", None),
    ("y = sign_ste(x * abs(x)", None),
    ("for a, b in zip(range(3, xs) { y = a }", None),
    ("assert x in [1, 2, 'm'", None),
    ("y = f(g(x)", None),
    ("y = concat(x, x", "y = concat(x, x)"),
    ("for i in range(len(xs) { y = i }", "for i in range(len(xs)) { y = i }"),
    ("if wide { y = x -> dropout(0.5 }", "if wide { y = x -> dropout(0.5) }"),
    ("y = f(x]", "y = f(x)"),
]


@pytest.mark.parametrize(("line", "meant"), OPEN, ids=[line for line, _ in OPEN])
def test_a_bracket_that_could_close_at_several_places_is_left_open(
    line: str, meant: str | None
) -> None:
    line = line.replace("'", '"')
    result = mended(f"block B()(x) {{\n    {line}\n    return y\n}}\n")
    assert result == (meant and f"block B()(x) {{\n    {meant}\n    return y\n}}\n")
    assert result is None or file(result)
