"""The class behind an extern layer, `package.module:Class`: words for a path that names none.

The path is written into the emitted file as an import, so nothing but dotted names may stand in it.
"""

import keyword
import re
import sys

from archc.diagnostics import Diagnostic, Edit, Label, Span, printable

_TARGET = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_LONGEST = 200


def wrong_target(target: str, span: Span) -> Diagnostic | None:
    """What is wrong with a path, or None."""
    if not _is_target(target):
        path = _mended(target)
        message = f'"{_shown(target)}" does not name a class of a module'
        help = f'write `"{path or "package.module:Class"}"`'
        fix = (Edit(span, f'"{path}"'),) if path else ()
        return Diagnostic("E0170", message, (Label(span),), help=help, fix=fix)
    module, _, name = target.partition(":")
    for word in (*module.split("."), name):
        if keyword.iskeyword(word):
            message = f"`{word}` is a keyword of Python, so it cannot be imported"
            return Diagnostic("E0170", message, (Label(span),))
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        message = f"`{top}` is in Python's standard library, which has no layers"
        help = "an extern layer is a class of PyTorch, or of a package of yours"
        return Diagnostic("E0171", message, (Label(span),), help=help)
    return None


def _is_target(text: str) -> bool:
    return len(text) <= _LONGEST and _TARGET.fullmatch(text) is not None


def _mended(target: str) -> str:
    """The path that was meant, for that of a file, or one without colon; else nothing."""
    names = target.strip().removeprefix("./").replace(".py:", ":").replace("/", ".")
    if ":" not in names:
        names = ":".join(names.rsplit(".", 1))
    return names if _is_target(names) else ""


def _shown(target: str) -> str:
    text = printable(target)
    return text if len(text) <= 60 else f"{text[:57]}..."
