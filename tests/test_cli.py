"""The command line: streams, exit statuses, and the files that are written."""

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner, Result

import archc
from archc.cli.main import app
from archc.codegen.emit import is_untouched
from archc.diagnostics import ArchError
from archc.files import write_atomically

TINY = """\
arch 1

## A net of three layers.
net Tiny(width=8, classes=10)(image: [3, 8, 8]) {
    assert width > 0, "width must be positive"
    x = image -> conv1: conv(width, 3) -> identity -> relu
    return x -> global_avg_pool -> classifier: linear(classes)
}

net TinyWide = Tiny(width=16)
"""

BROKEN = "net Broken()(image: [3, 8, 8]) {\n    return imag -> conv1: conv(8, 3)\n}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test runs in a folder with one right and one wrong spec."""
    (tmp_path / "tiny.arch").write_text(TINY)
    (tmp_path / "broken.arch").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="archc")


def run_process(
    *arguments: str, stdout: Any = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The command as its users run it; `variables` are added to the environment."""
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    return subprocess.run(
        [sys.executable, "-m", "archc", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**inherited, "PYTHONPATH": str(Path(archc.__file__).parents[1]), **variables},
        text=True,
        timeout=60,
        check=False,
    )


def _files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


# ------------------------------------------------------------------ compile


def test_without_a_file_the_module_goes_to_stdout() -> None:
    result = run("compile", "tiny.arch")
    assert result.exit_code == 0
    compile(result.stdout, "model.py", "exec")
    assert "class Tiny" in result.stdout
    assert "note: compiling `Tiny`, the first net" in result.stderr
    assert "note" not in result.stdout


def test_a_file_is_written_and_said_to_be() -> None:
    result = run("compile", "tiny.arch", "-o", "model.py")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.endswith("archc compile: wrote model.py\n")
    assert is_untouched(Path("model.py").read_text())


def test_the_same_text_is_not_written_twice() -> None:
    run("compile", "tiny.arch", "-o", "model.py")
    before = Path("model.py").stat().st_mtime_ns
    result = run("compile", "tiny.arch", "-o", "model.py")
    assert result.exit_code == 0
    assert "model.py is up to date" in result.stderr
    assert Path("model.py").stat().st_mtime_ns == before


def test_an_untouched_file_is_overwritten() -> None:
    run("compile", "tiny.arch", "-o", "model.py")
    assert run("compile", "tiny.arch", "--set", "width=4", "-o", "model.py").exit_code == 0
    assert "width=4" in Path("model.py").read_text()


@pytest.mark.parametrize("content", [b"# mine\n", b"\xff\xfe\x00"], ids=["text", "bytes"])
def test_somebody_elses_file_is_not_overwritten(content: bytes) -> None:
    Path("model.py").write_bytes(content)
    result = run("compile", "tiny.arch", "-o", "model.py")
    assert result.exit_code == 1
    assert "error[E0803]" in result.stderr
    assert Path("model.py").read_bytes() == content


def test_a_file_edited_by_hand_needs_force() -> None:
    run("compile", "tiny.arch", "-o", "model.py")
    edited = Path("model.py").read_text().replace("class Tiny", "class Mine")
    Path("model.py").write_text(edited)
    assert run("compile", "tiny.arch", "-o", "model.py").exit_code == 1
    assert Path("model.py").read_text() == edited
    assert run("compile", "tiny.arch", "-o", "model.py", "--force").exit_code == 0
    assert is_untouched(Path("model.py").read_text())


def test_an_empty_file_is_nobodys_work() -> None:
    Path("model.py").touch()
    assert run("compile", "tiny.arch", "-o", "model.py").exit_code == 0


def test_check_compares_and_writes_nothing() -> None:
    missing = run("compile", "tiny.arch", "-o", "model.py", "--check")
    assert (missing.exit_code, Path("model.py").exists()) == (1, False)
    run("compile", "tiny.arch", "-o", "model.py")
    assert run("compile", "tiny.arch", "-o", "model.py", "--check").exit_code == 0
    text = Path("model.py").read_text()
    other = run("compile", "tiny.arch", "--set", "width=4", "-o", "model.py", "--check")
    assert other.exit_code == 1
    assert "model.py is not what tiny.arch compiles to" in other.stderr
    assert Path("model.py").read_text() == text


def test_the_net_and_its_parameters_are_chosen() -> None:
    result = run("compile", "tiny.arch", "--net", "TinyWide", "--set", "classes=3")
    assert result.exit_code == 0
    assert "archc compile tiny.arch --net TinyWide --set classes=3" in result.stdout
    assert result.stderr == ""


def test_the_text_does_not_depend_on_how_the_spec_is_named(tmp_path: Path) -> None:
    texts = {
        run("compile", name, *net).stdout
        for name in ("tiny.arch", "./tiny.arch", str(tmp_path / "tiny.arch"))
        for net in ((), ("--net", "Tiny"))
    }
    assert len(texts) == 1


def test_a_shipped_spec_is_found_by_name() -> None:
    assert run("compile", "densenet_cifar", "--set", "depth=10").exit_code == 0


@pytest.mark.parametrize(
    ("options", "passes"),
    [((), "simplify"), (("-O0",), "none"), (("--passes", ""), "none")],
    ids=["default", "O0", "empty"],
)
def test_passes_are_chosen_and_stated(options: tuple[str, ...], passes: str) -> None:
    result = run("compile", "tiny.arch", *options)
    assert result.exit_code == 0
    assert f"passes: {passes}" in result.stdout


def test_graphs_are_dumped_on_stderr() -> None:
    result = run("compile", "tiny.arch", "--dump-after", "all")
    before, after = result.stderr.split("# after elaborate\n")[1].split("# after simplify\n")
    assert "= identity" in before
    assert "= identity" not in after
    assert "# after" not in result.stdout


# ------------------------------------------------------------------ exit status


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", "broken.arch"),
        ("compile", "nowhere.arch"),
        ("compile", "densent"),
        ("compile", "."),
        ("compile", "tiny.arch", "--net", "Tinny"),
        ("compile", "tiny.arch", "--set", "widht=4"),
        ("compile", "tiny.arch", "--set", "width=("),
        ("compile", "tiny.arch", "--set", "width=0"),
        ("compile", "tiny.arch", "--passes", "simplfy"),
        ("compile", "tiny.arch", "--limit", "nodes=2"),
        ("compile", "tiny.arch", "-o", "missing/model.py"),
        ("compile", "tiny.arch", "-o", "."),
        ("check", "tiny.arch", "broken.arch"),
        ("summary", "broken.arch"),
        ("viz", "broken.arch", "-o", "net.svg"),
        ("viz", "tiny.arch", "-o", "missing/net.svg"),
    ],
    ids=" ".join,
)
def test_wrong_input_gives_1_and_a_diagnostic(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert "error[E" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert _files() == ["broken.arch", "tiny.arch"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("compil", "tiny.arch"),
        ("compile",),
        ("compile", "tiny.arch", "--nett", "Tiny"),
        ("compile", "tiny.arch", "--set", "width"),
        ("compile", "tiny.arch", "--set", "=4"),
        ("compile", "tiny.arch", "--limit", "node=4"),
        ("compile", "tiny.arch", "--limit", "nodes=many"),
        ("compile", "tiny.arch", "--check"),
        ("compile", "tiny.arch", "-O0", "--passes", "simplify"),
        ("compile", "tiny.arch", "--dump-after", "simplfy"),
        ("viz", "tiny.arch"),
        ("viz", "tiny.arch", "-o", "net.gif"),
    ],
    ids=" ".join,
)
def test_wrong_usage_gives_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr
    assert result.stdout == ""


def test_a_misspelt_command_is_corrected() -> None:
    assert "Did you mean 'compile'?" in run("compil", "tiny.arch").stderr


def _raising(problem: BaseException) -> Callable[..., NoReturn]:
    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise problem

    return fail


def test_a_bug_gives_3_and_a_short_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archc.compiler.compile_spec", _raising(AssertionError("no such node")))
    result = run("compile", "tiny.arch")
    assert result.exit_code == 3
    assert "internal error: AssertionError: no such node" in result.stderr
    assert "please report" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_bug_is_shown_in_full_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archc.compiler.compile_spec", _raising(AssertionError("no such node")))
    result = run("--debug", "compile", "tiny.arch")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr


def test_an_interruption_gives_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archc.compiler.compile_spec", _raising(KeyboardInterrupt()))
    result = run("compile", "tiny.arch")
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


# ------------------------------------------------------------------ the other commands


def test_check_shows_all_errors_of_all_specs() -> None:
    Path("other.arch").write_text(BROKEN.replace("imag ", "imagge "))
    result = run("check", "broken.arch", "tiny.arch", "other.arch")
    assert result.exit_code == 1
    assert "broken.arch:2:12" in result.stderr
    assert "other.arch:2:12" in result.stderr
    assert "archc check: 2 errors in 3 specs" in result.stderr


def test_check_says_an_error_of_a_shared_block_once() -> None:
    block = "block B()(x) { return x -> conv1: conv(8, 3, groups=5) }\n"
    net = "net {}()(image: [3, 8, 8]) {{ return image -> b: B }}\n"
    Path("two.arch").write_text(block + net.format("First") + net.format("Second"))
    result = run("check", "two.arch")
    assert result.exit_code == 1
    assert result.stderr.count("error[") == 1


def test_check_accepts_a_file_of_blocks() -> None:
    Path("blocks.arch").write_text("block B()(x) { return x -> conv1: conv(8, 3) }\n")
    result = run("check", "blocks.arch")
    assert (result.exit_code, result.stdout) == (0, "")


def test_check_accepts_every_shipped_spec() -> None:
    names = [line.split()[0] for line in run("list").stdout.splitlines()]
    result = run("check", *names)
    assert result.exit_code == 0, result.stderr
    assert "warning" not in result.stderr


def test_errors_beyond_twenty_are_counted() -> None:
    lines = "".join(f"    y{i} = missing{i} -> relu\n" for i in range(33))
    Path("many.arch").write_text(f"net Many()(x: [3, 8, 8]) {{\n{lines}    return x\n}}\n")
    result = run("check", "many.arch")
    assert result.stderr.count("error[") == 20
    assert "... and 13 more errors" in result.stderr
    assert "33 errors in 1 spec" in result.stderr


def test_a_summary_for_people_and_one_for_programs() -> None:
    assert "classifier" in run("summary", "tiny.arch").stdout
    summary = json.loads(run("summary", "tiny.arch", "--json").stdout)
    assert summary["schema"] == 1
    assert summary["name"] == "Tiny"
    assert summary["input"] == [3, 8, 8]
    assert summary["params"] == 3 * 8 * 9 + 8 * 10 + 10
    assert summary["macs"] == 3 * 8 * 9 * 64 + 8 * 10
    assert {"exits", "layers"} <= summary.keys()


@pytest.mark.parametrize("suffix", [".svg", ".dot"])
def test_a_picture_is_drawn(suffix: str) -> None:
    result = run("viz", "tiny.arch", "-o", f"net{suffix}")
    assert result.exit_code == 0
    assert "classifier" in Path(f"net{suffix}").read_text()
    assert result.stdout == ""
    assert result.stderr.endswith(f"archc viz: wrote net{suffix}\n")


def test_shipped_specs_are_listed() -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(line.split()[0] for line in lines)
    assert any(line.startswith("densenet ") and "DenseNet121" in line for line in lines)
    (listed,) = [
        item["nets"]
        for item in json.loads(run("list", "--json").stdout)["specs"]
        if item["name"] == "densenet"
    ]
    assert listed[0] == "DenseNet121"


def test_the_version() -> None:
    assert run("--version").stdout == f"archc {archc.__version__}\n"


# ------------------------------------------------------------------ as a process


def test_the_module_can_be_run() -> None:
    done = run_process("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"archc {archc.__version__}\n", "")


def test_a_wrong_spec_shows_no_traceback() -> None:
    done = run_process("compile", "broken.arch", "-o", "model.py")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error[E0301]: unknown name `imag`\n --> broken.arch:2:12\n")
    assert "did you mean `image`?" in done.stderr


def test_colours_are_for_terminals_and_those_who_ask() -> None:
    forced = run_process("check", "broken.arch", FORCE_COLOR="1")
    assert "\x1b[1;31merror[E0301]:\x1b[0m" in forced.stderr
    assert "\x1b" not in run_process("check", "broken.arch").stderr
    refused = run_process("check", "broken.arch", FORCE_COLOR="1", NO_COLOR="1")
    assert "\x1b[1;31m" not in refused.stderr


@pytest.mark.parametrize(
    "arguments", [["compile", "tiny.arch"], ["list"], ["--help"]], ids=" ".join
)
def test_a_reader_that_leaves_causes_no_message(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run_process(*arguments, stdout=writer)
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_said() -> None:
    with Path("/dev/full").open("w") as full:
        done = run_process("compile", "tiny.arch", stdout=full)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


# ------------------------------------------------------------------ writing files


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_a_failing_disk_leaves_the_old_file(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("compile", "tiny.arch", "-o", "model.py")
    old = Path("model.py").read_bytes()
    monkeypatch.setattr(call, _raising(OSError(errno.ENOSPC, "No space left on device")))
    result = run("compile", "tiny.arch", "--set", "width=4", "-o", "model.py")
    assert result.exit_code == 1
    assert "model.py: cannot write: No space left on device" in result.stderr
    assert Path("model.py").read_bytes() == old
    assert _files() == ["broken.arch", "model.py", "tiny.arch"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_file_that_breaks_off_leaves_the_old_one() -> None:
    run("compile", "tiny.arch", "-o", "model.py")
    old = Path("model.py").read_bytes()
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "from archc.files import write_atomically; from pathlib import Path\n"
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
    assert _files() == ["broken.arch", "model.py", "tiny.arch"]


def test_an_interruption_leaves_the_old_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("old")
    monkeypatch.setattr("os.fsync", _raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_atomically(Path("file"), b"new")
    assert Path("file").read_text() == "old"
    assert _files() == ["broken.arch", "file", "tiny.arch"]


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
