"""Bytes of a file -> `Source`: regular files only, strict UTF-8, nothing invisible in the text.

All that the lexer, the terminal and emitted comments would trip over is refused here, once.
"""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from archc.diagnostics import (
    MAX_SHOWN,
    ArchError,
    Diagnostic,
    Label,
    Source,
    Span,
    did_you_mean,
    error,
)

MAX_BYTES = 256 * 1024
MAX_LINE = 4096

_BAD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, but for tab and line feed
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"  # format characters
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, bidirectional
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0"  # letters and marks without a shape
    "\U000e0000-\U000e0fff"  # tags, variation selectors
    "\ud800-\udfff]"  # halves of surrogate pairs
)
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def read_source(path: Path, *, display: str, name: str) -> Source:
    """Read a spec. `display` is how messages name it, `name` how emitted files do.

    Raises:
        ArchError: E0101 to E0106, where the file cannot be read or holds what no spec may hold.
    """
    return _checked(_decode(_read(path, display), display, name, path))


def source_from_text(text: str, path: str = "<text>", name: str = "") -> Source:
    """A source from text at hand, under the same rules as a file."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise _too_large(path)
    return _checked(Source(path, _normalised(text), name))


def is_folder(path: Path) -> bool:
    """Whether a folder is at a path, as far as this can be told: what is above may be locked."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _read(path: Path, display: str) -> bytes:
    # Opened without blocking and looked at through the descriptor: a named pipe neither hangs
    # the compiler nor takes the place of a file between the check and the reading.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as problem:
        raise _unreadable(path, display, problem) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise error("E0102", f"`{display}` is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise _unreadable(path, display, problem) from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise _too_large(display)
    return data


def _unreadable(path: Path, display: str, problem: OSError | ValueError) -> ArchError:
    if not isinstance(problem, FileNotFoundError):
        reason = getattr(problem, "strerror", None) or "not a valid file name"
        if isinstance(problem, PermissionError) and is_folder(path):
            return error("E0102", f"`{display}` is not a regular file")
        return error("E0101", f"cannot read `{display}`: {reason.lower()}")
    if path.is_symlink():
        to = path.readlink()
        return error("E0101", f"`{display}` is a symbolic link to `{to}`, where no file is")
    return error("E0101", f"there is no file `{display}`", help=_sibling(path))


def _sibling(path: Path) -> str | None:
    try:
        return did_you_mean(path.name, (p.name for p in path.parent.glob("*.arch")))
    except OSError:
        return None


def _too_large(display: str) -> ArchError:
    return error(
        "E0103",
        f"`{display}` is larger than {MAX_BYTES // 1024} KiB",
        help="split it, and `import` the parts",
    )


def _decode(data: bytes, display: str, name: str, file: Path) -> Source:
    try:
        return Source(display, _normalised(data.decode("utf-8")), name, file)
    except UnicodeDecodeError as problem:
        before = _normalised(data[: problem.start].decode("utf-8"))
        text = _normalised(data.decode("utf-8", "replace"))
        place = Span(Source(display, text, name, file), len(before), len(before) + 1)
        raise error(
            "E0104",
            f"byte 0x{data[problem.start]:02x} is not UTF-8",
            place,
            help="save the file in UTF-8",
        ) from None


def _normalised(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _checked(source: Source) -> Source:
    found = [*_bad_characters(source), *_long_lines(source)]
    if found:
        found.sort(key=lambda diagnostic: diagnostic.labels[0].span.start)
        raise ArchError(tuple(found[:MAX_SHOWN]))
    return source


def _bad_characters(source: Source) -> Iterator[Diagnostic]:
    for found in _BAD.finditer(source.text):
        char = found[0]
        label = Label(Span(source, found.start(), found.end()))
        message = f"the character U+{ord(char):04X} ({_kind(char)}) may not stand in a spec"
        yield Diagnostic("E0105", message, (label,), help="remove it")


def _kind(char: str) -> str:
    if char == "\r":
        return "a carriage return without a line feed"
    if _BIDI.match(char):
        return "it changes the direction of text"
    if ord(char) < 0xA0:
        return "a control character"
    return "it cannot be seen"


def _long_lines(source: Source) -> Iterator[Diagnostic]:
    start = 0
    for line in source.text.split("\n"):
        if len(line) > MAX_LINE:
            label = Label(Span(source, start + MAX_LINE, start + len(line)))
            yield Diagnostic("E0106", f"a line has at most {MAX_LINE} characters", (label,))
        start += len(line) + 1
