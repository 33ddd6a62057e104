"""Writing files: the old content or the new, whatever happens."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import files, raising, run

import archc
from archc.diagnostics import ArchError
from archc.writing import write_atomically

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_a_failing_disk_leaves_the_old_file(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("compile", "tiny.arch", "-o", "model.py")
    old = Path("model.py").read_bytes()
    monkeypatch.setattr(call, raising(OSError(errno.ENOSPC, "No space left on device")))
    result = run("compile", "tiny.arch", "--set", "width=4", "-o", "model.py")
    assert result.exit_code == 1
    assert "model.py: cannot write: No space left on device" in result.stderr
    assert Path("model.py").read_bytes() == old
    assert files() == ["broken.arch", "model.py", "tiny.arch"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_file_that_breaks_off_leaves_the_old_one() -> None:
    run("compile", "tiny.arch", "-o", "model.py")
    old = Path("model.py").read_bytes()
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "from archc.writing import write_atomically; from pathlib import Path\n"
        "write_atomically(Path('model.py'), b'x' * 1000)"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(archc.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "File too large" in done.stderr
    assert Path("model.py").read_bytes() == old
    assert files() == ["broken.arch", "model.py", "tiny.arch"]


def test_an_interruption_leaves_the_old_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("old")
    monkeypatch.setattr("os.fsync", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(Path("file"), b"new")
    assert Path("file").read_text() == "old"
    assert files() == ["broken.arch", "file", "tiny.arch"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_locked_folder_is_said(folder: Path) -> None:
    folder.chmod(0o500)
    result = run("compile", "tiny.arch", "-o", "model.py")
    folder.chmod(0o700)
    assert result.exit_code == 1
    assert "model.py: cannot write: Permission denied" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_written_file_has_the_permissions_of_any_new_file() -> None:
    old = os.umask(0o027)
    try:
        write_atomically(Path("file"), b"text")
    finally:
        os.umask(old)
    assert stat.S_IMODE(Path("file").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_file_that_is_replaced_passes_its_permissions_on() -> None:
    run("compile", "tiny.arch", "-o", "model.py")
    for permissions in (0o755, 0o600, 0o666):
        Path("model.py").chmod(permissions)
        run("compile", "tiny.arch", "--set", "width=4", "-o", "model.py", "--force")
        assert stat.S_IMODE(Path("model.py").stat().st_mode) == permissions


@pytest.mark.parametrize(
    "arguments",
    [
        ("new", "small"),
        ("viz", "tiny.arch", "-o", "small.arch.svg"),
        ("compile", "tiny.arch", "-o", "small.arch.py"),
        ("fmt", "small.arch"),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_what_cannot_be_written_is_named(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if arguments[0] == "fmt":
        Path("small.arch").write_text("const A=1\n")

    def refuse(path: Path, content: bytes, permissions: int | None) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("archc.writing._write_new", refuse)
    result = run(*arguments)
    assert result.exit_code == 1
    assert "error[E0802]: small.arch" in result.stderr
    assert ": cannot write: Permission denied\n" in result.stderr
    assert ".tmp" not in result.stderr


def test_a_missing_folder_is_said_of_the_file_in_it() -> None:
    result = run("viz", "tiny.arch", "-o", "missing/net.svg")
    assert "error[E0802]: missing/net.svg: cannot write: No such file or dir" in result.stderr


def test_a_planted_temporary_name_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda count: "0" * 2 * count)
    Path("victim").write_text("precious")
    Path(f".archc-{'0' * 16}.tmp").symlink_to("victim")
    with pytest.raises(FileExistsError):
        write_atomically(Path("file"), b"text")
    assert Path("victim").read_text() == "precious"


def test_a_link_is_not_written_through() -> None:
    Path("victim").write_text("precious")
    Path("file").symlink_to("victim")
    with pytest.raises(ArchError, match="symbolic link"):
        write_atomically(Path("file"), b"text")
    assert Path("victim").read_text() == "precious"


@pytest.mark.skipif(os.name != "posix", reason="devices of POSIX")
def test_a_device_is_written_to_and_not_replaced() -> None:
    assert run("compile", "tiny.arch", "-o", os.devnull).exit_code == 0
    assert Path(os.devnull).is_char_device()
