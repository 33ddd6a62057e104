"""A call of torch's, as in `nn.Conv2d(64, 96, 5, 1, 2)` -> the call of archc's operator."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from archc.diagnostics import Edit
from archc.elaborate.pytorch import sides
from archc.elaborate.pytorch.signatures import INFERRED, OPERANDS, UNKNOWN, Signature, Theirs
from archc.elaborate.pytorch.translated_arguments import (
    Ours,
    UnsaidError,
    Written,
    ours,
    same,
)
from archc.elaborate.walk import parts_of
from archc.ops.op import word
from archc.ops.registry import OPS, parameters
from archc.syntax import ast
from archc.syntax.edits import replaced
from archc.syntax.habits.batched import is_learned

_LITERALS: Mapping[str, object] = {"True": True, "False": False, "None": None}
WORDS: Mapping[str, str] = {"True": "true", "False": "false"}
"""Python's words for values -> the language's."""


Render = Callable[[ast.Expr], str]
"""An expression as the language writes it, calls of torch's inside included."""


def written(expr: ast.Expr, render: Render) -> Written:
    """An argument's expression as the language writes it, with its value if it is a literal."""
    match expr:
        case ast.Name(name=name) if name in _LITERALS:
            value = _LITERALS[name]
            return Written("None" if value is None else word(value), value)
        case ast.Number(value=number):
            return Written(expr.span.text, number)
        case ast.Bool(value=truth):
            return Written(word(truth), truth)
        case ast.String(parts=parts) if all(isinstance(part, str) for part in parts):
            text = "".join(part for part in parts if isinstance(part, str))
            return Written(word(text), text)
        case ast.Paren(value=inner):
            found = written(inner, render)
            return Written(f"({found.text})", found.value)
        case ast.Unary(op="-", operand=ast.Number(value=number)):
            return Written(expr.span.text, -number)
        case ast.Tuple(items=items) | ast.List(items=items):
            known = tuple(written(item, render) for item in items)
            text = f"[{', '.join(item.text for item in known)}]"
            return Written(text, tuple(item.value for item in known), known)
    return Written(render(expr), is_number=_is_number(expr))


_OF_NUMBERS = {"-", "/", "//", "%", "**"}
_NUMBERS = {"len", "int", "round", "abs"}
"""Functions whose result is a number whatever they get."""
_SIZES = {"channels", "height", "width", "depth"}


def _is_number(expr: ast.Expr) -> bool:
    """Whether an expression is a number or nothing: lists are added and multiplied only."""
    match expr:
        case ast.Number() | ast.Unary(op="-" | "+"):
            return True
        case ast.Paren(value=inner):
            return _is_number(inner)
        case ast.Arithmetic(first=first, rest=rest):
            found = _is_number(first)
            for op, operand in rest:
                both = found and _is_number(operand)
                either = found or _is_number(operand)
                found = op in _OF_NUMBERS or (either if op == "+" else both)
            return found
        case ast.Attribute(name=name):
            return name in _SIZES
        case ast.Call(callee=ast.Name(name=name)):
            return name in _NUMBERS
    return False


def module_call(
    signature: Signature,
    arguments: Sequence[ast.Argument],
    render: Render,
    *,
    complete: bool = True,
) -> str:
    """The call of an operator that makes what a module's class makes of these arguments.

    A class that is not called is not `complete`: the channels of the input may be missing.

    Raises:
        UnsaidError: archc cannot express an argument; the text names it and says why.
    """
    given = bound(signature, arguments)
    said = [*texts(_said(signature, given, render, complete)), *signature.always]
    return f"{signature.operator}({', '.join(said)})"


def function_call(signature: Signature, arguments: Sequence[ast.Argument], render: Render) -> str:
    """The call of an operator on tensors that computes what a function of torch's does.

    Raises:
        UnsaidError: archc cannot express an argument; the text names it and says why.
    """
    given = bound(signature, arguments)
    operands = []
    for theirs in signature.parameters:
        if theirs.name in OPERANDS:
            if theirs.name not in given:
                raise UnsaidError(f"`{theirs.name}`: it is missing")
            operands.append(render(given[theirs.name].value))
    said = texts(_said(signature, given, render, complete=True))
    if signature.operator in _SIGNS:
        first, second = map(tight, operands)
        return f"({first} {_SIGNS[signature.operator]} {second})"
    return f"{signature.operator}({', '.join([*operands, *said, *signature.always])})"


_SIGNS: Mapping[str, str] = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_PLAIN = re.compile(r"[\w.]+$|\w+\([^()]*\)$|\([^()]*\)$")


def tight(text: str) -> str:
    """An operand, in parentheses unless nothing around it can take it apart."""
    return text if _PLAIN.match(text) else f"({text})"


def texts(found: Iterable[Ours]) -> list[str]:
    """The arguments of an operator: by their places up to the first that is left out or that has
    to be named."""
    said: list[str] = []
    in_place = True
    for argument in sorted(found, key=lambda each: each.parameter.keyword):
        in_place = in_place and not (argument.needless or argument.parameter.keyword)
        if not argument.needless:
            name = argument.parameter.name
            said.append(argument.text if in_place else f"{name}={argument.text}")
    return said


def bound(signature: Signature, arguments: Sequence[ast.Argument]) -> Mapping[str, ast.Argument]:
    """The arguments by the names of torch's parameters. Raises UnsaidError."""
    if signature.operator == "identity":
        return {}  # it takes all arguments, and does nothing with them
    names = [item.name for item in signature.parameters if not item.named]
    known = {item.name for item in signature.parameters}
    positional = [argument for argument in arguments if argument.name is None]
    if len(positional) > len(names):
        raise UnsaidError(f"PyTorch takes no `{positional[len(names)].span.text}` there")
    found = dict(zip(names, positional, strict=False))
    for argument in arguments:
        if argument.name is None:
            continue
        name = "dim" if argument.name == "axis" and "dim" in known else argument.name
        if name not in known or name in found:
            raise UnsaidError(f"PyTorch takes no `{argument.span.text}` there")
        found[name] = argument
    return found


_WHOLE_IMAGE = re.compile(
    r"(\w+)\.(?:shape|size\(\))\[(?:-?2)\s*:\]"
    r"|[(\[]\s*(\w+)\.(?:shape\[-?2\]|size\(-?2\)),\s*"
    r"\2\.(?:shape\[(?:3|-1)\]|size\((?:3|-1)\))\s*,?\s*[)\]]"
)


def whole_image(text: str) -> str | None:
    """The tensor whose whole image gives a size: `x` in `x.shape[2:]`."""
    found = _WHOLE_IMAGE.fullmatch(text)
    return found and (found[1] or found[2])


def _like(signature: Signature, theirs: Theirs, argument: ast.Argument | None) -> Ours | None:
    """`like=x` for the size of `F.interpolate(y, size=x.shape[2:])`, where x has a batch axis."""
    if argument is None or (signature.operator, theirs.name) != ("upsample", "size"):
        return None
    x = whole_image(argument.value.span.text)
    if x is None or is_learned(argument.span.source, x):
        return None
    known = {item.name: item for item in parameters(OPS["upsample"])}
    return Ours(known["like"], x, UNKNOWN, needless=False)


_OF_SIDES = {"pad", "padding"}


def _said(
    signature: Signature, given: Mapping[str, ast.Argument], render: Render, complete: bool
) -> list[Ours]:
    """The operator's arguments. Raises UnsaidError."""
    found = []
    for theirs in signature.parameters:
        argument = given.get(theirs.name)
        if theirs.name in OPERANDS:
            continue
        if argument is None and theirs.name in INFERRED and complete:
            raise UnsaidError(f"`{theirs.name}`: it is missing")
        like = _like(signature, theirs, argument)
        if like is not None:
            found.append(like)
            continue
        try:
            value = None if argument is None else _written(theirs, argument.value, render)
            if theirs.name in _OF_SIDES and signature.operator == "pad" and value is not None:
                found += _of_sides(signature, value, given)
                continue
            said = ours(signature.operator, theirs, value)
        except UnsaidError as reason:
            shown = theirs.name if argument is None else argument.span.text
            raise UnsaidError(f"`{shown}`: {reason}") from None
        if said is not None:
            found.append(said)
    _require_odd(signature.operator, found)
    return found


def _of_sides(
    signature: Signature, value: Written, given: Mapping[str, ast.Argument]
) -> list[Ours]:
    """The sides of `nn.ZeroPad2d` and of `F.pad`. Raises UnsaidError."""
    if signature.rank is not None:
        return sides.of_module(value, signature.rank)
    return sides.of_function(value, zeros=pads_zeros(given))


def pads_zeros(given: Mapping[str, ast.Argument]) -> bool:
    """Whether `F.pad` pads with zeros, and so channels, too."""
    mode = given.get("mode")
    return mode is None or '"constant"' in mode.span.text


def _written(theirs: Theirs, value: ast.Expr, render: Render) -> Written:
    if theirs.name == "training":  # `self.training` is nothing here, and is not written
        return Written(value.span.text)
    return written(value, render)


def _require_odd(operator: str, found: Sequence[Ours]) -> None:
    """Torch pads an even kernel more on one side than on the other to keep the size."""
    values = {said.parameter.name: said.value for said in found}
    if operator not in ("conv", "apply_conv") or values["padding"] != "same":
        return
    if not same(values.get("stride", 1), 1):
        raise UnsaidError('`padding="same"`: PyTorch takes it without a stride only')
    kernel = values.get("kernel", UNKNOWN)
    sizes = kernel if isinstance(kernel, tuple) else (kernel,)
    if any(isinstance(size, int) and size % 2 == 0 for size in sizes):
        raise UnsaidError('`padding="same"`: an even kernel is padded unevenly in PyTorch')


# ------------------------------------------------------------------------ axes


def axis_edits(expr: ast.Expr) -> list[Edit]:
    """The axes of shapes in an expression, counted as here: without the batch.

    Raises:
        UnsaidError: a shape of which it is not known which axis is read, or that has no batch.
    """
    edits: list[Edit] = []
    moved: set[int] = set()
    for part in parts_of((expr,)):
        if isinstance(part, ast.Index) and _is_shape(part.value):
            moved.add(id(part.value))
            edits += _moved(part, part.value, part.index)
        elif isinstance(part, ast.Call) and _is_size(part) and len(part.arguments) == 1:
            edits += _moved(part, part.callee, part.arguments[0].value)
        elif _is_shape(part) and id(part) not in moved:
            raise UnsaidError(f"`{part.span.text}`: a shape has no batch axis here")
    return edits


def _is_shape(part: ast.Syntax) -> bool:
    """`x.shape`, and `x.size()`."""
    if isinstance(part, ast.Call) and not part.arguments:
        return _is_size(part)
    return isinstance(part, ast.Attribute) and part.name == "shape"


def _is_size(call: ast.Call) -> bool:
    return isinstance(call.callee, ast.Attribute) and call.callee.name == "size"


def _moved(whole: ast.Expr, shape: ast.Expr, index: ast.Expr) -> list[Edit]:
    """`x.shape[1]` is `x.channels`, and `x.shape[2]` and `x.size(2)` are `x.shape[1]`. Raises
    UnsaidError."""
    shape = shape.callee if isinstance(shape, ast.Call) else shape
    match index, shape:
        case ast.Unary(op="-", operand=ast.Number()), ast.Attribute(name="shape"):
            return []
        case ast.Number(value=int(axis)), ast.Attribute(value=ast.Name() as tensor) if axis > 0:
            if not is_learned(tensor.span.source, tensor.name):
                x = tensor.name
                ours = f"{x}.channels" if axis == 1 else f"{x}.shape[{axis - 1}]"
                return [*replaced(whole.span, ours)]
    raise UnsaidError(f"`{whole.span.text}`: a shape has no batch axis here")
