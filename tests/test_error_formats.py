"""`--error-format`: what programs read; and the commands that lead from a code to its page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from typer.main import get_command

from archc.cli.formats import github_line, json_line
from archc.cli.main import app
from archc.diagnostics import Diagnostic, Edit, Label, Source, Span
from archc.explanations import pages

pytestmark = pytest.mark.usefixtures("folder")

WRONG = "net N()(image: [3, 8, 8]) {\n    return image -> swish\n}\n"


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_message_in_json_has_its_places_and_its_fix() -> None:
    Path("wrong.arch").write_text(WRONG)
    result = run("compile", "wrong.arch", "--error-format", "json")
    assert (result.exit_code, result.stdout) == (1, "")
    place = {"file": "wrong.arch", "line": 2, "column": 21, "end_line": 2, "end_column": 26}
    assert objects(result.stderr) == [
        {
            "severity": "error",
            "code": "E0301",
            "message": "unknown name `swish`",
            "file": "wrong.arch",
            "spans": [{**place, "label": "", "primary": True}],
            "notes": [],
            "help": "archc calls it `silu`",
            "fixes": [{**place, "text": "silu"}],
            "certain": False,
        }
    ]


def test_every_line_in_json_is_an_object() -> None:
    Path("wrong.arch").write_text(WRONG)
    result = run("check", "wrong.arch", "tiny.arch", "--error-format", "json")
    assert result.exit_code == 1
    found = [(item["severity"], item["code"]) for item in objects(result.stderr)]
    assert found == [("error", "E0301"), ("note", None)]


def test_a_warning_in_json_comes_beside_the_data() -> None:
    Path("bare.arch").write_text(WRONG.replace("swish", "conv(4, 3)"))
    result = run("compile", "bare.arch", "--error-format", "json")
    assert result.exit_code == 0
    assert [item["code"] for item in objects(result.stderr)] == ["W0004"]
    assert "class N(nn.Module)" in result.stdout


def test_a_message_for_github_names_the_place() -> None:
    Path("wrong.arch").write_text(WRONG)
    result = run("check", "wrong.arch", "--error-format", "github")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == (
        "::error file=wrong.arch,line=2,col=21,endLine=2,endColumn=26,title=E0301"
        "::unknown name `swish`%0Ahelp: archc calls it `silu`"
    )


def test_what_github_would_read_as_its_own_is_escaped() -> None:
    source = Source("a:b,c%d\r\ne.arch", "text")
    labels = (Label(Span(source, 0, 4)),)
    line = github_line(
        Diagnostic("W0001", "50%: a,\r\nb ::error::\x1b", labels, severity="warning")
    )
    assert line == (
        "::warning file=a%3Ab%2Cc%25d%0D%0Ae.arch,line=1,col=1,endLine=1,endColumn=5,title=W0001"
        "::50%25: a,%0D%0Ab ::error::\\x1b"
    )


def test_a_message_without_a_place_is_for_github_too() -> None:
    line = github_line(Diagnostic("", "compiling `N`", severity="note"))
    assert line == "::notice::compiling `N`"


def test_a_span_over_lines_has_both_ends_and_json_stays_one_line() -> None:
    source = Source("net.arch", "ab\ncdé\n")
    span = Span(source, 1, 6)
    item = Diagnostic("E0001", "a\nb", (Label(span, "here"),), fix=(Edit(span, "\u2028\n"),))
    text = json_line(item)
    assert len(text.splitlines()) == 1
    (place,) = json.loads(text)["spans"]
    assert (place["line"], place["column"]) == (1, 2)
    assert (place["end_line"], place["end_column"]) == (2, 4)
    assert json.loads(text)["fixes"][0]["text"] == "\u2028\n"


CHECKS = {
    "wide.arch": ("fmt --check", "archc fmt: wide.arch would change"),
    "model.py": ("compile tiny.arch --check -o", "archc compile: model.py does not exist"),
}


@pytest.mark.parametrize("path", CHECKS)
def test_what_a_check_finds_is_an_error_of_the_file(path: str) -> None:
    Path("wide.arch").write_text("const A=1\n")
    command, message = CHECKS[path]
    result = run(*command.split(), path)
    assert (result.exit_code, result.stderr) == (1, f"{message}\n")
    result = run(*command.split(), path, "--error-format", "github")
    place = f"file={path},line=1,col=1,endLine=1,endColumn=1"
    assert (result.exit_code, result.stderr) == (1, f"::error {place}::{message}\n")
    result = run(*command.split(), path, "--error-format", "json")
    (found,) = objects(result.stderr)
    assert (found["severity"], found["code"], found["file"]) == ("error", None, path)
    assert found["message"] == message


def test_every_command_has_the_option() -> None:
    for name, command in getattr(get_command(app), "commands").items():  # noqa: B009
        assert any("--error-format" in option.opts for option in command.params), name


def test_an_unknown_format_is_wrong_usage() -> None:
    assert run("check", "tiny.arch", "--error-format", "xml").exit_code == 2


def test_the_format_of_one_run_does_not_stay() -> None:
    run("check", "broken.arch", "--error-format", "json")
    assert "error[E0301]" in run("check", "broken.arch").stderr


def test_people_are_told_of_the_page() -> None:
    result = run("check", "broken.arch")
    assert "`archc explain E0301` says more." in result.stderr
    assert "explain" not in run("check", "tiny.arch").stderr


def test_a_page_is_shown_as_text() -> None:
    result = run("explain", "E0126")
    assert result.exit_code == 0
    assert result.stdout.startswith("E0126: &&, || and !\n\n")
    assert "\n    if x.channels > 8 and x.height > 8 { x = x -> relu }\n" in result.stdout
    assert "```" not in result.stdout


def test_several_pages_are_shown_in_turn_and_case_does_not_matter() -> None:
    result = run("explain", "e0126", "W0001")
    headings = re.findall(r"^([EW]\d{4}):", result.stdout, re.MULTILINE)
    assert headings == ["E0126", "W0001"]


def test_all_codes_are_listed_with_their_titles() -> None:
    lines = run("explain").stdout.splitlines()
    assert [line[:5] for line in lines] == sorted(pages())
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


def test_a_misspelt_code_is_corrected() -> None:
    result = run("explain", "E02044")
    assert result.exit_code == 1
    assert "error[E0821]: there is no code `E02044`" in result.stderr
    assert "did you mean `E02" in result.stderr
