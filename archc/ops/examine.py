"""Whether an operator of another distribution is one: its methods give what archc will rely on."""

from collections.abc import Iterator, Sequence
from functools import partial

from archc.ops.autograd import Saved
from archc.ops.op import Op, TensorType, TorchFunction, TorchModule, Weight
from archc.ops.size import Size
from archc.program.template import places, read


def problem_of(op: Op, types: Sequence[TensorType], out: object) -> str | None:
    """What is wrong with what its methods give, for operands of these types; `out` is what `infer`
    gave. None if nothing is."""
    return next(_problems(op, types, out), None)


def _problems(op: Op, types: Sequence[TensorType], out: object) -> Iterator[str]:
    if not isinstance(out, TensorType) or not _is_shape(out.shape):
        yield f"`rule` gives {out!r}, not a TensorType of whole numbers"
        return
    for method, arguments, fits, wanted in (
        ("weights", types, partial(_is_tuple, Weight), "a tuple of Weight"),
        ("module", types, partial(_is_optional, TorchModule), "a TorchModule"),
        ("function", types, partial(_is_optional, TorchFunction), "a TorchFunction"),
        ("macs", (types, out), partial(_is_optional, int), "a whole number"),
        ("saves", (types, out), partial(_is_tuple, Saved), "a tuple of Saved"),
    ):
        value = getattr(op, method)(*arguments)
        if not fits(value):
            yield f"`{method}` gives {value!r}, not {wanted}"
    yield from _wrong_text(op, types)


def _wrong_text(op: Op, types: Sequence[TensorType]) -> Iterator[str]:
    module, function = op.module(*types), op.function(*types)
    if module is None and op.weights(*types):
        yield "it has weights, but no `module`"
    if module is None and function is None:
        yield "it has neither a `module` nor a `function`"
    if module is not None and module.text != "{layer}({operands})":
        yield from _wrong_template(module.text, {*_operands(types), "layer"})
    if function is not None:
        args = {arg.name for arg in function.args}
        yield from _wrong_template(function.template, {*_operands(types), "args", *args})


def _operands(types: Sequence[TensorType]) -> set[str]:
    return {"operands", *map(str, range(len(types)))}


def _wrong_template(template: str, known: set[str]) -> Iterator[str]:
    try:
        read(template)
    except ValueError as problem:
        yield f"the template {template!r} cannot be read: {problem}"
        return
    for name in places(template):
        if name not in known:
            yield f"the template {template!r} asks for `{name}`, which there is not"


def _is_tuple(cls: type, value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, cls) for each in value)


def _is_optional(cls: type, value: object) -> bool:
    return value is None or isinstance(value, cls)


def _is_shape(shape: object) -> bool:
    return isinstance(shape, tuple) and bool(shape) and all(type(d) in (int, Size) for d in shape)
