"""`archc check --fix` and `archc check -`: certain mends are made, and nothing else is."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from test_cases import cases
from typer.testing import CliRunner, Result

from archc.checking import MOST_ROUNDS, Checked, CheckStage, check_of, mend
from archc.cli.main import app
from archc.diagnostics import Diagnostic, Edit, Label, Source, Span
from archc.elaborate.files import load_text
from archc.elaborate.limits import Limits
from archc.elaborate.net import elaborate
from archc.ir.dump import dump
from archc.syntax.source import read_source

WRONG = """\
import torch.nn as nn

net Small(wide=False)(image: [3, 32, 32]) {
    x = image -> 'stem': conv(16, 3);
    if wide is not True { x = x -> relu }
    for i in range(2) {
        x = x -> f"conv{i}": conv(16, 3)
    return x -> global_avg_pool
}
"""
RIGHT = """\

net Small(wide=false)(image: [3, 32, 32]) {
    x = image -> "stem": conv(16, 3)
    if wide != true { x = x -> relu }
    for i in range(2) {
        x = x -> "conv{i}": conv(16, 3)
    }
    return x -> global_avg_pool
}
"""
UNSURE = "net Small()(image: [3, 32, 32]) {\n    return image -> stem: convv(16, 3)\n}\n"


def run(*arguments: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["check", *arguments], input=input, prog_name="archc")


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("wrong.arch")
    path.write_text(WRONG)
    return path


def test_certain_mends_are_made_and_told(wrong: Path) -> None:
    result = run("--fix", "wrong.arch")
    assert (result.exit_code, result.stdout) == (0, "")
    assert wrong.read_text() == RIGHT
    assert "archc check: rewrote wrong.arch\n" in result.stderr
    assert "wrong.arch:3:16: mended E0131, there is no `False`: write `false`\n" in result.stderr
    assert result.stderr.endswith("archc check: no errors in 1 spec\n")
    assert [path.name for path in Path().iterdir()] == ["wrong.arch"]


def test_without_fix_nothing_is_written(wrong: Path) -> None:
    assert run("wrong.arch").exit_code == 1
    assert wrong.read_text() == WRONG


def test_a_likely_mend_is_left_to_the_author(wrong: Path) -> None:
    wrong.write_text(UNSURE)
    before = wrong.stat()
    result = run("--fix", "wrong.arch")
    assert result.exit_code == 1
    assert "help: did you mean `conv`?" in result.stderr
    assert "rewrote" not in result.stderr
    after = wrong.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_is_certain_is_mended_beside_what_is_not(wrong: Path) -> None:
    wrong.write_text(WRONG.replace("global_avg_pool", "global_average"))
    result = run("--fix", "wrong.arch")
    assert result.exit_code == 1
    assert "unknown name `global_average`" in result.stderr
    assert wrong.read_text() == RIGHT.replace("global_avg_pool", "global_average")


def test_permissions_links_line_breaks_and_the_byte_order_mark_stay(wrong: Path) -> None:
    mark = b"\xef\xbb\xbf"
    wrong.write_bytes(mark + WRONG.replace("\n", "\r\n").encode())
    wrong.chmod(0o640)
    Path("link.arch").symlink_to(wrong)
    assert run("--fix", "link.arch").exit_code == 0
    assert Path("link.arch").is_symlink()
    assert stat.S_IMODE(wrong.stat().st_mode) == 0o640
    assert wrong.read_bytes() == mark + RIGHT.replace("\n", "\r\n").encode()


def test_what_a_spec_imports_is_left_alone(wrong: Path) -> None:
    broken = "block Part(wide=False)(x) { return x }\n"
    Path("part.arch").write_text(broken)
    wrong.write_text('import "part"\n\nnet N()(x: [3]) { return x -> Part; }\n')
    result = run("--fix", "wrong.arch")
    assert result.exit_code == 1
    assert "there is no `False`" in result.stderr
    assert Path("part.arch").read_text() == broken


def test_stdin_is_checked_under_its_name(wrong: Path) -> None:
    result = run("-", input=WRONG.encode())
    assert (result.exit_code, result.stdout) == (1, "")
    assert " --> <stdin>:1:1\n" in result.stderr
    assert run("-", input=RIGHT.encode()).exit_code == 0


def test_stdin_sees_what_is_beside_it(wrong: Path) -> None:
    Path("part.arch").write_text("block Part()(x) { return x -> relu }\n")
    text = 'import "part"\n\nnet N()(x: [3]) { return x -> Part }\n'
    assert run("-", input=text.encode()).exit_code == 0


def test_stdin_mended_goes_to_stdout(wrong: Path) -> None:
    result = run("--fix", "-", input=WRONG.encode())
    assert (result.exit_code, result.stdout) == (0, RIGHT)
    assert "<stdin>:3:16: mended E0131" in result.stderr
    assert "rewrote" not in result.stderr
    unchanged = run("--fix", "-", input=UNSURE.encode())
    assert (unchanged.exit_code, unchanged.stdout) == (1, UNSURE)


def test_stdin_that_is_no_text_is_refused(wrong: Path) -> None:
    result = run("--fix", "-", input=b"\xff\x00")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "E0105" in result.stderr


def test_a_shipped_spec_is_not_rewritten_by_its_name() -> None:
    result = run("--fix", "densenet")
    assert result.exit_code == 0
    assert "rewrote" not in result.stderr


def test_programs_are_told_whether_a_fix_is_certain(wrong: Path) -> None:
    lines = run("--error-format", "json", "-", input=WRONG.encode()).stderr.splitlines()
    told = [json.loads(line) for line in lines]
    assert all(each["certain"] for each in told if each["fixes"])
    first, _ = run("--error-format", "json", "-", input=UNSURE.encode()).stderr.splitlines()
    unsure = json.loads(first)
    assert unsure["fixes"]
    assert unsure["certain"] is False


# ----------------------------------------------------------- mends that do not help


def sure(text: str, start: int, end: int, instead: str) -> Diagnostic:
    span = Span(Source("x.arch", text), start, end)
    fix = (Edit(span, instead),)
    return Diagnostic("E0001", f"`{span.text}`", (Label(span),), help="-", fix=fix, certain=True)


def mended_by(said: dict[str, Checked], text: str) -> str:
    return mend(lambda text, *, trial=False: said[text], Source("x.arch", text)).text


SOUND = Checked(CheckStage.SOUND, ())


def test_a_mend_after_which_the_mistake_is_still_there_is_not_made() -> None:
    said = {
        "ab": Checked(CheckStage.READ, (sure("ab", 1, 2, "c"),)),
        "ac": Checked(CheckStage.READ, (replace(sure("ac", 1, 2, "d"), message="`b`"),)),
    }
    assert mended_by(said, "ab") == "ab"


def test_a_mend_after_which_less_is_understood_is_not_made() -> None:
    said = {
        "ab": Checked(CheckStage.NAMED, (sure("ab", 1, 2, "c"),)),
        "ac": Checked(CheckStage.READ, ()),
    }
    assert mended_by(said, "ab") == "ab"


def test_of_two_mends_the_one_that_helps_is_made() -> None:
    said = {
        "a b": Checked(CheckStage.NAMED, (sure("a b", 0, 1, "A"), sure("a b", 2, 3, "B"))),
        "A B": Checked(CheckStage.READ, ()),
        "A b": Checked(CheckStage.READ, ()),
        "a B": SOUND,
    }
    assert mended_by(said, "a b") == "a B"


def test_mends_that_touch_are_made_one_after_another() -> None:
    said = {
        "ab": Checked(CheckStage.READ, (sure("ab", 0, 1, "A"), sure("ab", 1, 2, "B"))),
        "Ab": Checked(CheckStage.READ, (sure("Ab", 1, 2, "B"),)),
        "AB": SOUND,
    }
    assert mended_by(said, "ab") == "AB"


def test_lines_with_one_mistake_are_mended_one_after_another() -> None:
    """Where one goes, the next comes into its place, as if the mistake were still there."""
    text = (
        "import torch\nimport torch\nimport torch.nn as nn\nfrom torch.nn import functional as F\n"
    )
    right = "net N()(x: [3, 8, 8]) {\n    return x -> relu\n}\n"
    source = Source("x", text + right)
    assert mend(check_of(source, Limits()), source).text.strip() == right.strip()


def test_mending_ends() -> None:
    class Growing(dict[str, Checked]):
        def __missing__(self, text: str) -> Checked:
            return Checked(CheckStage.READ, (sure(text, len(text), len(text), "a"),))

    assert len(mended_by(Growing(), "")) == MOST_ROUNDS


# ------------------------------------------------------------- the kinds of mistakes

HABITS = [path for path in cases("pytorch_habits") if path.with_suffix(".meant").exists()]


@pytest.mark.parametrize("path", HABITS, ids=lambda path: path.stem)
def test_what_is_certain_is_what_was_meant(path: Path) -> None:
    source = read_source(path, display=str(path), name=path.name)
    mended = mend(check_of(source, Limits()), source)
    if mended.checked.stage < CheckStage.SOUND:  # something in it is not certain
        return
    meant = load_text(path.with_suffix(".meant").read_text(encoding="utf-8"), path.name)
    assert dump(elaborate(load_text(mended.text, path.name)).graph) == dump(elaborate(meant).graph)


def test_a_third_of_the_habits_are_mended_without_asking() -> None:
    sources = [read_source(path, display=str(path), name=path.name) for path in HABITS]
    mended = [mend(check_of(source, Limits()), source) for source in sources]
    assert sum(each.checked.stage == CheckStage.SOUND for each in mended) >= len(mended) / 3


@pytest.mark.parametrize("path", cases("mistakes"), ids=lambda path: path.stem)
def test_a_certain_mend_of_a_mistake_helps(path: Path) -> None:
    source = read_source(path, display=str(path), name=path.name)
    check = check_of(source, Limits())
    left = mend(check, source).checked.diagnostics
    assert not [each for each in left if each.certain]
