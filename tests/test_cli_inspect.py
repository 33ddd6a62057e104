"""The commands that look at specs: `archc check`, `summary`, `viz`, `list`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from command_line import BROKEN, TINY, run, run_process

import archc

pytestmark = pytest.mark.usefixtures("folder")


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


def test_check_finds_what_only_the_emitted_text_refuses() -> None:
    spec = """
block Unit()(x) {
    if x.height > 16 { x = x -> relu }
    return x -> conv: conv(3, 3)
}
net Net()(image: [3, 32, 32]) {
    unit = Unit()
    return image -> unit -> max_pool(2) -> unit
}
"""
    Path("unit.arch").write_text(spec)
    result = run("check", "unit.arch")
    assert result.exit_code == 1
    assert "unit.arch:8:21" in result.stderr
    assert "E0701" in result.stderr
    apart = spec.replace("unit = Unit()", "").replace("unit ->", "a: Unit ->", 1)
    Path("unit.arch").write_text(apart.replace("-> unit\n", "-> b: Unit\n"))
    assert run("check", "unit.arch").exit_code == 0


def test_check_takes_folders_and_names_each_spec_once() -> None:
    Path("more").mkdir()
    Path("more/other.arch").write_text(Path("broken.arch").read_text())
    result = run("check", ".", "more", "broken.arch", "resnet_cifar", "nowhere")
    assert result.exit_code == 1
    assert result.stderr.count("broken.arch:2:12") == 1
    assert result.stderr.count("more/other.arch:2:12") == 1
    assert "there is no file `nowhere`" in result.stderr
    assert "archc check: 3 errors in 4 specs" in result.stderr


def test_check_accepts_a_file_of_blocks() -> None:
    Path("blocks.arch").write_text("block B()(x) { return x -> conv1: conv(8, 3) }\n")
    result = run("check", "blocks.arch")
    assert (result.exit_code, result.stdout) == (0, "")


def test_errors_beyond_twenty_are_counted() -> None:
    lines = "".join(f"    y{i} = missing{i} -> relu\n" for i in range(33))
    Path("many.arch").write_text(f"net Many()(x: [3, 8, 8]) {{\n{lines}    return x\n}}\n")
    result = run("check", "many.arch")
    assert result.stderr.count("error[") == 20
    assert "... and 13 more errors" in result.stderr
    assert "33 errors in 1 spec" in result.stderr


def test_sizes_that_are_given_make_costs_known() -> None:
    def summary(h: int, w: int) -> Any:
        sizes = (f"--size=h={h}", "--size", f"w={w}")
        return json.loads(run("summary", "unet", "--set", "depth=2", *sizes, "--json").stdout)

    assert summary(2, 3)["input"] == [3, 8, 12]
    assert summary(2, 3)["macs"] == 2 * 3 * summary(1, 1)["macs"]
    refused = run("summary", "unet", "--size", "h=2")
    assert refused.exit_code == 2
    assert "--size h=4 --size w=4" in " ".join(refused.stderr.replace("│", " ").split())


def test_sizes_that_a_layer_does_not_fit_are_told_at_the_layer(tmp_path: Path) -> None:
    spec = tmp_path / "small.arch"
    spec.write_text("net Small()(x: [3, H, W]) {\n    return x -> c: conv(4, 7, padding=0)\n}\n")
    refused = run("summary", str(spec), "--size=H=2", "--size=W=9")
    assert refused.exit_code == 1
    assert "E0204" in refused.stderr
    assert "with H=2, W=9, the window of `conv` does not fit" in refused.stderr
    assert "small.arch:2:" in refused.stderr


@pytest.mark.parametrize("size", ["h", "h=0", "h=-1", "h=1.5", "h=" + "9" * 5000, "h=\u0661"])
def test_sizes_that_are_no_numbers_are_refused(size: str) -> None:
    refused = run("summary", "unet", "--size", size)
    assert refused.exit_code == 2
    assert "--size takes NAME=N" in refused.stderr


def in_a_terminal(columns: int, *arguments: str) -> str:
    """What a command writes to a terminal of so many columns."""
    import termios  # not everywhere

    leader, follower = os.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen:
        with os.fdopen(follower, "wb") as terminal:
            termios.tcsetwinsize(terminal, (50, columns))
            run_process(*arguments, stdout=terminal, COLUMNS="")
        written = b""
        while True:
            try:
                part = screen.read(65536)
            except OSError:  # nobody writes any more
                break
            if not part:
                break
            written += part
    return written.decode().replace("\r\n", "\n")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no terminals")
@pytest.mark.parametrize("command", [("summary",), ("diff", "--set-b", "width=4")])
def test_tables_fit_the_terminal_and_are_whole_when_piped(command: tuple[str, ...]) -> None:
    label = "a_label_that_is_far_too_long_for_the_columns_of_most_terminals"
    Path("long.arch").write_text(TINY.replace("conv1", label).replace("classifier", f"{label}2"))
    name, *options = command
    narrow, wide = (in_a_terminal(width, name, "long.arch", *options) for width in (70, 140))
    piped = run_process(name, "long.arch", *options).stdout
    table = [line for line in narrow.splitlines() if "a_label" in line]
    assert len(table) == 2
    assert all(len(line) <= 70 and "..." in line for line in table)
    assert wide == piped
    assert piped.count(label) == 2


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no terminals")
def test_a_plan_fits_the_terminal_and_is_whole_when_piped() -> None:
    label = "a_label_that_is_far_too_long_for_the_columns_of_most_terminals"
    Path("long.arch").write_text(TINY.replace("-> relu", f"-> {label}: relu"))
    words = ("plan", "long.arch", "--estimate")
    narrow, piped = in_a_terminal(70, *words), run_process(*words).stdout
    assert label in piped
    assert "..." not in piped
    assert max(map(len, piped.splitlines())) > 100
    table = narrow.splitlines()[narrow.splitlines().index("saved for backward, by region:") :]
    assert all(len(line) <= 70 for line in table)
    assert any(line.startswith("...") and " B " in line for line in table)


def test_a_summary_has_so_many_levels_as_are_asked_for() -> None:
    shallow, deep = (run("summary", "densenet", "--depth", str(n)).stdout for n in (1, 9))
    assert "denseblock1" not in shallow
    assert deep.count("norm1") == 58
    assert run("summary", "densenet", "--depth", "0").exit_code == 2
    assert run("summary", "densenet", "--depth", "2", "--json").exit_code == 2


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
