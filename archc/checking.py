"""All that is to be said of a spec, and the mends of it that are certain."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from archc.diagnostics import ArchError, Diagnostic, Edit, Source, edited
from archc.elaborate.files import FileScope, load_program, load_text
from archc.elaborate.limits import NET, Budget, LimitError, Limits
from archc.elaborate.net import elaborate
from archc.elaborate.resolve import check_names
from archc.lint.unused import unused, warnings_of
from archc.lowering.lower import require_text
from archc.passes.pipeline import DEFAULT, run_pipeline

MOST_ROUNDS = 100
"""Rounds of mending: what is mended may bring to light what stood behind it."""


class CheckStage(IntEnum):
    """How far a spec was understood."""

    READ = 0
    NAMED = 1
    ELABORATED = 2
    SOUND = 3


@dataclass(frozen=True, slots=True)
class Checked:
    """What is to be said of a spec, and the stage at which errors ended its check."""

    stage: CheckStage
    diagnostics: tuple[Diagnostic, ...]


Check = Callable[[str], Checked]
"""Checks a spec, whatever its text is now."""


def check_spec(path: Path, limits: Limits) -> tuple[Diagnostic, ...]:
    """All that is to be said of a spec, each thing once: every net in it is compiled.

    A file of blocks, without a net, is parsed and its names are resolved.
    """
    return _check(lambda: load_program(path), limits).diagnostics


def check_of(source: Source, limits: Limits) -> Check:
    """The check of texts that are to replace a source, which is a file or the text of none."""
    path, display = source.file, source.path
    if path is None:
        return lambda text: _check(lambda: load_text(text, display), limits)
    return lambda text: _check(lambda: load_program(path, text), limits)


def _check(load: Callable[[], FileScope], limits: Limits) -> Checked:
    stage = CheckStage.READ
    try:
        program = load()
        stage = CheckStage.NAMED
        check_names(program)
    except ArchError as problem:
        return Checked(stage, problem.diagnostics)
    found: list[Diagnostic] = [] if program.nets else [*unused(program)]
    stage = CheckStage.SOUND
    budget = Budget(limits)
    for net in program.nets:
        try:
            elaboration = elaborate(program, net.name.name, budget=budget)
            require_text(run_pipeline(elaboration.graph, DEFAULT))
            found += warnings_of(program, elaboration)
        except ArchError as problem:
            found += problem.diagnostics
            stage = CheckStage.ELABORATED
            if isinstance(problem, LimitError) and not budget.affords(NET, 0):
                break
    return Checked(stage, without_repeats(found))


def without_repeats(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Diagnostics, of which those with the same code at the same place are said once."""
    first: dict[object, Diagnostic] = {}
    for diagnostic in diagnostics:
        place = str(diagnostic.labels[0].span) if diagnostic.labels else diagnostic.message
        first.setdefault((diagnostic.code, place), diagnostic)
    return tuple(first.values())


# -------------------------------------------------------------------- mending


@dataclass(frozen=True, slots=True)
class Mended:
    """A text after its certain mends, what they were for, and what is left to say."""

    text: str
    mends: tuple[Diagnostic, ...]
    checked: Checked


def mend(check: Check, source: Source) -> Mended:
    """A spec with its certain mends made, again and again until there is none.

    A mend that does not help is not made.
    """
    mended = Mended(source.text, (), check(source.text))
    for _ in range(MOST_ROUNDS):
        found = _round(check, mended, source.path)
        if found is None:
            break
        mended = found
    return mended


def _round(check: Check, before: Mended, display: str) -> Mended | None:
    """The mends of one check, all at once; or the first that helps, where together they do not."""
    mends = _apart(each for each in before.checked.diagnostics if _is_certain(each, display))
    for chosen in (mends, *([each] for each in mends)):
        edits = [edit for diagnostic in chosen for edit in diagnostic.fix]
        text = edited(before.text, edits)
        if text == before.text:
            continue
        after = check(text)
        if _helps(chosen, edits, before.checked, after):
            return Mended(text, (*before.mends, *chosen), after)
    return None


def _is_certain(diagnostic: Diagnostic, display: str) -> bool:
    """Whether there is a certain mend, and of the spec itself: what it imports is left alone."""
    sources = {edit.span.source.path for edit in diagnostic.fix}
    return diagnostic.certain and sources == {display}


def _apart(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those of which no two touch; the others wait a round."""
    chosen: list[Diagnostic] = []
    taken: list[Edit] = []
    for diagnostic in diagnostics:
        fix = diagnostic.fix
        if not any(_touch(edit, other) for edit in fix for other in taken):
            chosen.append(diagnostic)
            taken += fix
    return chosen


def _touch(one: Edit, other: Edit) -> bool:
    return one.span.start <= other.span.end and other.span.start <= one.span.end


def _helps(
    mends: Sequence[Diagnostic], edits: Sequence[Edit], before: Checked, after: Checked
) -> bool:
    """Whether the mistakes are gone and the spec is understood at least as far as before."""
    left = {
        (each.code, each.message, each.labels[0].span.start)
        for each in after.diagnostics
        if each.labels
    }
    kept = {
        (each.code, each.message, _moved(each.labels[0].span.start, edits))
        for each in mends
        if not _is_taken_out(each)
    }
    return after.stage >= before.stage and not left & kept


def _is_taken_out(diagnostic: Diagnostic) -> bool:
    """Whether a mend takes out all that the mistake is about; what comes into its place, maybe with
    a mistake of the same kind, is something else."""
    place = diagnostic.labels[0].span
    return any(not edit.text and place.is_within(edit.span) for edit in diagnostic.fix)


def _moved(offset: int, edits: Sequence[Edit]) -> int:
    """Where a place of the text is after edits."""
    earlier = (edit for edit in edits if edit.span.start < offset and edit.span.end <= offset)
    return offset + sum(len(edit.text) - (edit.span.end - edit.span.start) for edit in earlier)
