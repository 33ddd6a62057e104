"""Values in Python's words, `True`, `None` and `'same'`, read as the tokens that they stand for."""

import re
from collections.abc import Callable, Collection

from lark import Token

from archc.diagnostics import Source

_QUOTED = re.compile(r"'([^'\"\\{}\n]*)'")
_VALUES = {"True": "TRUE", "False": "FALSE", "None": "NAME"}


def foreign_value(
    token: Token, accepts: Callable[[], Collection[str]], *, argument: bool
) -> Token | None:
    """The token of a value; None if it is none, or if no value may stand there.

    `None` is read as an `argument` only, in brackets.
    """
    if token not in _VALUES or not (argument or token != "None") or "TRUE" not in accepts():
        return None
    return Token(_VALUES[str(token)], str(token), token.start_pos, end_pos=token.end_pos)


def quoted(source: Source, start: int, end: int, before: Token | None) -> Token | None:
    """The string in single quotes that begins at `start`, if it has no prefix, hole or escape."""
    found = _QUOTED.match(source.text, start, end)
    if found is None or (before is not None and before.end_pos == start and before.type == "NAME"):
        return None
    return Token("STRING", f'"{found[1]}"', start, end_pos=found.end())
