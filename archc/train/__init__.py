"""Training of compiled nets: it needs the extra `train`, and says so where that is missing."""

from importlib.util import find_spec

from archc.diagnostics import error

_NEEDED = ("lightning_fabric", "msgspec", "numpy", "safetensors", "sklearn", "torch")
_missing = [name for name in _NEEDED if find_spec(name) is None]
if _missing:
    raise error(
        "E1001",
        f"training needs {', '.join(_missing)}, which this Python lacks",
        help="pip install 'archc-compiler[train]'",
    )
