"""What the help lines say, applied literally: the spec compiles, and is the one that was meant."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_cases import CASES, cases, said

from archc.codegen.emit import Header, emit
from archc.diagnostics import ArchError, Diagnostic, Edit, Source, Span, edited, error, render
from archc.elaborate.files import load_program
from archc.elaborate.net import Elaboration, elaborate
from archc.elaborate.resolve import check_names
from archc.ir.dump import dump

MISTAKES = [*cases("mistakes"), *cases("pytorch_habits")]


def wrong(path: Path) -> list[Diagnostic]:
    return [diagnostic for diagnostic in said(path) if diagnostic.severity == "error"]


def fixable(path: Path) -> bool:
    found = wrong(path)
    return bool(found) and all(diagnostic.fix for diagnostic in found)


FIXABLE = [path for path in MISTAKES if fixable(path)]


def mended(path: Path, folder: Path) -> Path:
    """A spec after the fixes of all that is wrong with it have been made at once."""
    result = folder / path.name
    edits = [edit for diagnostic in wrong(path) for edit in diagnostic.fix]
    result.write_text(edited(edits[0].span.source.text, edits), encoding="utf-8")
    return result


def compiled(path: Path) -> Elaboration:
    """The spec, compiled to the end; the mistakes of other nets of the file count, too."""
    program = load_program(path)
    check_names(program)
    elaboration = elaborate(program)
    emit(elaboration.graph, (), Header(path.name, "archc compile", (), "0"))
    return elaboration


@pytest.mark.parametrize("path", FIXABLE, ids=lambda path: path.stem)
def test_what_the_help_says_compiles(path: Path, tmp_path: Path) -> None:
    result = mended(path, tmp_path)
    try:
        graph = compiled(result).graph
    except ArchError as problem:
        pytest.fail(f"{result.read_text()}\n{problem}")
    meant = path.with_suffix(".meant")
    if meant.exists():
        (tmp_path / "meant.arch").write_text(meant.read_text(encoding="utf-8"), encoding="utf-8")
        assert dump(graph) == dump(compiled(tmp_path / "meant.arch").graph)


def test_there_are_sixty_mistakes_with_a_fix_and_thirty_are_habits() -> None:
    distinct = {(wrong(path)[0].code, wrong(path)[0].message) for path in FIXABLE}
    habits = [path for path in FIXABLE if path.parent.name == "pytorch_habits"]
    assert len(distinct) >= 60
    assert len(habits) >= 60


MOST_ROUNDS = 12


def rounds(path: Path) -> Iterator[str]:
    """The texts of a spec, each after the first mend of the one before, until there is none."""
    for _ in range(MOST_ROUNDS):
        yield path.read_text(encoding="utf-8")
        fixes = [diagnostic.fix for diagnostic in wrong(path) if diagnostic.fix]
        if not fixes:
            return
        path.write_text(edited(fixes[0][0].span.source.text, fixes[0]), encoding="utf-8")
    pytest.fail(f"mends without end:\n{path.read_text(encoding='utf-8')}")


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_one_mend_after_another_leads_to_an_end(path: Path, tmp_path: Path) -> None:
    work = tmp_path / path.name
    work.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    texts = list(rounds(work))
    assert len(set(texts)) == len(texts)


GATE = """net Gated()(image: [3, 32, 32]) {
    x = image -> stem: conv(16, 3)
    s = x -> POOL -> fc1: FIRST -> relu -> fc2: SECOND -> sigmoid
    return x * s
}
"""
LINEAR = ("linear(4)", "linear(16)")
CONVOLUTION = ("conv(4, 1, bias=true)", "conv(16, 1, bias=true)")


def gate(pool: str, first: str, second: str) -> str:
    return GATE.replace("POOL", pool).replace("FIRST", first).replace("SECOND", second)


def help_of(text: str, folder: Path) -> str:
    path = folder / "gated.arch"
    path.write_text(text, encoding="utf-8")
    found = wrong(path)
    assert not any(diagnostic.fix for diagnostic in found)
    return found[0].help or "" if found else ""


def test_the_helps_for_a_gate_lead_to_the_gate(tmp_path: Path) -> None:
    of_vectors = help_of(gate("global_avg_pool", *LINEAR), tmp_path)
    assert "global_avg_pool(keep=true) -> conv(n, 1, bias=true)" in of_vectors
    kept = help_of(gate("global_avg_pool(keep=true)", *LINEAR), tmp_path)
    assert kept.startswith(f"a 1x1 convolution takes it as it is: `{CONVOLUTION[0]}`")
    assert "global_avg_pool" not in kept
    mixed = help_of(gate("global_avg_pool(keep=true)", CONVOLUTION[0], LINEAR[1]), tmp_path)
    assert f"`{CONVOLUTION[1]}`" in mixed
    convolved = help_of(gate("global_avg_pool", *CONVOLUTION), tmp_path)
    assert "`global_avg_pool(keep=true)` keeps the axes" in convolved
    assert help_of(gate("global_avg_pool(keep=true)", *CONVOLUTION), tmp_path) == ""


@pytest.mark.parametrize("path", sorted(CASES.glob("pytorch_habits/*.meant")), ids=lambda p: p.stem)
def test_what_was_meant_compiles(path: Path, tmp_path: Path) -> None:
    (tmp_path / "meant.arch").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    compiled(tmp_path / "meant.arch")


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_the_edits_of_a_fix_lie_apart_in_one_source(path: Path) -> None:
    for diagnostic in said(path):
        spans = sorted((edit.span for edit in diagnostic.fix), key=lambda span: span.start)
        assert len({span.source for span in spans}) <= 1
        for before, after in zip(spans, spans[1:], strict=False):
            assert before.end <= after.start
        assert not diagnostic.fix or diagnostic.help


def test_the_fixed_lines_are_shown_below_the_help() -> None:
    source = Source("net.arch", "a\nb: c\nd\n")
    colon, end = Span(source, 3, 4), Span(source, 8, 8)
    fix = (Edit(colon, " {"), Edit(end, "\n}"))
    (diagnostic,) = error("E0129", "a colon", colon, help="write `{ ... }`", fix=fix).diagnostics
    assert render(diagnostic).splitlines()[-4:] == [
        "  = help: write `{ ... }`",
        "2 + b { c",
        "3 + d",
        "4 + }",
    ]


def test_a_removed_line_is_not_shown() -> None:
    source = Source("net.arch", "a\nb\nc\n")
    span = Span(source, 2, 4)
    (diagnostic,) = error("E0155", "no", span, help="remove it", fix=[Edit(span, "")]).diagnostics
    assert render(diagnostic).splitlines()[-1] == "  = help: remove it"
