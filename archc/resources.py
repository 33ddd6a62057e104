"""Where the files lie that archc ships beside its code: the grammar, the library of specs, and the
pages of the diagnostics.

In an installed package they are inside `archc/`; in a checkout they stand at the top level.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def grammar_file() -> Path:
    """The grammar of the language, `arch.lark`."""
    return _locate("grammar/arch.lark")


def library_root() -> Path:
    """The folder of the shipped specs."""
    return _locate("specs")


def error_pages() -> Path:
    """The folder of the diagnostics' pages."""
    return _locate("docs/errors")


def _locate(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parent / name
