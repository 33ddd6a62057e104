"""A body behind a colon gets the braces that its lines tell, or none."""

import textwrap

import pytest

from archc.checking import check_of, mend
from archc.diagnostics import Source
from archc.elaborate.limits import Limits

NET = """\
net N(down=1, wide=0)(image: [8, 8, 8]) {
    x = image
BODY
    return x -> global_avg_pool
}
"""


def spec(body: str) -> str:
    return NET.replace("BODY", textwrap.indent(textwrap.dedent(body).strip("\n"), "    "))


def mended(text: str) -> str:
    source = Source("spec.arch", text)
    return mend(check_of(source, Limits()), source).text


BODIES = {
    "a comment further out within": (
        "if down == 1:\n    x = x -> relu\n# a comment\n    x = x -> sigmoid",
        "if down == 1 {\n    x = x -> relu\n# a comment\n    x = x -> sigmoid\n}",
    ),
    "a comment further out at first": (
        "for i in range(2):\n# a comment\n\n    x = x -> sigmoid",
        "for i in range(2) {\n# a comment\n\n    x = x -> sigmoid\n}",
    ),
    "a comment behind, as deep": (
        "scope s:\n    x = x -> relu\n    # as deep\n# behind\nx = x -> tanh",
        "scope s {\n    x = x -> relu\n    # as deep\n}\n# behind\nx = x -> tanh",
    ),
    "comments in a nested body": (
        "for i in range(2):\n    if down == 1:\n        x = x -> relu\n  # one\n"
        "        x = x -> tanh\n# two\n    x = x -> sigmoid\n# three",
        "for i in range(2) {\n    if down == 1 {\n        x = x -> relu\n  # one\n"
        "        x = x -> tanh\n    }\n# two\n    x = x -> sigmoid\n}\n# three",
    ),
    "inner lines of a bracket further out": (
        "if down == 1:\n    x = concat(\n  x,\nx -> relu,\n    )\n    x = x -> tanh",
        "if down == 1 {\n    x = concat(\n  x,\nx -> relu,\n    )\n    x = x -> tanh\n}",
    ),
    "stages further out": (
        "if down == 1:\n    x = x\n-> relu\n -> tanh\nx = x -> sigmoid",
        "if down == 1 {\n    x = x\n-> relu\n -> tanh\n}\nx = x -> sigmoid",
    ),
    "a heading of two lines": (
        "if (down == 1 and\n    wide == 0):\n    x = x -> relu",
        "if (down == 1 and\n    wide == 0) {\n    x = x -> relu\n}",
    ),
    "braces within": (
        "if down == 1:\n    if wide == 0 {\n        x = x -> relu\n    }\n    x = x -> tanh",
        "if down == 1 {\n    if wide == 0 {\n        x = x -> relu\n    }\n    x = x -> tanh\n}",
    ),
    "an else of a colon": (
        "if down == 1:\n    x = x -> relu\n# no\nelse:\n    x = x -> tanh",
        "if down == 1 {\n    x = x -> relu\n}\n# no\nelse {\n    x = x -> tanh\n}",
    ),
    "a hole in a string": (
        'for i in range(2): x = x -> "c{i}": conv(8, 3)',
        'for i in range(2) { x = x -> "c{i}": conv(8, 3) }',
    ),
    "a comment with a string": (
        'if down == 1: x = x -> "c_{wide}": conv(8, 3)  # "three"',
        'if down == 1 { x = x -> "c_{wide}": conv(8, 3) }  # "three"',
    ),
    "single quotes": (
        "if down == 1: x = x -> 'stem': conv(8, 3)",
        'if down == 1 { x = x -> "stem": conv(8, 3) }',
    ),
    "an else on the line": (
        "if down == 1: x = x -> relu else: x = x -> tanh",
        "if down == 1 { x = x -> relu } else { x = x -> tanh }",
    ),
    "an else with a label on the line": (
        "if down == 1: x = x -> a: conv(8, 3) else { x = x -> b: conv(8, 1) }",
        "if down == 1 { x = x -> a: conv(8, 3) } else { x = x -> b: conv(8, 1) }",
    ),
    "an else behind a brace": (
        "if down == 1 {\n    x = x -> relu\n} else: x = x -> tanh",
        "if down == 1 {\n    x = x -> relu\n} else { x = x -> tanh }",
    ),
    "a sum in the name of a scope": (
        'for i in range(2):\n    scope "s{i + 1}":\n        x = x -> c: conv(8, 3)',
        'for i in range(2) {\n    scope "s{i + 1}" {\n        x = x -> c: conv(8, 3)\n    }\n}',
    ),
    "a body in a body on the line": (
        "for i in range(2): if down == 1: x = x -> relu",
        "for i in range(2) { if down == 1 { x = x -> relu } }",
    ),
    "braces around": (
        "if wide == 0 { if down == 1: x = x -> relu } else { x = x -> tanh }",
        "if wide == 0 { if down == 1 { x = x -> relu } } else { x = x -> tanh }",
    ),
    "braces in a body on the line": (
        "if wide == 0: if down == 1 { x = x -> relu } else { x = x -> tanh }",
        "if wide == 0 { if down == 1 { x = x -> relu } else { x = x -> tanh } }",
    ),
}


@pytest.mark.parametrize(("wrong", "right"), BODIES.values(), ids=BODIES)
def test_a_body_behind_a_colon_gets_its_braces(wrong: str, right: str) -> None:
    assert mended(spec(wrong)) == spec(right)


UNCLEAR = {
    "a line less deep": "for i in range(2):\n    x = x -> relu\n  x = x -> conv(8, 3)",
    "a line less deep in a nested body": (
        "for i in range(2) {\n    if down == 1:\n        x = x -> relu\n      x = x -> tanh\n}"
    ),
    "an else less deep": "if down == 1:\n    x = x -> relu\n  else:\n    x = x -> tanh",
    "tabs and spaces": "if down == 1:\n    x = x -> relu\n\tx = x -> tanh",
    "no line": "if down == 1:\nx = x -> relu",
    "more below the line": "if down == 1: x = x -> relu\n    x = x -> tanh",
    "a stage below the line": "if down == 1: x = x -> relu\n-> tanh",
    "a bracket that goes on below": "if down == 1: x = concat(x,\nx)",
    "an operator at the end of the line": "if down == 1: x = x *\nx",
    "a brace at the end": "if down == 1:\n    x = x -> relu\n}",
    "an else of either": "if down == 1: if wide == 0: x = x -> relu else: x = x -> tanh",
    "a string that is not closed": 'if down == 1:\n    x = x -> "c: relu\n    x = x -> tanh',
}


@pytest.mark.parametrize("wrong", UNCLEAR.values(), ids=UNCLEAR)
def test_where_the_lines_do_not_tell_there_is_no_mend(wrong: str) -> None:
    assert mended(spec(wrong)) == spec(wrong)
