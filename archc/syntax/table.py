"""The parse table: built from the grammar once, shipped beside this file, loaded at start.

`python -m archc.syntax.table` writes it. A table that does not belong to the grammar at hand is
ignored, and the parser built from the grammar (slower by some tenths of a second).
"""

import hashlib
import io
import pickle
from functools import cache
from pathlib import Path
from typing import NoReturn

import lark

from archc.resources import grammar_file

TABLE = Path(__file__).with_name("arch.table")


class _Data(pickle.Unpickler):
    """Reads containers, numbers and strings, which is all a table holds; refuses all else.

    The file lies in the package's own folder and is as trusted as the code beside it: whoever can
    write there can change the code. Nonetheless a table has no way to name a callable. lark's own
    cache, a pickle at a predictable place in the temporary folder, has neither property.
    """

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"a parse table holds no {module}.{name}")


@cache
def load() -> lark.Lark:
    """The parser: from the table if it fits the grammar, else from the grammar."""
    grammar = grammar_file().read_text(encoding="utf-8")
    return _from_table(grammar) or build(grammar)


def build(grammar: str, *, strict: bool = False) -> lark.Lark:
    """The parser from the text of the grammar. `strict` needs the package interegular."""
    return lark.Lark(
        grammar,
        start=["file", "expr", "passes"],
        parser="lalr",
        lexer="contextual",
        propagate_positions=True,
        maybe_placeholders=True,
        strict=strict,
    )


def write(path: Path = TABLE) -> None:
    """Write the table of the grammar at hand."""
    grammar = grammar_file().read_text(encoding="utf-8")
    table = io.BytesIO()
    build(grammar).save(table)
    path.write_bytes(_key(grammar) + b"\n" + table.getvalue())


def _from_table(grammar: str, path: Path = TABLE) -> lark.Lark | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    key, _, table = data.partition(b"\n")
    if key != _key(grammar):
        return None
    try:
        return lark.Lark.load(_Data(io.BytesIO(table)).load())
    except Exception:  # noqa: BLE001 - a damaged table costs time, never a compile
        return None


def _key(grammar: str) -> bytes:
    return hashlib.sha256(f"{lark.__version__}\n{grammar}".encode()).hexdigest().encode()


if __name__ == "__main__":
    write()
