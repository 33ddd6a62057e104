"""The same spec gives the same bytes: in every process, from every folder, however it is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPEC = """\
import "parts/cell"

## A net with what could come out of order: sharing, exits, lists, labels.
net Small(
    ## Channels.
    width=8,
    classes=3,
)(image: [3, 4*H, 4*W]) {
    heads = [conv(width, 3) for i in range(3)]
    scope features {
        x = image -> stem: conv(width, 3) -> bn0: bn
        for i in range(3) { x = x -> "cell{i}": Cell(4 + i) }
        ys = [x -> head for head in heads[:0]] + [x]
    }
    exit early: ys[0] -> global_avg_pool -> fc0: linear(classes)
    a = image -> conv(width) -> shared: bn
    b = concat(a -> heads[0], a -> heads[1], a -> heads[2])
    return (b -> global_avg_pool -> fc: linear(classes)), a
}

net Wide = Small(width=16)
"""

CELL = """\
# Cells.
block Cell(growth)(x) {
    y = x -> norm: bn -> relu -> conv: conv(growth, 3)
    return concat(x, y)
}
"""

COMPILE = """
import sys
from archc.compiler import Request, compile_spec
for spec in sys.argv[1:]:
    for net in ("Small", "Wide"):
        sys.stdout.write(compile_spec(Request(spec, net)).source())
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project: a spec, the file that it imports, and a folder beside it."""
    return project(tmp_path_factory.mktemp("project"), SPEC, CELL)


def project(folder: Path, spec: str, cell: str) -> Path:
    (folder / "parts").mkdir()
    (folder / "elsewhere").mkdir()
    (folder / "archc.toml").touch()
    (folder / "small.arch").write_bytes(spec.encode())
    (folder / "parts" / "cell.arch").write_bytes(cell.encode())
    return folder


def emitted(spec: str | Path, folder: Path, **environment: str) -> bytes:
    """The text that a fresh process in `folder` gives."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, str(spec)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"class Small(nn.Module)" in done.stdout
    assert b"class Wide(nn.Module)" in done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def reference(home: Path) -> bytes:
    return emitted("small.arch", home, PYTHONHASHSEED="0")


@pytest.mark.parametrize("seed", ["1", "4242", "random"])
def test_hash_seeds_leave_no_trace(seed: str, home: Path, reference: bytes) -> None:
    assert emitted("small.arch", home, PYTHONHASHSEED=seed) == reference


def test_the_spelling_of_the_path_leaves_no_trace(home: Path, reference: bytes) -> None:
    for spelling in ("./small.arch", "parts/../small.arch", ".//small.arch", home / "small.arch"):
        assert emitted(spelling, home) == reference, spelling


def test_the_working_folder_leaves_no_trace(home: Path, reference: bytes) -> None:
    assert emitted("../small.arch", home / "elsewhere") == reference
    assert emitted(home / "small.arch", Path("/")) == reference


def test_a_linked_folder_leaves_no_trace(home: Path, reference: bytes, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home, target_is_directory=True)
    assert emitted(link / "small.arch", tmp_path) == reference
    assert emitted("small.arch", link) == reference


def test_the_name_of_the_folder_leaves_no_trace(reference: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "another name"
    folder.mkdir()
    assert emitted("small.arch", project(folder, SPEC, CELL)) == reference


def test_locale_and_encoding_leave_no_trace(home: Path, reference: bytes) -> None:
    assert emitted("small.arch", home, LC_ALL="C", PYTHONUTF8="0") == reference


def test_line_endings_leave_no_trace(reference: bytes, tmp_path: Path) -> None:
    crlf = project(tmp_path, SPEC.replace("\n", "\r\n"), CELL.replace("\n", "\r\n"))
    assert emitted("small.arch", crlf) == reference


def test_comments_on_their_lines_leave_no_trace(reference: bytes, tmp_path: Path) -> None:
    commented = SPEC.replace(") {\n", ") {  # what follows\n").replace("    exit", "    exit")
    assert commented != SPEC
    cell = CELL.replace("# Cells.", "# Other words.").replace("relu ->", "relu  ->")
    assert emitted("small.arch", project(tmp_path, commented, cell)) == reference


def test_comments_on_lines_of_their_own_move_line_numbers_only(
    reference: bytes, tmp_path: Path
) -> None:
    moved = SPEC.replace("    heads", "    # A comment.\n\n    heads")
    text = emitted("small.arch", project(tmp_path, "# On top.\n" + moved, CELL)).decode()
    changed = [
        (old, new)
        for old, new in zip(reference.decode().split("\n"), text.split("\n"), strict=True)
        if old != new
    ]
    assert changed
    for old, new in changed:
        place = old.startswith("class ") and old.split(":")[0] == new.split(":")[0]
        assert place or old.startswith("Checksum "), (old, new)
