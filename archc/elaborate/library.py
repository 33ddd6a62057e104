"""Which file of the shipped library declares a name: what an unknown name may be waiting for."""

import re
from collections.abc import Iterator

from archc.resources import library_root

_DECLARED = re.compile(r"^(?:block|net)\s+([A-Za-z]\w*)", re.MULTILINE)


def importable(name: str, known: set[str]) -> str | None:
    """The import that makes `name` visible, such as `blocks/residual`, if there is one.

    A file that declares what is known here already would only bring another error.
    """
    for path, names in _files():
        if name in names and names.isdisjoint(known):
            return path
    return None


def _files() -> Iterator[tuple[str, set[str]]]:
    """Each file and what it declares, the blocks before the nets; read off the text, unparsed."""
    root = library_root()
    for pattern in ("blocks/*.arch", "*.arch"):
        for file in sorted(root.glob(pattern)):
            names = set(_DECLARED.findall(file.read_text(encoding="utf-8")))
            yield file.relative_to(root).with_suffix("").as_posix(), names
