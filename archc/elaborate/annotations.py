"""`@name(arguments)`: known names, checked arguments, evaluated to data for passes and codegen."""

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Literal

from archc.diagnostics import Span, error, nearest
from archc.elaborate.arguments import Given, Slot, bind
from archc.elaborate.frame import Frame
from archc.elaborate.values import Value, is_number
from archc.ir.graph import Annotation, Hyper
from archc.syntax import ast
from archc.syntax.edits import replaced, value_of

if TYPE_CHECKING:
    from archc.elaborate.calls import Evaluator

Place = Literal["assignment", "block", "net"]

UNUSED = "unused"
"""What is made for its weights, and not applied."""

SURVIVAL = "a number over 0, up to 1"
POSITIVE = "a number over 0"

CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "stochastic_depth": {"final_survival": (SURVIVAL,), "schedule": ("linear", "uniform")},
    "init": {
        "scheme": ("he_normal", "torch"),
        "fan": ("in", "out"),
        "conv_bias": ("zero", "torch"),
        "linear_std": (POSITIVE,),
        "linear_bias": ("zero", "torch"),
        "bn_weight": (POSITIVE,),
    },
    UNUSED: {},
}
"""The annotations that archc knows: their parameters, and the words each one admits."""


def evaluate_annotations(
    annotations: Sequence[ast.Annotation],
    evaluator: "Evaluator",
    frame: Frame,
    place: Place = "assignment",
) -> tuple[Annotation, ...]:
    """Checked and evaluated annotations. Those that begin with `@x_` are the user's own."""
    for annotation in annotations:
        if annotation.name == "costs":
            raise error(
                "E0606",
                "`@costs` stands before an extern layer; those of nets and blocks are counted",
                annotation.span,
                help="leave it out",
            )
        if annotation.name == "init" and place != "net":
            raise error(
                "E0606",
                "`@init` stands before a net: it initialises all its layers",
                annotation.span,
                help="move it before the `net`",
            )
        if annotation.name == UNUSED and place != "assignment":
            raise error(
                "E0606",
                f"`@unused` stands before an assignment, not before a {place}",
                annotation.span,
                help="write `@unused`, and below it `_ = x -> label: layer`",
            )
    return tuple(_evaluate(annotation, evaluator, frame) for annotation in annotations)


def _evaluate(annotation: ast.Annotation, evaluator: "Evaluator", frame: Frame) -> Annotation:
    name = annotation.name
    given = evaluator.given(annotation.arguments, frame)
    if name.startswith("x_"):
        own = tuple((item.name, _hyper(item)) for item in given)
        return Annotation(name, own, annotation.span)
    if name not in CHOICES:
        near, start = nearest(name, CHOICES), annotation.span.start + 1
        raise error(
            "E0604",
            f"unknown annotation `@{name}`",
            annotation.span,
            help=f"did you mean `{near}`?" if near else "annotations of your own begin with `@x_`",
            fix=replaced(Span(annotation.span.source, start, start + len(name)), near)
            if near
            else (),
        )
    known = CHOICES[name]
    bound = bind(f"@{name}", [Slot(word, False) for word in known], given, annotation.span)
    for parameter, item in bound.items():
        words = known[parameter]
        if not _admits(words, item.value):
            near = nearest(item.value, words) if isinstance(item.value, str) else None
            raise error(
                "E0605",
                f"`{parameter}` of `@{name}` is {' or '.join(words)}",
                item.span,
                help=f"did you mean `{near}`?" if near else None,
                fix=replaced(value_of(item.span), f'"{near}"') if near else (),
            )
    arguments = tuple((word, _hyper(item)) for word, item in bound.items())
    return Annotation(name, arguments, annotation.span)


def _admits(words: tuple[str, ...], value: Value) -> bool:
    if words in ((SURVIVAL,), (POSITIVE,)):
        return is_number(value) and 0 < value <= (1 if words == (SURVIVAL,) else inf)
    return value in words


def _hyper(item: Given) -> Hyper:
    if not isinstance(item.value, int | float | str):
        raise error("E0605", "an annotation takes numbers and strings", item.span)
    return item.value
