"""Which tensors of a text may have no batch axis: what counts axes in PyTorch's way is then right.

They are told by the text alone, as a mend is made before anything has a type.
"""

import re

from archc.diagnostics import Source

_UNTOLD = re.compile(r"^[^#\n]*\b(?:param|import)\b", re.MULTILINE)


def is_learned(source: Source, name: str) -> bool:
    """Whether a text binds a name to a learned tensor: `g = param([8, 1, 1])`."""
    learned = rf"\b{re.escape(name)}\s*=\s*(?:\w+\s*->\s*)?param\b"
    return re.search(learned, source.text) is not None


def all_batched(source: Source) -> bool:
    """Whether every tensor of a text has a batch axis: it has no learned ones, and imports none."""
    return _UNTOLD.search(source.text) is None
