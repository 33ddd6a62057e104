"""`@name(arguments)`: known names, checked arguments, evaluated to data for passes and codegen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archc.diagnostics import did_you_mean, error
from archc.elaborate.arguments import Given, Slot, bind
from archc.elaborate.frame import Frame
from archc.ir.graph import Annotation, Hyper
from archc.syntax import ast

if TYPE_CHECKING:
    from archc.elaborate.calls import Evaluator

CHOICES: dict[str, dict[str, tuple[Hyper, ...] | None]] = {
    "stochastic_depth": {"final_survival": None, "schedule": ("linear", "uniform")},
    "init": {
        "scheme": ("he_normal", "torch"),
        "fan": ("in", "out"),
        "linear_bias": ("zero", "torch"),
    },
}
"""The annotations that archc knows: their parameters, and the words each one admits."""


def evaluate_annotations(
    annotations: Sequence[ast.Annotation], evaluator: "Evaluator", frame: Frame
) -> tuple[Annotation, ...]:
    """Checked and evaluated annotations. Those that begin with `@x_` are the user's own."""
    return tuple(_evaluate(annotation, evaluator, frame) for annotation in annotations)


def _evaluate(annotation: ast.Annotation, evaluator: "Evaluator", frame: Frame) -> Annotation:
    name = annotation.name
    given = evaluator.given(annotation.arguments, frame)
    if name.startswith("x_"):
        own = tuple((item.name, _hyper(item)) for item in given)
        return Annotation(name, own, annotation.span)
    if name not in CHOICES:
        help = did_you_mean(name, CHOICES) or "annotations of your own begin with `@x_`"
        raise error("E0604", f"unknown annotation `@{name}`", annotation.span, help=help)
    known = CHOICES[name]
    bound = bind(f"@{name}", [Slot(word, False) for word in known], given, annotation.span)
    for parameter, item in bound.items():
        words = known[parameter]
        if words is not None and item.value not in words:
            raise error(
                "E0605",
                f"`{parameter}` of `@{name}` is one of {', '.join(map(str, words))}",
                item.span,
                help=did_you_mean(str(item.value), map(str, words)),
            )
    arguments = tuple((word, _hyper(item)) for word, item in bound.items())
    return Annotation(name, arguments, annotation.span)


def _hyper(item: Given) -> Hyper:
    if not isinstance(item.value, int | float | str):
        raise error("E0605", "an annotation takes numbers and strings", item.span)
    return item.value
