"""Where a broken statement ends: found from brackets, strings and line breaks alone.

The text of a broken statement need not lex, so the parser's own lexer is of no use here.
"""

import re
from collections.abc import Sequence

from lark import Token

from archc.syntax.habits.situation import begins_statement

_PIECE = re.compile(r'#[^\n]*|"(?:[^"\\\n]|\\[^\n])*"?|[(){}\[\]]|\n\s*')
_LINE_END = re.compile(r"\n(?!\s*(?:->|[{}#]|else\b|\Z))")
_DECLARATION = re.compile(r"\n\s*(?:(?:net|block|const|import|extern)\b|@)")


STAND_INS = {
    # (inside a body, before its own body) -> tokens that parse
    (True, False): "NAME EQUAL NAME",
    (True, True): "IF NAME",
    (False, False): "NET NAME EQUAL NAME LPAR RPAR",
    (False, True): "BLOCK NAME LPAR RPAR LPAR NAME RPAR",
}


def restart(
    text: str, refused: int, before: Token | None, opened: Sequence[Token]
) -> tuple[int, int]:
    """Where to look for the end of the broken statement, and how many brackets are open."""
    brackets = sum(token.type != "LBRACE" for token in opened)
    if before is None or before.type in ("_NL", "LBRACE"):
        return refused, brackets
    line = text.rfind("\n", before.end_pos, refused)
    lone = before.type in ("RETURN", "EXIT")
    if line >= 0 and (lone or begins_statement(text, refused)):
        return line, 0
    return refused, brackets


def statement_end(text: str, offset: int, brackets: int, inside: bool, header: bool) -> int:
    """The offset of the line break or `}` that ends the statement, or of the end of the text.

    `brackets` are open at `offset`. `inside` is for a statement in a body; a declaration ends
    where the next one begins. The `{` of a `header` ends it: its body is then read as usual.
    """
    braces = 0
    if not inside and text.startswith("}", offset):
        offset += 1
    for piece in _PIECE.finditer(text, offset):
        char = piece[0]
        if char == "{":
            if header and braces == 0:
                return piece.start()
            braces, brackets = braces + 1, 0
        elif char == "}":
            if braces == 0 and inside:
                return piece.start()
            braces, brackets = max(0, braces - 1), 0
        elif char in "([":
            brackets += 1
        elif char in ")]":
            brackets -= 1
        elif char[0] == "\n" and braces == 0 and _ends(text, piece.start(), brackets, inside):
            return piece.start()
    return len(text)


def _ends(text: str, offset: int, brackets: int, inside: bool) -> bool:
    """Whether the line break at `offset` ends the broken statement."""
    if not inside:
        return _DECLARATION.match(text, offset) is not None
    if brackets > 0:
        return begins_statement(text, offset)
    return _LINE_END.match(text, offset) is not None
