"""`--set`, `--size` and `--limit`: what a shell makes of them, and what is said of it."""

from pathlib import Path

import pytest
from command_line import run

MODES = """\
net Modes(mode: string = "relu", act="tanh", depth: int = 2)(image: [3, H, W]) {
    return image -> conv1: conv(depth + len([mode, act]), 3, bias=true) -> relu
}
"""


@pytest.fixture(autouse=True)
def modes(folder: Path) -> None:
    (folder / "modes.arch").write_text(MODES)


@pytest.mark.parametrize("name", ["mode", "act"])
@pytest.mark.parametrize("text", ["he-normal", "he normal", "3d", "nonsuch"])
def test_a_string_without_quotes_is_told_how_to_keep_them(name: str, text: str) -> None:
    result = run("summary", "modes.arch", "--set", f"{name}={text}")
    assert result.exit_code == 1
    assert f"within those of the shell: `--set '{name}=\"{text}\"'`\n" in result.stderr
    assert run("summary", "modes.arch", "--set", f'{name}="{text}"').exit_code == 0


def test_an_operator_for_a_declared_string_is_told_so_too() -> None:
    result = run("summary", "modes.arch", "--set", "mode=tanh")
    assert "`mode` is declared `string`, not the operator `tanh`" in result.stderr
    assert "`--set 'mode=\"tanh\"'`" in result.stderr


@pytest.mark.parametrize(
    "argument", ["depth=tanh", "depth=nonsuch", "mode='a'", 'mode="a', "mode={"]
)
def test_other_mistakes_are_not_taken_for_lost_quotes(argument: str) -> None:
    result = run("summary", "modes.arch", "--set", argument)
    assert result.exit_code == 1
    assert "the shell" not in result.stderr


@pytest.mark.parametrize("text", ["1\n2", "1 2"])
def test_a_value_is_one_expression(text: str) -> None:
    result = run("summary", "modes.arch", "--set", f"depth={text}")
    assert result.exit_code == 1
    assert "error[E0110]: expected the end of the expression, found" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        "summary modes.arch --set depth=2 --set depth=3",
        "summary modes.arch --size H=2 --size H=3",
        "plan modes.arch --size W=2 --size H=2 --size H=2",
        "check modes.arch --limit nodes=20 --limit nodes=30",
        "diff modes.arch --set-b depth=2 --set-b depth=3",
    ],
)
def test_what_is_given_twice_is_refused(command: str) -> None:
    result = run(*command.split())
    assert (result.exit_code, result.stdout) == (2, "")
    option, name = command.split()[-2:]
    words = " ".join(result.stderr.replace("\u2502", " ").split())
    assert f"{option} gives `{name.partition('=')[0]}` twice: leave one of them out" in words
