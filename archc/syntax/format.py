"""`archc fmt`: the one style of `.arch` files.

Only white space, the last comma of a bracket and the spelling of numbers change; `format_source`
reads its own result and refuses to give one that means something else or has lost a comment.
"""

from dataclasses import fields

from archc.diagnostics import Source
from archc.layout import Break, Layout, Newline, group, nest, render, row
from archc.syntax import ast
from archc.syntax.format_comments import comment_lines, separated, statement_break
from archc.syntax.format_expressions import clause, header
from archc.syntax.format_tokens import Braced, TokenTree, TokenTrees, comments, first_token, read
from archc.syntax.parser import parse
from archc.syntax.source import source_from_text

_ONE_LINERS = frozenset(["IMPORT", "CONST", "EXTERN", "NET"])
"""Declarations without a body; those of one kind may follow each other without a blank line."""


def format_source(source: Source) -> str:
    """The text of a source in the one style.

    Raises:
        ArchError: the source does not parse.
    """
    tree = parse(source)
    statements, end = read(source)
    lines = [*_declarations(statements), *comment_lines(end.comments)]
    text = render(row(lines)).strip("\n")
    text = f"{text}\n" if text else ""
    _check(tree, source, source_from_text(text, source.path))
    return text


def _check(tree: ast.File, source: Source, result: Source) -> None:
    if not same_meaning(tree, parse(result)) or comments(source) != comments(result):
        raise AssertionError(f"formatting would change the meaning of {source.path}")


def same_meaning(one: ast.Syntax, other: ast.Syntax) -> bool:
    """Whether two trees are equal but for the places of their nodes."""
    todo: list[tuple[object, object]] = [(one, other)]
    while todo:
        a, b = todo.pop()
        if type(a) is not type(b):
            return False
        if isinstance(a, ast.Syntax):
            names = [field.name for field in fields(a) if field.name != "span"]
            todo += [(getattr(a, name), getattr(b, name)) for name in names]
        elif isinstance(a, tuple) and isinstance(b, tuple):
            if len(a) != len(b):
                return False
            todo += zip(a, b, strict=True)
        elif a != b:
            return False
    return True


# --------------------------------------------------------------- statements


def _declarations(statements: tuple[TokenTrees, ...]) -> list[Layout]:
    lines: list[Layout] = []
    before: TokenTrees | None = None
    for statement in statements:
        token = first_token(statement[0])
        apart = before is not None and not _belong_together(before, statement)
        blank = token.after_blank and not _is_annotation(before)
        lines.append(statement_break(token, blank=blank, first=False, apart=apart))
        lines.append(_statement(statement))
        before = statement
    return lines


def _belong_together(before: TokenTrees, after: TokenTrees) -> bool:
    """Whether no blank line is asked for between two declarations; there may be one."""
    if _is_annotation(before):
        return True
    kinds = {first_token(before[0]).kind, first_token(after[0]).kind}
    bodies = [part for part in before + after if isinstance(part, Braced)]
    return len(kinds) == 1 and kinds <= _ONE_LINERS and not bodies


def _is_annotation(statement: TokenTrees | None) -> bool:
    return statement is not None and first_token(statement[0]).kind == "AT"


def _statement(parts: TokenTrees) -> Layout:
    bodies = [part for part in parts if isinstance(part, Braced)]
    if not bodies:
        return clause(parts)
    one_line = all(_is_short(body) for body in bodies)
    lines: list[Layout] = []
    head: list[TokenTree] = []
    for part in parts:
        if not isinstance(part, Braced):
            head.append(part)
            continue
        if lines:
            lines.append(separated(head[0], " ", deeper=False))
        lines += [header(tuple(head)), separated(part, " ", deeper=False), _body(part, one_line)]
        head = []
    return group(*lines)


def _is_short(body: Braced) -> bool:
    """Whether a body may stand on one line: it did, and has one statement without a body."""
    if not body.statements and not body.closer.comments:
        return True
    if not body.one_line or len(body.statements) != 1:
        return False
    return not any(isinstance(part, Braced) for part in body.statements[0])


def _body(body: Braced, one_line: bool) -> Layout:
    if not body.statements and not body.closer.comments:
        return "{}"
    if one_line:
        return row(["{", nest(Break(), _statement(body.statements[0])), Break(), "}"])
    lines: list[Layout] = []
    before: TokenTrees | None = None
    for statement in body.statements:
        token = first_token(statement[0])
        blank = token.after_blank and not _is_annotation(before)
        lines.append(statement_break(token, blank=blank, first=before is None))
        lines.append(_statement(statement))
        before = statement
    lines += comment_lines(body.closer.comments, first=before is None)
    return row(["{", nest(*lines), Newline(), "}"])
