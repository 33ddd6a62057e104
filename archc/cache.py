"""Emitted modules in the user's cache folder, each under the hash of its text.

Python imports them from there as it imports any file, as modules of the package `archc.built`;
nothing is run with `exec`. The folder is the user's alone: whoever could write there could run
code. Where there can be no such folder, one that lasts as long as the process takes its place.
"""

import atexit
import hashlib
import importlib
import os
import re
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from archc.writing import write_atomically


def import_source(source: str, name: str) -> ModuleType:
    """The module of an emitted source. `name` only makes the file easy to recognise."""
    content = source.encode()
    digest = hashlib.sha256(content).hexdigest()[:32]
    module_name = f"{re.sub(r'[^a-z0-9_]', '_', name.lower())}_{digest}"
    _store(f"{module_name}.py", content)
    importlib.invalidate_caches()
    return importlib.import_module(f"archc.built.{module_name}")


def module_folders() -> list[Path]:
    """Where the modules lie. Raises PermissionError as `import_source` does."""
    return [_private_folder(), *_temporary]


def _store(name: str, content: bytes) -> None:
    """Write the file, in the cache folder or, if that takes none, in a temporary one."""
    path = _private_folder() / name
    if _holds(path, content):
        return
    try:
        write_atomically(path, content)
    except OSError:  # a system that is read-only, or a full disk
        write_atomically(_temporary_folder() / name, content)


def cache_folder() -> Path:
    """Where caches belong on this system; XDG_CACHE_HOME is honoured everywhere."""
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    if Path(chosen).is_absolute():
        return Path(chosen) / "archc"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "archc"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "archc" / "Cache"
    return Path.home() / ".cache" / "archc"


def _private_folder() -> Path:
    """The cache folder, or a temporary one where there can be none.

    Raises PermissionError if others than this user can write to it.
    """
    try:
        folder = cache_folder()
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except (OSError, RuntimeError):  # the latter where no home is known
        return _temporary_folder()
    status = folder.lstat()
    foreign = hasattr(os, "geteuid") and (
        status.st_uid != os.geteuid() or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    )
    if foreign or not stat.S_ISDIR(status.st_mode):
        raise PermissionError(
            f"{folder} is not a folder that belongs to you alone; remove it, "
            "or let XDG_CACHE_HOME name another place"
        )
    return folder


_temporary: list[Path] = []
"""The temporary folder, once there is one."""


def _temporary_folder() -> Path:
    """A folder of this user alone, which is removed when the process ends."""
    if not _temporary:
        folder = tempfile.mkdtemp(prefix="archc-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _temporary.append(Path(folder))
    return _temporary[0]


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and path.read_bytes() == content
    except OSError:
        return False
