"""An annotation in the text -> one of `archc.ir.annotations`, its arguments checked."""

from collections.abc import Callable

from archc.diagnostics import ArchError, Span, error, nearest
from archc.elaborate.arguments import bind, checked_values
from archc.elaborate.values import Datum, Given
from archc.ir.annotations import ANNOTATIONS, Annotation, OwnAnnotation, Said, Subject
from archc.ops.extern import Computed, Variable
from archc.ops.registry import parameters
from archc.syntax import ast
from archc.syntax.edits import replaced


def checked_annotation(
    written: ast.Annotation, subject: Subject, evaluate: Callable[[ast.Expr], Datum]
) -> Annotation:
    """What stands at a place. Those that begin with `@x_` are the user's own. Raises ArchError."""
    if written.name.startswith("x_"):
        own = tuple(
            (item.name, _said(evaluate(item.value), item.span)) for item in written.arguments
        )
        return OwnAnnotation(written.name, own, span=written.span)
    cls = ANNOTATIONS.get(written.name)
    if cls is None:
        raise _unknown(written, subject)
    if subject not in cls.subjects:
        raise error(
            "E0606",
            f"`@{cls.name}` stands before {_one_of(*cls.subjects)}, not before {_one_of(subject)}",
            written.span,
            help=cls.elsewhere,
        )
    given = [Given(item.name, evaluate(item.value), item.span) for item in written.arguments]
    slots = {item.name: item.required for item in parameters(cls)}
    bound = bind(f"@{cls.name}", slots, given, written.span)
    decided_later = {
        k: v.value for k, v in bound.items() if isinstance(v.value, Variable | Computed)
    }
    known = {name: item for name, item in bound.items() if name not in decided_later}
    return cls(**checked_values(cls, known, "E0605"), **decided_later, span=written.span)


def _one_of(*subjects: Subject) -> str:
    return " or ".join(f"{'an' if each[0] in 'ae' else 'a'} {each}" for each in subjects)


def _unknown(written: ast.Annotation, subject: Subject) -> ArchError:
    name, start = written.name, written.span.start + 1
    near = nearest(name, (cls.name for cls in ANNOTATIONS.values() if subject in cls.subjects))
    return error(
        "E0604",
        f"unknown annotation `@{name}`",
        written.span,
        help=f"did you mean `{near}`?" if near else "annotations of your own begin with `@x_`",
        fix=replaced(Span(written.span.source, start, start + len(name)), near) if near else (),
    )


def _said(value: Datum, span: Span) -> Said:
    if isinstance(value, int | float | str):
        return value
    raise error("E0605", "an annotation takes numbers and strings", span)
