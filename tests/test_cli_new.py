"""`archc new`: what it writes is a spec that compiles and trains; it overwrites nothing."""

import re
from pathlib import Path

import pytest
from command_line import run

from archc.resources import library_root

TEMPLATES = sorted(path.stem for path in (library_root() / "templates").glob("*.arch"))

SMALL = {"residual": "widths=[8, 8, 8]", "dense": "blocks=[1, 1, 1]", "plain": "widths=[8, 8, 8]"}
"""A parameter of each template that makes its net small. (Below 8 channels torch 2.13 overwrites
memory on CPUs without AVX-512: in the gradient of a 1x1 convolution of stride 2, channels_last.)"""


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_next_commands_are_said_and_work() -> None:
    result = run("new", "small_net")
    assert (result.exit_code, result.stdout) == (0, "")
    first, *lines = result.stderr.splitlines()
    assert first == "archc new: wrote small_net.arch; now try"
    commands = [line.split()[3:] for line in lines]
    assert [command[0] for command in commands] == ["summary", "compile", "train"]
    for command in commands[:2]:
        assert run(*command).exit_code == 0
    assert sorted(path.name for path in Path().iterdir()) == ["small_net.arch", "small_net.py"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_checks_compiles_and_is_in_the_style(template: str) -> None:
    assert run("new", "small_net2", "--template", template).exit_code == 0
    text = Path("small_net2.arch").read_text()
    assert "MyNet" not in text
    checked = run("check", "small_net2.arch")
    assert checked.stderr == "archc check: no errors in 1 spec\n"
    assert run("fmt", "--check", "small_net2.arch").exit_code == 0
    for net in re.findall(r"^net (\w+)", text, re.MULTILINE):
        assert net.startswith("SmallNet2")
        assert f"class {net}(" in run("compile", "small_net2.arch", "--net", net).stdout


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_trains(template: str) -> None:
    run("new", "net", "--template", template)
    short = ("--set", SMALL[template], "--epochs", "1", "--batch-size", "512")
    result = run("train", "net.arch", "--data", "digits", *short)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("test accuracy: ")


@pytest.mark.parametrize(("name", "net"), [("a", "A"), ("aBC_d_2", "ABCD2"), ("n" * 50, None)])
def test_the_net_is_called_after_the_spec(name: str, net: str | None) -> None:
    run("new", name)
    assert run("check", f"{name}.arch").exit_code == 0
    assert f"net {net or 'N' + name[1:]}(\n" in Path(f"{name}.arch").read_text()


def test_nothing_is_overwritten() -> None:
    Path("net.arch").write_text("mine")
    Path("link.arch").symlink_to("nowhere")
    for name in ("net", "link"):
        result = run("new", name)
        assert result.exit_code == 1
        assert f"error[E0801]: cannot write `{name}.arch`" in result.stderr
    assert Path("net.arch").read_text() == "mine"
    assert not Path("link.arch").exists()


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("small-net", "`small_net`?"),
        ("net.arch", "`net`?"),
        ("../net", "`net`?"),
        ("3d", "at most 50 letters"),
        ("größe", "at most 50 letters"),
        ("", "at most 50 letters"),
        ("n" * 51, "at most 50 letters"),
        ("none", "`None`"),
        ("basic_block", "`BasicBlock`"),
    ],
)
def test_a_name_that_will_not_do_is_wrong_usage(name: str, help: str) -> None:
    result = run("new", name)
    assert result.exit_code == 2
    assert help in " ".join(re.sub(r"[│\n]", " ", result.stderr).split())
    assert not list(Path().iterdir())


def test_an_unknown_template_is_wrong_usage() -> None:
    result = run("new", "net", "--template", "residul")
    assert result.exit_code == 2
    assert "`residual`" in result.stderr
    assert not list(Path().iterdir())


def test_the_help_names_every_template() -> None:
    text = run("new", "--help").stdout
    assert all(f"`{template}`" in text for template in TEMPLATES)
