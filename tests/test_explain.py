"""The pages of the codes: every code has one, and its examples are what they say."""

import re
import subprocess
from pathlib import Path

import pytest
from command_line import run
from documents import FENCE, completed, said_of

import archc
from archc.diagnostics import render
from archc.explanations import Page, pages

PAGES = list(pages().values())

UNSHOWN = {
    "E0507",  # a module is missing when the emitted file runs
    "E0508",  # and so is a class that fails
    "E0714",  # no pass has an option
    "E0721",  # this and the next three need another distribution: see test_plugins
    "E0722",
    "E0723",
    "E0724",
    "E1052",  # a training that diverged leaves no weights
    "E0813",  # the command line refuses such a name itself
    "E0814",  # Graphviz is missing
    "E0843",  # this and the next need trained weights: see test_slim_command
    "E0844",
    "E1001",  # torch is missing
    "E1022",  # torchvision is missing
    "E1024",  # the network is
    "E1032",  # an ensemble needs snapshots
    "E1062",  # a runtime's mistake is: see test_export_command
    "E1063",  # libraries are missing
    "E1008",  # it takes several processes
}
"""Codes of what a test cannot bring about; their pages show a text."""

_CODE = re.compile(r'"([EW]\d{4})"')
_SAID = re.compile(r"^(?:error|warning)\[([EW]\d{4})\]", re.MULTILINE)
_FILE_NAME = re.compile(r"# ([\w/]+\.arch)\n")


def said_of_spec(text: str, folder: Path) -> set[str]:
    named = _FILE_NAME.match(text)
    path = folder / (named[1] if named else "example.arch")
    path.write_text(completed(text), encoding="utf-8")
    said = said_of(path, text)
    print("\n".join(render(diagnostic) for diagnostic in said))
    return {diagnostic.code for diagnostic in said}


def said_by_commands(text: str) -> set[str]:
    """The codes that archc gives in a script; its other lines prepare the folder."""
    codes: set[str] = set()
    for line in text.splitlines():
        if line.startswith("archc "):
            result = run(*line.split()[1:])
            print(result.stderr)
            found = set(_SAID.findall(result.stderr))
            assert result.exit_code == (1 if any(code[0] == "E" for code in found) else 0)
            codes |= found
        else:
            subprocess.run(["bash", "-c", line], check=True)
    return codes


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.code)
def test_the_examples_of_a_page_are_what_they_say(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = [(match[1], match[2].strip(), match[3]) for match in FENCE.finditer(page.text)]
    if page.code in UNSHOWN:
        assert blocks
        return
    assert [info for _, info, _ in blocks] == [page.code, ""], "one wrong example, one right"
    for language, info, text in blocks:
        folder = tmp_path / (info or "right")
        folder.mkdir()
        monkeypatch.chdir(folder)
        said = said_of_spec(text, folder) if language == "arch" else said_by_commands(text)
        assert said == ({page.code} if info else set()), text


def test_every_page_says_something_before_its_examples() -> None:
    for page in PAGES:
        words, _, _ = page.text.partition("```")
        assert len(words.split()) >= 5, page.code
        assert not page.title.endswith("."), page.code


def codes_in_use() -> set[str]:
    sources = Path(archc.__file__).parent.rglob("*.py")
    return {code for path in sources for code in _CODE.findall(path.read_text(encoding="utf-8"))}


def test_every_code_in_use_has_a_page() -> None:
    assert codes_in_use() == set(pages())
