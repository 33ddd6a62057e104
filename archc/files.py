"""Writing a file so that it is always whole: the old content or the new, never a mixture.

The content goes to a new file in the same folder, and that takes the target's name in one step.
"""

import os
import secrets
import stat
from pathlib import Path

from archc.diagnostics import error


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`; on any failure the file that was there stays as it was.

    Raises ArchError where `path` is a folder or a symbolic link, and OSError where the system
    refuses. A device (`/dev/null`) or a pipe cannot be replaced and is written to.
    """
    kind = _kind_of(path)
    if stat.S_ISDIR(kind):
        raise error("E0801", f"cannot write `{path}`: it is a folder")
    if stat.S_ISLNK(kind):
        raise error(
            "E0801",
            f"cannot write `{path}`: it is a symbolic link",
            help="name the file that it leads to; leave out `-o` for standard output",
        )
    if kind and not stat.S_ISREG(kind):
        path.write_bytes(content)
        return
    temporary = path.with_name(f".archc-{secrets.token_hex(8)}.tmp")
    try:
        _write_new(temporary, content)
        temporary.replace(path)
    except BaseException:  # an interruption, too, leaves nothing behind
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _kind_of(path: Path) -> int:
    """The type bits of what is at `path`, links not followed; 0 if nothing is there."""
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except FileNotFoundError:
        return 0


def _write_new(path: Path, content: bytes) -> None:
    """Create a file, with the permissions of any new file, and bring its content to the disk.

    O_EXCL refuses a name that exists already, be it a link that somebody planted.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the renaming last through a loss of power, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
