"""`@init`, written at the end of the constructor: a loop over the modules of the net."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archc.ir.graph import Hyper
from archc.ir.initialisation import acts_on
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
    if _some("scheme", words, modules):
        mode = _FAN_OUT if words.get("fan") == "out" else ""
        yield _Step(f"nn.init.kaiming_normal_(module.weight{mode})")
    if _some("conv_bias", words, modules):
        # PyTorch types the bias of a convolution as optional, whether or not there is one.
        yield _Step("nn.init.zeros_(module.bias)", "module.bias is not None")


def _norm(words: dict[str, Hyper], modules: Sequence[TorchModule]) -> Iterator[_Step]:
    if _some("bn_weight", words, modules):
        condition = None if _all("bn_weight", words, modules) else "module.affine"
        yield _Step(f"nn.init.constant_(module.weight, {words['bn_weight']})", condition)


def _linear(words: dict[str, Hyper], modules: Sequence[TorchModule]) -> Iterator[_Step]:
    if _some("linear_std", words, modules):
        yield _Step(f"nn.init.normal_(module.weight, std={words['linear_std']})")
    if _some("linear_bias", words, modules):
        every = _all("linear_bias", words, modules)
        condition = None if every else "module.bias is not None"
        yield _Step("nn.init.zeros_(module.bias)", condition)


def _some(argument: str, words: dict[str, Hyper], modules: Sequence[TorchModule]) -> bool:
    return any(acts_on(argument, words, module) for module in modules)


def _all(argument: str, words: dict[str, Hyper], modules: Sequence[TorchModule]) -> bool:
    return all(acts_on(argument, words, module) for module in modules)


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
