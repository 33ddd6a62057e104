"""The formatter: one style, the same meaning, all comments, and nothing left for a second run.

`cases/format/NAME.arch` has `NAME.out`, the formatted text. Generated texts are shipped specs and
generated ones whose tokens stand apart otherwise than they did, with comments between them.
"""

import dataclasses
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import Block, blocks, completed
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lark.utils import TextSlice
from test_cases import CASES, compare

from archc import layout
from archc.diagnostics import ArchError, Source
from archc.layout import WIDTH
from archc.resources import library_root
from archc.syntax import ast, table
from archc.syntax.format import format_source
from archc.syntax.parser import parse
from archc.syntax.source import source_from_text
from archc.testing import Spec, specs

SHIPPED = sorted(library_root().rglob("*.arch"))
STYLED = sorted((CASES / "format").glob("*.arch"))


def parses(path: Path) -> bool:
    try:
        parse(Source(path.name, path.read_text(encoding="utf-8")))
    except ArchError:
        return False
    return True


CASE_FILES = [path for path in sorted(CASES.rglob("*.arch")) if parses(path)]

EXAMPLES_OF_DOCS = [block for block in blocks("arch") if "E01" not in block.info]
"""Those that parse."""


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def formatted(text: str) -> str:
    return format_source(source_from_text(text))


def meaning(text: str) -> Any:
    """The syntax tree as nested tuples, without spans."""
    return without_spans(parse(source_from_text(text)))


def without_spans(node: Any) -> Any:
    if isinstance(node, tuple):
        return tuple(map(without_spans, node))
    if not isinstance(node, ast.Syntax):
        return (type(node), node)
    names = [field.name for field in dataclasses.fields(node) if field.name != "span"]
    return (type(node), *(without_spans(getattr(node, name)) for name in names))


def comments(text: str) -> list[str]:
    """The comments of a text, found without the formatter: strings are skipped."""
    pieces = re.findall(r'"(?:[^"\\\n]|\\[^\n])*"|#[^\n]*', text)
    return [piece.rstrip() for piece in pieces if piece[0] == "#"]


def assert_formats_well(text: str) -> str:
    result = formatted(text)
    assert meaning(result) == meaning(text)
    assert comments(result) == comments(text)
    assert formatted(result) == result
    assert "\n\n\n" not in result
    assert "\t" not in re.sub(r"#.*", "", result)
    assert not re.search(r"[ \t]$", result, re.MULTILINE)
    assert not result or (result[0] != "\n" and result[-1] == "\n" and result[-2:] != "\n\n")
    return result


# -------------------------------------------------------------------- files


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_shipped_specs_are_in_the_style(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert assert_formats_well(text) == text


@pytest.mark.parametrize("example", EXAMPLES_OF_DOCS, ids=str)
def test_the_examples_of_the_documents_are_in_the_style(example: Block) -> None:
    text = completed(example.text)
    assert formatted(text) == text


@pytest.mark.parametrize("path", CASE_FILES, ids=name_of)
def test_a_file_keeps_its_meaning_and_its_comments(path: Path) -> None:
    assert_formats_well(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", STYLED, ids=lambda path: path.stem)
def test_a_file_is_formatted_as_its_golden(path: Path, update_golden: bool) -> None:
    result = formatted(path.read_text(encoding="utf-8"))
    compare(path.with_suffix(".out"), result, update_golden)
    assert all(len(line) <= WIDTH for line in result.splitlines())


# --------------------------------------------------------------- the rules


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("\n\n", ""),
        ("# alone", "# alone\n"),
        ("arch 1", "arch 1\n"),
        ("const A=1", "const A = 1\n"),
        ("const A = 1\r\n\r\n\r\n\r\nconst B = 2", "const A = 1\n\nconst B = 2\n"),
        ("const A = ((1))", "const A = ((1))\n"),
        ("const A = (1,)", "const A = (1,)\n"),
        ("const A = (1, 2,)", "const A = (1, 2)\n"),
        ("const A = [1,\n2,]", "const A = [1, 2]\n"),
        ("const A = [1,\n2,\n]", "const A = [\n    1, 2,\n]\n"),
        ("const A = [1,\n2 # c\n]", "const A = [\n    1, 2,  # c\n]\n"),
        ("const A = [1,\nb,\n]", "const A = [\n    1,\n    b,\n]\n"),
        (
            "const A = [1 # a\n,2 # b\n, # c\n]",
            "const A = [\n    1,  # a\n    2,  # b\n    # c\n]\n",
        ),
        ("const A = - x+-y- -z", "const A = -x + -y - -z\n"),
        ("const A = 1. if not a else 1 .b", "const A = 1.0 if not a else 1 .b\n"),
        ("const A = x [1] (2) . y", "const A = x[1](2).y\n"),
        ("const A = x[ a:b+1 ]", "const A = x[a : b + 1]\n"),
        ("const A = x[ -1 : b : ]", "const A = x[-1:b:]\n"),
        ('const A = "{ a+b } {{c+d}} \\"#"', 'const A = "{a + b} {{c+d}} \\"#"\n'),
        ('const A = "{a # b}"', 'const A = "{a # b}"\n'),
        ("net N()(x: [3, 32 *h+1, - 2* H]){}", "net N()(x: [3, 32*h + 1, -2*H]) {}\n"),
        (
            "net N()(x: [a*(b), a*b*c, a//b*c]){}",
            "net N()(x: [a * (b), a * b * c, a // b * c]) {}\n",
        ),
        (
            'extern layer E(k=2*3): [2*C, *S]->[C,*S] from "a:b"',
            'extern layer E(k=2 * 3): [2*C, *S] -> [C, *S] from "a:b"\n',
        ),
        ("net A=B()\nnet C=D()", "net A = B()\nnet C = D()\n"),
        ("net A=B()\n\n\nnet C=D()", "net A = B()\n\nnet C = D()\n"),
        ("const A=1\nnet C=D()", "const A = 1\n\nnet C = D()\n"),
        ("const A=1\n# c\nnet C=D()", "const A = 1\n\n# c\nnet C = D()\n"),
        ("const A=1\n# c\n\nnet C=D()", "const A = 1\n# c\n\nnet C = D()\n"),
        ("@x_a@x_b net A=B()", "@x_a\n@x_b\nnet A = B()\n"),
        ("block A()(x){\n\nreturn x\n\n}", "block A()(x) {\n    return x\n}\n"),
        ("block A()(x){return x}", "block A()(x) { return x }\n"),
        ("block A()(x){ }", "block A()(x) {}\n"),
    ],
)
def test_a_rule_of_the_style(text: str, expected: str) -> None:
    assert formatted(text) == expected
    assert_formats_well(text)


def test_a_comment_that_documents_nothing_still_does_not() -> None:
    text = "## far\n\nnet A(a=1, ## behind\n b=2\n ## before a comma\n , c=3) (x: [3]) { return x }"
    tree = parse(source_from_text(assert_formats_well(text)))
    net = tree.declarations[0]
    assert isinstance(net, ast.Block)
    assert net.doc == ""
    assert [parameter.doc for parameter in net.parameters] == ["", "", ""]


def test_deep_nesting_is_formatted() -> None:
    assert_formats_well(f"const A = {'[' * 60}{'-' * 100}1{']' * 60}")
    assert_formats_well(f"block A()(x) {{{'if a {' * 60} y = x {'}' * 60}\n return x }}")


def test_brackets_in_a_line_that_fits_are_not_measured_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else nesting costs its depth for each of its brackets."""
    measured = 0

    def counted(*arguments: Any) -> bool:
        nonlocal measured
        measured += 1
        return fits(*arguments)

    fits = layout._fits
    monkeypatch.setattr(layout, "_fits", counted)
    lines = "".join(f"    a{i} = {'[' * 30}1{']' * 30}\n" for i in range(100))
    text = f"net N()(x: [3, 8, 8]) {{\n{lines}    return x\n}}\n"
    assert format_source(source_from_text(text, "x")) == text
    assert measured < 3 * 100


def test_a_mistake_is_reported_as_ever() -> None:
    with pytest.raises(ArchError, match="E0141"):
        formatted("block A()(x) { x }")


# --------------------------------------------------------- generated texts

_NO_SPACE = re.compile(r"\w\w|\d\.|\.\d|[-+=*/<>!][-+=*/<>!]")
_CONTINUES = frozenset(
    ["ARROW", "EQUAL", "PLUS_EQUAL", "LBRACE", "PLUS_MINUS", "MUL_DIV", "POWER", "OR", "AND"]
)
"""Tokens behind which a line break is white space, anywhere."""
_COMMENTS = [
    "#",
    "# a comment",
    "## doc?",
    '# "a string',
    "# {x} -> }",
    "#  spaces  ",
    "####",
    "# )",
]


@dataclasses.dataclass
class Scramble:
    """Writes a text anew with other white space between its tokens.

    `lines` also moves line breaks that mean nothing, and `notes` also puts comments in.
    """

    random: random.Random
    lines: bool
    notes: bool

    def text(self, text: str) -> str:
        return "".join(self._pieces(text))

    def _pieces(self, text: str) -> Iterator[str]:
        before, depth = ("", ""), 0
        for kind, token, gap in tokens(text):
            if kind in ("_NL", "$END"):
                yield gap if "#" in gap else self._line_break()
                before = ("", "")
                continue
            depth -= kind in ("RPAR", "RSQB")
            yield self._between(before, (kind, token), gap, depth > 0 or kind in ("RPAR", "RSQB"))
            depth += kind in ("LPAR", "LSQB")
            yield token
            before = (kind, token)

    def _between(
        self, before: tuple[str, str], after: tuple[str, str], gap: str, inside: bool
    ) -> str:
        if "#" in gap or ("\n" in gap and not self.lines):
            return gap
        glued = before[1][-1:] + after[1][:1]
        spaces = " " * self.random.choice([0, 1, 1, 3]) or (
            "" if not _NO_SPACE.match(glued) else " "
        )
        free = inside or before[0] in _CONTINUES or after[0] in ("ARROW", "RBRACE", "ELSE")
        if not (self.lines and free) or self.random.random() < 0.8:
            return spaces + ("\n" if "\n" in gap and free else "")
        return self._line_break() if self.notes else "\n" * self.random.choice([1, 1, 3]) + spaces

    def _line_break(self) -> str:
        lines = ["", *[""] * self.random.choice([0, 0, 1, 3])]
        if self.notes and self.random.random() < 0.3:
            lines[0] = "  " + self.random.choice(_COMMENTS)
        if self.notes and self.random.random() < 0.3:
            lines.append("   " + self.random.choice(_COMMENTS))
        return "\n".join(lines) + "\n" + " " * self.random.choice([0, 2, 4])


def tokens(text: str) -> Iterator[tuple[str, str, str]]:
    """Kind and text of each token, and the gap before it; of a line break, the whole gap."""
    parser: Any = table.load().parse_interactive(TextSlice.cast_from(text), start="file")
    end = depth = 0
    for token in parser.lexer_thread.lex(parser.parser_state):
        if token.type == "_NL" and depth:
            continue
        depth += (token.type in ("LPAR", "LSQB")) - (token.type in ("RPAR", "RSQB"))
        parser.feed_token(token)
        stop = token.end_pos if token.type == "_NL" else token.start_pos
        yield token.type, str(token), text[end:stop]
        end = token.end_pos
    yield "$END", "", text[end:]


TEXTS = [path.read_text(encoding="utf-8") for path in [*SHIPPED, *STYLED]]
SEEDS = st.integers(0, 2**32).map(random.Random)

# The texts of a run are the same everywhere; a failure is shrunk only in the long runs.
EXAMPLES = int(os.environ.get("ARCHC_EXAMPLES", "250")) // 5
_generated = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink] if EXAMPLES > 100 else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@_generated
@given(st.sampled_from(TEXTS), SEEDS)
def test_scrambled_specs_keep_meaning_and_comments(text: str, seed: random.Random) -> None:
    assert_formats_well(Scramble(seed, lines=True, notes=True).text(text))


@_generated
@given(specs(), SEEDS)
def test_generated_specs_keep_meaning_and_comments(spec: Spec, seed: random.Random) -> None:
    assert_formats_well(spec.text)
    assert_formats_well(Scramble(seed, lines=True, notes=True).text(spec.text))


@_generated
@given(st.sampled_from(TEXTS), SEEDS)
def test_there_is_one_style(text: str, seed: random.Random) -> None:
    """However the tokens of a line are spaced, the result is the same."""
    scrambled = Scramble(seed, lines=False, notes=False).text(text)
    assert without_blank_lines(formatted(scrambled)) == without_blank_lines(formatted(text))


def without_blank_lines(text: str) -> str:
    return re.sub(r"\n+", "\n", text)
