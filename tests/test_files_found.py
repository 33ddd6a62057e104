"""Finding specs: folders that are locked, and links that lead nowhere."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import run

pytestmark = pytest.mark.usefixtures("folder")

scandir = os.scandir

COMMANDS = ["check", "fmt --check"]


def locking(call: Callable[..., Any]) -> Callable[..., Any]:
    """A call of the system that is refused for what lies in the folder `locked`."""

    def refuse(path: Any, *args: Any, **options: Any) -> Any:
        *above, last = Path(str(path)).parts or [""]
        if "locked" in above or (call is scandir and last == "locked"):
            raise PermissionError(13, "Permission denied", path)
        return call(path, *args, **options)

    return refuse


@pytest.fixture
def locked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder `a/locked` that even root cannot look into, between others."""
    for name in ("a/locked", "a/near"):
        (folder / name).mkdir(parents=True)
        (folder / name / "wrong.arch").write_text("net (\n")
    for name in ("stat", "lstat", "scandir", "open"):
        monkeypatch.setattr(os, name, locking(getattr(os, name)))


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_locked_folder_is_named_and_what_is_beside_it_is_looked_at(command: str) -> None:
    result = run(*command.split(), ".")
    assert result.exit_code == 1
    locked = "error[E0802]: a/locked: cannot read the folder: Permission denied\n = help: name"
    assert locked in result.stderr
    assert "--> a/near/wrong.arch:1" in result.stderr


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_spec_in_a_locked_folder_is_named_and_the_others_are_looked_at(command: str) -> None:
    result = run(*command.split(), "a/locked/wrong.arch", "a/near")
    assert result.exit_code == 1
    assert "error[E0101]: cannot read `a/locked/wrong.arch`: permission denied" in result.stderr
    assert "--> a/near/wrong.arch:1" in result.stderr


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_folder_that_the_system_locks_is_named(mode: int) -> None:
    Path("locked/inside").mkdir(parents=True)
    Path("locked").chmod(mode)
    result = run("check", ".")
    Path("locked").chmod(0o700)
    name = "locked" if mode == 0 else "locked/inside"
    assert f"error[E0802]: {name}: cannot read the folder: Permission denied" in result.stderr
    assert "--> broken.arch:2" in result.stderr


@pytest.mark.parametrize("command", ["check", "fmt", "compile"])
def test_a_link_that_leads_nowhere_is_no_hint_at_itself(command: str) -> None:
    Path("dead.arch").symlink_to("gone.arch")
    result = run(command, "dead.arch")
    assert result.exit_code == 1
    what = "error[E0101]: `dead.arch` is a symbolic link to `gone.arch`, where no file is\n"
    assert what in result.stderr
    assert "did you mean" not in result.stderr


@pytest.mark.parametrize("command", ["check", "fmt", "compile"])
def test_links_in_a_circle_are_refused(command: str) -> None:
    Path("one.arch").symlink_to("two.arch")
    Path("two.arch").symlink_to("one.arch")
    result = run(command, "one.arch")
    assert result.exit_code == 1
    assert "error[E0101]: cannot read `one.arch`: " in result.stderr
