"""`@init`, written at the end of the constructor: a loop over the modules of the net."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archc.ir.graph import Hyper
from archc.ops.op import TorchModule

_FAN_OUT = ', mode="fan_out", nonlinearity="relu"'


@dataclass(frozen=True)
class _Step:
    """A statement about `module`, and what must hold for it."""

    statement: str
    condition: str | None = None


def initialisation(words: dict[str, Hyper], made: Sequence[TorchModule]) -> list[str]:
    """The statements of an `@init` with the arguments `words`, for the modules that a net has."""
    kinds = {"nn.Conv": _conv, "nn.BatchNorm": _norm, "nn.Linear": _linear}
    classes_of: dict[tuple[_Step, ...], list[str]] = {}
    for prefix, steps_of in kinds.items():
        modules = [module for module in made if module.cls.startswith(prefix)]
        classes = sorted({module.cls for module in modules})
        classes_of.setdefault(tuple(steps_of(words, modules)), []).extend(classes)
    out: list[str] = []
    for steps, classes in classes_of.items():
        if steps:
            out += _branch("elif" if out else "if", classes, steps)
    return ["        for module in self.modules():", *out] if out else []


def _conv(words: dict[str, Hyper], modules: Sequence[TorchModule]) -> Iterator[_Step]:
    if modules and words.get("scheme", "he_normal") == "he_normal":
        mode = _FAN_OUT if words.get("fan") == "out" else ""
        yield _Step(f"nn.init.kaiming_normal_(module.weight{mode})")
    if words.get("conv_bias") == "zero" and True in _given(modules, "bias"):
        # PyTorch types the bias of a convolution as optional, whether or not there is one.
        yield _Step("nn.init.zeros_(module.bias)", "module.bias is not None")


def _norm(words: dict[str, Hyper], modules: Sequence[TorchModule]) -> Iterator[_Step]:
    affine = _given(modules, "affine")
    if "bn_weight" in words and True in affine:
        condition = "module.affine" if False in affine else None
        yield _Step(f"nn.init.constant_(module.weight, {words['bn_weight']})", condition)


def _linear(words: dict[str, Hyper], modules: Sequence[TorchModule]) -> Iterator[_Step]:
    biased = _given(modules, "bias")
    if modules and "linear_std" in words:
        yield _Step(f"nn.init.normal_(module.weight, std={words['linear_std']})")
    if words.get("linear_bias") == "zero" and True in biased:
        condition = "module.bias is not None" if False in biased else None
        yield _Step("nn.init.zeros_(module.bias)", condition)


def _given(modules: Sequence[TorchModule], name: str) -> set[object]:
    """The values of an argument over all modules."""
    return {arg.value for module in modules for arg in module.args if arg.name == name}


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
