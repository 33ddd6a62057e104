"""All that is to be said of a spec, and the mends of it that are certain."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Protocol

from archc.diagnostics import ArchError, Diagnostic, Edit, Fix, Source, edited
from archc.elaborate.files import FileScope, load_program, load_text
from archc.elaborate.limits import NET, Budget, LimitError, Limits
from archc.elaborate.net import elaborate
from archc.elaborate.resolve import check_names
from archc.elaborate.trial import Trial
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
    fits: Mapping[tuple[int, str], bool] = field(default_factory=dict)
    """Of a trial, by place and text of a call that was reached: whether its input is as said."""


class Check(Protocol):
    """Checks a spec, whatever its text is now; in a trial, calls may say what their input is."""

    def __call__(self, text: str, *, trial: bool = False) -> Checked: ...


def check_spec(path: Path, limits: Limits) -> tuple[Diagnostic, ...]:
    """All that is to be said of a spec, each thing once: every net in it is compiled.

    A file of blocks, without a net, is parsed and its names are resolved.
    """
    return _check(lambda: load_program(path), limits).diagnostics


def check_of(source: Source, limits: Limits) -> Check:
    """The check of texts that are to replace a source, which is a file or the text of none."""
    path, display = source.file, source.path

    def check(text: str, *, trial: bool = False) -> Checked:
        load = (
            (lambda: load_text(text, display)) if path is None else lambda: load_program(path, text)
        )
        return _check(load, limits, Trial() if trial else None)

    return check


def _check(load: Callable[[], FileScope], limits: Limits, trial: Trial | None = None) -> Checked:
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
            elaboration = elaborate(program, net.name.name, budget=budget, trial=trial)
            require_text(run_pipeline(elaboration.graph, DEFAULT))
            found += warnings_of(program, elaboration)
        except ArchError as problem:
            found += problem.diagnostics
            stage = CheckStage.ELABORATED
            if isinstance(problem, LimitError) and not budget.affords(NET):
                break
    return Checked(stage, without_repeats(found), trial.fits if trial else {})


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

    A mend that does not help is not made. One that is certain if a trial fits is made if the whole
    spec, with all of them, is sound, and every call of its text is reached and has such an input.
    """
    mended, fits = _tries(check, Mended(source.text, (), check(source.text)), source)
    if not fits:
        return mended
    mended = _rounds(
        check,
        mended,
        source.path,
        lambda each: each.fix if _fit(each, fits) else _certain(each),
    )
    said = _doubted(mended.checked.diagnostics, fits, f"not mended: {_UNFIT}")
    return replace(mended, checked=replace(mended.checked, diagnostics=said))


def check_with_trials(check: Check, source: Source) -> tuple[Diagnostic, ...]:
    """All that is to be said of a spec, with a note at each mend that a trial finds not to fit."""
    checked = check(source.text)
    if not any(each.trial for each in checked.diagnostics):
        return checked.diagnostics
    _, fits = _tries(check, Mended(source.text, (), checked), source)
    return _doubted(checked.diagnostics, fits, f"`--fix` leaves it: {_UNFIT}")


_UNFIT = "its input has other channels or axes than it says"


def _tries(check: Check, mended: Mended, source: Source) -> tuple[Mended, Mapping[str, bool]]:
    """A spec with its certain mends made, and of the others that have a trial whether they fit."""
    mended = _rounds(check, mended, source.path, _certain)
    if not any(each.trial for each in mended.checked.diagnostics):
        return mended, {}
    return mended, _fits(_rounds(partial(check, trial=True), mended, source.path, _tried))


def _doubted(
    diagnostics: Iterable[Diagnostic], fits: Mapping[str, bool], note: str
) -> tuple[Diagnostic, ...]:
    """Diagnostics, with a note at those whose mend does not fit."""
    return tuple(
        each.with_note(note) if _fit(each, fits) is False else each for each in diagnostics
    )


def _fits(tried: Mended) -> Mapping[str, bool]:
    """Of the texts of calls that are all reached, or one of which does not fit: whether they do."""
    if tried.checked.stage < CheckStage.SOUND:
        return {}
    found: dict[str, list[bool]] = {}
    for (_, text), fits in tried.checked.fits.items():
        found.setdefault(text, []).append(fits)
    return {
        text: all(fits)
        for text, fits in found.items()
        if not all(fits) or len(fits) == tried.text.count(text)
    }


def _certain(diagnostic: Diagnostic) -> Fix:
    return diagnostic.fix if diagnostic.certain else ()


def _tried(diagnostic: Diagnostic) -> Fix:
    return diagnostic.trial or _certain(diagnostic)


def _fit(diagnostic: Diagnostic, fits: Mapping[str, bool]) -> bool | None:
    """Whether a mend fits; None if it was not tried, or not reached."""
    return fits.get(diagnostic.trial[0].text) if diagnostic.trial else None


def _rounds(
    check: Check, mended: Mended, display: str, mend_of: Callable[[Diagnostic], Fix]
) -> Mended:
    """A spec with the edits that are chosen made, again and again until there are none."""
    for _ in range(MOST_ROUNDS):
        found = _round(check, mended, display, mend_of)
        if found is None:
            break
        mended = found
    return mended


def _round(
    check: Check, before: Mended, display: str, mend_of: Callable[[Diagnostic], Fix]
) -> Mended | None:
    """The mends of one check, all at once; or the first that helps, where together they do not."""
    chosen_of = (replace(each, fix=mend_of(each)) for each in before.checked.diagnostics)
    mends = _apart(each for each in chosen_of if _is_of(each, display))
    for chosen in (mends, *([each] for each in mends)):
        edits = [edit for diagnostic in chosen for edit in diagnostic.fix]
        text = edited(before.text, edits)
        if text == before.text:
            continue
        after = check(text)
        if _helps(chosen, edits, before.checked, after):
            return Mended(text, (*before.mends, *chosen), after)
    return None


def _is_of(diagnostic: Diagnostic, display: str) -> bool:
    """Whether there is a mend, and of the spec itself: what it imports is left alone."""
    return {edit.span.source.path for edit in diagnostic.fix} == {display}


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
