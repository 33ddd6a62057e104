"""The command line: exit statuses, messages, and `archc` as a process."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import TINY, files, raising, run, run_process
from typer.main import get_command

import archc
from archc.cli.main import app

pytestmark = pytest.mark.usefixtures("folder")


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
    assert files() == ["broken.arch", "tiny.arch"]


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


def test_all_that_compile_share_options() -> None:
    commands: dict[str, Any] = getattr(get_command(app), "commands")  # noqa: B009
    for name in ("compile", "summary", "plan", "expand", "diff", "viz", "train"):
        options = {word for option in commands[name].params for word in option.opts}
        assert options >= {"--net", "--set", "--passes", "--limit"}, name
        assert ("-O0" in options) == (name != "expand"), name


def test_a_misspelt_command_is_corrected() -> None:
    assert "Did you mean 'compile'?" in run("compil", "tiny.arch").stderr


def test_a_bug_gives_3_and_a_short_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archc.compiler.compile_spec", raising(AssertionError("no such node")))
    result = run("compile", "tiny.arch")
    assert result.exit_code == 3
    assert "internal error: AssertionError: no such node" in result.stderr
    assert "please report" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_bug_is_shown_in_full_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archc.compiler.compile_spec", raising(AssertionError("no such node")))
    result = run("--debug", "compile", "tiny.arch")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr


def test_an_interruption_gives_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archc.compiler.compile_spec", raising(KeyboardInterrupt()))
    result = run("compile", "tiny.arch")
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


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


NARROW = [
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("variables", NARROW, ids=["ascii", "C"])
def test_standard_output_need_not_take_every_character(variables: dict[str, str]) -> None:
    ugly = TINY.replace("A net of", "A λ net of").replace("(width=8, ", "(width=8,")
    Path("doc.arch").write_text(ugly, encoding="utf-8")
    summary = run_process("summary", "doc.arch", **variables)
    assert (summary.returncode, summary.stderr) == (0, "")
    assert "A \\u03bb net of three layers." in summary.stdout
    difference = run_process("fmt", "--diff", "doc.arch", **variables)
    assert (difference.returncode, difference.stderr) == (0, "")
    assert " ## A λ net of three layers.\n" in difference.stdout, "in UTF-8, as the file"


_CLOSED = pytest.mark.skipif(os.name != "posix", reason="closes streams with a POSIX shell")


def run_shell(streams: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command with some of its streams closed."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", sys.executable, "-m", "archc", *arguments],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path(archc.__file__).parents[1])},
        text=True,
        timeout=60,
        check=False,
    )


@_CLOSED
def test_a_closed_standard_output_matters_to_data_only() -> None:
    done = run_shell(">&-", "check", "tiny.arch")
    assert (done.returncode, done.stderr) == (0, "archc check: no errors in 1 spec\n")
    for command in ("compile", "summary"):
        done = run_shell(">&-", command, "tiny.arch")
        assert done.returncode == 1
        assert done.stderr.startswith("error[E0802]: standard output: Bad file descriptor\n")


@_CLOSED
def test_a_closed_standard_input_is_said() -> None:
    done = run_shell("<&-", "fmt", "-")
    assert done.returncode == 1
    assert done.stderr.startswith("error[E0802]: standard input: Bad file descriptor\n")


@_CLOSED
def test_messages_do_not_go_to_standard_output_where_standard_error_is_closed() -> None:
    done = run_shell("2>&-", "check", "tiny.arch", "broken.arch")
    assert (done.returncode, done.stdout) == (1, "")
