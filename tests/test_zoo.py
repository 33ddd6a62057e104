"""docs/zoo.md, held to what is shipped: a row, a section and a picture for each spec.

Its counts are README's, which tests/test_docs.py compares with the compiled nets. A section has its
picture's command, which `--full` runs.
"""

import re
import shlex
from pathlib import Path

import pytest
from command_line import run
from documents import ROOT, table_after

from archc.elaborate.files import shipped_specs

PAGE = ROOT / "docs" / "zoo.md"
PICTURES = ROOT / "docs" / "zoo"
TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(
    re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
)

each_section = pytest.mark.parametrize("spec", SECTIONS)


def counts() -> dict[str, list[list[str]]]:
    """By spec, what README says of its nets: name, parameters, multiply-accumulates."""
    found: dict[str, list[list[str]]] = {}
    spec = ""
    for first, *net in table_after(ROOT / "README.md", "## Shipped specs"):
        spec = first.strip("`") or spec
        found.setdefault(spec, []).append(net)
    return found


def command_of(spec: str) -> list[str]:
    (line,) = re.findall(r"^`archc (viz .*)`$", SECTIONS[spec], re.MULTILINE)
    return shlex.split(line)


def test_each_shipped_spec_has_a_section_and_a_picture() -> None:
    shipped = list(shipped_specs())
    assert list(SECTIONS) == shipped
    assert sorted(path.name for path in PICTURES.iterdir()) == [f"{name}.svg" for name in shipped]


def test_each_shipped_spec_has_a_row_with_the_counts_of_its_first_net() -> None:
    rows = {link: (net, *cost) for link, _, net, *cost, _, _ in table_after(PAGE, "# The zoo")}
    assert rows == {f"[`{spec}`](#{spec})": tuple(nets[0]) for spec, nets in counts().items()}


@each_section
def test_a_section_has_its_papers_its_nets_and_its_picture(spec: str) -> None:
    section = SECTIONS[spec]
    assert re.search(r"\d{4},\s\[arXiv:(\d{4}\.\d{4,5})\]\(https://arxiv\.org/abs/\1\)", section)
    assert table_after(PAGE, f"## `{spec}`") == counts()[spec]
    assert re.findall(r"<img src=\"([^\"]+)\" alt=\"[^\"]+\">", section) == [f"zoo/{spec}.svg"]
    assert command_of(spec)[:2] == ["viz", spec]
    assert command_of(spec)[-2:] == ["-o", f"docs/zoo/{spec}.svg"]


def test_the_tests_that_it_names_are_there() -> None:
    files = set(re.findall(r"`(tests/\w+\.py)`", TEXT))
    named = re.findall(r"`(test_\w+)`\s+in\s+`(tests/\w+\.py)`", TEXT)
    assert {file for _, file in named} <= files
    assert all((ROOT / file).exists() for file in files)
    for name, file in named:
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), name


def test_the_pictures_of_whole_nets_say_their_parameters() -> None:
    """Also where the long test, which draws them anew, is left out."""
    whole = [spec for spec in SECTIONS if {"--net", "--set"}.isdisjoint(command_of(spec))]
    assert len(whole) > 20
    for spec in whole:
        _, parameters, _ = counts()[spec][0]
        assert f"{parameters} params" in (PICTURES / f"{spec}.svg").read_text(encoding="utf-8")


@pytest.mark.full
@each_section
def test_a_picture_is_the_one_that_its_command_makes(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs" / "zoo").mkdir(parents=True)
    words = command_of(spec)
    assert run(*words).exit_code == 0
    assert (tmp_path / words[-1]).read_bytes() == (PICTURES / f"{spec}.svg").read_bytes()
