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

    A file that is replaced passes its permissions on. Raises ArchError where `path` is a folder or
    a symbolic link, and OSError, about `path`, where the system refuses. A device (`/dev/null`) or
    a pipe cannot be replaced and is written to.
    """
    try:
        _write(path, content)
    except OSError as problem:
        raise OSError(problem.errno, f"cannot write: {problem.strerror}", str(path)) from None


def _write(path: Path, content: bytes) -> None:
    mode = _mode_of(path)
    if stat.S_ISDIR(mode):
        raise error("E0801", f"cannot write `{path}`: it is a folder")
    if stat.S_ISLNK(mode):
        raise error(
            "E0801",
            f"cannot write `{path}`: it is a symbolic link",
            help="name the file that it leads to; leave out `-o` for standard output",
        )
    if mode and not stat.S_ISREG(mode):
        path.write_bytes(content)
        return
    temporary = path.with_name(f".archc-{secrets.token_hex(8)}.tmp")
    try:
        _write_new(temporary, content, mode & 0o777 if mode else None)
        temporary.replace(path)
    except BaseException:  # an interruption, too, leaves nothing behind
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _mode_of(path: Path) -> int:
    """The type and the permissions of what is at `path`, links not followed; 0 for nothing."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0


def _write_new(path: Path, content: bytes, permissions: int | None) -> None:
    """Create a file and bring its content to the disk; by default it is as open as any new file.

    O_EXCL refuses a name that exists already, be it a link that somebody planted.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666 if permissions is None else permissions)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if permissions is not None:  # the umask may have taken some of them
        path.chmod(permissions)


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
