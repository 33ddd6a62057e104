"""`@init`, written at the end of the constructor: a loop over the modules of the net."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archc.ir.graph import Hyper
from archc.ir.initialisation import acts_on
from archc.ops.op import Op

_FAN_OUT = ', mode="fan_out", nonlinearity="relu"'


@dataclass(frozen=True)
class _Step:
    """A statement about `module`, and what must hold for it."""

    statement: str
    condition: str | None = None


def initialisation(words: dict[str, Hyper], made: Sequence[tuple[str, Op]]) -> list[str]:
    """The statements of an `@init` with the arguments `words`.

    `made` are the layers of the net: the class of torch that each is made by, and the operator.
    """
    kinds = {"scheme": _conv, "bn_weight": _norm, "linear_std": _linear}
    classes_of: dict[tuple[_Step, ...], list[str]] = {}
    for argument, steps_of in kinds.items():
        classes = sorted({cls for cls, op in made if argument in op.initialised})
        steps = tuple(steps_of(words, [op for cls, op in made if cls in classes]))
        classes_of.setdefault(steps, []).extend(classes)
    out: list[str] = []
    for steps, classes in classes_of.items():
        if steps:
            out += _branch("elif" if out else "if", classes, steps)
    return ["        for module in self.modules():", *out] if out else []


def _conv(words: dict[str, Hyper], ops: Sequence[Op]) -> Iterator[_Step]:
    if _some("scheme", words, ops):
        mode = _FAN_OUT if words.get("fan") == "out" else ""
        yield _Step(f"nn.init.kaiming_normal_(module.weight{mode})")
    if _some("conv_bias", words, ops):
        # PyTorch types the bias of a convolution as optional, whether or not there is one.
        yield _Step("nn.init.zeros_(module.bias)", "module.bias is not None")


def _norm(words: dict[str, Hyper], ops: Sequence[Op]) -> Iterator[_Step]:
    if _some("bn_weight", words, ops):
        condition = None if _all("bn_weight", words, ops) else "module.affine"
        yield _Step(f"nn.init.constant_(module.weight, {words['bn_weight']})", condition)


def _linear(words: dict[str, Hyper], ops: Sequence[Op]) -> Iterator[_Step]:
    if _some("linear_std", words, ops):
        yield _Step(f"nn.init.normal_(module.weight, std={words['linear_std']})")
    if _some("linear_bias", words, ops):
        every = _all("linear_bias", words, ops)
        condition = None if every else "module.bias is not None"
        yield _Step("nn.init.zeros_(module.bias)", condition)


def _some(argument: str, words: dict[str, Hyper], ops: Sequence[Op]) -> bool:
    return any(acts_on(argument, words, op) for op in ops)


def _all(argument: str, words: dict[str, Hyper], ops: Sequence[Op]) -> bool:
    return all(acts_on(argument, words, op) for op in ops)


def _branch(word: str, classes: Sequence[str], steps: Sequence[_Step]) -> Iterator[str]:
    """One kind of module; the condition of an only step joins that of the branch."""
    kinds = classes[0] if len(classes) == 1 else f"({', '.join(classes)})"
    test = f"isinstance(module, {kinds})"
    if len(steps) == 1 and steps[0].condition:
        yield f"            {word} {test} and {steps[0].condition}:"
        yield f"                {steps[0].statement}"
        return
    yield f"            {word} {test}:"
    for step in steps:
        if step.condition:
            yield f"                if {step.condition}:"
            yield f"                    {step.statement}"
        else:
            yield f"                {step.statement}"
