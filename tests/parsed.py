"""Texts of the language, parsed: what the tests of the syntax share."""

import textwrap

from archc.diagnostics import Source
from archc.syntax import ast
from archc.syntax.parser import parse, parse_expression
from archc.syntax.source import source_from_text


def file(text: str) -> ast.File:
    return parse(source_from_text(textwrap.dedent(text), "spec.arch"))


def body(text: str) -> tuple[ast.Statement, ...]:
    block = file("block B()(x) {\n" + textwrap.dedent(text) + "\n}\n").declarations[0]
    assert isinstance(block, ast.Block)
    return block.body


def expr(text: str) -> ast.Expr:
    return parse_expression(Source("", text))
