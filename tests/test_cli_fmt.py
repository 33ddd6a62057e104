"""`archc fmt`: files rewritten, checked, compared, and left alone."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from archc.cli.main import app

UGLY = "const A=1 # c\n"
NEAT = "const A = 1  # c\n"


@pytest.fixture
def ugly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("ugly.arch")
    path.write_text(UGLY)
    return path


def run(*arguments: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["fmt", *arguments], input=input, prog_name="archc")


def test_fmt_rewrites_a_file_and_says_so(ugly: Path) -> None:
    result = run("ugly.arch")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "archc fmt: rewrote ugly.arch\n"
    assert ugly.read_text() == NEAT
    assert [path.name for path in Path().iterdir()] == ["ugly.arch"]


def test_fmt_leaves_a_file_in_the_style_alone(ugly: Path) -> None:
    run("ugly.arch")
    before = ugly.stat()
    result = run("ugly.arch")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert (ugly.stat().st_ino, ugly.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_fmt_keeps_permissions_and_links(ugly: Path) -> None:
    ugly.chmod(0o640)
    Path("link.arch").symlink_to(ugly)
    assert run("link.arch").exit_code == 0
    assert Path("link.arch").is_symlink()
    assert ugly.read_text() == NEAT
    assert stat.S_IMODE(ugly.stat().st_mode) == 0o640


def test_check_names_the_files_that_would_change(ugly: Path) -> None:
    Path("neat.arch").write_text(NEAT)
    result = run("--check", "ugly.arch", "neat.arch")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "archc fmt: ugly.arch would change\n"
    assert ugly.read_text() == UGLY
    assert run("--check", "neat.arch").exit_code == 0


def test_check_sees_what_the_parser_does_not(ugly: Path) -> None:
    for text in (b"\xef\xbb\xbf" + NEAT.encode(), NEAT.replace("\n", "\r\n").encode()):
        ugly.write_bytes(text)
        assert run("--check", "ugly.arch").exit_code == 1
        run("ugly.arch")
        assert ugly.read_bytes() == NEAT.encode()


def test_diff_prints_what_would_change(ugly: Path) -> None:
    result = run("--diff", "ugly.arch")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[2:] == ["@@ -1 +1 @@", "-const A=1 # c", "+const A = 1  # c"]
    assert ugly.read_text() == UGLY
    assert run("--diff", "--check", "ugly.arch").exit_code == 1


def test_stdin_is_formatted_to_stdout() -> None:
    result = run("-", input=UGLY.encode())
    assert (result.exit_code, result.stdout, result.stderr) == (0, NEAT, "")
    assert run("-", input=NEAT.encode()).stdout == NEAT
    result = run("--check", "-", input=UGLY.encode())
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "archc fmt: <stdin> would change\n"


def test_stdin_that_is_no_text_is_refused() -> None:
    result = run("-", input=b"const A = \xff")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[E0105]" in result.stderr


def test_a_wrong_file_is_left_as_it_is_and_the_others_are_formatted(ugly: Path) -> None:
    Path("wrong.arch").write_text("const A = (\n")
    result = run("wrong.arch", "missing.arch", "ugly.arch")
    assert result.exit_code == 1
    assert "wrong.arch:" in result.stderr
    assert "error[E0501]" in result.stderr
    assert Path("wrong.arch").read_text() == "const A = (\n"
    assert ugly.read_text() == NEAT


def test_a_file_stays_whole_if_writing_fails(ugly: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", fail)
    result = run("ugly.arch")
    assert result.exit_code == 1
    assert "error[E0802]" in result.stderr
    assert [(path.name, path.read_text()) for path in Path().iterdir()] == [("ugly.arch", UGLY)]


def test_a_shipped_spec_is_rewritten_by_its_path_only(
    ugly: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("library").mkdir()
    shipped = Path("library/tiny.arch").absolute()
    shipped.write_text(UGLY)
    monkeypatch.setattr("archc.elaborate.files.library_root", lambda: shipped.parent)
    result = run("tiny")
    assert result.exit_code == 1
    assert "give its path" in result.stderr
    assert shipped.read_text() == UGLY
    assert run("tiny", "--check").exit_code == 1
    assert run(str(shipped)).exit_code == 0
    assert shipped.read_text() == NEAT


def test_a_folder_stands_for_the_specs_in_it(ugly: Path) -> None:
    for name in ("a/one.arch", "a/b/two.arch", ".hidden/three.arch", "env/four.arch", "a/note.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(UGLY)
    Path("env/pyvenv.cfg").touch()
    result = run(".", "a", "ugly.arch")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines() == [
        f"archc fmt: rewrote {path}" for path in ("ugly.arch", "a/one.arch", "a/b/two.arch")
    ]
    assert Path(".hidden/three.arch").read_text() == UGLY
    assert Path("env/four.arch").read_text() == UGLY
    assert run("--check", ".").exit_code == 0


def test_a_folder_without_specs_is_refused(ugly: Path) -> None:
    Path("empty").mkdir()
    result = run("empty", "ugly.arch")
    assert result.exit_code == 1
    assert "error[E0501]: there is no spec in the folder `empty`" in result.stderr
    assert ugly.read_text() == NEAT
