"""Case files: a spec, and beside it what archc says or makes of it.

`mistakes/NAME.arch` has `NAME.out`, the rendered diagnostics; `#~ E0204@12-33` at the end of a line
says that an error of that code has its caret there, from column 12 to before column 33, so that a
wrong span cannot be blessed unseen (`12-4:5`: to before column 5 of line 4). So has
`pytorch_habits/NAME.arch`, of which each holds one mistake, and `NAME.meant` what was meant.
`elaborate/NAME.arch` has `NAME.out`, the canonical dump; `codegen/NAME.arch` has `NAME.py`, the
file emitted at -O0. `pytest --update-golden` writes them anew; a missing one fails.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from archc.codegen.emit import Header, emit
from archc.diagnostics import ArchError, Diagnostic, render
from archc.elaborate.files import load_program
from archc.elaborate.net import Elaboration, elaborate, variations
from archc.ir.dump import dump
from archc.ir.verify import verify
from archc.lint.unused import warnings_of

CASES = Path(__file__).parent / "cases"
_MARK = re.compile(r"#~ (.*)")


def cases(kind: str) -> list[Path]:
    found = sorted((CASES / kind).glob("*.arch"))
    assert found, f"no cases in {kind}"
    return found


MISTAKES = [*cases("mistakes"), *cases("pytorch_habits")]


def compare(golden: Path, text: str, update: bool) -> None:
    if update:
        golden.write_text(text, encoding="utf-8")
    assert golden.exists(), f"{golden.name} is missing: run pytest --update-golden"
    assert text == golden.read_text(encoding="utf-8")


def said(path: Path) -> tuple[Diagnostic, ...]:
    """All that archc says of a spec: errors, or warnings where it compiles."""
    try:
        program = load_program(path)
        return warnings_of(program, elaborate(program))
    except ArchError as problem:
        return problem.diagnostics


def marks(path: Path) -> Iterator[str]:
    """`E0204@5:12-5:33`: what the marks of a file say."""
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        match = _MARK.search(line)
        for mark in match[1].split() if match else ():
            code, start, end = re.fullmatch(r"(\w+)@(\d+)-([\d:]+)", mark).groups()  # type: ignore[union-attr]
            yield f"{code}@{number}:{start}-{end if ':' in end else f'{number}:{end}'}"


def mark(diagnostic: Diagnostic) -> str:
    """The same of a diagnostic."""
    span = diagnostic.labels[0].span
    end_line, end = span.source.position(span.end)
    return f"{diagnostic.code}@{span.line}:{span.column}-{end_line}:{end}"


def relative(text: str) -> str:
    return text.replace(f"{CASES}/", "")


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_a_mistake_is_explained(path: Path, update_golden: bool) -> None:
    diagnostics = said(path)
    assert sorted(mark(d) for d in diagnostics if d.labels) == sorted(marks(path))
    text = "\n\n".join(relative(render(diagnostic)) for diagnostic in diagnostics) + "\n"
    compare(path.with_suffix(".out"), text, update_golden)


def test_the_mistakes_are_of_many_kinds() -> None:
    codes = {found.partition("@")[0] for path in MISTAKES for found in marks(path)}
    assert len(codes) >= 40


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_every_diagnostic_of_a_mistake_has_a_code_and_points_into_the_text(path: Path) -> None:
    for diagnostic in said(path):
        assert re.fullmatch(r"[EW]\d{4}", diagnostic.code) or diagnostic.severity == "note"
        for label in diagnostic.labels:
            assert 0 <= label.span.start <= label.span.end <= len(label.span.source.text)


def elaborated(path: Path) -> Elaboration:
    elaboration = elaborate(load_program(path))
    verify(elaboration.graph)
    return elaboration


@pytest.mark.parametrize("path", cases("elaborate"), ids=lambda path: path.stem)
def test_a_spec_elaborates_to_its_dump(path: Path, update_golden: bool) -> None:
    compare(path.with_suffix(".out"), dump(elaborated(path).graph), update_golden)


@pytest.mark.parametrize("path", cases("codegen"), ids=lambda path: path.stem)
def test_a_spec_is_emitted_as_its_file(path: Path, update_golden: bool) -> None:
    elaboration = elaborated(path)
    varied = variations(load_program(path), None, {}, elaboration)
    header = Header(path.name, f"archc compile {path.name} -O0", (), "0")
    compare(path.with_suffix(".py"), emit(elaboration.graph, varied, header), update_golden)
