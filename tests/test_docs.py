"""The documents, held to what archc does: examples, commands, shipped nets, diffs.

docs/language.md says how its examples are read. Besides: an example whose first line is a comment
with a file name is that file for the commands; `sh` blocks run in one folder a document; `python`
blocks of the README run if they import archc, and are else parts of what its spec compiles to. What
docs/passes.md shows of a distribution is installed, in a folder of `sys.path`.
"""

import importlib
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import emitted
import pytest
from documents import (
    DOCUMENTS,
    ROOT,
    Block,
    blocks,
    blocks_of,
    compiled,
    completed,
    said_of,
    table_after,
)
from typer.main import get_command
from typer.testing import CliRunner

from archc.cli.main import app
from archc.diagnostics import render
from archc.elaborate.files import load_program

_FILE_NAME = re.compile(r"# ([\w/]+\.(?:arch|py|toml))\n")
_CODE = re.compile(r"[EW]\d{4}")


# ---------------------------------------------------------------- examples of the language


@pytest.mark.parametrize("block", blocks("arch"), ids=str)
def test_an_example_compiles_or_is_refused_as_it_says(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "example.arch"
    path.write_text(completed(block.text), encoding="utf-8")
    said = said_of(path, block.text)
    text = "\n\n".join(render(diagnostic) for diagnostic in said)
    assert {item.code for item in said} == set(_CODE.findall(block.info)), text


def shown_messages() -> Iterator[tuple[Block, Block]]:
    """Mistakes that are followed by what archc says of them."""
    for document in DOCUMENTS:
        found = blocks_of(document)
        for block, after in zip(found, found[1:], strict=False):
            if block.language == "arch" and after.text.startswith("error["):
                yield block, after


def test_a_message_is_shown_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for mistake, message in shown_messages():
        found = re.search(r"--> ([\w.]+):", message.text)
        assert found is not None
        path = Path(found[1])
        path.write_text(completed(mistake.text), encoding="utf-8")
        said = "\n\n".join(map(render, said_of(path, mistake.text)))
        assert said == message.text.strip(), message


# ------------------------------------------------------------------------------- commands

OUTSIDE = ("cat ", "pip ", "python", "git ", "cd ", "dot ", "pytest", "ruff ", "mypy")
"""Commands of others, which no test runs."""


def targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def write_specs(document: Path, folder: Path) -> None:
    for block in blocks_of(document, "arch", "text"):
        named = _FILE_NAME.match(block.text)
        if named:
            (folder / named[1]).write_text(block.text, encoding="utf-8")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The distribution that docs/passes.md shows: its modules, and the entry points that it has."""
    site = tmp_path / "site"
    info = site / "tidy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tidy\nVersion: 1.0\n")
    entries = ""
    for block in blocks_of(ROOT / "docs" / "passes.md", "python", "toml"):
        named = _FILE_NAME.match(block.text)
        assert named
        if block.language == "toml":
            for group, names in tomllib.loads(block.text)["project"]["entry-points"].items():
                entries += f"[{group}]\n"
                entries += "".join(f"{name} = {target}\n" for name, target in names.items())
        else:
            path = site / named[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    (info / "entry_points.txt").write_text(entries)
    monkeypatch.syspath_prepend(site)
    yield site
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tidy", "test_tidy")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["test_remove_dropout", "test_drop_maps"])
def test_the_passes_of_the_documents_keep_what_they_say(
    installed: Path, same_examples: None, name: str
) -> None:
    getattr(importlib.import_module("test_tidy"), name)()


SHORT = shlex.split("--epochs 1 --batch-size 512 --set growth=4")


def run(line: str) -> str:
    """What a command says on standard output; a training is cut short."""
    words = shlex.split(line, comments=True)
    if words[1] == "train":
        import torch

        torch.set_num_threads(1)  # as in tests/emitted.py
        words = [re.sub("^depth=.*", "depth=10", word) for word in words] + SHORT
    result = CliRunner().invoke(app, words[1:], prog_name="archc")
    assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
    return result.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_shown_commands_run(
    document: Path, tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_specs(document, tmp_path)
    for block in blocks_of(document, "sh"):
        for line in block.text.splitlines():
            if line.startswith("archc "):
                run(line)
            elif line.startswith("make "):
                assert set(line.split()[1:]) <= targets(), f"{block}: {line}"
            else:
                assert line.startswith(OUTSIDE), f"{block}: {line}"


def test_the_readme_names_every_command_and_its_options() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands: dict[str, Any] = getattr(get_command(app), "commands")  # noqa: B009
    for name, command in commands.items():
        assert f"`archc {name}" in text
        for option in command.params:
            spelled = [word for word in option.opts if word.startswith("-")]
            assert not spelled or any(word in text for word in spelled), spelled


def test_make_targets_are_named_as_they_are() -> None:
    for document in DOCUMENTS:
        named = re.findall(r"`make ([\w-]+)", document.read_text(encoding="utf-8"))
        assert set(named) <= targets(), document.name


# ------------------------------------------------------------------------------ the README

README = ROOT / "README.md"


def readme_spec(folder: Path) -> str:
    """What the first spec of the README compiles to."""
    write_specs(README, folder)
    ((text, _),) = compiled(load_program(folder / "densenet_bc.arch"))
    return text


def test_the_excerpts_of_the_readme_are_emitted(tmp_path: Path) -> None:
    emitted = readme_spec(tmp_path)
    excerpts = [b for b in blocks_of(README, "python") if "import archc" not in b.text]
    assert excerpts
    for block in excerpts:
        for part in block.text.split("...\n"):
            assert part in emitted, part
    (claimed,) = re.findall(r"a model of (\d+) lines", README.read_text(encoding="utf-8"))
    command = next(b for b in blocks_of(README, "sh") if "densenet_bc.arch -o" in b.text)
    assert "archc compile densenet_bc.arch -o model.py" in command.text
    model, _, _ = emitted.partition("\n\n\n# --- archc runtime")
    assert abs(model.count("\n") + 1 - int(claimed)) <= 2  # the header's command differs


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (block,) = [b for b in blocks_of(README, "python") if "import archc" in b.text]
    names: dict[str, Any] = {}
    exec(compile(block.text, str(block), "exec"), names)
    assert names["model"].get_classifier().out_features == 100
    assert names["text"] == names["spec"].source


def test_the_net_of_the_readme_is_the_shipped_one(tmp_path: Path) -> None:
    write_specs(README, tmp_path)
    shown = json.loads(run(f"archc summary {tmp_path}/densenet_bc.arch --json"))
    shipped = json.loads(run("archc summary densenet_cifar --json"))
    assert (shown["params"], shown["macs"]) == (shipped["params"], shipped["macs"])


def test_the_shipped_nets_are_listed_with_their_costs() -> None:
    spec, listed = "", []
    for first, net, params, macs in table_after(README, "## Shipped specs"):
        spec = first.strip("`") or spec
        listed.append((spec, net.strip("`")))
        made = emitted.emit(*listed[-1])
        cost = "any size" if made.macs is None else f"{made.macs:,}"
        assert (f"{made.parameters:,}", cost) == (params, macs), net
    shipped = json.loads(run("archc list --json"))["specs"]
    assert listed == [(entry["name"], net) for entry in shipped for net in entry["nets"]]


# -------------------------------------------------------------------------- links and diffs


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)|src=\"([^\"]+)\"", text):
        path, _, anchor = (target[0] or target[1]).partition("#")
        if path.startswith("https://arxiv.org/abs/"):
            continue  # tests stay on the machine
        assert not path or (document.parent / path).exists(), target
        if anchor and not path:
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            plain = (re.sub(r"[^\w -]", "", heading.lower()) for heading in headings)
            assert anchor in {heading.replace(" ", "-") for heading in plain}, anchor


def test_the_pictures_are_those_that_the_commands_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "pictures.md"
    write_specs(page, tmp_path)
    lines = [line for block in blocks_of(page, "sh") for line in block.text.splitlines()]
    for line in lines:
        run(line)
    shown = sorted((ROOT / "docs").glob("*.svg"))
    assert {path.name for path in shown} == {shlex.split(line)[-1] for line in lines}
    for path in shown:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_diffs_fit_the_files_that_they_change() -> None:
    for block in blocks("diff"):
        for part in re.split(r"^(?=--- )", block.text, flags=re.MULTILINE)[1:]:
            before, after, *lines = part.splitlines()
            path = ROOT / after.removeprefix("+++ b/")
            if before == "--- /dev/null":
                assert not path.exists(), f"{block}: {path.name} is there already"
                continue
            text = path.read_text(encoding="utf-8")
            for hunk in re.split(r"^@@.*\n", "\n".join(lines) + "\n", flags=re.MULTILINE)[1:]:
                old = [line[1:] for line in hunk.splitlines() if line[:1] in (" ", "-")]
                assert "\n".join(old) in text, f"{block}: {path.name}"
