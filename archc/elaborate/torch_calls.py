"""A call of torch's, as in `nn.Conv2d(64, 96, 5, 1, 2)` -> the call of archc's operator."""

import re
from collections.abc import Callable, Mapping, Sequence

from archc.elaborate.torch_arguments import Ours, UnsaidError, Written, ours, padded, same
from archc.elaborate.torch_table import INFERRED, OPERANDS, UNKNOWN, Signature, Theirs
from archc.ops.op import word
from archc.syntax import ast

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
            known = [written(item, render) for item in items]
            text = f"[{', '.join(item.text for item in known)}]"
            return Written(text, tuple(item.value for item in known))
    return Written(render(expr))


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
    bound = _bound(signature, arguments)
    return f"{signature.operator}({', '.join(_texts(signature, bound, render, complete))})"


def function_call(signature: Signature, arguments: Sequence[ast.Argument], render: Render) -> str:
    """The call of an operator on tensors that computes what a function of torch's does.

    Raises:
        UnsaidError: archc cannot express an argument; the text names it and says why.
    """
    bound = _bound(signature, arguments)
    operands = []
    for theirs in signature.parameters:
        if theirs.name in OPERANDS:
            if theirs.name not in bound:
                raise UnsaidError(f"`{theirs.name}`: it is missing")
            operands.append(render(bound[theirs.name].value))
    texts = _texts(signature, bound, render, complete=True)
    if signature.operator in _SIGNS:
        first, second = map(tight, operands)
        return f"({first} {_SIGNS[signature.operator]} {second})"
    return f"{signature.operator}({', '.join([*operands, *texts])})"


_SIGNS: Mapping[str, str] = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_PLAIN = re.compile(r"[\w.]+$|\w+\([^()]*\)$|\([^()]*\)$")


def tight(text: str) -> str:
    """An operand, in parentheses unless nothing around it can take it apart."""
    return text if _PLAIN.match(text) else f"({text})"


def _texts(
    signature: Signature, bound: Mapping[str, ast.Argument], render: Render, complete: bool
) -> list[str]:
    """The arguments of the operator. Raises UnsaidError."""
    texts: list[str] = []
    in_place = True
    for said in _said(signature, bound, render, complete):
        if said.needless:
            in_place = False
            continue
        in_place = in_place and not said.parameter.keyword
        texts.append(said.text if in_place else f"{said.parameter.name}={said.text}")
    return [*texts, *signature.always]


def _bound(signature: Signature, arguments: Sequence[ast.Argument]) -> Mapping[str, ast.Argument]:
    """The arguments by the names of torch's parameters. Raises UnsaidError."""
    if signature.operator == "identity":
        return {}  # it takes all arguments, and does nothing with them
    names = [item.name for item in signature.parameters if not item.named]
    known = {item.name for item in signature.parameters}
    positional = [argument for argument in arguments if argument.name is None]
    if len(positional) > len(names):
        raise UnsaidError(f"PyTorch takes no `{positional[len(names)].span.text}` there")
    bound = dict(zip(names, positional, strict=False))
    for argument in arguments:
        if argument.name is None:
            continue
        name = "dim" if argument.name == "axis" and "dim" in known else argument.name
        if name not in known or name in bound:
            raise UnsaidError(f"PyTorch takes no `{argument.span.text}` there")
        bound[name] = argument
    return bound


def _said(
    signature: Signature, bound: Mapping[str, ast.Argument], render: Render, complete: bool
) -> list[Ours]:
    """The operator's arguments, in its own order."""
    found = []
    for theirs in signature.parameters:
        argument = bound.get(theirs.name)
        if theirs.name in OPERANDS:
            continue
        if argument is None and theirs.name in INFERRED and complete:
            raise UnsaidError(f"`{theirs.name}`: it is missing")
        try:
            value = None if argument is None else _written(theirs, argument.value, render)
            if signature.operator == "pad" and value is not None:
                found += padded(value, signature.rank)
                continue
            said = ours(signature.operator, theirs, value)
        except UnsaidError as reason:
            shown = theirs.name if argument is None else argument.span.text
            raise UnsaidError(f"`{shown}`: {reason}") from None
        if said is not None:
            found.append(said)
    _require_odd(signature.operator, found)
    return sorted(found, key=lambda said: said.parameter.keyword)


def _written(theirs: Theirs, value: ast.Expr, render: Render) -> Written:
    if theirs.name == "training":  # `self.training` is nothing here, and is not written
        return Written(value.span.text)
    return written(value, render)


def _require_odd(operator: str, found: Sequence[Ours]) -> None:
    """Torch pads an even kernel more on one side than on the other to keep the size."""
    texts = {said.parameter.name: said for said in found}
    if operator not in ("conv", "apply_conv") or texts["padding"].text != '"same"':
        return
    if "stride" in texts and not same(texts["stride"].value, 1):
        raise UnsaidError('`padding="same"`: PyTorch takes it without a stride only')
    kernel = texts["kernel"].value if "kernel" in texts else UNKNOWN
    sizes = kernel if isinstance(kernel, tuple) else (kernel,)
    if any(isinstance(size, int) and size % 2 == 0 for size in sizes):
        raise UnsaidError('`padding="same"`: an even kernel is padded unevenly in PyTorch')
